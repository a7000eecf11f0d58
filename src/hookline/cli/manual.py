"""`hookline manual`: manual pages, made of what the commands and scripts say of themselves."""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from hookline.cli.options import some
from hookline.model.errors import BadData, Usage, shown

if TYPE_CHECKING:
    from hookline.cli.catalog import Entry

_EXITS = """\
0 done, 64 usage, 65 bad data, 70 a fault of ours, 73 cannot create, 74 cannot write, 75 try again,
78 bad configuration; some commands say more above. An error is one line on stderr that names the
next step."""
_SECTION = 1


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Show the manual page of COMMAND, such as emit, schedule export or event-logger.sh, or of "
        "hookline itself; write all of them where man finds them with --write ~/.local/share/man."
    )
    parser.add_argument("command", nargs="*", metavar="COMMAND", help="which one")
    parser.add_argument(
        "--write", metavar="DIR", type=some, help="write every page into DIR/man1, and show none"
    )


def run(args: argparse.Namespace) -> int:
    """Do it. 0 done, 65 no such command, 73 the pages cannot be written."""
    if args.write and args.command:
        raise Usage("--write writes every page: leave out the COMMAND")
    if args.write:
        return _write(Path(args.write).expanduser() / f"man{_SECTION}")
    name = "-".join(["hookline", *args.command])
    pages = dict(_pages())
    text = pages.get(name) or pages.get(" ".join(args.command))
    if text is None:
        raise BadData(f"no command {shown(' '.join(args.command))}: hookline --help lists them")
    if not sys.stdout.isatty():
        print(text, end="")
        return 0
    return subprocess.run(["man", "-l", "-"], input=text, text=True, check=False).returncode


def _write(folder: Path) -> int:
    from hookline.log.files import durable_write
    from hookline.model.errors import CannotCreate

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotCreate(f"{folder}: {error.strerror}") from error
    pages = dict(_pages())
    for name, text in pages.items():
        durable_write(folder / f"{name}.{_SECTION}", text.encode(), 0o644)
    print(f"wrote {len(pages)} pages into {folder}")
    return 0


def _pages() -> Iterator[tuple[str, str]]:
    """Name and text of each."""
    from hookline.cli.catalog import entries

    commands = list(entries())
    yield "hookline", _overview(commands)
    for entry in commands:
        name = f"hookline-{entry.name.replace(' ', '-')}"
        yield name, _of_command(name, entry)
    for script in _scripts():
        yield script.name, _of_script(script)


def _overview(commands: "list[Entry]") -> str:
    listing = [
        f".TP\n.BR {_quoted(f'hookline-{entry.name}'.replace(' ', '-'))} ({_SECTION})\n"
        f"{_plain(entry.summary)}\n"
        for entry in commands
    ]
    return (
        _head("hookline", "an event bus made of files")
        + ".SH SYNOPSIS\n.B hookline\n.I COMMAND\n[\n.I ARGUMENT\n\\&...]\n.SH COMMANDS\n"
        + "".join(listing)
        + f".SH EXIT STATUS\n{_plain(_EXITS)}\n"
        + ".SH ENVIRONMENT\n.TP\n.B HOOKLINE_HOME\nthe home, before CORTEX_HOME and the nearest "
        "folder upwards that has coordination/\n.TP\n.B NO_COLOR\nno colour, whatever it says\n"
    )


def _of_command(name: str, entry: "Entry") -> str:
    from hookline.cli.catalog import help_of

    usage = " ".join(entry.parser.format_usage().partition(": ")[2].split())
    parts = [_head(name, entry.summary), f".SH SYNOPSIS\n{_plain(usage)}\n"]
    if entry.parser.description != entry.summary:
        parts.append(f".SH DESCRIPTION\n{_plain(entry.parser.description or '')}\n")
    parts.append(".SH OPTIONS\n")
    for action in [*entry.operands, *entry.options]:
        value = "" if action.nargs == 0 else f" {_value(action)}"
        names = ", ".join(f"{option}{value}" for option in action.option_strings)
        parts.append(
            f".TP\n.B {_plain(names or _value(action))}\n{_plain(help_of(entry, action))}\n"
        )
    if entry.parser.epilog:
        parts.append(f".SH NOTES\n{_verbatim(entry.parser.epilog)}")
    parts.append(f".SH EXIT STATUS\n{_plain(_EXITS)}\n.SH SEE ALSO\n.BR hookline ({_SECTION})\n")
    return "".join(parts)


def _value(action: argparse.Action) -> str:
    if isinstance(action.metavar, str):
        return action.metavar
    if action.choices:
        return "{" + ",".join(map(str, action.choices)) + "}"
    return action.dest.upper() if action.option_strings else action.dest


def _scripts() -> list[Path]:
    """Those that people call by their names; handlers are called by a dispatcher."""
    from hookline.app.shipped import shipped_scripts

    found = [path for path in shipped_scripts().rglob("*.sh") if os.access(path, os.X_OK)]
    return sorted(path for path in found if path.parent.name != "handlers")


def _of_script(script: Path) -> str:
    done = subprocess.run(
        [script, "--help"], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=True
    )
    usage, summary, rest = re.fullmatch(
        r"Usage: (.*?)\nSummary: (.*?)\n(Exit: .*)", done.stdout, re.DOTALL
    ).groups()  # type: ignore[union-attr]  # a tidy rule holds each script to it
    exits, _, more = rest.partition("\n\n")
    page = _head(script.name, summary) + f".SH SYNOPSIS\n{_plain(usage)}\n"
    if more.strip():
        page += f".SH DESCRIPTION\n{_verbatim(more)}"
    return page + f".SH EXIT STATUS\n{_plain(exits.removeprefix('Exit: '))}\n"


def _head(name: str, summary: str) -> str:
    from hookline import __version__

    title = _quoted(name.upper())
    return (
        f'.TH {title} {_SECTION} "" "hookline {__version__}" "Hookline"\n'
        f".SH NAME\n{_plain(name)} \\- {_plain(summary)}\n"
    )


def _plain(text: str) -> str:
    """Text as roff reads it: nothing in it is a request or an escape."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^(?=[.'])", r"\\&", escaped, flags=re.MULTILINE)


def _quoted(text: str) -> str:
    return '"' + _plain(text).replace('"', "\\(dq") + '"'


def _verbatim(text: str) -> str:
    return f".nf\n{_plain(text.rstrip())}\n.fi\n"
