"""What comes from the file system: changed logs, new domains, the drop box, torn tails."""

import os
import stat
from collections.abc import Iterable
from typing import Final

from hookline.dispatch import dropbox
from hookline.dispatch.domain_log import DomainLog
from hookline.dispatch.spectator import Spectator
from hookline.log.home import Home
from hookline.log.read import domains
from hookline.log.watch import Watch
from hookline.model.clock import Clock
from hookline.model.errors import HooklineError, printable

TORN_S: Final = 1.0
FILES_A_LOOK: Final = 256
_SUFFIX: Final = "-events.jsonl"
_UNWATCHED: Final = (
    "and is looked at ten times a second instead: raise fs.inotify.max_user_instances or "
    "fs.inotify.max_user_watches with sysctl"
)


class Inbox:
    """Watches the folders of a home for the dispatcher."""

    def __init__(self, home: Home, clock: Clock, spectator: Spectator) -> None:
        self._home = home
        self._clock = clock
        self._spectator = spectator
        for folder in (home.events, home.queue, home.segments):
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        for half in home.rejected.glob(".*.tmp"):
            # Of a dispatcher that was killed over it: what it says is written once more.
            half.unlink(missing_ok=True)
        self._watch = Watch([home.events, home.queue, home.handlers])
        self.domains: list[str] = []
        self._logs: dict[str, DomainLog] = {}
        self._changed: set[str] = set()
        self._sizes: dict[str, tuple[int, int]] = {}
        self._torn: dict[str, tuple[int, float]] = {}
        self._unwilling: dict[str, str] = {}
        self._folders_changed = True

    @property
    def fd(self) -> int:
        """Readable when something has changed."""
        return self._watch.fd

    @property
    def pending(self) -> bool:
        """Whether there are changes that were not asked for yet."""
        return bool(self._changed)

    def hear(self) -> bool:
        """Take what the kernel says; whether it said something."""
        names = self._watch.read()
        if names is None:
            self._folders_changed = True
            self._changed.update(self.domains)
            return True
        for name in names:
            domain = name.removesuffix(_SUFFIX)
            if domain != name and domain in self.domains:
                self._changed.add(domain)
            else:
                self._folders_changed = True
        return bool(names)

    def log(self, domain: str) -> DomainLog:
        """The log of a domain."""
        if domain not in self._logs:
            self._logs[domain] = DomainLog(self._home, domain)
        return self._logs[domain]

    @property
    def folders_changed(self) -> bool:
        """Whether a file came that is no known log: worth a look at once."""
        return self._folders_changed

    def changed(self) -> set[str]:
        """The domains that changed since the last call."""
        changed, self._changed = self._changed, set()
        return changed

    def touch(self, domains: Iterable[str]) -> None:
        """Count these domains among the changed ones."""
        self._changed.update(domains)

    def look(self) -> None:
        """Find new domains, and logs that grew without a word of the kernel's."""
        self._folders_changed = False
        self._mind_watch()
        known = set(self.domains)
        self.domains = [domain for domain in domains(self._home) if self._readable(domain)]
        for domain in self.domains:
            size = self._size(domain)
            if self._sizes.get(domain) != size or domain not in known:
                self._sizes[domain] = size
                self._changed.add(domain)

    def _mind_watch(self) -> None:
        """Say once that the kernel tells nothing of a folder; one that is missing may yet come."""
        silent = [folder for folder in self._watch.unwatched if os.path.isdir(folder)]
        if silent:
            self._say_once("watch", f"{silent[0]} cannot be watched, {_UNWATCHED}")
        else:
            self._unwilling.pop("watch", None)

    def _readable(self, domain: str) -> bool:
        """Whether a domain can be read now; it is said once when not, and no other waits for it."""
        path = self._home.live(domain)
        try:
            status = path.lstat()
        except FileNotFoundError:
            return True
        if stat.S_ISREG(status.st_mode) and os.access(path, os.R_OK):
            self._unwilling.pop(domain, None)
            return True
        self._say_once(domain, f"{path} cannot be read: it must be a regular file that we may read")
        return False

    def _size(self, domain: str) -> tuple[int, int]:
        try:
            status = os.stat(self._home.live(domain))
        except FileNotFoundError:
            return 0, 0
        return status.st_ino, status.st_size

    def take_files(self) -> int:
        """Make events of what lies in the drop box, so many at a time; how many there were."""
        taken = 0
        for name in dropbox.waiting(self._home)[:FILES_A_LOOK]:
            try:
                identity = dropbox.take(self._home, name, self._clock)
                taken += 1
                if identity is None:
                    self._spectator.noted(
                        f"{printable(name)} cannot be an event: events/rejected/ says why"
                    )
            except dropbox.Unfinished:
                # The kernel says when it is closed, and a second later it is looked at anyway.
                pass
            except (HooklineError, OSError) as error:
                self._say_once(name, f"{printable(name)} stays in the drop box: {error}")
        return taken

    def _say_once(self, what: str, why: str) -> None:
        if self._unwilling.get(what) != why:
            self._unwilling[what] = why
            self._spectator.noted(why)

    def heal(self) -> None:
        """End lines that stand without a newline for a second: their writers are gone, or will be
        none the worse."""
        now_s = self._clock.monotonic_s()
        for domain in self.domains:
            try:
                self._heal(domain, self.log(domain), now_s)
            except HooklineError as error:
                self._say_once(domain, str(error))

    def _heal(self, domain: str, log: DomainLog, now_s: float) -> None:
        size = self._sizes.get(domain, (0, 0))[1]
        if not size or not log.tail_torn():
            self._torn.pop(domain, None)
            return
        seen, since_s = self._torn.get(domain, (-1, 0.0))
        if seen != size:
            # It may have stood for long before this process began.
            since_s = now_s - self._stood_s(domain)
            self._torn[domain] = (size, since_s)
        if now_s - since_s >= TORN_S:
            log.heal()
            del self._torn[domain]

    def _stood_s(self, domain: str) -> float:
        try:
            written_s = os.stat(self._home.live(domain)).st_mtime
        except FileNotFoundError:
            return 0.0
        return max(0.0, self._clock.now().timestamp() - written_s)

    def close(self) -> None:
        """Stop watching."""
        self._watch.close()
