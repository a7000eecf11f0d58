"""The dispatcher of a home, put together."""

from collections.abc import Sequence
from functools import partial

from hookline.app.config import Config, load_config
from hookline.app.environment import passed_environment
from hookline.dispatch.companion import Companion
from hookline.dispatch.dispatcher import Dispatcher
from hookline.dispatch.exec_runner import Lines
from hookline.dispatch.handlers import Handler
from hookline.dispatch.python_runner import describe
from hookline.dispatch.settlement import Alert
from hookline.dispatch.spectator import Spectator
from hookline.log.home import Home
from hookline.log.log import Log
from hookline.model import cortex, signal
from hookline.model.clock import SystemClock
from hookline.model.event import decode

SOURCE = "hookline"
"""The source of the events that the bus emits about itself."""


def dispatcher(
    home: Home, spectator: Spectator | None = None, companions: Sequence[Companion] = ()
) -> Dispatcher:
    """The home's dispatcher, ready to run.

    Raises TryAgain when another one runs, BadConfig when the configuration is wrong.
    """
    config = load_config(home)
    passed = passed_environment(config)
    if config.is_cortex:
        passed["CORTEX_HOME"] = str(home.root)
    return Dispatcher(
        home,
        clock=SystemClock(),
        describe=partial(describe, passed=passed),
        lines=_lines(config),
        alert=alert_of(home),
        passed=passed,
        spectator=spectator,
        companions=companions,
        pause_after=config.dispatch.pause_after,
        cortex=config.is_cortex,
    )


def _lines(config: Config) -> Lines:
    def given(handler: Handler, line: bytes) -> bytes:
        match handler.envelope or config.envelope:
            case "cortex":
                return cortex.from_event(decode(line))
            case "signal":
                return signal.from_event(decode(line))
            case _:
                return line

    return given


def alert_of(home: Home) -> Alert:
    """What makes a need of somebody an event of the home."""

    def alert(kind: str, handler: str, reason: str) -> None:
        data = {"alert_type": kind, "handler": handler, "description": reason}
        Log(home).append("system.health_alert", source=SOURCE, priority="high", data=data)

    return alert
