"""The process that runs a Python handler's functions: `python -I python_host.py HANDLER.py
[--describe]`.

It speaks on descriptor 3. First it says hello, `{"patterns": [...]}` or `{"error": TEXT}`. Then,
for each stretch of events, it reads a header (`HEADER`: count, bytes), finds the lines in the
memory of descriptor 4, and answers with one JSON line: how many were done, and what stopped it
before the end. On the page of descriptor 5 it says which event it is at, and since when
(`PROGRESS`: index, monotonic nanoseconds), so that whoever kills it, or sees it die, knows the
event to blame.
"""

import importlib.util
import json
import mmap
import os
import struct
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hookline.dispatch.python_api import MARK, Reject, Retry
from hookline.model import cause
from hookline.model.event import Event, decode
from hookline.model.types import is_pattern, matches

CHANNEL: Final = 3
EVENTS: Final = 4
PROGRESS_PAGE: Final = 5
HEADER: Final = struct.Struct("=II")
PROGRESS: Final = struct.Struct("=QQ")
_ERROR_CHARS_MAX: Final = 8000
_ON_THE_WAY: Final = (__file__, "<frozen importlib.")
"""The files whose frames lead to the handler's code, and tell nothing of it."""

_Function = Callable[[Any], object]


class _Wish:
    """One marked function."""

    __slots__ = ("batch", "function", "patterns")

    def __init__(self, function: _Function, patterns: tuple[str, ...], batch: int) -> None:
        for pattern in patterns:
            if not is_pattern(pattern):
                raise ValueError(f"@on({pattern!r}): no type and no pattern such as worker.*")
        self.function, self.patterns, self.batch = function, patterns, batch

    def wants(self, type: str) -> bool:
        """Whether events of this type are for it."""
        return any(matches(pattern, type) for pattern in self.patterns)


class _Host:
    def __init__(self, wishes: list[_Wish], progress: mmap.mmap) -> None:
        self._wishes = wishes
        self._progress = progress
        self._by_type: dict[str, list[_Wish]] = {}

    def run(self, lines: list[bytes]) -> dict[str, object]:
        """Handle a stretch in order; stop at the first event that is not done."""
        begun = time.monotonic()
        done = 0
        events = [decode(line) for line in lines]
        for stretch in self._stretches(events):
            answer = self._stretch(events, done, stretch)
            if answer is not None:
                index, verdict = answer
                return {"done": index, "ms": _ms_since(begun), **verdict}
            done += stretch
        return {"done": done, "ms": _ms_since(begun)}

    def _stretch(
        self, events: list[Event], first: int, count: int
    ) -> tuple[int, dict[str, object]] | None:
        if count > 1:
            (wish,) = self._wishes_for(events[first].type)
            self._mark(first)
            _handle(events[first + count - 1])
            try:
                wish.function(events[first : first + count])
            except Exception:  # noqa: BLE001  # any failure of a batch: find the event to blame below
                pass
            else:
                return None
        for index in range(first, first + count):
            verdict = self._one(index, events[index])
            if verdict is not None:
                return index, verdict
        return None

    def _one(self, index: int, event: Event) -> dict[str, object] | None:
        self._mark(index)
        _handle(event)
        try:
            for wish in self._wishes_for(event.type):
                wish.function([event] if wish.batch else event)
        except Retry as retry:
            return {"verdict": "retry", "after_s": retry.after_s, "error": str(retry)}
        except Reject as reject:
            return {"verdict": "rejected", "error": str(reject)}
        except Exception as error:  # noqa: BLE001  # the handler's own: it becomes the attempt's error
            return {
                "verdict": "failed",
                "error": f"{type(error).__name__}: {error}",
                "trace": _trace_of(error),
            }
        return None

    def _stretches(self, events: list[Event]) -> Iterator[int]:
        """How many of the next events go into one call: a batch of one function, or one."""
        index = 0
        while index < len(events):
            wishes = self._wishes_for(events[index].type)
            size = wishes[0].batch if len(wishes) == 1 else 0
            end = index + 1
            while end < len(events) and end - index < size:
                if self._wishes_for(events[end].type) != wishes:
                    break
                end += 1
            yield end - index
            index = end

    def _wishes_for(self, type: str) -> list[_Wish]:
        wishes = self._by_type.get(type)
        if wishes is None:
            wishes = [wish for wish in self._wishes if wish.wants(type)]
            self._by_type[type] = wishes
        return wishes

    def _mark(self, index: int) -> None:
        PROGRESS.pack_into(self._progress, 0, index, time.monotonic_ns())


def _handle(event: Event) -> None:
    """What the functions append from now on is caused by this event; for a batch, its last."""
    cause.handling = cause.Cause(event.id, event.correlationid, event.hops, event.traceparent)


def _trace_of(error: BaseException) -> str:
    """The traceback from the handler's own code on; all of it where that does not come in, since
    the fault is ours then."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_ON_THE_WAY):
        trace = trace.tb_next
    if trace is None and not isinstance(error, SyntaxError):
        trace = error.__traceback__
    return "".join(traceback.format_exception(type(error), error, trace))[-_ERROR_CHARS_MAX:]


def _ms_since(begun: float) -> float:
    return round((time.monotonic() - begun) * 1e3, 3)


def _wishes_of(module: ModuleType) -> list[_Wish]:
    wishes = [
        _Wish(function, *getattr(function, MARK))
        for function in vars(module).values()
        if callable(function) and hasattr(function, MARK)
    ]
    if not wishes:
        raise LookupError('no function is marked with @on("TYPE")')
    return wishes


def _load(path: Path) -> ModuleType:
    sys.path.insert(1, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem.replace("-", "_"), path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _say(answer: dict[str, object]) -> None:
    """Everything of the answer; lone surrogates are not for the journal."""
    clean = {
        name: value.encode("utf-8", "backslashreplace").decode()
        if isinstance(value, str)
        else value
        for name, value in answer.items()
    }
    text = json.dumps(clean).encode() + b"\n"
    while text:
        text = text[os.write(CHANNEL, text) :]


def _read_exactly(count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = os.read(CHANNEL, count - len(parts))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)


def main(argv: list[str]) -> int:
    """Load the handler, say hello, then serve until the channel closes."""
    sys.excepthook = lambda _, error, __: sys.stderr.write(_trace_of(error))
    try:
        wishes = _wishes_of(_load(Path(argv[0])))
    except BaseException as error:  # noqa: BLE001  # SystemExit too
        _say({"error": f"{type(error).__name__}: {error}", "trace": _trace_of(error)})
        return 1
    _say({"patterns": [pattern for wish in wishes for pattern in wish.patterns]})
    if "--describe" in argv:
        return 0
    host = _Host(wishes, mmap.mmap(PROGRESS_PAGE, mmap.PAGESIZE))
    while True:
        try:
            _, size = HEADER.unpack(_read_exactly(HEADER.size))
            lines = os.pread(EVENTS, size, 0).split(b"\n")
        except EOFError:
            return 0
        answer = host.run(lines)
        sys.stdout.flush()
        sys.stderr.flush()
        _say(answer)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
