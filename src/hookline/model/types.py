"""Event types, the patterns that choose among them, and the types that handler names stand for."""

import re

from hookline.model.errors import BadData, shown

TYPE_BYTES_MAX = 96
TYPE = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z0-9_]+)+\Z")

_PARTS = r"[a-z0-9_]+(?:\.[a-z0-9_]+)*"
_PATTERN = re.compile(rf"(?:\*|[a-z][a-z0-9_]*(?:\.[a-z0-9_]+)*\.\*|\*\.{_PARTS})\Z")


def is_type(text: str) -> bool:
    """Whether the text is a type: `<domain>.<name>[.<name>...]`, at most 96 bytes."""
    return len(text) <= TYPE_BYTES_MAX and TYPE.match(text) is not None


def check_type(text: str) -> str:
    """The type itself. Raises BadData for what is none."""
    if not is_type(text):
        raise BadData(
            f"type {shown(text)} is not like 'worker.started' "
            f"(lower-case words, at least one dot, at most {TYPE_BYTES_MAX} bytes)"
        )
    return text


def domain_of(type_: str) -> str:
    """The part before the first dot; it names the log file. The type has been checked."""
    return type_.partition(".")[0]


def is_pattern(text: str) -> bool:
    """Whether the text is a type or one of `*`, `worker.*`, `*.failed`."""
    return is_type(text) or (len(text) <= TYPE_BYTES_MAX and _PATTERN.match(text) is not None)


def matches(pattern: str, type_: str) -> bool:
    """Whether a pattern chooses a type.

    `worker.*` is every type that begins with `worker.`, `*.failed` every type that ends with
    `.failed`, `*` every type, anything else the one type of that name.
    """
    if pattern == "*":
        return True
    if pattern.startswith("*."):
        return type_.endswith(pattern[1:])
    if pattern.endswith(".*"):
        return type_.startswith(pattern[:-1])
    return pattern == type_


def domain_of_pattern(pattern: str) -> str | None:
    """The only domain that a pattern can choose from, or None when it may be any."""
    return None if pattern.startswith("*") else domain_of(pattern)


def handler_stem(type_: str) -> str:
    """The file name, without a suffix, that stands for a type: the way back of the next one."""
    domain, _, name = type_.partition(".")
    return f"on-{domain}-{name.replace('_', '-')}"


def handler_event_type(stem: str) -> str | None:
    """The type that a handler's file name (without its suffix) stands for, or None.

    The first `-` after `on-` is the dot, further ones are `_`: `on-worker-heartbeat` is
    `worker.heartbeat`, `on-system-daemon-start-requested` is `system.daemon_start_requested`.
    """
    prefix, _, event = stem.partition("-")
    domain, _, name = event.partition("-")
    type_ = f"{domain}.{name.replace('-', '_')}"
    return type_ if prefix == "on" and "." not in event and is_type(type_) else None
