"""The warm kind: a bash script that a subshell of a waiting bash reads, for each event.

No exec and no start-up: the bash has read the libraries, if the script names one, and has forked
the next subshell, before an event comes. All else is as for the exec kind: the event on stdin and
at the path in `$1`, a clean environment, a process group, a working folder, captured output, the
exit status.
"""

import contextlib
import os
import signal
import socket
from collections import defaultdict, deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hookline.dispatch.decide import Outcome
from hookline.dispatch.environment import MARK, Environment
from hookline.dispatch.exec_runner import ExecRun, Lines, NotRunnable
from hookline.dispatch.folders import Folders
from hookline.dispatch.handlers import Handler, version_of
from hookline.dispatch.process import end_group, kill_marked, null, spawn, sweep, write_all
from hookline.dispatch.runner import Ended
from hookline.dispatch.subscription import Delivery

HOST: Final = Path(__file__).with_name("warm_host.sh")
SPARE_MAX: Final = 32
"""How many hosts with the same libraries may wait for work."""
_SIGNALS_MAX: Final = 64


class WarmRunner:
    """Keeps bashes that wait, one more than are at work."""

    def __init__(self, environment: Environment, lines: Lines, folders: Folders) -> None:
        self._environment = environment
        self._lines = lines
        self._folders = folders
        self._hosts: dict[int, _Host] = {}
        self._free: defaultdict[tuple[str, ...], deque[_Host]] = defaultdict(deque)
        """By their libraries, which are most of what a subshell costs: a page is copied for each
        that it has, whether it looks at it or not."""

    def limit(self, handler: Handler) -> int:
        """One event, one subshell, unless it takes batches."""
        return handler.batch

    def start(self, handler: Handler, deliveries: list[Delivery], now_s: float) -> "WarmRun":
        """Hand the event to a bash that waits; one is started where none does."""
        free = self._free[handler.libraries]
        host = free.popleft() if free else self._begin(handler.libraries)
        run = WarmRun(handler, deliveries, now_s, self._folders, host, self._take_back)
        try:
            self._hand_over(run)
        except NotRunnable as error:
            run.close()
            self._take_back(host)
            run.failed = f"{handler.path}: {error}"
        except BaseException:
            run.close()
            self._take_back(host)
            raise
        if not free:
            # It forks its subshell while this one is at work.
            with contextlib.suppress(OSError, MemoryError):
                free.append(self._begin(handler.libraries))
        return run

    def _hand_over(self, run: "WarmRun") -> None:
        handler = run.handler
        if version_of(handler.path) != handler.version:
            raise NotRunnable("it has changed just now")
        folder, stdout, stderr = run.equip(self._lines)
        env = self._environment.of_run(handler, run.deliveries, folder)
        run.mark = f"{MARK}={env[MARK]}"
        # What the subshell reads: everything that a program of its own would be started with,
        # and that the host has not.
        ours = f"/proc/{os.getpid()}/fd"
        event, path = f"{ours}/{run.memfd}", quoted(str(handler.path))
        script = (
            f"exec <{event} >{ours}/{stdout.write_fd} 2>{ours}/{stderr.write_fd}\n"
            f"{' '.join([f'{name}={quoted(value)}' for name, value in env.items()])}\n"
            f"set +am; cd {quoted(folder)}; unset -v OLDPWD _hookline_run\n"
            f"BASH_ARGV0={path}; source {path} {event}\n"
        )
        if "\0" in script:
            raise ValueError("an attribute has a NUL")
        run.host.begin(run, script.encode("utf-8", "surrogateescape"))

    def _begin(self, libraries: tuple[str, ...]) -> "_Host":
        host = _Host(self._environment.of_warm_hosts(), libraries)
        self._hosts[host.pid] = host
        return host

    def _take_back(self, host: "_Host") -> None:
        host.run = None
        free = self._free[host.libraries]
        free.append(host)
        while len(free) > SPARE_MAX:
            self._drop(free.popleft())

    def _drop(self, host: "_Host") -> None:
        del self._hosts[host.pid]
        host.close()

    def exited(self, pid: int, status: int) -> "tuple[WarmRun, Ended] | None":
        """A host has ended, by its handler's doing or by somebody's; its subshell goes with it."""
        host = self._hosts.get(pid)
        if host is None:
            return None
        run = host.run
        if run is None:
            self._free[host.libraries].remove(host)
            self._drop(host)
            return None
        # What its subshell has said last counts, if it came to say it.
        ended = run.heard() or run.died(os.waitstatus_to_exitcode(status))
        self._drop(host)
        return run, ended

    def forget(self, handler: Handler) -> None:
        """Nothing idles for one handler."""

    def close(self) -> None:
        """End every host, and with those at work all that their runs have started."""
        running = [host.run for host in self._hosts.values() if host.run]
        for host in list(self._hosts.values()):
            self._drop(host)
        self._free.clear()
        for run in running:
            run.close()
        if running:
            kill_marked({run.mark for run in running})


