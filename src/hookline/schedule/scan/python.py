"""Timer loops in a Python program, by its syntax tree. Nothing of it is run or imported.

Found: `while` around a sleep or a wait with a timeout, `if now - last >= interval` in one (its
interval then, not that of the sleep), timers that set themselves anew, and the jobs of `schedule`,
APScheduler and their like. Not found: what is built at run time.
"""

import ast
import warnings
from collections.abc import Iterator
from typing import Final, NamedTuple

from hookline.model.errors import BadData
from hookline.schedule.scan import jobs, waits
from hookline.schedule.scan.bus import Names
from hookline.schedule.scan.loops import Bus, Loop, first_sentence, name_of, named, span_text
from hookline.schedule.scan.values import FUNCTIONS, Scope, Values, dotted, inside

_DEPTH_MAX: Final = 4
_CALLED_MAX: Final = 50
"""So many functions are followed from one loop; with `loops.LOOPS_MAX`, no file takes for ever."""
_NO_WORK: Final = frozenset({
    "sleep", "wait", "wait_for", "time", "monotonic", "is_set", "now", "debug", "info", "warning",
    "error", "min", "max", "exception", "print", "heartbeat", "is_killed",
})  # fmt: skip


class Place(NamedTuple):
    """A function (or class body, or module) and what is around it."""

    scopes: tuple[Scope, ...]
    """The innermost last."""

    @property
    def own(self) -> Scope:
        """The scope itself."""
        return self.scopes[-1]

    @property
    def owner(self) -> ast.ClassDef | None:
        """The class that it is in."""
        return next((each for each in self.scopes if isinstance(each, ast.ClassDef)), None)

    @property
    def name(self) -> str:
        """Its dotted name."""
        return ".".join(each.name for each in self.scopes if not isinstance(each, ast.Module))


