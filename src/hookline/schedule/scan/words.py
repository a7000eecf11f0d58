"""The commands of a shell program, by a tokenizer of our own. Nothing of it is run or expanded.

Seen: quotes, comments, here-documents, continued lines, `$(…)`, `${…}`, backquotes, `((…))`. Not
seen: what lies within `$(…)` and within the text that `eval`, `bash -c` and aliases are given.
"""

import re
from typing import Final, NamedTuple

_BLANKS: Final = " \t"
_OPERATOR: Final = re.compile(r";;&|;;|;&|&&|\|\||\|&|&>>|&>|[;&|()]|\n")
_REDIRECTION: Final = re.compile(r"\d*(?:<<<|<<-|<<|>>|>\||<>|<&|>&|<|>)")
_CLOSING: Final = {"(": ")", "{": "}"}


class Word(NamedTuple):
    """One word as it is written, or an operator."""

    raw: str
    line: int
    is_operator: bool = False

    @property
    def text(self) -> str:
        """Without its quotes."""
        return unquoted(self.raw)


def unquoted(raw: str) -> str:
    """A word without its quotes and backslashes; nothing is expanded."""
    out: list[str] = []
    at, quote = 0, ""
    while at < len(raw):
        char = raw[at]
        if quote == "'":
            out.append("" if char == "'" else char)
        elif char == "\\" and at + 1 < len(raw):
            at += 1
            out.append("" if raw[at] == "\n" else raw[at])
        elif char in "\"'" and quote in ("", char):
            quote = "" if quote else char
            at += 1
            continue
        else:
            out.append(char)
        if quote == "'" and char == "'":
            quote = ""
        at += 1
    return "".join(out)


def words(text: str) -> list[Word]:
    """All words and operators of a program, those of redirections left out."""
    return _Reader(text).read()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._found: list[Word] = []
        self._documents: list[tuple[str, bool]] = []
        """The here-documents that begin after this line: where each ends, and whether tabs go."""

    def read(self) -> list[Word]:
        text = self._text
        while self._at < len(text):
            char = text[self._at]
            if char in _BLANKS or text.startswith("\\\n", self._at):
                self._skip(2 if char == "\\" else 1)
            elif char == "#":
                self._skip(self._line_end() - self._at)
            elif text.startswith("((", self._at):
                self._arithmetic()
            elif found := _REDIRECTION.match(text, self._at):
                self._redirection(found[0])
            elif found := _OPERATOR.match(text, self._at):
                self._operator(found[0])
            else:
                self._word()
        return self._found

    def _skip(self, count: int) -> str:
        part = self._text[self._at : self._at + count]
        self._line += part.count("\n")
        self._at += count
        return part

    def _line_end(self) -> int:
        end = self._text.find("\n", self._at)
        return len(self._text) if end < 0 else end

    def _operator(self, operator: str) -> None:
        self._found.append(Word(operator, self._line, is_operator=True))
        self._skip(len(operator))
        if operator == "\n":
            for end, tabs in self._documents:
                self._document(end, tabs=tabs)
            self._documents.clear()

    def _document(self, end: str, *, tabs: bool) -> None:
        while self._at < len(self._text):
            line = self._skip(self._line_end() + 1 - self._at).removesuffix("\n")
            if (line.lstrip("\t") if tabs else line) == end:
                return

    def _redirection(self, operator: str) -> None:
        self._skip(len(operator))
        while self._text[self._at : self._at + 1] in (*_BLANKS, "&") and self._at < len(self._text):
            self._skip(1)
        if self._at < len(self._text) and self._text[self._at] in "\n;|)":
            return
        self._word()
        aim = self._found.pop()
        if operator.endswith(("<<", "<<-")):
            self._documents.append((aim.text, operator.endswith("-")))

    def _arithmetic(self) -> None:
        line = self._line
        whole = self._text[self._at : self._closed(self._at)]
        self._found.append(Word(whole, line))
        self._skip(len(whole))

    def _word(self) -> None:
        start = self._at
        end = start
        text = self._text
        while end < len(text):
            char = text[end]
            if char == "\\":
                end += 2
            elif char in "'\"`":
                end = self._quoted(end)
            elif char in "$<>" and text[end + 1 : end + 2] in ("(", "{"):
                end = self._closed(end + 1)
            elif char in " \t\n;&|()<>":
                break
            else:
                end += 1
        # An operator's character that begins no operator is a word, or this would go on for ever.
        self._found.append(Word(text[start : max(end, start + 1)], self._line))
        self._skip(max(end, start + 1) - start)

    def _quoted(self, start: int) -> int:
        """Where the quotation that begins here ends."""
        text, quote = self._text, self._text[start]
        end = start + 1
        while end < len(text) and text[end] != quote:
            if text[end] == "\\" and quote != "'":
                end += 1
            elif quote == '"' and text[end] == "$" and text[end + 1 : end + 2] in ("(", "{"):
                end = self._closed(end + 1) - 1
            end += 1
        return end + 1

    def _closed(self, start: int) -> int:
        """Where the brackets that begin here close."""
        text = self._text
        waiting: list[str] = []
        at = start
        while at < len(text):
            char = text[at]
            if char == "\\":
                at += 1
            elif waiting and char == waiting[-1]:
                waiting.pop()
                if not waiting:
                    return at + 1
            elif char in _CLOSING:
                waiting.append(_CLOSING[char])
            elif char in "'\"`":
                at = self._plain_quote(at)
            at += 1
        return at

    def _plain_quote(self, start: int) -> int:
        """Where a quotation within brackets ends, at its last character."""
        text, quote = self._text, self._text[start]
        at = start + 1
        while at < len(text) and text[at] != quote:
            at += 2 if text[at] == "\\" and quote != "'" else 1
        return at
