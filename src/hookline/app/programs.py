"""The programs that `hookline up` keeps running beside the dispatcher."""

import contextlib
import math
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from hookline.app.config import Program
from hookline.control.restarts import END_S, PAUSE_MAX_S, Restarts
from hookline.dispatch.process import end_group, kill_marked, spawn
from hookline.log.home import Home
from hookline.model.duration import seconds
from hookline.model.errors import told

_MARK: Final = "HOOKLINE_PROGRAM"
PATIENT_S: Final = 1.0
"""Whoever waits for longer is told for what."""
_NEVER_S: Final = math.inf
_APPEND: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC


class _Running:
    """One program and how it has fared."""

    def __init__(self, name: str, program: Program) -> None:
        self.name = name
        self.program = program
        self.pid = -1
        self.since_s = 0.0
        self.start_at_s = 0.0
        self.restarts = Restarts()


class ProgramKeeper:
    """Starts programs, starts them again when they end, and ends them in the end.

    After growing pauses; one that has ended well and is due `every` so often, after that long; one
    that has ended with a status that prevents it, never.
    """

    def __init__(
        self,
        home: Home,
        programs: Mapping[str, Program],
        env: Mapping[str, str],
        say: Callable[[str], None] | None = None,
    ) -> None:
        """`say` tells whoever waits for the end what it waits for."""
        self._home = home
        self._env = dict(env)
        self._say_to_all = say
        self._all = [_Running(name, program) for name, program in programs.items()]
        self._stopping = False
        self._say_at_s, self._kill_at_s = _NEVER_S, _NEVER_S
        self._now_s = 0.0
        kill_marked({self._mark(each) for each in self._all})

    def turn(self, now_s: float) -> float | None:
        """Start what is due; when the next is. In the end, kill what takes too long for its."""
        self._now_s = now_s
        if self._stopping:
            return self._wait_for_the_end(now_s)
        for each in self._all:
            if each.pid < 0 and now_s >= each.start_at_s:
                self._start(each)
        return min((each.start_at_s for each in self._all if each.pid < 0), default=None)

    def exited(self, pid: int, status: int) -> bool:
        """One of the programs may have ended; it is started again after a while."""
        for each in self._all:
            if each.pid == pid:
                each.pid = -1
                if self._stopping:
                    # As it was asked to.
                    return True
                code = os.waitstatus_to_exitcode(status)
                if each.program.every and code == 0:
                    each.restarts = Restarts()
                    each.start_at_s = self._now_s + seconds(each.program.every)
                    return True
                each.restarts = each.restarts.after(self._now_s - each.since_s)
                self._say(each, f"ended with {code}, the {each.restarts.ends}. time in a row")
                each.start_at_s = self._now_s + each.restarts.pause_s
                if code in each.program.restart_prevent:
                    self._say(each, "is not started again after that")
                    each.start_at_s = _NEVER_S
                return True
        return False

    @property
    def busy(self) -> bool:
        """Whether one that was asked to end has not done so."""
        return self._stopping and any(each.pid > 0 for each in self._all)

    def stop(self) -> None:
        """Ask all of them to end; once: a second signal may cut short what the first began."""
        if self._stopping:
            return
        self._stopping = True
        for each in self._all:
            if each.pid > 0:
                end_group(each.pid, signal.SIGTERM)

    def close(self) -> None:
        """End what has not ended by itself, and what they have left."""
        self._stopping = True
        kill_marked({self._mark(each) for each in self._all})

    def _wait_for_the_end(self, now_s: float) -> float | None:
        left = [each.name for each in self._all if each.pid > 0]
        if not left:
            return None
        if self._kill_at_s == _NEVER_S:
            self._say_at_s, self._kill_at_s = now_s + PATIENT_S, now_s + END_S
        if now_s >= self._kill_at_s:
            self.close()
            return None
        if now_s >= self._say_at_s:
            self._say_at_s = _NEVER_S
            if self._say_to_all is not None:
                self._say_to_all(f"waits for {', '.join(left)} to end; Ctrl-C kills what is left")
        return min(self._say_at_s, self._kill_at_s)

    def _start(self, each: _Running) -> None:
        command = list(each.program.command)
        command[0] = str(self._home.root / command[0])
        name, _, value = self._mark(each).partition("=")
        try:
            with contextlib.ExitStack() as opened:
                log = os.open(self._log(each), _APPEND, 0o640)
                opened.callback(os.close, log)
                null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
                opened.callback(os.close, null)
                each.pid = spawn(
                    command,
                    env={**self._env, "HOOKLINE_HOME": str(self._home.root), name: value},
                    cwd=self._home.root,
                    descriptors={0: null, 1: log, 2: log},
                )
            each.since_s = self._now_s
        except (OSError, MemoryError) as error:
            each.start_at_s = self._now_s + PAUSE_MAX_S
            self._say(each, f"cannot be started: {told(error)}")

    def _log(self, each: _Running) -> Path:
        folder = self._home.coordination / "logs"
        folder.mkdir(mode=0o750, exist_ok=True)
        return folder / f"{each.name}.log"

    def _say(self, each: _Running, text: str) -> None:
        # A full disk takes no word of it; the program is started again all the same.
        with contextlib.suppress(OSError), self._log(each).open("a") as log:
            log.write(f"hookline: {each.name} {text}\n")

    def _mark(self, each: _Running) -> str:
        # By whatever name the home is reached.
        return f"{_MARK}={self._home.root.resolve()}:{each.name}"