class _Host:
    """One bash, and the socket to it."""

    def __init__(self, env: dict[str, str], libraries: tuple[str, ...]) -> None:
        self.libraries = libraries
        self.run: WarmRun | None = None
        self.leader = 0
        """The subshell that waits, or is at work; 0 while there is none yet."""
        self._said = b""
        ours, theirs = socket.socketpair()
        with ours, theirs, contextlib.ExitStack() as made:
            ours.setblocking(False)
            self._script = os.memfd_create("script", os.MFD_CLOEXEC)
            made.callback(os.close, self._script)
            self.pid = spawn(
                ["/bin/bash", str(HOST), *libraries],
                env=env,
                cwd="/",
                descriptors={0: theirs.fileno(), 1: theirs.fileno(), 2: null()},
            )
            self.channel = ours.detach()
            made.pop_all()

    def begin(self, run: "WarmRun", script: bytes) -> None:
        """Tell the subshell that waits, or will, to read this."""
        self.hear()
        # Nobody has it open any more: the last subshell read it as a whole, and is gone.
        write_all(self._script, script)
        os.ftruncate(self._script, len(script))
        with contextlib.suppress(ConnectionError):
            os.write(self.channel, b"%d\n" % self._script)
        self.run = run
        run.pid = self.leader or -1

    def hear(self) -> tuple[int, int] | None:
        """Take what it has said: the subshell that has ended and its status, if one has."""
        try:
            part = os.read(self.channel, 4096)
        except (BlockingIOError, ConnectionError):
            return None
        *lines, self._said = (self._said + part).split(b"\n")
        ended = None
        for line in lines:
            number = int(line[1:])
            if line.startswith(b"+"):
                self.leader = number
            else:
                ended, self.leader = (self.leader, number), 0
        return ended

    def close(self) -> None:
        """End it, and the subshell that it has."""
        self.hear()
        for pid in (self.pid, self.leader):
            if pid > 0:
                end_group(pid, signal.SIGKILL)
        os.close(self.channel)
        os.close(self._script)


class WarmRun(ExecRun):
    """One subshell with one event, or with a batch."""

    def __init__(
        self,
        handler: Handler,
        deliveries: list[Delivery],
        now_s: float,
        folders: Folders,
        host: _Host,
        give_back: Callable[[_Host], None],
    ) -> None:
        super().__init__(handler, deliveries, now_s, folders)
        self.host = host
        self._give_back = give_back

    def ends(self) -> list[int]:
        """The host's channel."""
        return [self.host.channel]

    def readable(self, fd: int) -> Ended | None:
        """Take what the host says or what was printed."""
        if fd != self.host.channel:
            return super().readable(fd)
        ended = self.heard()
        if ended is not None:
            self._give_back(self.host)
        return ended

    def heard(self) -> Ended | None:
        """The end of the run, if the host has told of it."""
        ended = self.host.hear()
        if ended is None:
            self.pid = self.host.leader or self.pid
            return None
        self.pid, status = ended[0] or self.pid, ended[1]
        is_signal = 128 < status <= 128 + _SIGNALS_MAX
        return self.ended(128 - status if is_signal else status)

    def died(self, code: int) -> Ended:
        """The host has ended with this status: its handler has no other parent."""
        if self.pid < 0:
            # One that has just been forked may come to read yet.
            sweep(set(), self.host.pid)
            self.close()
            why = f"bash could not fork for it, and ended with {code}"
            return Ended(0, Outcome(verdict="broken", ms=0.0, error=why))
        end_group(self.pid, signal.SIGKILL)
        return self.ended(code or 1)

    def overdue(self, now_s: float) -> None:
        """As for a program; KILL is for its host too, which its handler may have stopped, and where
        no subshell has come to read."""
        if self._timed_out or self.pid < 0:
            end_group(self.host.pid, signal.SIGKILL)
        if self.pid > 0:
            super().overdue(now_s)


def quoted(text: str) -> str:
    """A word of bash that stands for this text."""
    return "'" + text.replace("'", "'\\''") + "'" if "'" in text else f"'{text}'"
