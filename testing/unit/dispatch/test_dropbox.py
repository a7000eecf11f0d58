"""Files of the drop box, and those whose writers are still at them."""

import json
import os
from datetime import timedelta

import pytest

from hookline.dispatch import dropbox
from hookline.log.home import Home
from hookline.model.clock import SystemClock

EVENT = {
    "event_id": "evt_20251201_120000_test123",
    "event_type": "worker.started",
    "timestamp": "2025-12-01T12:00:00+0000",
    "source": "w",
    "payload": {"a": [1, -2.5, True, "é"]},
}


class Later(SystemClock):
    """So many seconds ahead."""

    def __init__(self, seconds):
        self._ahead = timedelta(seconds=seconds)

    def now(self):
        return super().now() + self._ahead


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path)
    for folder in (home.queue, home.events):
        folder.mkdir(parents=True, exist_ok=True)
    return home


def take(home, ahead_s=0.0):
    return dropbox.take(home, "e.json", Later(ahead_s))


def test_a_file_that_is_written_in_place_is_taken_whole_or_not_yet(home):
    text = json.dumps(EVENT, indent=2, ensure_ascii=False).encode() + b"\n"
    with (home.queue / "e.json").open("wb", buffering=0) as file:
        for byte in range(len(text) - 2):
            with pytest.raises(dropbox.Unfinished):
                take(home, ahead_s=3600)
            file.write(text[byte : byte + 1])
        file.write(text[-2:])
    assert take(home) == EVENT["event_id"]
    assert os.listdir(home.queue) == []
    assert not home.rejected.exists()


def test_a_writer_that_closes_it_in_between_has_five_seconds(home):
    file = home.queue / "e.json"
    text = json.dumps(EVENT)
    for half in ("", text[:40]):
        file.write_text(half)
        with pytest.raises(dropbox.Unfinished):
            take(home, ahead_s=dropbox.QUIET_S - 1)
    file.write_text(text)
    assert take(home) == EVENT["event_id"]


def test_what_stays_half_is_set_aside(home):
    (home.queue / "e.json").write_text(json.dumps(EVENT)[:40])
    assert take(home, ahead_s=dropbox.QUIET_S + 1) is None
    assert sorted(os.listdir(home.rejected)) == ["e.json", "e.reason.json"]


def test_whole_json_that_is_no_event_is_set_aside_at_once(home):
    (home.queue / "e.json").write_text('{"event_id": "x"}')
    assert take(home) is None
    assert "missing" in json.loads((home.rejected / "e.reason.json").read_text())["reason"]


def test_where_nobody_can_tell_who_writes_it_has_five_seconds_too(home, monkeypatch):
    monkeypatch.setattr(dropbox, "is_open_for_writing", lambda _: None)
    file = home.queue / "e.json"
    file.write_text('{"event_id": "x"}')
    with pytest.raises(dropbox.Unfinished):
        take(home)
    file.write_text(json.dumps(EVENT))
    assert take(home) == EVENT["event_id"]


def test_a_file_that_takes_the_name_of_one_that_is_being_taken_is_the_next_event(home, monkeypatch):
    append = dropbox.append_event

    def append_slowly(root, fields, *, sync):
        append(root, fields, sync=sync)
        newer = home.queue / ".newer"
        newer.write_text(json.dumps(EVENT | {"event_id": "evt_20251201_120000_newer"}))
        newer.rename(home.queue / "e.json")

    (home.queue / "e.json").write_text(json.dumps(EVENT))
    monkeypatch.setattr(dropbox, "append_event", append_slowly)
    assert take(home) == EVENT["event_id"]
    monkeypatch.setattr(dropbox, "append_event", append)
    assert take(home) == "evt_20251201_120000_newer"
    assert os.listdir(home.queue) == []
