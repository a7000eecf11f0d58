"""A timer loop that was found, and what is told of it."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final, Literal

import msgspec

from hookline.model.duration import text_of
from hookline.model.errors import BadData

Bus = Literal["yes", "partial", "none"]

_SENTENCE: Final = re.compile(r"(?<=[.!?])\s")
LOOPS_MAX: Final = 500
_PURPOSE_MAX: Final = 100
_DAEMON: Final = re.compile(r"[-_]?(daemon|service)\Z")
_NAMES_NOTHING: Final = frozenset({"main", "__main__", "__init__", "app", "run", "daemon", ""})


class Loop(msgspec.Struct, frozen=True, kw_only=True):
    """Something that does the same again and again, at times that it has for itself."""

    name: str
    path: str
    line: int
    interval_s: float | None
    """None: it is not one number."""
    interval: str
    """As people say it: `5s`, `5m`, `1s (+ backoff)`, `variable`."""
    purpose: str
    bus: Bus
    """`yes`: the bus sees what it does, or moves it; `partial`: the file uses the bus, this loop
    does not; `none`: nothing of the file does."""
    pattern: str
    """By what it was recognised, such as `time.sleep`."""
    where: str = ""
    """The function that it is in."""


def span_text(span_s: float | None) -> str:
    """A span as `every` takes it; `variable` for None."""
    return "variable" if span_s is None else text_of(span_s)


def first_sentence(text: str | None) -> str:
    """The beginning of a docstring or comment, on one line."""
    paragraph = " ".join((text or "").strip().split("\n\n")[0].split())
    sentence = _SENTENCE.split(paragraph, maxsplit=1)[0].rstrip(".")
    return sentence if len(sentence) <= _PURPOSE_MAX else sentence[: _PURPOSE_MAX - 1] + "…"


def name_of(path: str) -> str:
    """What a daemon is called, by its file: `introspection` for `introspection_daemon.py`."""
    *folders, name = path.replace("\\", "/").split("/")
    stem = _DAEMON.sub("", name.partition(".")[0])
    if stem in _NAMES_NOTHING and folders and folders[-1] not in ("", ".", ".."):
        return folders[-1]
    return stem or name


def named(path: str, loops: Iterable[Loop]) -> list[Loop]:
    """The loops of one file by line, with names that differ. Raises BadData for too many."""
    found = sorted(islice(loops, LOOPS_MAX + 1), key=_place)
    if len(found) > LOOPS_MAX:
        raise BadData(f"{path}: more than {LOOPS_MAX} timer loops: no program of a person")
    for rename in (_with_function, _with_line):
        names = Counter(each.name for each in found)
        found = [rename(each) if names[each.name] > 1 else each for each in found]
    return found


def _place(loop: Loop) -> int:
    return loop.line


def _with_function(loop: Loop) -> Loop:
    suffix = loop.where.rpartition(".")[2]
    return msgspec.structs.replace(loop, name=f"{loop.name}.{suffix}") if suffix else loop


def _with_line(loop: Loop) -> Loop:
    return msgspec.structs.replace(loop, name=f"{loop.name}:{loop.line}")


Scanner = Callable[[str, bytes], list[Loop]]
"""What finds the loops of a file, given its path and its bytes. Raises BadData for what it cannot
read."""
