"""Keeps one daemon running, and says as events what becomes of it."""

import math
import os
import select
import signal
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from hookline.control.daemon import READY_S, Daemon, folder_of, lock_of
from hookline.control.restarts import Restarts
from hookline.dispatch.process import end_group, null, signal_name, spawn, sweep
from hookline.dispatch.signals import asked_to_stop, hear
from hookline.dispatch.trust import distrust
from hookline.log.files import flock_within, make_folder
from hookline.log.holders import holders
from hookline.log.home import Home
from hookline.log.log import Log
from hookline.log.only_one import OnlyOne
from hookline.model.cause import Cause
from hookline.model.clock import Clock
from hookline.model.duration import seconds
from hookline.model.errors import HooklineError, TryAgain, is_shortage, told

MARK: Final = "HOOKLINE_DAEMON"
"""All that a daemon has started bears it in its environment."""
STOP_S: Final = 10.0
"""How long a daemon may take to end when it is asked to."""
SHORTAGE_S: Final = 5.0
"""When the machine was short of processes, memory or descriptors, and it is tried again."""
AGAIN_S: Final = 1.0
"""When an event could not be written, and is tried again."""
UNAVAILABLE: Final = os.EX_UNAVAILABLE
"""The exit status of a supervisor that has given up."""
FINAL: Final = (os.EX_DATAERR, UNAVAILABLE)
"""Its exit statuses after which it is not started again: there is no such daemon; it ended again
and again, as was said."""
_HOPELESS: Final = {
    os.EX_USAGE: "its arguments are wrong",
    os.EX_CONFIG: "its configuration is wrong",
    126: "it cannot be executed",
    127: "a program that it needs is not there",
}
"""Exit statuses that another start would not change."""
_LOCK_WAIT_S: Final = 1.0
_LOOKED_AT_S: Final = 0.05
"""Who only looks (`daemon-facts.sh`) has the lock too, for some milliseconds."""
_NEVER_S: Final = math.inf
_READY, _LOCK = 3, 4
"""The descriptors of the daemon: a newline in the first says that it is ready."""


class Notifier(Protocol):
    """Is told that the daemon serves, and that we live; `hookline.notify.Notifier` is one."""

    def turn(self, now_s: float) -> float:
        """A round at this monotonic time; when the next one is due at the latest."""

    def stop(self) -> None:
        """The daemon is told to end."""


