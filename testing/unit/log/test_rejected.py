"""Keeping what is no event."""

import base64
import errno
import json
import os
from pathlib import Path
from typing import NoReturn

import pytest

from hookline.log.home import Home
from hookline.log.rejected import is_known, reject
from hookline.model.errors import CannotCreate
from hookline.model.position import Position
from testing.unit.log.clocks import HandClock


def note(home: Home, name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((home.rejected / name).read_text())
    return found


def test_it_is_named_by_its_place_and_says_all(home: Home) -> None:
    clock = HandClock()
    reject(home, "test", Position(3, 77), b'{"torn', "not JSON", clock=clock)
    found = note(home, "test-events.00000003.77.json")
    assert list(found) == ["reason", "domain", "segment", "offset", "time", "raw"]
    assert (found["reason"], found["domain"], found["segment"], found["offset"], found["raw"]) == (
        "not JSON", "test", 3, 77, '{"torn',
    )  # fmt: skip
    assert str(found["time"]).startswith(clock.now().isoformat()[:19])


def test_bytes_that_are_no_text_come_in_base64(home: Home) -> None:
    reject(home, "test", Position(1, 0), b"\xff\0x", "not UTF-8")
    found = note(home, "test-events.00000001.0.json")
    assert "raw" not in found
    assert base64.b64decode(str(found["raw_base64"])) == b"\xff\0x"


def test_the_file_is_safe_to_print_on_a_terminal(home: Home) -> None:
    reject(home, "test", Position(1, 0), "\x1b]0;x\x07\u202e\u009b".encode(), "torn")
    text = (home.rejected / "test-events.00000001.0.json").read_bytes()
    assert all(32 <= byte < 127 or byte == 10 for byte in text)


def test_read_twice_it_is_written_once(home: Home) -> None:
    reject(home, "test", Position(1, 0), b"a", "first")
    before = (home.rejected / "test-events.00000001.0.json").stat()
    reject(home, "test", Position(1, 0), b"a", "second")
    after = (home.rejected / "test-events.00000001.0.json").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_the_folder_is_made_when_it_is_missing(home: Home) -> None:
    home.rejected.rmdir()
    reject(home, "test", Position(1, 0), b"a", "torn")
    assert note(home, "test-events.00000001.0.json")["raw"] == "a"


def test_no_home_is_a_clear_error() -> None:
    with pytest.raises(CannotCreate):
        reject(Home(Path("/proc/nowhere")), "test", Position(1, 0), b"a", "torn")


def test_where_nobody_may_look_nobody_knows(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "stat", refuse)
    assert not is_known(home, "test-events", Position(1, 0))
