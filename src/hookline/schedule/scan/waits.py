"""Waiting in a Python program: sleeps, waits with a timeout, and looks at the clock."""

import ast
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from hookline.schedule.scan.values import FUNCTIONS, Scope, Values, dotted, inside, keyword

_SLEEPERS: Final = frozenset({"time", "asyncio", "trio", "anyio", "gevent", "eventlet", "curio"})
_WAITERS: Final = frozenset({"Event", "Condition", "Semaphore", "Barrier"})
_WAITED_FOR: Final = re.compile(
    r"stop|event|shut|exit|quit|done|wake|cond|cancel|finish|halt|term|clos|end|kill|flag|signal"
)
_CLOCKS: Final = re.compile(
    r"(?:^|\.)(?:time|monotonic|perf_counter|time_ns|now|utcnow|today|get_time|timestamp)$"
)
_TIME_NAMES: Final = re.compile(r"now|time|_ts|ts$|clock|current|elapsed|since|monotonic|tick")
_ENDLESS_NAMES: Final = re.compile(r"run|alive|active|keep|going|enabled")


class Sleep(NamedTuple):
    """A pause in a loop."""

    interval_s: float | None
    how: str
    in_except: bool
    """Whether it is made only after something went wrong."""


class Check(NamedTuple):
    """`if now - last >= interval`, in a loop that comes by more often."""

    node: ast.AST
    interval_s: float | None
    how: str
    work: list[ast.AST]
    """What is done then."""


def length(sleep: Sleep) -> float:
    """For the longest of several; the one that is not known is none of the others."""
    return float("inf") if sleep.interval_s is None else sleep.interval_s


def is_endless(test: ast.expr) -> bool:
    """Whether a `while` goes on until somebody stops it."""
    match test:
        case ast.Constant(value=value):
            return bool(value)
        case ast.UnaryOp(op=ast.Not()):
            return _WAITED_FOR.search(dotted(test.operand).lower()) is not None
        case ast.Name() | ast.Attribute():
            return _ENDLESS_NAMES.search(dotted(test).lower()) is not None
    return False


def timer(call: ast.Call) -> tuple[ast.expr, ast.expr] | None:
    """The delay and the function of a timer that goes off once."""
    match dotted(call.func).rpartition(".")[2], call.args:
        case "Timer" | "call_later", [delay, function, *_]:
            return delay, function
        case "enter", [delay, _, function, *_]:
            return delay, function
    return None


