"""Rules for Python that ruff does not have."""

import ast
from collections.abc import Iterator

from testing.tidy.checkout import Source

Found = Iterator[tuple[int, str]]

FILE_LINES_MAX = 499
FUNCTION_LINES_MAX = 70
CLOCK = "src/hookline/model/clock.py"
_CLOCK_READS = {"now", "today", "utcnow"}


def long_file(source: Source) -> Found:
    """Under 500 lines."""
    lines = len(source.text.splitlines())
    if lines > FILE_LINES_MAX:
        yield lines, f"{lines} lines"


def long_functions(source: Source) -> Found:
    """A function fits on a screen."""
    for node in ast.walk(ast.parse(source.text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                yield node.lineno, f"{node.name} has {lines} lines"


def clock_reads(source: Source) -> Found:
    """Time comes in as an argument; one file asks the system for it."""
    if source.path == CLOCK:
        return
    for call in _calls(source, *(f".{name}(" for name in _CLOCK_READS)):
        match call.func:
            case ast.Attribute(attr=attr, value=ast.Name(id="datetime" | "date")) if (
                attr in _CLOCK_READS
            ):
                yield call.lineno, f"datetime.{attr}() outside of {CLOCK}"
            case ast.Attribute(attr=attr, value=ast.Attribute(attr="datetime" | "date")) if (
                attr in _CLOCK_READS
            ):
                yield call.lineno, f"datetime.{attr}() outside of {CLOCK}"


def sleeps(source: Source) -> Found:
    """A test waits for a condition with a deadline; where there is none, a comment says so."""
    lines = source.lines
    for call in _calls(source, "sleep"):
        if "#" in lines[call.lineno - 1]:
            continue
        match call.func:
            case ast.Name(id="sleep"):
                yield call.lineno, "sleep()"
            case ast.Attribute(attr="sleep", value=ast.Name(id=module)):
                yield call.lineno, f"{module}.sleep()"


def package_contents(source: Source) -> Found:
    """`__init__.py` holds the public names, and what loads them late."""
    for index, node in enumerate(ast.parse(source.text).body):
        match node:
            case ast.Import() | ast.ImportFrom() | ast.Assign() | ast.AnnAssign():
                pass
            case ast.Expr(value=ast.Constant(value=str())) if index == 0:
                pass
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                pass
            case ast.FunctionDef(name="__dir__"):
                pass
            case _:
                yield node.lineno, f"{type(node).__name__} in a package's __init__"


def _calls(source: Source, *names: str) -> Iterator[ast.Call]:
    """The calls of a file, if one of the names stands in it at all: to parse takes its time."""
    if any(name in source.text for name in names):
        for node in ast.walk(ast.parse(source.text)):
            if isinstance(node, ast.Call):
                yield node
