"""The daemons of a home put together: supervised here, or started somewhere else."""

import os
import select
import sys
from contextlib import ExitStack, suppress
from typing import Final

from hookline import notify
from hookline.app.bus import SOURCE
from hookline.app.cause import cause
from hookline.app.config import Program, load_config, load_daemons
from hookline.app.daemon_request import Request, ask, take_up
from hookline.app.environment import passed_environment
from hookline.app.services import is_waited_for
from hookline.control.daemon import READY_S, Daemon, folder_of, log_of
from hookline.control.supervisor import FINAL, Supervisor
from hookline.dispatch.process import null, spawn
from hookline.log.files import make_folder, open_append
from hookline.log.home import Home
from hookline.log.log import Log
from hookline.log.only_one import holder_of
from hookline.model.cause import Cause
from hookline.model.clock import SystemClock
from hookline.model.errors import BadConfig, BadData, HooklineError, TryAgain, shown, told

READY_FD: Final = "HOOKLINE_READY_FD"
_READY: Final = 3
_WAIT_S: Final = READY_S + 5.0
"""For how long a start is waited for: the supervisor itself gives up on a daemon before that."""
_CAUSE: Final = ("EVENT_ID", "EVENT_CORRELATION", "EVENT_HOPS", "TRACEPARENT")
_ASKED: Final = "HOOKLINE_ASKED_BY"
"""Set where a supervisor owes its first words to the event that asked for it."""


def the_daemon(home: Home, name: str) -> Daemon:
    """One of `daemons.toml`. Raises BadData, BadConfig."""
    daemons = load_daemons(home)
    if name not in daemons:
        there = ", ".join(sorted(daemons)) or "none"
        raise BadData(f"no daemon {shown(name)} in {home.config / 'daemons.toml'}: {there}")
    return daemons[name]


class RunsAlready(TryAgain):
    """Somebody sees to it already that the daemon runs."""


def answer(home: Home, name: str) -> None:
    """Launch a daemon for the event that is being handled. Events answer that in any case: its
    supervisor tells what becomes of a start, and `system.daemon_start_refused` why there is none.

    Raises BadData for an unknown name, or where the configuration is wrong; TryAgain, and then
    there is no answer yet.
    """
    asked = cause()
    try:
        the_daemon(home, name)
        if asked is not None and is_withdrawn(home, name, asked.id):
            _refuse(home, name, "it was withdrawn", asked)
        else:
            launch(home, name)
    except RunsAlready as error:
        _refuse(home, name, str(error), asked)
    except TryAgain:
        if not is_supervised(home, name):
            raise
    except (BadData, BadConfig) as error:
        _refuse(home, name, str(error), asked)
        # Not the handler is what is wrong, so that none is paused for it.
        raise BadData(str(error)) from error


def is_withdrawn(home: Home, name: str, request: str) -> bool:
    """Whether an event takes that request to start it back, by its id: they may lie in the log in
    any order, since what waits in the drop box has no place in it yet."""
    log = Log(home)
    return any(
        isinstance(data := log.value(event), dict)
        and data.get("daemon_type") == name
        and isinstance(requests := data.get("requests"), list)
        and request in requests
        for event in log.read("system.daemon_start_withdrawn")
    )


def _refuse(home: Home, name: str, reason: str, asked: Cause | None) -> None:
    data = {"daemon_type": name, "reason": reason}
    Log(home, cause=asked).append("system.daemon_start_refused", source=SOURCE, data=data)


def _fail(home: Home, name: str, daemon: Daemon, reason: str, asked: Cause) -> None:
    about = {"daemon_type": name, "daemon_name": daemon.label or name}
    data = {**about, "daemon_script": daemon.script, "reason": reason, "retry_in_s": None}
    log = Log(home, cause=asked)
    log.append("daemon.failed", source=name, data=data, priority="high")


class _Answer:
    """Tells whoever launched us that the daemon is ready, and the service manager as well."""

    def __init__(self, answer_fd: int) -> None:
        fd = os.environ.pop(READY_FD, "")
        self._fd = int(fd) if fd.isdigit() else answer_fd
        self._manager = notify.Notifier.from_environment(os.environ)

    def turn(self, now_s: float) -> float:
        """See `hookline.notify`."""
        if self._fd >= 0:
            # Nobody may wait for it any more.
            with suppress(BrokenPipeError):
                os.write(self._fd, b"\n")
            os.close(self._fd)
            self._fd = -1
        return self._manager.turn(now_s)

    def stop(self) -> None:
        """See `hookline.notify`."""
        self._manager.stop()


