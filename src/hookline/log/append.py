"""Appending an event to its domain's log with nothing imported but the standard library.

`hookline emit` and the shell's long lines go this way: it has to start in a few milliseconds.
"""

import os
from typing import Final

from hookline.log.files import append_line, durable_write, make_folder
from hookline.model import envelope
from hookline.model.attributes import Fields
from hookline.model.envelope import LINE_BYTES_MAX, LineTooLong
from hookline.model.errors import BadData

DATA_BYTES_MAX: Final = 64 << 20


def append_event(home_root: str | os.PathLike[str], fields: Fields, sync: bool = False) -> bytes:
    """Append the event of these fields and return its line; `sync`: it is on disk then.

    Data too long for a line goes to a file of its own first. Raises BadData before anything is
    stored, and else as `append_line` does.
    """
    line = line_of(home_root, fields)
    append_line_to_log(home_root, envelope.domain(fields), line, sync)
    return line


def line_of(home_root: str | os.PathLike[str], fields: Fields) -> bytes:
    """The line of these fields; data too long for it is in a file of its own by then.

    Raises as `append_event` does.
    """
    try:
        return envelope.line(**fields)
    except LineTooLong:
        return _beside(home_root, fields)


def append_line_to_log(
    home_root: str | os.PathLike[str], domain: str, line: bytes, sync: bool = False
) -> None:
    """Append an event's line (checked, without its newline) to the live log of a domain.

    Raises as `append_line` does, and LineTooLong.
    """
    if len(line) >= LINE_BYTES_MAX:
        raise LineTooLong(
            f"the event takes {len(line) + 1} bytes; a line has at most {LINE_BYTES_MAX}"
        )
    coordination = os.path.join(home_root, "coordination")
    live = os.path.join(coordination, "events", f"{domain}-events.jsonl")
    append_line(live, line, sync, locked=appends_locked(coordination))


def _beside(home_root: str | os.PathLike[str], fields: Fields) -> bytes:
    """Put the data of these fields into a file of its own, durably; the line that refers to it.

    Raises BadData for more than 64 MiB, and when the id has other data already.
    """
    data = fields.get("data") or b""
    if len(data) > DATA_BYTES_MAX:
        raise BadData(f"data takes {len(data)} bytes; at most {DATA_BYTES_MAX} can be kept")
    dataref = f"data/{fields['id']}.json"
    referring = fields.copy()
    referring["data"] = None
    referring["dataref"] = dataref
    line = envelope.line(**referring)
    path = os.path.join(home_root, "coordination", "events", dataref)
    if not _has(path, data):
        make_folder(os.path.dirname(path))
        durable_write(path, data)
    return line


def appends_locked(coordination: str) -> bool:
    """Whether this home lies on a file system without atomic append."""
    return os.path.exists(os.path.join(coordination, "config", "locked-append"))


def _has(path: str, data: bytes) -> bool:
    """Whether the file is there, as it is when an append is tried again."""
    try:
        with open(path, "rb") as file:
            if file.read(len(data) + 1) == data:
                return True
    except FileNotFoundError:
        return False
    raise BadData(f"another event has the same id, and its data lies in {path}: take another id")