class Waits:
    """What waits in one module."""

    def __init__(self, tree: ast.Module, values: Values) -> None:
        self._values = values
        self._steps: dict[int, dict[str, ast.expr]] = {}
        self._modules: dict[str, str] = {}
        self._sleeps: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for name in node.names:
                    self._modules[name.asname or name.name] = name.name
            elif isinstance(node, ast.ImportFrom) and node.module in _SLEEPERS:
                self._sleeps |= {
                    each.asname or each.name for each in node.names if each.name == "sleep"
                }
        self._events = {
            name
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call)
            for name in _assigned_names(node)
            if dotted(node.value).rpartition(".")[2] in _WAITERS
        }

    def sleeps(self, scope: ast.AST, scopes: tuple[Scope, ...]) -> list[Sleep]:
        """The pauses of a loop or function, without those of loops within it."""
        return list(self._sleeps_of(scope, scopes, in_except=False, times=1.0))

    def _sleeps_of(
        self, node: ast.AST, scopes: tuple[Scope, ...], *, in_except: bool, times: float | None
    ) -> Iterator[Sleep]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (*FUNCTIONS, ast.ClassDef, ast.Lambda, ast.While)):
                continue
            if isinstance(child, ast.Call) and (found := self._sleep(child, scopes)):
                span_s, how = found
                # A long pause in short pieces: `for _ in range(60): sleep(1)`.
                whole_s = None if span_s is None or times is None else span_s * times
                yield Sleep(whole_s, how, in_except)
            yield from self._sleeps_of(
                child,
                scopes,
                in_except=in_except or isinstance(child, ast.ExceptHandler),
                times=self._times(child, scopes) if isinstance(child, ast.For) else times,
            )

    def _times(self, loop: ast.For, scopes: tuple[Scope, ...]) -> float | None:
        match loop.iter:
            case ast.Call(func=ast.Name(id="range"), args=[count]):
                return self._values.number(count, scopes)
        return 1.0

    def _sleep(self, call: ast.Call, scopes: tuple[Scope, ...]) -> tuple[float | None, str] | None:
        name = dotted(call.func)
        owner, _, last = name.rpartition(".")
        first = call.args[0] if call.args else None
        if first is not None and (name in self._sleeps or (owner and last == "sleep")):
            module = self._modules.get(owner, owner)
            return self._values.number(first, scopes), f"{module}.sleep".lstrip(".")
        if last == "wait" and owner:
            timeout = keyword(call, "timeout") or first
            if timeout is not None and self._is_event(owner):
                return self._values.number(timeout, scopes), f"{owner}.wait"
        if last == "wait_for" and isinstance(first, ast.Call):
            timeout = keyword(call, "timeout") or (call.args[1] if len(call.args) > 1 else None)
            waited, _, what = dotted(first.func).rpartition(".")
            if timeout is not None and what == "wait" and self._is_event(waited):
                return self._values.number(timeout, scopes), f"{name} of {waited}.wait"
        return None

    def _is_event(self, owner: str) -> bool:
        last = owner.rpartition(".")[2]
        return last in self._events or _WAITED_FOR.search(last.lower()) is not None

    def checks(self, scope: ast.AST, scopes: tuple[Scope, ...], around: ast.AST) -> Iterator[Check]:
        """The looks at the clock in a loop or function; `around`: where its names may be set."""
        for node in inside(scope):
            if isinstance(node, ast.If):
                for test in _conjuncts(node.test):
                    yield from self._check(node, test, scopes, around)

    def _check(
        self, node: ast.If, test: ast.expr, scopes: tuple[Scope, ...], around: ast.AST
    ) -> Iterator[Check]:
        match test:
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                pass
            case _:
                return
        if isinstance(op, ast.Lt | ast.LtE):
            if isinstance(node.body[-1], ast.Continue):
                # `if now - last < interval: continue`: the work is what comes after.
                op = ast.Gt()
            else:
                left, right = right, left
        elif not isinstance(op, ast.Gt | ast.GtE):
            return
        elif any(isinstance(each, ast.Break | ast.Raise | ast.Return) for each in node.body):
            return  # a deadline
        if any(isinstance(each, ast.Break | ast.Raise) for each in node.body):
            return
        work: list[ast.AST] = [*node.body]
        left = _seconds_of(left)
        if isinstance(left, ast.BinOp) and isinstance(left.op, ast.Sub):
            if self._is_time(left.left, scopes):
                span_s = self._values.number(right, scopes)
                yield Check(node, span_s, f"if {_shown(test)}", work)
        elif self._is_elapsed(left, scopes) is not None:
            yield Check(node, self._values.number(right, scopes), f"if {_shown(test)}", work)
        elif self._is_time(left, scopes):
            step = self._step(dotted(right), around)
            if step is not None:
                yield Check(node, self._values.number(step, scopes), f"if {_shown(test)}", work)

    def _step(self, target: str, around: ast.AST) -> ast.expr | None:
        """By how much the moment that is waited for moves on, such as `next_run = now + step`."""
        if id(around) not in self._steps:
            self._steps[id(around)] = dict(_steps(around))
        return self._steps[id(around)].get(target)

    def _is_elapsed(self, node: ast.expr, scopes: tuple[Scope, ...]) -> ast.expr | None:
        """`elapsed`, where that was set to `now - last`."""
        if not isinstance(node, ast.Name):
            return None
        for said in self._values.assigned(scopes[-1], node.id):
            match _seconds_of(said) if said is not None else None:
                case ast.BinOp(op=ast.Sub(), left=left) if self._is_time(left, scopes):
                    return said
        return None

    def _is_time(self, node: ast.expr, scopes: tuple[Scope, ...]) -> bool:
        name = dotted(node)
        if isinstance(node, ast.Call):
            return _CLOCKS.search(name) is not None
        if isinstance(node, ast.Name):
            said = self._values.assigned(scopes[-1], name)
            if any(isinstance(each, ast.Call) and self._is_time(each, scopes) for each in said):
                return True
        return bool(name) and _TIME_NAMES.search(name.rpartition(".")[2].lower()) is not None


def _assigned_names(node: ast.Assign | ast.AnnAssign) -> Iterator[str]:
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        yield dotted(target).rpartition(".")[2]


def _conjuncts(test: ast.expr) -> list[ast.expr]:
    match test:
        case ast.BoolOp(values=values):
            return values
    return [test]


def _seconds_of(node: ast.expr) -> ast.expr:
    """What `(…).total_seconds()` and `(…).seconds` are of; the node itself else."""
    match node:
        case ast.Call(func=ast.Attribute(value=value, attr="total_seconds")):
            return value
        case ast.Attribute(value=ast.BinOp() as value, attr="seconds"):
            return value
    return node


def _steps(around: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    for node in ast.walk(around):
        match node:
            case ast.AugAssign(target=name, op=ast.Add(), value=value):
                yield dotted(name), value
            case ast.Assign(targets=[name], value=ast.BinOp(op=ast.Add(), right=value)):
                yield dotted(name), value


def _shown(node: ast.expr) -> str:
    text = ast.unparse(node)
    return text if len(text) <= 60 else text[:59] + "…"
