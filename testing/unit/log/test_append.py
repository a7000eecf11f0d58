"""Appending an event with the standard library alone."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

from hookline.log import files
from hookline.log.append import append_event, append_line_to_log
from hookline.log.home import Home
from hookline.model.attributes import Fields
from hookline.model.envelope import LINE_BYTES_MAX, LineTooLong
from hookline.model.errors import BadData, TryAgain
from hookline.model.jsontext import dumps


def fields(data: object = None, **others: str) -> Fields:
    found: Fields = {
        "id": "e1",
        "source": "test",
        "type": "test.done",
        "time": "2026-11-21T01:35:31.123456Z",
        "data": dumps(data),
    }
    return cast(Fields, {**found, **others})


def test_an_event_becomes_the_line_of_its_domain(home: Home) -> None:
    line = append_event(home.root, fields({"a": 1}))
    assert home.live("test").read_bytes() == line + b"\n"
    assert line.endswith(b',"data":{"a":1}}')


def test_a_bad_event_is_refused_and_nothing_is_stored(home: Home) -> None:
    for bad in (fields(type="../../etc.x"), fields(id="a/b"), fields(source="")):
        with pytest.raises(BadData):
            append_event(home.root, bad)
    assert not list(home.events.glob("*.jsonl"))
    assert not list(home.data.iterdir())


def test_data_too_long_for_a_line_lies_beside_the_log(home: Home) -> None:
    text = "x" * LINE_BYTES_MAX
    line = append_event(home.root, fields(text), sync=True)
    assert b'"dataref":"data/e1.json"}' in line
    assert (home.data / "e1.json").read_bytes() == dumps(text)
    assert home.live("test").read_bytes() == line + b"\n"


def test_an_append_tried_again_finds_its_data_there(home: Home) -> None:
    text = "x" * LINE_BYTES_MAX
    assert append_event(home.root, fields(text)) == append_event(home.root, fields(text))


def test_the_data_of_another_event_is_never_overwritten(home: Home) -> None:
    append_event(home.root, fields("x" * LINE_BYTES_MAX))
    with pytest.raises(BadData, match="another event has the same id"):
        append_event(home.root, fields("y" * LINE_BYTES_MAX, source="other"))
    assert (home.data / "e1.json").read_bytes()[:2] == b'"x'
    assert len(home.live("test").read_bytes().splitlines()) == 1


def test_data_beyond_all_limits_is_refused(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hookline.log.append.DATA_BYTES_MAX", LINE_BYTES_MAX + 10)
    with pytest.raises(BadData, match="at most"):
        append_event(home.root, fields("x" * (LINE_BYTES_MAX + 9)))
    assert not list(home.data.iterdir())


def test_a_line_over_the_limit_is_refused(home: Home) -> None:
    append_line_to_log(home.root, "test", b"x" * (LINE_BYTES_MAX - 1))
    with pytest.raises(LineTooLong):
        append_line_to_log(home.root, "test", b"x" * LINE_BYTES_MAX)
    assert home.live("test").stat().st_size == LINE_BYTES_MAX


def test_where_the_home_says_so_the_append_waits_for_the_lock(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    append_line_to_log(home.root, "test", b"a")
    monkeypatch.setattr(files, "LOCK_WAIT_S", 0.05)
    with open(home.live("test"), "rb") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        append_line_to_log(home.root, "test", b"b")
        home.locked_append.touch()
        with pytest.raises(TryAgain):
            append_line_to_log(home.root, "test", b"c")
    assert home.live("test").read_bytes() == b"a\nb\n"


def test_nothing_third_party_is_imported() -> None:
    """`hookline emit` has 60 ms, and msgspec alone takes half of that."""
    program = "import sys, hookline.log.append; print(*sys.modules)"
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-c",
            f"import sys; sys.path.insert(0, {source_folder()!r}); {program}",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    own = loaded - set(sys.stdlib_module_names) - {"hookline"}
    assert not {name for name in own if not name.startswith(("_", "sitecustomize", "__"))}
    assert not loaded & {"asyncio", "logging", "tempfile", "subprocess"}


def source_folder() -> str:
    return os.fspath(Path(files.__file__).parents[2])
