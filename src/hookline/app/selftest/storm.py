"""The storm: writers and dispatchers of a throw-away home are killed all the time, while its log is
rotated; then it calms down, and the oracle judges what has become of the events.

What happens when is drawn from one seed, for each kind of mishap by itself, and so is what the
writers write; how the processes interleave is the machine's.
"""

import ctypes
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from hookline.app.selftest import handlers, leaks
from hookline.app.selftest.handlers import DOMAIN
from hookline.app.selftest.place import see_to_room
from hookline.app.shipped import shipped_scripts
from hookline.app.survey import survey
from hookline.dispatch import letters
from hookline.log.home import Home
from hookline.log.lease import QUIET_S
from hookline.log.rotate import rotate, seal
from hookline.model.clock import SystemClock
from hookline.model.errors import HooklineError

TICK_S: Final = 0.02
CALM_S: Final = QUIET_S + 60.0
"""How long nothing may happen while there is something to drain: longer than closed segments wait
for their writers where there are no leases."""
END_S: Final = 60.0
"""How long a dispatcher may take to end when it is told to."""
WRITERS: Final = ("append", "sync", "batch", "sourced", "process")
HASTE: Final = 0.25
"""How many dispatchers are not left alone until each handler has had a run."""
IDLE_S: Final = 5.0
"""How long the others are: there may be nothing to run."""
DISK_BYTES_MAX: Final = 512 << 20
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG: Final = 1
_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
DISPATCH: Final = [sys.executable, "-m", "hookline", "dispatch"]
TORN: Final = b'{"specversion":"1.0","id":"torn-%d","source":"storm","type":"storm.note","ti'


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long a storm lasts, and how rough it is; the pairs are the shortest and longest pause
    between two mishaps, in seconds."""

    seed: int
    lasts_s: float
    pace_s: float = 0.06
    """How long a writer rests after each event."""
    each: int = 0
    """It also ends after so many kills of dispatchers, kills of writers and rotations."""
    dispatcher_s: tuple[float, float] = (0.1, 1.0)
    writer_s: tuple[float, float] = (0.1, 1.0)
    rotate_s: tuple[float, float] = (0.1, 1.0)
    seal_s: tuple[float, float] = (0.5, 2.0)
    tear_s: tuple[float, float] = (0.5, 3.0)
    replay_s: tuple[float, float] = (2.0, 6.0)


@dataclass(slots=True, kw_only=True)
class Tally:
    """What has happened so far. Moments are microseconds since 1970, as in the handlers' notes."""

    begun_s: float = field(default_factory=time.monotonic)
    raged_s: float = 0.0
    drained_s: float = 0.0
    starts: list[int] = field(default_factory=list)
    kills: list[int] = field(default_factory=list)
    held_up: set[int] = field(default_factory=set)
    """The starts of dispatchers that were stopped for a while (SIGSTOP)."""
    terms: int = 0
    writer_kills: int = 0
    rotations: int = 0
    sealed: int = 0
    torn: int = 0
    replayed: set[tuple[str, str]] = field(default_factory=set)
    """Handler and event."""
    acknowledged: int = 0
    disk_bytes: int = 0
    problems: list[str] = field(default_factory=list)
    """What went wrong beside the history."""


class _Mishap:
    """Something that happens again and again, with pauses drawn from the seed."""

    def __init__(
        self, dice: random.Random, pause_s: tuple[float, float], action: Callable[[], None]
    ) -> None:
        self._dice = dice
        self._pause_s = pause_s
        self._action = action
        self._due_s = time.monotonic() + dice.uniform(*pause_s)

    def turn(self, now_s: float) -> None:
        """Happen, if it is time."""
        if now_s >= self._due_s:
            self._action()
            self._due_s = time.monotonic() + self._dice.uniform(*self._pause_s)


