from pathlib import Path

import msgspec
import pytest

from hookline.app.trial import Trial
from hookline.model.errors import BadData
from hookline.testing import matches_golden, try_handler
from hookline.testing.golden import UPDATE


def trial(stdout):
    return Trial(
        handler="on-a-b.sh",
        event=msgspec.Raw(b"{}"),
        verdict="done",
        then="settled",
        exit=0,
        signal=None,
        ms=1.0,
        error="",
        stdout=stdout,
        stderr="",
        emitted=(),
        files=(),
        home="/tmp/h",
        began="2026-11-21T10:00:00.000000Z",
        ended="2026-11-21T10:00:02.000000Z",
    )


def test_a_golden_file_is_made_on_demand_only(tmp_path, monkeypatch):
    path = tmp_path / "g.json"
    with pytest.raises(BadData):
        matches_golden(trial("x"), path)
    monkeypatch.setenv(UPDATE, "1")
    assert matches_golden(trial("x"), path)
    monkeypatch.delenv(UPDATE)
    assert matches_golden(trial("x"), path)


def test_another_outcome_is_an_assertion_with_the_difference(tmp_path, monkeypatch):
    path = tmp_path / "g.json"
    monkeypatch.setenv(UPDATE, "1")
    matches_golden(trial("old"), path)
    monkeypatch.delenv(UPDATE)
    with pytest.raises(AssertionError, match=r'-.*"old"(?s:.*)\+.*"new"'):
        matches_golden(trial("new"), path)


def test_an_event_without_id_comes_to_the_same_each_time(home, tmp_path, monkeypatch):
    handler = home.handlers / "on-a-b.sh"
    library = Path(__file__).resolve().parents[3] / "scripts/events/lib/event-logger.sh"
    handler.write_text(f'#!/bin/bash\nsource {library}\ncat\nemit_event c.d me "{{}}"\n')
    handler.chmod(0o750)
    event = {"specversion": "1.0", "type": "a.b"}
    monkeypatch.setenv(UPDATE, "1")
    assert matches_golden(try_handler("on-a-b.sh", event), tmp_path / "g.json")
    monkeypatch.delenv(UPDATE)
    assert matches_golden(try_handler("on-a-b.sh", event), tmp_path / "g.json")
    assert '"causationid": "<id 1>"' in (tmp_path / "g.json").read_text()
