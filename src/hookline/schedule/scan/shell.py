"""Timer loops in a shell program: `while`, `until` and `for ((;;))` around a `sleep`, `watch -n`.

Nothing of it is run. Variables are looked up in the file itself; not found are loops in `eval`, in
the text for `bash -c`, in `$(…)`, and a `sleep` in a function that the loop calls in `$(…)`.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from hookline.schedule.scan.loops import Bus, Loop, first_sentence, name_of, named, span_text
from hookline.schedule.scan.words import Word, unquoted, words

_LOOPS: Final = frozenset({"while", "until", "for", "select"})
_OPENING: Final = frozenset({
    "do", "then", "else", "elif", "if", "while", "until", "{", "!", "time", "command", "builtin",
    "exec", "nohup",
})  # fmt: skip
_DECLARING: Final = frozenset({"local", "declare", "typeset", "readonly", "export"})
_ASSIGNMENT: Final = re.compile(r"([A-Za-z_]\w*)\+?=(.*)\Z", re.DOTALL)
_SPAN: Final = re.compile(r"(\d+\.?\d*|\.\d+)([smhd]?)\Z", re.ASCII)
_UNITS_S: Final = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_VARIABLE: Final = re.compile(
    r"\$(?:\{([A-Za-z_]\w*|\d)(?::?[-=](.*))?\}|([A-Za-z_]\w*|\d))\Z", re.DOTALL
)
_ARITHMETIC: Final = re.compile(r"\$?\(\((.*)\)\)\Z", re.DOTALL)
_PRODUCT: Final = re.compile(r"\s*([^\s*/]+)\s*([*/])\s*([^\s*/]+)\s*\Z")
_ELAPSED: Final = re.compile(r"[\s$({]*\w+[)}]*\s*-\s*[\s$({]*\w+[)}\s]*(?:>=|>)\s*(.+)\Z")
_TEST_ELAPSED: Final = re.compile(r"\$\(\(\s*\$?\w+\s*-\s*\$?\w+\s*\)\)\Z")
_SLEEPER: Final = re.compile(r"^sleep$|[a-z]_(?:sleep|wait|pause)$")
"""Or a function of some library that is called so."""
_COUNTED: Final = re.compile(r"(?:\{1\.\.(\d{1,9})\}|\$\(seq (?:1 )?(\d{1,9})\))\Z", re.ASCII)
_ENDING: Final = frozenset({"break", "return", "exit"})
_DEPTH_MAX: Final = 8
_NESTED_MAX: Final = 100
"""Loops within loops; a hostile file is not to take for ever."""
_EMITTING: Final = frozenset({"emit_event", "create_and_log_event", "log_event", "event-logger.sh"})
_SUBSCRIBING: Final = frozenset({"wait-for-tick.sh", "wait_for_tick", "event-dispatcher.sh"})
_NO_PURPOSE: Final = re.compile(
    r"shellcheck|copyright|license|usage:|exit:|spdx|-\*-", re.IGNORECASE
)


class _Command(NamedTuple):
    words: tuple[Word, ...]
    loops: tuple["_While", ...]
    """Those around it, the innermost last."""
    function: str
    after_then: bool

    @property
    def name(self) -> str:
        return self.words[0].text.rpartition("/")[2]


class _While:
    def __init__(
        self, kind: str, line: int, function: str, *, endless: bool, times: float | None
    ) -> None:
        self.kind, self.line, self.function = kind, line, function
        self.endless = endless
        self.times = times
        """How often a `for` goes around; None: not known."""


def scan(path: str, data: bytes) -> list[Loop]:
    """See `loops.Scanner`."""
    text = data.decode("utf-8", "replace").replace("\r\n", "\n")
    return named(path, _Program(path, text).loops())


class _Program:
    def __init__(self, path: str, text: str) -> None:
        self._path = path
        self._lines = text.splitlines()
        self._commands = _commands(words(text))
        self._said: dict[str, list[str]] = {}
        for command in self._commands:
            self._remember(command)
        self._spans: dict[tuple[str, str | None], float | None] = {}
        self._bodies: dict[str, list[_Command]] = {}
        self._own: dict[_While, list[_Command]] = {}
        self._inside: dict[_While, list[_Command]] = {}
        for command in self._commands:
            self._bodies.setdefault(command.function, []).append(command)
            for loop in command.loops:
                self._inside.setdefault(loop, []).append(command)
            if (nearest := _nearest(command)) is not None:
                self._own.setdefault(nearest, []).append(command)
        self._uses_bus = any(map(_uses_bus, self._commands))

    def loops(self) -> Iterator[Loop]:
        for command in self._commands:
            if command.name == "watch":
                yield self._watch(command)
        for loop in self._inside:
            if loop.endless and (found := self._loop(loop)) is not None:
                yield found

    def _loop(self, loop: _While) -> Loop | None:
        own, inside = self._own.get(loop, []), self._inside[loop]
        checks = self._checks(inside)
        sleeps = [each for each in own if _SLEEPER.search(each.name) and len(each.words) > 1]
        if not sleeps and not checks:
            return None
        if checks:
            line, span_s = checks[0]
            return self._told(line, span_s, f"{loop.kind} with a look at the clock", inside, loop)
        spans_s = [self._sleep(each) for each in sleeps]
        span_s = None if None in spans_s else max(each or 0.0 for each in spans_s)
        return self._told(loop.line, span_s, f"{loop.kind} … sleep", inside, loop)

    def _sleep(self, command: _Command) -> float | None:
        spans_s = [self._span(each.raw) for each in command.words[1:]]
        times = [each.times for each in command.loops if each.kind == "for" and not each.endless]
        total_s = 1.0
        for each in [sum(x or 0.0 for x in spans_s), *times]:
            total_s *= each or 0.0
        return None if None in spans_s or None in times else total_s

    def _watch(self, command: _Command) -> Loop:
        span_s: float | None = 2.0
        given = iter(command.words[1:])
        for word in given:
            text = word.text
            if text in ("-n", "--interval"):
                value = next(given, None)
                span_s = None if value is None else self._span(value.raw)
            elif text.startswith("--interval="):
                span_s = self._span(word.raw.partition("=")[2])
            elif re.match(r"-n.", text):
                span_s = self._span(word.raw[2:])
            elif not text.startswith("-"):
                break
        return self._told(command.words[0].line, span_s, "watch", [command], None)

    def _told(
        self,
        line: int,
        span_s: float | None,
        how: str,
        work: list[_Command],
        loop: _While | None,
    ) -> Loop:
        return Loop(
            name=name_of(self._path),
            path=self._path,
            line=line,
            interval_s=span_s,
            interval=span_text(span_s),
            purpose=self._purpose(line),
            bus=self._bus(work),
            pattern=how,
            where="" if loop is None else loop.function,
        )

    def _checks(self, commands: list[_Command]) -> list[tuple[int, float | None]]:
        """`if ((now - last >= interval))`, unless what follows only ends something."""
        found = []
        for index, command in enumerate(commands):
            limit = _limit(command)
            if limit is None:
                continue
            after = commands[index + 1] if index + 1 < len(commands) else None
            if after is not None and after.after_then and after.name not in _ENDING:
                found.append((command.words[0].line, self._span(limit)))
        return found

    def _remember(self, command: _Command) -> None:
        given = command.words[1:] if command.name in _DECLARING else command.words
        for word in given:
            if assigned := _ASSIGNMENT.match(word.raw):
                self._said.setdefault(assigned[1], []).append(assigned[2])
            elif command.name not in _DECLARING:
                break
        if command.name == "read":
            for word in command.words[1:]:
                self._said.setdefault(word.text, []).append("?")

    def _span(self, raw: str, depth: int = 0) -> float | None:
        """The seconds that a word of `sleep` stands for; None: it is not one number."""
        text = unquoted(raw).strip()
        if depth > _DEPTH_MAX:
            return None
        if found := _SPAN.match(text):
            return float(found[1]) * _UNITS_S[found[2]]
        if found := _VARIABLE.match(text):
            return self._variable(found[1] or found[3], found[2], depth + 1)
        if found := _ARITHMETIC.match(text):
            return self._calculated(found[1], depth + 1)
        return None

    def _variable(self, name: str, default: str | None, depth: int) -> float | None:
        key = name, default
        if key not in self._spans:
            # What stands for itself is nothing.
            self._spans[key] = None
            said = set(self._said.get(name, ()))
            own = {each for each in said if _about(each, name)}
            values = {self._span(each, depth) for each in said - own}
            defaults = [default, *map(_default, own)]
            values |= {self._span(each, depth) for each in defaults if each is not None}
            self._spans[key] = values.pop() if len(values) == 1 else None
        return self._spans[key]

    def _calculated(self, text: str, depth: int) -> float | None:
        found = _PRODUCT.match(text)
        if found is None:
            return self._term(text, depth)
        a, b = self._term(found[1], depth), self._term(found[3], depth)
        if a is None or b is None or (found[2] == "/" and not b):
            return None
        return a * b if found[2] == "*" else a / b

    def _term(self, text: str, depth: int) -> float | None:
        text = text.strip()
        return self._span(f"${text}" if re.match(r"[A-Za-z_]\w*\Z", text) else text, depth)

    def _purpose(self, line: int) -> str:
        summary = next((each for each in self._lines[:10] if each.startswith("# Summary:")), "")
        if summary:
            return first_sentence(summary.partition(":")[2])
        header = self._comment(1 if self._lines[:1] and self._lines[0].startswith("#!") else 0)
        above = line - 2
        while above >= 0 and self._lines[above].lstrip().startswith("#"):
            above -= 1
        return first_sentence(header) or first_sentence(self._comment(above + 1))

    def _comment(self, index: int) -> str:
        found: list[str] = []
        for line in self._lines[index:]:
            text = line.strip()
            if not text.startswith("#"):
                break
            said = text.lstrip("#!").strip(" =-*")
            if not said and found:
                break
            if said and not _NO_PURPOSE.search(said):
                found.append(said)
        return " ".join(found)

    def _bus(self, work: list[_Command]) -> Bus:
        if not self._uses_bus:
            return "none"
        done: set[str] = set()
        front = work
        while front:
            if any(map(_uses_bus, front)):
                return "yes"
            names = {each.name for each in front} - done
            done |= names
            front = [each for name in names for each in self._bodies.get(name, ())]
        return "partial"


def _nearest(command: _Command) -> _While | None:
    """The loop that goes on for ever around a command, past those of a `for`."""
    for each in reversed(command.loops):
        if each.endless or each.kind != "for":
            return each
    return None


def _times(words: list[Word]) -> float | None:
    """How often `for i in {1..60}` and `for i in $(seq 60)` go around."""
    if len(words) < 3:
        return None
    found = _COUNTED.match(words[2].raw)
    return None if found is None else float(found[1] or found[2])


def _uses_bus(command: _Command) -> bool:
    if command.name in _EMITTING | _SUBSCRIBING:
        return True
    return command.name == "hookline" and any(
        each.text in ("emit", "--follow") for each in command.words
    )


def _about(value: str, name: str) -> bool:
    """Whether `NAME=${NAME:-60}` is what is said."""
    found = _VARIABLE.match(unquoted(value))
    return found is not None and name in (found[1], found[3])


def _default(value: str) -> str | None:
    found = _VARIABLE.match(unquoted(value))
    return found[2] if found else None


def _limit(command: _Command) -> str | None:
    """What `now - last` is compared with."""
    first = command.words[0].raw
    if first.startswith("(("):
        found = _ELAPSED.match(first.removeprefix("((").removesuffix("))"))
        if found is None:
            return None
        limit = found[1].strip()
        return f"${limit}" if re.match(r"[A-Za-z_]\w*\Z", limit) else limit
    if first in ("[", "[[", "test") and len(command.words) > 3:
        left, op, right = (each.raw for each in command.words[1:4])
        if _TEST_ELAPSED.match(unquoted(left)) and op in ("-ge", "-gt"):
            return right
    return None


def _commands(tokens: list[Word]) -> list[_Command]:
    return _Parser().read(tokens)


class _Parser:
    """Follows loops and functions through the words; all else of the grammar does not matter."""

    def __init__(self) -> None:
        self._found: list[_Command] = []
        self._loops: list[_While] = []
        self._words: list[Word] = []
        self._functions: list[tuple[str, int]] = []
        """Each with how many braces are open around it."""
        self._braces = 0
        self._after_then = False
        self._condition = False
        """Whether a `while` has just begun."""
        self._coming = ""
        """The function whose body comes next."""

    def read(self, tokens: list[Word]) -> list[_Command]:
        for index, token in enumerate(tokens):
            if token.is_operator:
                following = tokens[index + 1 : index + 2]
                if (
                    token.raw == "("
                    and len(self._words) == 1
                    and following[:1]
                    and (following[0].raw == ")")
                ):
                    self._coming = self._words.pop().text
                else:
                    self._end()
            elif self._words:
                self._words.append(token)
            else:
                self._first(token, tokens[index + 1 : index + 4])
        self._end()
        return self._found

    def _first(self, word: Word, following: list[Word]) -> None:
        """A word where a command may begin."""
        raw = word.raw
        if raw in _LOOPS and len(self._loops) < _NESTED_MAX:
            forever = (
                raw == "for"
                and bool(following)
                and following[0].raw.replace(" ", "").startswith("((;")
            )
            endless = raw in ("while", "until") or forever
            self._condition = raw in ("while", "until")
            times = _times(following) if raw == "for" else None
            self._loops.append(_While(raw, word.line, self._function, endless=endless, times=times))
        elif raw == "done":
            if self._loops:
                self._loops.pop()
        elif raw == "{":
            self._braces += 1
            if self._coming:
                self._functions.append((self._coming, self._braces))
                self._coming = ""
        elif raw == "}":
            if self._functions and self._functions[-1][1] == self._braces:
                self._functions.pop()
            self._braces = max(0, self._braces - 1)
        elif raw == "function" and following:
            self._coming = following[0].text
            self._words.append(word)
        elif raw == "then":
            self._after_then = True
        if raw not in _OPENING and raw not in ("while", "until", "done", "}", "fi", "esac"):
            self._words.append(word)

    @property
    def _function(self) -> str:
        return self._functions[-1][0] if self._functions else ""

    def _end(self) -> None:
        if self._words:
            while len(self._words) > 1 and _ASSIGNMENT.match(self._words[0].raw):
                # `LC_ALL=C sleep 5`: for the one command; what it sets is not asked for.
                if all(_ASSIGNMENT.match(each.raw) for each in self._words):
                    break
                self._words.pop(0)
            if self._condition and self._words[0].raw == "read":
                # Goes around as often as there are lines.
                self._loops[-1].endless = False
            self._condition = False
            self._found.append(
                _Command(tuple(self._words), tuple(self._loops), self._function, self._after_then)
            )
            self._after_then = False
        self._words = []
