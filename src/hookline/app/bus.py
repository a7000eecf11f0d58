"""The dispatcher of a home, put together."""

import os
import pwd
import sys
from collections.abc import Sequence
from pathlib import Path

from hookline.app.config import Config, load_config
from hookline.dispatch.companion import Companion
from hookline.dispatch.dispatcher import Dispatcher
from hookline.dispatch.exec_runner import Lines
from hookline.dispatch.handlers import Handler
from hookline.dispatch.python_runner import describe
from hookline.dispatch.settlement import Alert
from hookline.dispatch.spectator import Spectator
from hookline.dispatch.subscription import Delivery
from hookline.log.home import Home
from hookline.log.log import Log
from hookline.model import cortex, signal
from hookline.model.clock import SystemClock
from hookline.model.event import decode

SOURCE = "hookline"
"""The source of the events that the bus emits about itself."""

_FOLDERS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def dispatcher(
    home: Home, spectator: Spectator | None = None, companions: Sequence[Companion] = ()
) -> Dispatcher:
    """The home's dispatcher, ready to run.

    Raises TryAgain when another one runs, BadConfig when the configuration is wrong.
    """
    config = load_config(home)
    return Dispatcher(
        home,
        clock=SystemClock(),
        describe=describe,
        lines=_lines(config),
        alert=_alert(home),
        passed=passed_environment(config),
        spectator=spectator,
        companions=companions,
    )


def passed_environment(config: Config) -> dict[str, str]:
    """What of our environment a handler gets: the same under cron, a terminal and systemd."""
    user = pwd.getpwuid(os.geteuid())
    env = {
        "PATH": f"{Path(sys.executable).parent}:{_FOLDERS}",
        "HOME": user.pw_dir,
        "USER": user.pw_name,
        "LOGNAME": user.pw_name,
        "LANG": "C.UTF-8",
    }
    env.update((name, os.environ[name]) for name in config.handlers.env if name in os.environ)
    return env


def _lines(config: Config) -> Lines:
    def line(handler: Handler, delivery: Delivery) -> bytes:
        raw = delivery.raw or b""
        match handler.envelope or config.envelope:
            case "cortex":
                return cortex.from_event(decode(raw))
            case "signal":
                return signal.from_event(decode(raw))
            case _:
                return raw

    return line


def _alert(home: Home) -> Alert:
    def alert(kind: str, handler: str, reason: str) -> None:
        data = {"alert_type": kind, "handler": handler, "description": reason}
        Log(home).append("system.health_alert", source=SOURCE, priority="high", data=data)

    return alert