class Storm:
    """One storm in one home, which it fills and leaves as it is then."""

    def __init__(
        self, home: Home, plan: Plan, told: Callable[[Tally], None] = lambda _: None
    ) -> None:
        """`told` is called every second or so."""
        self.home = home
        self.plan = plan
        self.tally = Tally()
        self._told = told
        self._dice = random.Random(f"{plan.seed} choices")  # noqa: S311 - dice, no secret
        self._writers: dict[str, subprocess.Popen[bytes]] = {}
        self._dispatcher: subprocess.Popen[bytes]
        self._processes: list[subprocess.Popen[bytes]] = []
        self._generation = 0
        self._continue_at_s = 0.0
        self._hasty = False
        self._noted: dict[str, int] = {}

    def run(self) -> Tally:
        """Rage, calm down, and leave nothing running, whatever ends it. Raises WriteFailed when its
        disk is full."""
        handlers.install(self.home)
        notes_folder(self.home).mkdir()
        mishaps = self._mishaps()
        with ending(self.home) as self._processes:
            for name in WRITERS:
                self._start_writer(name)
            self._start_dispatcher()
            ends_s = time.monotonic() + self.plan.lasts_s
            while time.monotonic() < ends_s and not self._enough():
                for mishap in mishaps:
                    mishap.turn(time.monotonic())
                time.sleep(TICK_S)
            self.tally.raged_s = time.monotonic() - self.tally.begun_s
            self._calm_down()
            self.tally.problems += leaks.settled(self.home)
        return self.tally

    def _mishaps(self) -> list[_Mishap]:
        plan = self.plan
        return [
            # Each has dice of its own: what one of them draws does not depend on the others' time.
            _Mishap(random.Random(f"{plan.seed} {n}"), pause_s, action)  # noqa: S311 - dice
            for n, (pause_s, action) in enumerate(
                (
                    (plan.dispatcher_s, self._upset_dispatcher),
                    (plan.writer_s, self._kill_writer),
                    (plan.rotate_s, self._rotate),
                    (plan.seal_s, self._seal),
                    (plan.tear_s, self._tear),
                    (plan.replay_s, self._replay),
                    ((0.0, TICK_S), self._continue),
                    ((1.0, 1.0), self._look),
                )
            )
        ]

    def _enough(self) -> bool:
        tally, each = self.tally, self.plan.each
        if tally.disk_bytes > DISK_BYTES_MAX:
            return True
        return bool(each) and each <= min(len(tally.kills), tally.writer_kills, tally.rotations)

    # -- mishaps -------------------------------------------------------------------------

    def _upset_dispatcher(self) -> None:
        """Kill it, most often; or stop it for a while, or tell it to end."""
        process, tally = self._dispatcher, self.tally
        if process.poll() is None and not self._is_worth_it():
            return
        if process.poll() is not None:
            tally.problems.append(f"a dispatcher ended by itself with {process.returncode}")
        elif (draw := self._dice.random()) < 0.1:
            process.send_signal(signal.SIGSTOP)
            tally.held_up.add(tally.starts[-1])
            self._continue_at_s = time.monotonic() + self._dice.uniform(0.1, 1.0)
            return
        else:
            moment = _now()
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGTERM if draw < 0.2 else signal.SIGKILL)
            status = process.wait(END_S)
            # Told to end before it can hear that, it is killed as well.
            if status in (-signal.SIGKILL, -signal.SIGTERM):
                tally.kills.append(moment)
            elif status:
                tally.problems.append(f"a dispatcher that was told to end did with {status}")
            else:
                tally.terms += 1
        self._start_dispatcher()

    def _is_worth_it(self) -> bool:
        """On a slow machine nothing but starts would ever be tried, were there no waiting."""
        lived_s = (_now() - self.tally.starts[-1]) / 1e6
        if self._hasty or lived_s > IDLE_S:
            return True
        return all(size > self._noted.get(name, 0) for name, size in self._sizes().items())

    def _sizes(self) -> dict[str, int]:
        """How much each handler has noted."""
        paths = {name: self.home.root / f"{name}.runs" for name in handlers.HANDLERS}
        return {name: path.stat().st_size if path.exists() else 0 for name, path in paths.items()}

    def _continue(self) -> None:
        if self._continue_at_s and time.monotonic() >= self._continue_at_s:
            self._continue_at_s = 0.0
            self._dispatcher.send_signal(signal.SIGCONT)

    def _kill_writer(self) -> None:
        name = self._dice.choice(WRITERS)
        if self._writers[name].poll() is not None:
            self.tally.problems.append(f"the writer {name} ended by itself")
        kill_group(self._writers[name])
        self.tally.writer_kills += 1
        self._start_writer(name)

    def _rotate(self) -> None:
        self.tally.rotations += rotate(self.home, DOMAIN) is not None

    def _seal(self) -> None:
        self.tally.sealed += len(seal(self.home, DOMAIN))

    def _tear(self) -> None:
        """Leave a part of a line, as a full disk or a power cut does."""
        with suppress(FileNotFoundError):
            fd = os.open(self.home.live(DOMAIN), os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            os.write(fd, TORN % self.tally.torn)
            os.close(fd)
            self.tally.torn += 1

    def _replay(self) -> None:
        """Let somebody ask for a dead letter once more."""
        for letter in letters.open_letters(self.home):
            place = (letter.handler, letter.letter.split(":")[1].partition("~")[0])
            if place not in self.tally.replayed:
                self.tally.replayed.add(place)
                letters.replay(self.home, letter, SystemClock())
                return

    def _look(self) -> None:
        see_to_room(self.home)
        notes = [path.read_bytes() for path in notes_folder(self.home).iterdir()]
        self.tally.acknowledged = sum(x.count(b"\n") - x.count(b"try ") for x in notes)
        self.tally.disk_bytes = sum(map(_disk_bytes, _files(self.home.root)))
        self._told(self.tally)

    # -- processes -----------------------------------------------------------------------

    def _start_writer(self, name: str) -> None:
        self._generation += 1
        dice = random.Random(f"{self.plan.seed} {self._generation}")  # noqa: S311 - dice
        seed = dice.randrange(1 << 15)
        argv = writer_argv(self.home, name, seed, self.plan.pace_s)
        self._writers[name] = start(self.home, argv, self._processes)

    def _start_dispatcher(self) -> None:
        self._continue_at_s = 0.0
        self._hasty = self._dice.random() < HASTE
        self._noted = self._sizes()
        self.tally.starts.append(_now())
        self._dispatcher = start(self.home, DISPATCH, self._processes)

    def _calm_down(self) -> None:
        """No more mishaps: what is there is drained, and the dispatcher ends in order."""
        for process in self._writers.values():
            kill_group(process)
        self._dispatcher.send_signal(signal.SIGCONT)
        began_s = moved_s = time.monotonic()
        noted: dict[str, int] = {}
        while self._dispatcher.poll() is None and not is_caught_up(self.home):
            self._look()
            before, noted = noted, self._sizes()
            moved_s = time.monotonic() if noted != before else moved_s
            if time.monotonic() - moved_s > CALM_S:
                self.tally.problems.append(
                    f"not all is settled, and for {CALM_S:.0f} s nothing was"
                )
                return
            time.sleep(0.2)
        self.tally.drained_s = time.monotonic() - began_s
        self._dispatcher.terminate()
        if self._dispatcher.wait(END_S) not in (0, -signal.SIGTERM):
            self.tally.problems.append(f"the dispatcher ended with {self._dispatcher.returncode}")


def notes_folder(home: Home) -> Path:
    """Where the writers note what was acknowledged."""
    return home.root / "notes"


def writer_argv(home: Home, kind: str, seed: int, pace_s: float, name: str = "") -> list[str]:
    """The command of a writer of this kind; its name is that of the kind, by default."""
    name = name or kind
    told = [str(notes_folder(home) / name), name, kind, str(seed), str(pace_s)]
    if kind in ("sourced", "process"):
        logger = shipped_scripts() / "events" / "lib" / "event-logger.sh"
        return ["bash", str(Path(__file__).with_name("writer.bash")), str(logger), *told]
    return [sys.executable, "-m", "hookline.app.selftest.writer", str(home.root), *told]


def start(
    home: Home, argv: list[str], processes: list[subprocess.Popen[bytes]]
) -> subprocess.Popen[bytes]:
    """Start a part of this very installation, in a group of its own, and put it into the list:
    before a signal is heard, since it would go on if it were not there."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        with open(home.root / "said", "ab") as said:
            process = subprocess.Popen(
                argv,
                env=environment(home),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                start_new_session=True,
                preexec_fn=partial(_end_with, os.getpid(), before),  # noqa: PLW1509  # one thread
            )
        processes.append(process)
        return process
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with(parent: int, mask: set[int]) -> None:
    """In a new process: should the storm itself be killed, it is, too (prctl(2))."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        # That was before the kernel was asked to tell.
        os._exit(os.EX_TEMPFAIL)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextmanager
def ending(home: Home) -> Iterator[list[subprocess.Popen[bytes]]]:
    """A list for processes, which are ended with whatever their handlers began, come what may."""
    processes: list[subprocess.Popen[bytes]] = []
    try:
        yield processes
    finally:
        for process in processes:
            kill_group(process)
        leaks.end_all(home.root)


def is_caught_up(home: Home) -> bool:
    """What the bus says of itself, which only tells when to judge it."""
    try:
        seen = survey(home).handlers
    except HooklineError:
        return False
    return bool(seen) and all(
        x.state == "listening" and not (x.behind_bytes or x.waiting or x.running) for x in seen
    )


def environment(home: Home) -> dict[str, str]:
    """Ours, with nothing in it of another home or of an event that is being handled."""
    ours = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HOOKLINE_", "CORTEX_", "EVENT_")) and name != "TRACEPARENT"
    }
    package = str(Path(__file__).resolve().parents[3])
    return {**ours, "HOOKLINE_HOME": str(home.root), "PYTHONPATH": package}


def _now() -> int:
    return time.time_ns() // 1000


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and its children, and wait for it; again: nothing is done."""
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _disk_bytes(entry: os.DirEntry[str]) -> int:
    """What a file takes; nothing when it has gone meanwhile."""
    try:
        return entry.stat().st_blocks * 512
    except FileNotFoundError:
        return 0


def _files(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Every file below, as far as it stays there while one looks."""
    with suppress(FileNotFoundError):
        for entry in os.scandir(folder):
            if entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path))
            else:
                yield entry
