"""Texts as they stand in a unit of systemd, which reads the same text in three ways."""

import shlex


def command(word: str) -> str:
    """A word of an ExecStart after the first: no variable, no specifier."""
    return quoted(word.replace("$", "$$"))


def quoted(word: str) -> str:
    """A word where systemd takes a list of them, such as Environment; no specifier."""
    escaped = plain(word).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return escaped if shlex.quote(escaped) == escaped else f'"{escaped}"'


def plain(text: str) -> str:
    """What takes the rest of its line, such as Description; no specifier."""
    return text.replace("%", "%%")
