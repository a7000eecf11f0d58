"""Jobs that a Python program gives to a scheduler of its own: `schedule`, APScheduler and such."""

import ast
from collections.abc import Iterator
from typing import Final, NamedTuple

from hookline.schedule.scan.loops import span_text
from hookline.schedule.scan.values import FUNCTIONS, Scope, Values, dotted, inside, keyword

_UNITS_S: Final = {
    "second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0, "week": 604800.0,
}  # fmt: skip
_WEEKDAYS: Final = frozenset(
    {"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}
)
_PERIODIC: Final = frozenset(
    {"loop", "repeat_every", "periodic_task", "scheduled_job", "run_every"}
)
_FIELDS: Final = (
    "year", "month", "day", "week", "day_of_week", "hour", "minute", "second", "timezone",
)  # fmt: skip


class Job(NamedTuple):
    """One that was found."""

    node: ast.AST
    interval_s: float | None
    how: str
    text: str
    work: ast.AST | None


def found(scope: ast.AST, scopes: tuple[Scope, ...], values: Values) -> Iterator[Job]:
    """The jobs that are asked for right there."""
    for node in inside(scope):
        if isinstance(node, ast.Call):
            last = dotted(node.func).rpartition(".")[2]
            if last == "do":
                yield from _chained(node, scopes, values)
            elif last == "add_job":
                yield from _triggered(node, node.args[1:], scopes, values, None)
        elif isinstance(node, FUNCTIONS):
            for each in node.decorator_list:
                if isinstance(each, ast.Call):
                    last = dotted(each.func).rpartition(".")[2]
                    if last in _PERIODIC:
                        yield from _triggered(each, each.args, scopes, values, node)


def _chained(call: ast.Call, scopes: tuple[Scope, ...], values: Values) -> Iterator[Job]:
    """`schedule.every(10).minutes.do(job)`."""
    unit_s: float | None = None
    unit = at = ""
    node: ast.AST = call.func
    while True:
        match node:
            case ast.Attribute(value=value, attr=attr):
                if attr.removesuffix("s") in _UNITS_S or attr in _WEEKDAYS:
                    unit = attr
                    unit_s = _UNITS_S.get(attr.removesuffix("s"), _UNITS_S["week"])
                node = value
            case ast.Call(func=function, args=args):
                name = dotted(function)
                if name.rpartition(".")[2] == "every":
                    count = values.number(args[0], scopes) if args else 1.0
                    if unit_s is not None:
                        span_s = None if count is None else count * unit_s
                        text = f"every {unit}" if unit in _WEEKDAYS else span_text(span_s)
                        yield Job(call, span_s, name, text + at, None)
                    return
                match args:
                    case [ast.Constant(value=str() as moment)] if name.endswith(".at"):
                        at = f" at {moment}"
                node = function
            case _:
                return


def _triggered(
    call: ast.Call,
    args: list[ast.expr],
    scopes: tuple[Scope, ...],
    values: Values,
    work: ast.AST | None,
) -> Iterator[Job]:
    """APScheduler's `add_job(f, "interval", minutes=5)` and `add_job(f, CronTrigger(hour=3))`."""
    how = dotted(call.func)
    trigger = keyword(call, "trigger") or (args[0] if args else None)
    given, kind = call.keywords, ""
    if isinstance(trigger, ast.Call):
        name = dotted(trigger.func)
        given = trigger.keywords
        kind = "cron" if "Cron" in name or "cron" in name else "interval"
        if name.endswith("from_crontab") and trigger.args:
            match trigger.args[0]:
                case ast.Constant(value=str() as expression):
                    yield Job(call, None, how, f"cron {expression}", work)
                    return
    elif isinstance(trigger, ast.Constant):
        kind = str(trigger.value)
    if kind == "cron":
        fields = [f"{each.arg}={ast.unparse(each.value)}" for each in given if each.arg in _FIELDS]
        yield Job(call, None, how, " ".join(["cron", *fields]), work)
    elif kind != "date" and (kind == "interval" or work is not None):
        span_s = values.span(given, scopes)
        yield Job(call, span_s, how, span_text(span_s), work)
