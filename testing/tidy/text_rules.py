"""Rules for files of any kind."""

import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from testing.tidy.checkout import Source

Found = Iterator[tuple[int, str]]

COLUMNS_MAX = 100

_MACHINE_PATH = re.compile(r"(?<![\w.}*)-])/(?:(?:work|root)/|home/[a-z])")
_REGISTRY = re.compile(
    r"\b(?:pypi|pythonhosted|npmjs|crates|rubygems)\.(?:org|com|io)\b"
    r"|\b(?:deb|ftp|security)\.debian\.org\b|\b(?:archive|ports|security)\.ubuntu\.com\b"
    r"|--(?:extra-)?index-url\b|--find[-]links\b",
    re.IGNORECASE,
)
_UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME)\b")
_MODULES_BANNED = {"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"}
_IGNORE = re.compile(
    r"#\s*(?:noqa(?P<ruff>:\s*[A-Z]+[0-9]+(?:[, ]+[A-Z]+[0-9]+)*)?"
    r"|type: ignore(?P<mypy>\[[\w, -]+\])?"
    r"|shellcheck disable=(?P<shell>[\w,]+))(?P<rest>.*)"
)
# The word of DESIGN's list that is meant, by the word that would stand for it elsewhere.
SYNONYMS = {
    "checkpoint": "cursor",
    "consumer": "handler",
    "dlq": "dead letter",
    "publisher": "source",
    "subscriber": "handler",
    "topic": "type or domain",
}
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_SHELL_NAME = re.compile(r"^\s*(?:(?:local|declare|readonly|export)\s[-\w\s]*?)?(\w+)(?:\+?=|\(\))")


def long_lines(source: Source) -> Found:
    """100 columns."""
    for number, line in enumerate(source.lines, 1):
        if len(line) > COLUMNS_MAX:
            yield number, f"{len(line)} columns"


def machine_paths(source: Source) -> Found:
    """A path that only the author's machine has."""
    yield from _matches(source, _MACHINE_PATH)


def registry_addresses(source: Source) -> Found:
    """Where packages come from is the reader's setting."""
    yield from _matches(source, _REGISTRY)


def unfinished(source: Source) -> Found:
    """What is not done is not merged."""
    yield from _matches(source, _UNFINISHED)


def trailing_blanks(source: Source) -> Found:
    """Nobody sees them but the diff."""
    for number, line in enumerate(source.lines, 1):
        if line != line.rstrip(" \t\r"):
            yield number, "ends with a blank"
    if source.text and not source.text.endswith("\n"):
        yield len(source.lines), "the last line does not end"


def module_names(source: Source) -> Found:
    """A module is named by what it is, not by being useful."""
    path = PurePosixPath(source.path)
    if source.is_python or source.is_shell:
        for part in (*path.parent.parts, path.stem):
            if part in _MODULES_BANNED:
                yield 1, f"{part} says nothing about what is in it"


def unargued_ignores(source: Source) -> Found:
    """A tool is overruled by the rule's name and with a reason: there, or in the line above."""
    above = ""
    for number, line in enumerate(source.lines, 1):
        match = _IGNORE.search(line)
        if match:
            named = match["ruff"] or match["mypy"] or match["shell"]
            reason = re.search(r"[A-Za-z]{2}", match["rest"]) or above.lstrip().startswith("#")
            if not named or not reason:
                yield number, f"no {'reason' if named else 'rule'}: {match[0].strip()}"
        above = line


def synonyms(source: Source) -> Found:
    """One word for one thing. Prose may speak of other systems in their words, a name may not."""
    for number, name in _names(source):
        words = {word.lower() for word in _WORD.findall(name)}
        for word in words | {word.removesuffix("s") for word in words}:
            if word in SYNONYMS:
                yield number, f"{name}: {SYNONYMS[word]} is the word"


def _names(source: Source) -> Iterator[tuple[int, str]]:
    """What the file itself gives a name to."""
    if source.is_shell:
        for number, line in enumerate(source.lines, 1):
            if match := _SHELL_NAME.match(line):
                yield number, match[1]
        return
    for node in ast.walk(ast.parse(source.text)):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield node.lineno, name
            case ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.arg(arg=name):
                yield node.lineno, name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name


def _matches(source: Source, pattern: re.Pattern[str]) -> Found:
    for number, line in enumerate(source.lines, 1):
        for match in pattern.finditer(line):
            yield number, match[0].strip()