def scan(path: str, data: bytes) -> list[Loop]:
    """See `loops.Scanner`."""
    try:
        with warnings.catch_warnings():
            # Of the program that is read, such as an escape that is none: nobody asked.
            warnings.simplefilter("ignore")
            tree = ast.parse(data)
        return named(path, _Module(path, tree, data).loops())
    except SyntaxError as error:
        raise BadData(f"{path}:{error.lineno or 1}: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise BadData(f"{path}: cannot be parsed: {error or type(error).__name__}") from error


class _Module:
    def __init__(self, path: str, tree: ast.Module, data: bytes) -> None:
        self._path = path
        self._tree = tree
        self._lines = data.decode("utf-8", "replace").splitlines()
        self._values = Values(tree)
        self._waits = waits.Waits(tree, self._values)
        self._bus = Names(tree)
        self._places = list(_places(tree))
        self._functions: dict[str, list[Place]] = {}
        for each in self._places:
            if isinstance(each.own, FUNCTIONS):
                self._functions.setdefault(each.own.name, []).append(each)
        self._has_one_loop = len([each for each in self._places if _has_while(each.own)]) <= 1

    def loops(self) -> Iterator[Loop]:
        jobs_found = False
        for place in self._places:
            for job in jobs.found(place.own, place.scopes, self._values):
                jobs_found = True
                yield self._loop(
                    job.node, place, job.interval_s, job.how, [job.work or job.node], job.text
                )
        for place in self._places:
            for node in inside(place.own):
                if isinstance(node, ast.While) and not (jobs_found and _drives_jobs(node)):
                    yield from self._in_while(node, place)
                elif isinstance(node, ast.Call):
                    yield from self._timer(node, place)

    def _in_while(self, loop: ast.While, place: Place) -> Iterator[Loop]:
        found = self._waits.sleeps(loop, place.scopes)
        if not found and not waits.is_endless(loop.test):
            return
        checks = [
            (check, each)
            for each in [place, *self._called(loop, place)]
            for check in self._waits.checks(
                loop if each is place else each.own, each.scopes, self._names_of(place)
            )
        ]
        for check, where in checks:
            yield self._loop(check.node, where, check.interval_s, check.how, check.work)
        if checks:
            return
        if not found:
            for each in self._called(loop, place):
                found += self._waits.sleeps(each.own, each.scopes)
        own = [each for each in found if not each.in_except]
        if not own:
            return
        chosen = max(own, key=waits.length)
        text = span_text(chosen.interval_s)
        if len(own) < len(found) and chosen.interval_s is not None:
            text += " (+ backoff)"
        yield self._loop(loop, place, chosen.interval_s, chosen.how, [loop], text)

    def _timer(self, call: ast.Call, place: Place) -> Iterator[Loop]:
        """One that the function which it calls sets anew."""
        shape = waits.timer(call)
        if shape is None or not isinstance(place.own, FUNCTIONS):
            return
        delay, function = shape
        callee = dotted(function).rpartition(".")[2]
        rearmed = callee == place.own.name or any(
            place.own.name in _calls(each.own) for each in self._functions.get(callee, ())
        )
        if rearmed:
            span_s = self._values.number(delay, place.scopes)
            how = f"{dotted(call)} set anew"
            yield self._loop(call, place, span_s, how, [place.own])

    def _loop(
        self,
        node: ast.AST,
        place: Place,
        span_s: float | None,
        how: str,
        work: list[ast.AST],
        text: str = "",
    ) -> Loop:
        line: int = getattr(node, "lineno", 1)
        return Loop(
            name=name_of(self._path),
            path=self._path,
            line=line,
            interval_s=span_s,
            interval=text or span_text(span_s),
            purpose=self._purpose(place, line),
            bus=self._on_the_bus(place, work),
            pattern=how,
            where=place.name,
        )

    def _purpose(self, place: Place, line: int) -> str:
        """By the nearest docstring or comment that says more than that it is a loop."""
        function = None if isinstance(place.own, ast.Module) else ast.get_docstring(place.own)
        owner = None if place.owner is None else ast.get_docstring(place.owner)
        module = ast.get_docstring(self._tree)
        said = [module, owner, function] if self._has_one_loop else [function, owner, module]
        above = self._comment(line)
        return next((first_sentence(each) for each in [*said, above] if each), "")

    def _comment(self, line: int) -> str:
        found: list[str] = []
        index = line - 2
        while 0 <= index < len(self._lines) and self._lines[index].lstrip().startswith("#"):
            found.insert(0, self._lines[index].lstrip().lstrip("#! "))
            index -= 1
        return " ".join(found)

    def _on_the_bus(self, place: Place, work: list[ast.AST]) -> Bus:
        if not self._bus.used:
            return "none"
        done = [*work, *(each.own for node in work for each in self._called(node, place))]
        if any(self._bus.emits(node) for node in done):
            return "yes"
        around = place.owner or place.own
        idle = all(call in _NO_WORK or call.startswith("wait_") for call in _calls(*work))
        return "yes" if idle and self._bus.subscribes(around) else "partial"

    def _names_of(self, place: Place) -> ast.AST:
        """Where what a check compares with may be set."""
        return place.owner or place.own

    def _called(self, node: ast.AST, place: Place) -> list[Place]:
        """The functions of this file that are called there, and by those."""
        found: dict[int, Place] = {}
        front = [node]
        for _ in range(_DEPTH_MAX):
            names = _calls(*front)
            front = []
            for each in (each for name in names for each in self._functions.get(name, ())):
                if len(found) >= _CALLED_MAX:
                    return list(found.values())
                if each.own is place.own or id(each.own) in found:
                    continue
                if each.owner in (place.owner, None):
                    found[id(each.own)] = each
                    front.append(each.own)
        return list(found.values())


def _places(tree: ast.Module) -> Iterator[Place]:
    waiting: list[tuple[Scope, ...]] = [(tree,)]
    while waiting:
        scopes = waiting.pop(0)
        yield Place(scopes)
        for node in inside(scopes[-1]):
            if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
                waiting.append((*scopes, node))


def _calls(*nodes: ast.AST) -> set[str]:
    """What is called there, by the last part of its name."""
    return {
        dotted(each).rpartition(".")[2]
        for node in nodes
        for each in ast.walk(node)
        if isinstance(each, ast.Call)
    }


def _has_while(scope: ast.AST) -> bool:
    return any(isinstance(node, ast.While) for node in inside(scope))


def _drives_jobs(loop: ast.While) -> bool:
    """Whether it only runs what `schedule` knows to be due."""
    return "run_pending" in _calls(loop)
