"""Rules for shell files that shellcheck does not have."""

import re
from collections.abc import Iterator

from testing.tidy.checkout import Source

Found = Iterator[tuple[int, str]]

FILE_LINES_MAX = 249
BATS_LINES_MAX = 499
FUNCTION_LINES_MAX = 70

_FUNCTION = re.compile(r"^(?:([\w:.-]+)\(\)|@test (.*)) [{(]")
_COMMAND = r"(?:^|[;&|({!]|\b(?:then|do|else|command|builtin|exec)\b)\s*"
_EVAL = re.compile(_COMMAND + r"eval\b(?!=)")
_ECHO = re.compile(_COMMAND + r"echo\b(?!=)")
_COUNT = re.compile(_COMMAND + r"\(\(\s*\w+(?:\+\+|--)\s*\)\)")
_SLEEP = re.compile(_COMMAND + r"sleep\b(?![^#]*#)")
_HEADER = ("# Usage: ", "# Summary: ", "# Exit: ")
_GUARD = re.compile(r"_hookline_\w*_?loaded[-:}].*return|_HOOKLINE_\w*LOADED[-:}].*return")


def long_file(source: Source) -> Found:
    """Under 250 lines; past that it is Python. A list of tests may be as long as Python."""
    lines = len(source.text.splitlines())
    if lines > (BATS_LINES_MAX if source.is_bats else FILE_LINES_MAX):
        yield lines, f"{lines} lines"


def long_functions(source: Source) -> Found:
    """A function fits on a screen. shfmt puts its first and last line into column 0."""
    name, start = "", 0
    for number, line in enumerate(source.lines, 1):
        match = _FUNCTION.match(line)
        if match and not line.endswith("}"):
            name, start = match[1] or match[2], number
        elif line in {"}", ")"} and start:
            lines = number - start + 1
            if lines > FUNCTION_LINES_MAX:
                yield start, f"{name} has {lines} lines"
            start = 0


def evals(source: Source) -> Found:
    """Data is never code."""
    yield from _commands(source, _EVAL)


def counts(source: Source) -> Found:
    """Under `set -e` it ends the script when the number is 0: n=$((n + 1)) does not."""
    yield from _commands(source, _COUNT)


def echoes(source: Source) -> Found:
    """What it does with a leading dash or a backslash depends on the shell: printf does not."""
    yield from _commands(source, _ECHO)


def sleeps(source: Source) -> Found:
    """A test waits with `await`. Where there is no condition, a comment beside says so."""
    yield from _commands(source, _SLEEP)


def headers(source: Source) -> Found:
    """Lines 2 to 4 are what `--help` prints."""
    for number, (line, start) in enumerate(zip(source.lines[1:4], _HEADER, strict=False), 2):
        if not line.startswith(start):
            yield number, f"should be {start}…"


def not_executable(source: Source) -> Found:
    """A file with a first line for the kernel is there to be started."""
    if not source.executable:
        yield 1, "chmod +x"


def guards(source: Source) -> Found:
    """Sourcing a library twice must not redefine what the first time set up."""
    if not any(_GUARD.search(line) for line in source.lines):
        yield 1, "no include guard: [[ -z ${_hookline_<name>_loaded-} ]] || return 0"


def executable(source: Source) -> Found:
    """A library is sourced, never started."""
    if source.executable:
        yield 1, "chmod -x"


def _commands(source: Source, pattern: re.Pattern[str]) -> Found:
    for number, line in enumerate(source.lines, 1):
        if not line.lstrip().startswith("#") and pattern.search(line):
            yield number, line.strip()
