"""Events that beget each other: the path from the first cause to the one that went too far."""

import mmap
from typing import Final

import msgspec

from hookline.log.home import Home
from hookline.log.read import domains

_STEPS_MAX: Final = 17


class _Link(msgspec.Struct):
    id: str = ""
    type: str = ""
    causationid: str = ""


def path(home: Home, line: bytes) -> str:
    """A sentence that names the events that led to this one, as far as the live logs still have
    them."""
    steps: list[str] = []
    link = _decode(line)
    while link is not None and len(steps) < _STEPS_MAX:
        steps.append(link.type)
        link = _find(home, link.causationid) if link.causationid else None
    return f"more than 16 hops from the first cause: {' <- '.join(steps)}"


def _decode(line: bytes) -> _Link | None:
    try:
        return msgspec.json.decode(line, type=_Link)
    except msgspec.MsgspecError:
        return None


def _find(home: Home, event: str) -> _Link | None:
    prefix = f'{{"specversion":"1.0","id":"{event}"'.encode()
    for domain in domains(home):
        try:
            with (
                home.live(domain).open("rb") as file,
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text,
            ):
                start = text.rfind(prefix)
                if start >= 0:
                    return _decode(text[start : text.find(b"\n", start)])
        except (OSError, ValueError):
            # No live log, or an empty one, which cannot be mapped.
            continue
    return None
