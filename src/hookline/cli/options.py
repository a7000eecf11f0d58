"""Options that choose: none of them is empty, and none is passed over in silence."""

import argparse
from collections.abc import Collection

from hookline.model.errors import Usage

_PLACES = {"which": "WHICH", "names": "NAME"}
"""What is given by its place, as the help writes it."""


def some(text: str) -> str:
    """The argument of an option that must say something.

    An empty one comes of a variable that is not set; taken for "whatever it is" it would choose
    everything.
    """
    if not text:
        raise argparse.ArgumentTypeError("is empty (is a variable not set?)")
    return text


def refuse_others(args: argparse.Namespace, what: str, taken: Collection[str]) -> None:
    """Raises Usage for what was given and `what` (such as `purge`) does not take.

    `taken`: the names of its options as attributes of `args`.
    """
    for name, value in vars(args).items():
        if name not in taken and value is not None and value is not False and value != []:
            raise Usage(f"{what} takes no {_spelled(name)}: see --help")


def _spelled(name: str) -> str:
    if name in _PLACES:
        return _PLACES[name]
    return f"-{name}" if len(name) == 1 else f"--{name.replace('_', '-')}"