def supervisor(home: Home, name: str) -> Supervisor:
    """Ready to run. Raises BadData for an unknown name, TryAgain when it runs already."""
    daemon, request = the_daemon(home, name), Request({}, -1)
    if notify.SOCKET in os.environ:
        _print_to_log(home, name)
        request = take_up(home, name)
    clock = SystemClock()
    asked = cause({
        **os.environ, "HOOKLINE_ATTEMPT": os.environ.get(_ASKED, ""), **request.cause,
    })  # fmt: skip
    passed = passed_environment(load_config(home))
    try:
        return Supervisor(
            home, name, daemon, log=Log(home, clock=clock), cause=asked, clock=clock,
            passed=passed, notifier=_Answer(request.answer_fd),
        )  # fmt: skip
    except TryAgain as error:
        if asked is not None:
            _refuse(home, name, str(error), asked)
        raise
    except (HooklineError, OSError) as error:
        if asked is not None:
            _fail(home, name, daemon, f"it cannot be started: {told(error)}", asked)
        raise


def _print_to_log(home: Home, name: str) -> None:
    """What a daemon prints is found in one place, also where systemd has started it."""
    make_folder(log_of(home, name).parent)
    log = open_append(log_of(home, name))
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


def launch(home: Home, name: str) -> bool:
    """Have a daemon started, and wait until it is ready; whether it is. What is still to come of
    it, events tell.

    By its unit, where systemd waits for that to be asked for, or else by a supervisor in a session
    of its own; both outlive us. Raises BadData for an unknown name, RunsAlready, and TryAgain when
    it takes too long.
    """
    the_daemon(home, name)
    if (process := _supervisor_of(home, name)) is not None:
        raise RunsAlready(_runs_already(name, process))
    child, ready_fd = 0, ask(home, name, os.environ) if is_waited_for(home, name) else None
    if ready_fd is None:
        child, ready_fd = _spawn_supervisor(home, name)
    try:
        poll = select.poll()
        poll.register(ready_fd, select.POLLIN)
        if not poll.poll(_WAIT_S * 1000):
            raise TryAgain(f"{name} is not ready after {_WAIT_S:.0f} s: see {log_of(home, name)}")
        if os.read(ready_fd, 1):
            return True
        if child and os.WIFSIGNALED(os.waitpid(child, 0)[1]):
            raise TryAgain(f"{name}: its supervisor was killed, and has said nothing: try again")
        if (process := _supervisor_of(home, name)) is not None:
            # It was started elsewhere meanwhile, and ours has been refused.
            raise TryAgain(_runs_already(name, process))
        return False
    finally:
        os.close(ready_fd)


def kept_daemons(home: Home) -> dict[str, Program]:
    """The supervisors of the daemons that are always to run, as programs beside the dispatcher."""
    return {
        name: Program(
            command=(*_supervise(home, name),),
            about=daemon.about or daemon.label,
            restart_prevent=FINAL,
        )
        for name, daemon in load_daemons(home).items()
        if daemon.run == "always"
    }


def _supervise(home: Home, name: str) -> list[str]:
    run = ["daemon", "run", name, "--home", str(home.root)]
    return [sys.executable, "-m", "hookline", *run]


def is_supervised(home: Home, name: str) -> bool:
    """Whether somebody sees to it that it runs."""
    return _supervisor_of(home, name) is not None


def _supervisor_of(home: Home, name: str) -> int | None:
    return holder_of(home, folder_of(home, name), f"daemon-{name}")


def _runs_already(name: str, process: int) -> str:
    return f"{name} is supervised already (process {process}): hookline daemon status {name}"


def _spawn_supervisor(home: Home, name: str) -> tuple[int, int]:
    """Its process, and the read end of its readiness. It bears no mark of an attempt, and is in no
    session of ours: it is not to end with the handler that has started it."""
    env = dict(passed_environment(load_config(home)))
    if os.environ.get("HOOKLINE_ATTEMPT"):
        env.update({each: os.environ[each] for each in _CAUSE if os.environ.get(each)})
        env[_ASKED] = "1"
    env[READY_FD] = str(_READY)
    with ExitStack() as opened:
        make_folder(log_of(home, name).parent)
        log = open_append(log_of(home, name))
        opened.callback(os.close, log)
        ready_fd, told_fd = os.pipe2(os.O_CLOEXEC)
        opened.callback(os.close, told_fd)
        child = spawn(
            _supervise(home, name),
            env=env,
            cwd="/",
            descriptors={0: null(), 1: log, 2: log, _READY: told_fd},
        )
    return child, ready_fd