class Supervisor:
    """One daemon: starting, running, waiting to be started again, stopping, ended."""

    def __init__(
        self,
        home: Home,
        name: str,
        daemon: Daemon,
        *,
        log: Log,
        cause: Cause | None,
        clock: Clock,
        passed: Mapping[str, str],
        notifier: Notifier,
    ) -> None:
        """`cause`: the event that asked for it; `notifier` has its turns from when the daemon is
        ready. Raises TryAgain when another supervisor has it, or it runs without one."""
        self._home, self._name, self._daemon, self._clock = home, name, daemon, clock
        self._log, self._caused = log, Log(home, clock=clock, cause=cause)
        self._passed, self._notifier = passed, notifier
        make_folder(home.coordination / "daemons")
        self._only = OnlyOne(home, folder_of(home, name), f"daemon-{name}")
        self._unsaid: list[tuple[str, dict[str, object]]] = []
        self._refused = ""
        """Why the log does not take them."""
        self._restarts = Restarts()
        self._starts = 0
        self._pid, self._pidfd, self._ready_fd, self._wake = -1, -1, -1, -1
        self._ready, self._serves, self._given_up = False, False, False
        self._has_stopped = False
        self._since_s, self._ready_s, self._next_s = 0.0, 0.0, 0.0
        self._asked = ""
        """What has told us to end."""
        self._over_s = _NEVER_S
        # The lock is on the folder, by whatever name the home is reached.
        self._mark = f"{MARK}={folder_of(home, name).resolve()}"
        # A supervisor that was killed has left its daemon at work.
        sweep({self._mark})
        os.close(self._locked())

    def run(self) -> int:
        """Until it is told to end (0), the daemon ends well by itself (0), or it is hopeless (69).

        Its last event is tried for `STOP_S` when the log takes nothing.
        """
        with hear(asked_to_stop(lambda number: self.stop(signal_name(number)))) as self._wake:
            try:
                while not self._is_over():
                    self._wait(self._turn())
            finally:
                self._end()
        return UNAVAILABLE if self._given_up else 0

    def stop(self, reason: str) -> None:
        """End the daemon, then this."""
        self._asked = self._asked or reason

    def unsaid(self) -> Iterator[str]:
        """What no event says, as the log has not taken it by the end; a line for each."""
        for type, data in self._unsaid:
            yield f"{type} ({data.get('reason', '')}) is not in the log: {self._refused}"

    def _is_over(self) -> bool:
        if self._pid >= 0 or not (self._given_up or self._asked):
            return False
        if not (self._given_up or self._has_stopped):
            # Told to end between two runs.
            self._stopped(self._asked, 0.0, graceful=True)
        now_s = self._clock.monotonic_s()
        self._over_s = min(self._over_s, now_s + STOP_S)
        return not self._unsaid or now_s >= self._over_s

    def _turn(self) -> float:
        """Do what is due; for how long nothing is."""
        now_s = self._clock.monotonic_s()
        self._say()
        wait_s = AGAIN_S if self._unsaid else STOP_S
        if self._serves:
            wait_s = min(wait_s, self._notifier.turn(now_s) - now_s)
        if self._pid >= 0:
            return min(wait_s, self._look(now_s))
        if self._asked or self._given_up:
            return wait_s
        if now_s >= self._next_s:
            self._start(now_s)
            return 0.0
        return min(wait_s, self._next_s - now_s)

    def _look(self, now_s: float) -> float:
        """After a daemon that lives; when to look again, at the latest."""
        if self._asked:
            return self._press(now_s)
        if self._ready:
            return STOP_S
        alive_s = seconds(self._daemon.alive_for) if self._daemon.alive_for else READY_S
        left_s = self._since_s + alive_s - now_s
        if left_s > 0:
            return left_s
        if self._daemon.alive_for:
            self._is_ready()
        else:
            end_group(self._pid, signal.SIGKILL)
        return STOP_S

    def _press(self, now_s: float) -> float:
        """Ask it to end, and kill it when it does not."""
        if self._next_s == 0.0:
            self._next_s = now_s + STOP_S
            self._notifier.stop()
            end_group(self._pid, signal.SIGTERM)
        elif now_s >= self._next_s:
            end_group(self._pid, signal.SIGKILL)
            self._next_s = now_s + STOP_S
        return self._next_s - now_s

    def _start(self, now_s: float) -> None:
        self._since_s, self._next_s, self._ready = now_s, 0.0, False
        self._starts += 1
        try:
            if reason := distrust(self._home.root / self._daemon.script):
                self._give_up(reason)
                return
            self._spawn()
            self._pidfd = os.pidfd_open(self._pid)
        except (OSError, HooklineError) as error:
            self._not_started(error)

    def _not_started(self, error: OSError | HooklineError) -> None:
        if self._pid >= 0:
            # Who cannot be watched is not kept.
            end_group(self._pid, signal.SIGKILL)
            self._bury()
        reason = f"it cannot be started: {told(error)}"
        if isinstance(error, OSError) and is_shortage(error):
            self._next_s = self._clock.monotonic_s() + SHORTAGE_S
            self._fail(reason, retry_in_s=SHORTAGE_S)
        else:
            self._give_up(reason)

    def _spawn(self) -> None:
        script = str(self._home.root / self._daemon.script)
        name, _, value = self._mark.partition("=")
        env = {
            **self._passed, "HOOKLINE_HOME": str(self._home.root), name: value,
            "HOOKLINE_READY_FD": str(_READY), "HOOKLINE_LOCK_FD": str(_LOCK),
        }  # fmt: skip
        lock = self._locked()
        self._ready_fd, told_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            descriptors = {0: null(), 1: 1, 2: 2, _READY: told_fd, _LOCK: lock}
            self._pid = spawn(
                [script, "run"], env=env, cwd=self._home.root, descriptors=descriptors
            )
            # It is for people: a full disk is no reason not to run.
            with suppress(OSError):
                os.pwrite(lock, b"%d %d\n" % (self._pid, os.getpid()), 0)
        except BaseException:
            self._close_ready()
            raise
        finally:
            os.close(told_fd)
            os.close(lock)

    def _locked(self) -> int:
        """The daemon's own lock, which ends with the last process that has the descriptor."""
        path = lock_of(self._home, self._name)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
        if not flock_within(fd, _LOCK_WAIT_S):
            who = os.pread(fd, 64, 0).decode("ascii", "replace").split()[:1] or ["unknown"]
            os.close(fd)
            raise TryAgain(
                f"{self._name} runs already, without a supervisor (process {who[0]}): "
                f"hookline daemon stop {self._name}"
            )
        os.ftruncate(fd, 0)
        return fd

    def _wait(self, wait_s: float) -> None:
        """Until something happens, or for so long."""
        poll = select.poll()
        for fd in (self._wake, self._pidfd, self._ready_fd):
            if fd >= 0:
                poll.register(fd, select.POLLIN)
        found = {fd for fd, _ in poll.poll(max(0.0, wait_s) * 1000)}
        if self._wake in found:
            os.read(self._wake, 64)
        if self._ready_fd in found:
            self._hear()
        if self._pidfd in found:
            self._ended()

    def _hear(self) -> None:
        text = os.read(self._ready_fd, 64)
        if not text or b"\n" in text:
            self._close_ready()
        if b"\n" in text and not self._ready:
            self._is_ready()

    def _is_ready(self) -> None:
        self._ready = self._serves = True
        self._ready_s = self._clock.monotonic_s()
        mode = "normal" if self._starts == 1 else "restart"
        self._tell("daemon.started", pid=self._pid, startup_mode=mode, starts=self._starts)
        # At once: the daemon may have ended by the next turn.
        self._notifier.turn(self._ready_s)

    def _ended(self) -> None:
        ran_s = self._clock.monotonic_s() - self._since_s
        code = self._bury()
        if self._asked:
            self._stopped(self._asked, ran_s, graceful=code in (0, -signal.SIGTERM))
        elif code == 0 and self._ready:
            self._asked = "it has ended by itself"
            self._stopped(self._asked, ran_s, graceful=True)
        else:
            self._failed(code)

    def _bury(self) -> int:
        """Its exit status, once it has one. What the daemon has started ends with it, but for what
        has left it altogether: its environment, its session and its lock."""
        # Reaped last: until then its number, which is that of its session, is nobody else's.
        os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOWAIT)
        sweep({self._mark}, leader=self._pid)
        with suppress(FileNotFoundError):
            self._free(lock_of(self._home, self._name))
        self._close_ready()
        if self._pidfd >= 0:
            os.close(self._pidfd)
        _, status = os.waitpid(self._pid, 0)
        self._pid = self._pidfd = -1
        return os.waitstatus_to_exitcode(status)

    def _free(self, lock: Path) -> None:
        fd = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if not flock_within(fd, _LOOKED_AT_S):
                for holder in holders(lock):
                    with suppress(ProcessLookupError, PermissionError):
                        os.kill(holder.pid, signal.SIGKILL)
        finally:
            os.close(fd)

    def _stopped(self, reason: str, ran_s: float, *, graceful: bool) -> None:
        self._has_stopped = True
        self._tell("daemon.stopped", reason=reason, graceful=graceful, ran_s=round(ran_s, 1))

    def _failed(self, code: int) -> None:
        # Only who was ready has run steadily.
        steady_s = self._clock.monotonic_s() - self._ready_s if self._ready else 0.0
        self._restarts = self._restarts.after(steady_s)
        how = f"exit {code}" if code >= 0 else signal_name(-code)
        reason = how if self._ready else f"{how} before it was ready"
        if code in _HOPELESS:
            self._give_up(f"{how}: {_HOPELESS[code]}")
        elif self._restarts.is_crash_loop:
            self._give_up(f"crash loop: {self._restarts.ends} ends in a row, the last with {how}")
        else:
            pause_s = self._restarts.pause_s
            self._next_s = self._clock.monotonic_s() + pause_s
            self._fail(reason, retry_in_s=pause_s)

    def _give_up(self, reason: str) -> None:
        self._given_up = True
        self._fail(reason, retry_in_s=None)

    def _fail(self, reason: str, *, retry_in_s: float | None) -> None:
        self._tell("daemon.failed", reason=reason, ends=self._restarts.ends, retry_in_s=retry_in_s)

    def _tell(self, type: str, **more: object) -> None:
        daemon = self._daemon
        about = {"daemon_type": self._name, "daemon_name": daemon.label or self._name}
        self._unsaid.append((type, {**about, "daemon_script": daemon.script, **more}))
        self._say()

    def _say(self) -> None:
        """What became of it, in its order; a log that cannot be written to is tried again."""
        while self._unsaid:
            type, data = self._unsaid[0]
            priority = "high" if type == "daemon.failed" else "medium"
            try:
                self._caused.append(type, source=self._name, data=data, priority=priority)
            except (HooklineError, OSError) as error:
                self._refused = told(error)
                return
            del self._unsaid[0]
            # What comes after its first start has other causes than who asked for it.
            self._caused = self._log

    def _close_ready(self) -> None:
        if self._ready_fd >= 0:
            os.close(self._ready_fd)
            self._ready_fd = -1

    def _end(self) -> None:
        """Leave nothing of it behind, however it came to that."""
        if self._pid >= 0:
            end_group(self._pid, signal.SIGKILL)
            self._bury()
        self._only.close()
