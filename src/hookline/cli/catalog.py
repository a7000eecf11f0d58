"""All commands with what each takes, for the texts that are made of them: manual and completion."""

import argparse
from collections.abc import Iterator
from importlib import import_module
from typing import NamedTuple, cast

from hookline.cli.main import COMMANDS, Command, Parser, parser_of


class Entry(NamedTuple):
    """A command."""

    name: str
    """`emit`, or `schedule export` for one of several that share no option."""
    summary: str
    parser: Parser

    @property
    def options(self) -> list[argparse.Action]:
        """What begins with a dash, `--help` too, in the order of the help."""
        return [each for each in self._shown if each.option_strings]

    @property
    def operands(self) -> list[argparse.Action]:
        """All else."""
        return [each for each in self._shown if not each.option_strings]

    @property
    def _shown(self) -> list[argparse.Action]:
        return [each for each in self.parser._actions if each.help != argparse.SUPPRESS]


def entries() -> Iterator[Entry]:
    """Every command, those of several behind the one that they are of."""
    for name, (module, summary) in COMMANDS.items():
        command = import_module(module)
        yield Entry(name, summary, parser_of(name, summary, cast(Command, command)))
        for action, (part, about) in getattr(command, "ACTIONS", {}).items():
            full = f"{name} {action}"
            yield Entry(full, about, parser_of(full, about, cast(Command, import_module(part))))


def help_of(entry: Entry, action: argparse.Action) -> str:
    """The help of an option, as one line; `%(default)s` and the like are what they stand for."""
    formatter = entry.parser._get_formatter()
    return " ".join(formatter._expand_help(action).split()) if action.help else ""
