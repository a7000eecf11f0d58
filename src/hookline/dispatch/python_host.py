"""The process that runs a Python handler's functions: `python -I python_host.py HANDLER.py
[--describe]`.

It speaks on descriptor 3. First it says hello, `{"patterns": [...], "batch": N}` or
`{"error": TEXT}`. Then, for each stretch of events, it reads a header (`HEADER`: count, bytes),
finds the lines in the memory of descriptor 4, and answers with one JSON line: how many were done,
and what stopped it before the end. On the page of descriptor 5 it says which event it is at, and
since when (`PROGRESS`: index, monotonic nanoseconds), so that whoever kills it, or sees it die,
knows the event to blame.
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
from hookline.model.event import Event, decode_again
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

    __slots__ = ("batch", "function", "patterns", "single")

    def __init__(self, function: _Function, patterns: tuple[str, ...], batch: int) -> None:
        for pattern in patterns:
            if not is_pattern(pattern):
                raise ValueError(f"@on({pattern!r}): no type and no pattern such as worker.*")
        self.function, self.patterns, self.batch = function, patterns, batch
        self.single = (lambda event: function([event])) if batch else function

    def wants(self, type: str) -> bool:
        """Whether events of this type are for it."""
        return any(matches(pattern, type) for pattern in self.patterns)


class _Calls(dict[str, list[_Function]]):
    """What is called with one event of a type."""

    def __init__(self, wishes: list[_Wish]) -> None:
        self._wishes = wishes
        self._batches: dict[str, _Wish | None] = {}

    def __missing__(self, type: str) -> list[_Function]:
        found = self[type] = [wish.single for wish in self._wishes if wish.wants(type)]
        return found

    def batch(self, type: str) -> _Wish | None:
        """Whose batches they go into: of one function, and of no other."""
        if type not in self._batches:
            wishes = [wish for wish in self._wishes if wish.wants(type)]
            self._batches[type] = wishes[0] if len(wishes) == 1 and wishes[0].batch > 1 else None
        return self._batches[type]


class _Host:
    def __init__(self, wishes: list[_Wish], page: mmap.mmap) -> None:
        self._wishes = wishes
        # PROGRESS, in two stores: the index is there before the moment that it counts from.
        self._progress = memoryview(page).cast("Q")
        self._calls = _Calls(wishes)

    def run(self, text: bytes) -> dict[str, object]:
        """Handle a stretch in order; stop at the first event that is not done."""
        begun = time.monotonic()
        events = decode_again(text)
        for start, end, wish in self._stretches(events):
            if wish is not None and self._batch(wish, events, start, end):
                continue
            stopped = self._one_by_one(events, start, end)
            if stopped is not None:
                return {**stopped, "ms": _ms_since(begun)}
        return {"done": len(events), "ms": _ms_since(begun)}

    def _batch(self, wish: _Wish, events: list[Event], start: int, end: int) -> bool:
        """Whether a batch was done. Of one that failed, the event to blame is found one by one."""
        self._progress[0], self._progress[1] = start, time.monotonic_ns()
        # What the functions append is caused by the last.
        cause.handling = events[end - 1]
        try:
            wish.function(events[start:end])
        except Exception:  # noqa: BLE001  # the handler's own, and found again
            return False
        return True

    def _one_by_one(self, events: list[Event], start: int, end: int) -> dict[str, object] | None:
        """What stopped it before the end."""
        progress, calls, now_ns = self._progress, self._calls, time.monotonic_ns
        index = start
        try:
            for index in range(start, end):
                event = events[index]
                progress[0] = index
                progress[1] = now_ns()
                cause.handling = event
                for call in calls[event.type]:
                    call(event)
        except Retry as retry:
            said = {"verdict": "retry", "after_s": retry.after_s, "error": str(retry)}
        except Reject as reject:
            said = {"verdict": "rejected", "error": str(reject)}
        except Exception as error:  # noqa: BLE001  # the handler's own: it becomes the attempt's error
            said = {
                "verdict": "failed",
                "error": f"{type(error).__name__}: {error}",
                "trace": _trace_of(error),
            }
        else:
            return None
        return {"done": index, **said}

    def _stretches(self, events: list[Event]) -> Iterator[tuple[int, int, _Wish | None]]:
        """Which of the next events go into one call, of that function; None: they go in one by
        one."""
        if not any(wish.batch for wish in self._wishes):
            yield 0, len(events), None
            return
        index = 0
        while index < len(events):
            wish = self._calls.batch(events[index].type)
            size = wish.batch if wish else len(events)
            end = index + 1
            while end < len(events) and end - index < size:
                if self._calls.batch(events[end].type) is not wish:
                    break
                end += 1
            yield index, end, wish
            index = end


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
    patterns = [pattern for wish in wishes for pattern in wish.patterns]
    _say({"patterns": patterns, "batch": max(wish.batch for wish in wishes)})
    if "--describe" in argv:
        return 0
    host = _Host(wishes, mmap.mmap(PROGRESS_PAGE, mmap.PAGESIZE))
    while True:
        try:
            _, size = HEADER.unpack(_read_exactly(HEADER.size))
            text = os.pread(EVENTS, size, 0)
        except EOFError:
            return 0
        answer = host.run(text)
        sys.stdout.flush()
        sys.stderr.flush()
        _say(answer)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
