"""`hookline`: finds the command, runs it, and turns errors into exit statuses."""

import argparse
import errno
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper
from typing import Any, NoReturn, Protocol, cast

from hookline.cli.options import some
from hookline.model.errors import (
    SCARCE,
    BadConfig,
    HooklineError,
    NotAllowed,
    OwnBug,
    TryAgain,
    Usage,
    WriteFailed,
    printable,
    shown,
)

# Not imported before it is asked for: `emit` has 60 ms for all of its life.
COMMANDS = {
    "init": ("hookline.cli.init", "make a home in a folder"),
    "up": ("hookline.cli.up", "run everything in the foreground, and show it"),
    "status": ("hookline.cli.status", "how the bus is, on one screen"),
    "doctor": ("hookline.cli.doctor", "check the environment, permissions and file system"),
    "selftest": ("hookline.cli.selftest", "try out here what the bus promises: check, storm"),
    "rebuild": ("hookline.cli.rebuild", "make state/ again from the logs and the journal"),
    "verify": ("hookline.cli.verify", "check every line of every segment"),
    "emit": ("hookline.cli.emit", "append an event and print its id"),
    "log": ("hookline.cli.log", "read or follow the events"),
    "dispatch": ("hookline.cli.dispatch", "give the events to the handlers"),
    "handlers": ("hookline.cli.handlers", "who listens, and how it goes"),
    "explain": ("hookline.cli.explain", "what would run for an event, and why not"),
    "try": ("hookline.cli.trial", "run a handler on an event in a throw-away home"),
    "schedule": ("hookline.cli.schedule", "what is due when: list, plan, trigger, run and more"),
    "reflect": ("hookline.cli.reflect", "layers, jobs of several steps: trigger, jobs, runs, show"),
    "learn": ("hookline.cli.learn", "how far each expert can be trusted: run, report, status"),
    "event-replay": ("hookline.cli.event_replay", "deliver events once more to all, and wait"),
    "archive": ("hookline.cli.archive", "close, compress and delete old segments"),
    "replay": ("hookline.cli.replay", "give events of the past to a handler once more"),
    "completion": ("hookline.cli.completion", "the script that completes arguments in a shell"),
    "manual": ("hookline.cli.manual", "the manual page of a command"),
    "load-test": ("hookline.cli.load_test", "what a load test of workers has come to"),
    "daemon": ("hookline.cli.daemon", "supervise the daemons of this home"),
    "migrate": (
        "hookline.cli.migrate",
        "from timers of one's own to schedules: scan, cron, compare",
    ),
    "dead-letters": (
        "hookline.cli.dead_letters",
        "what was given up: list, show, replay, drop, purge",
    ),
}

_HOME_HELP = """\
the home: --home, else $HOOKLINE_HOME, else $CORTEX_HOME, else the nearest folder upwards that has
coordination/, else the checkout that hookline runs from. `hookline COMMAND --help` says more."""

Actions = Mapping[str, tuple[str, str]]
"""Module and summary of what has a name, as COMMANDS has them."""

EXIT_INTERRUPTED = 128 + 2
EXIT_BROKEN_PIPE = 128 + 13


class Command(Protocol):
    """What a command's module has."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Say what the command takes."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it, and return the exit status."""


class Help(argparse.HelpFormatter):
    """Help as wide as the terminal, asked for without shutil: that alone would cost 2 ms."""

    def __init__(self, prog: str) -> None:
        try:
            columns = os.get_terminal_size().columns
        except OSError:
            columns = 100
        super().__init__(prog, width=columns - 2)


class _RawHelp(Help, argparse.RawDescriptionHelpFormatter):
    """The same, with the epilog as it is written."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are Usage errors."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", Help)
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Raises Usage, with the command that shows the help."""
        raise Usage(f"{message}; see: {self.prog} --help")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status; what goes wrong is one line on stderr."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        _open_streams()
        status = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        _abandon_stdout()
        return EXIT_BROKEN_PIPE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as error:  # noqa: BLE001 # the border: nothing gets out as a traceback
        if isinstance(error, OSError):
            _abandon_stdout()
        return _complain(arguments, _named(error))
    return status


def _run(arguments: list[str]) -> int:
    name = arguments[0] if arguments else ""
    try:
        if name not in COMMANDS:
            return _top(arguments)
        module, summary = COMMANDS[name]
        command = cast(Command, import_module(module))
        rest = arguments[1:]
        actions: Actions = getattr(command, "ACTIONS", {})
        if rest and rest[0] in actions:
            # A command of several that share no option.
            name = f"{name} {rest.pop(0)}"
            module, summary = actions[name.partition(" ")[2]]
            command = cast(Command, import_module(module))
        return command.run(parser_of(name, summary, command).parse_intermixed_args(rest))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0


def parser_of(name: str, summary: str, command: Command) -> Parser:
    """What reads the arguments of a command."""
    parser = Parser(prog=f"hookline {name}", description=summary)
    command.configure(parser)
    if name != "init":
        parser.add_argument(
            "--home", metavar="DIR", type=some, help="the home; default: see hookline -h"
        )
    return parser


def _top(arguments: list[str]) -> int:
    """What is not a command: help, the version, or a mistake."""
    width = max(map(len, COMMANDS))
    listing = "\n".join(f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items())
    parser = Parser(
        prog="hookline",
        usage="hookline COMMAND [ARGUMENT ...]",
        description="An event bus made of files.",
        epilog=f"commands:\n{listing}\n\n{_HOME_HELP}",
        formatter_class=_RawHelp,
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    parser.add_argument("command", nargs="*", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.version:
        from hookline import __version__

        print(f"hookline {__version__}")
        return 0
    if given.command:
        parser.error(f"no command {shown(given.command[0])}{_meant(given.command[0])}")
    parser.print_help()
    return os.EX_USAGE


def _meant(name: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, COMMANDS, 1)
    return f", perhaps {close[0]}" if close else ""


def _named(error: Exception) -> HooklineError:
    """The one switch from what was raised to what the exit status says."""
    if isinstance(error, HooklineError):
        return error
    if isinstance(error, OSError) and error.errno is not None:
        return _named_by_errno(error)
    if isinstance(error, MemoryError):
        return TryAgain("there is not enough memory: try again")
    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("hookline"):
        return BadConfig(f"the Python package {error.name} is missing: run scripts/setup.sh")
    return OwnBug(f"{type(error).__name__}{_place(error)}: {error}; please report this bug")


def _named_by_errno(error: OSError) -> HooklineError:
    kind: type[HooklineError] = WriteFailed
    if error.errno in (errno.EACCES, errno.EPERM):
        kind = NotAllowed
    elif error.errno in SCARCE:
        kind = TryAgain
        if error.filename is None:
            return kind(f"{error.strerror}: try again")
    name = "standard output" if error.filename is None else os.fsdecode(error.filename)
    return kind(f"{name}: {error.strerror}")


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    return f" at {os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"


def _complain(arguments: list[str], error: HooklineError) -> int:
    name = f" {arguments[0]}" if arguments and arguments[0] in COMMANDS else ""
    try:
        print(f"hookline{name}: {printable(str(error))}", file=sys.stderr)
    except OSError:
        # Nobody listens on stderr; the exit status still says it.
        pass
    return error.exit_code


def _open_streams() -> None:
    """See to it that printing works, whatever the caller closed and whatever its locale lacks."""
    # A log that is opened as descriptor 1 would get what is printed.
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(fd)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False, encoding="utf-8")
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False, encoding="utf-8")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _abandon_stdout() -> None:
    """Keep the interpreter from complaining at its end about output that nobody takes."""
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)
