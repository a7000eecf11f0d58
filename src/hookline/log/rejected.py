"""Keeping what could not become an event, with its reason, where a person will find it."""

import base64
import json
import os
from pathlib import Path

from hookline.log.files import durable_write, make_folder
from hookline.log.home import Home, log_stem
from hookline.model.clock import Clock, SystemClock, rfc3339
from hookline.model.position import Position


def aside(home: Home, stem: str, position: Position) -> Path:
    """The file that says that somebody knows of what is wrong there in a log."""
    return home.rejected / f"{stem}.{position.segment:08d}.{position.offset}.json"


def is_known(home: Home, stem: str, position: Position) -> bool:
    """Whether that file is there; one that cannot be looked at tells nobody anything."""
    return os.path.exists(aside(home, stem, position))


def reject(
    home: Home,
    domain: str,
    position: Position,
    raw: bytes,
    reason: str,
    *,
    clock: Clock | None = None,
) -> None:
    """Write down a piece of a log that is no event; once, however often it is read.

    Raises CannotCreate, TryAgain or WriteFailed.
    """
    if is_known(home, log_stem(domain), position):
        return
    make_folder(home.rejected)
    note: dict[str, object] = {
        "reason": reason,
        "domain": domain,
        "segment": position.segment,
        "offset": position.offset,
        "time": rfc3339((clock or SystemClock()).now()),
    }
    try:
        note["raw"] = raw.decode()
    except UnicodeDecodeError:
        note["raw_base64"] = base64.b64encode(raw).decode()
    # ASCII only: nothing that a terminal would obey, and no lone surrogate can come up.
    durable_write(aside(home, log_stem(domain), position), json.dumps(note).encode() + b"\n")
