"""Which files are read: programs only, whatever else lies there."""

import os
from pathlib import Path

import pytest

from hookline.schedule.scan import files
from hookline.schedule.scan.files import scan
from testing.unit.schedule.scan.daemons import DAEMONS

LOOP = "while true; do sleep 5; done\n"
CHECKOUT = Path(__file__).resolve().parents[4]


@pytest.fixture
def told():
    return []


def names(folder, told):
    return [each.path.removeprefix(f"{folder}/") for each in scan([folder], told.append)]


def test_programs_are_known_by_suffix_or_first_line(tmp_path, told):
    (tmp_path / "a.sh").write_text(LOOP)
    (tmp_path / "b").write_text("#!/usr/bin/env bash\n" + LOOP)
    (tmp_path / "c").write_text("#!/usr/bin/python3\nimport time\nwhile 1:\n    time.sleep(1)\n")
    (tmp_path / "d").write_text(LOOP)
    (tmp_path / "e.txt").write_text("#!/bin/sh\n" + LOOP)
    (tmp_path / "f").write_text("#!/usr/bin/perl\n" + LOOP)
    assert names(tmp_path, told) == ["a.sh", "b", "c"]
    assert told == []


def test_what_others_have_put_there_is_passed_over(tmp_path, told):
    for folder in (".git/hooks", ".venv/lib", "own/lib", "node_modules"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "a.sh").write_text(LOOP)
    (tmp_path / "own/pyvenv.cfg").touch()
    assert names(tmp_path, told) == []


def test_links_lead_round_and_round_and_each_file_is_read_once(tmp_path, told):
    (tmp_path / "a.sh").write_text(LOOP)
    (tmp_path / "round").symlink_to(tmp_path)
    (tmp_path / "b.sh").symlink_to("a.sh")
    (tmp_path / "c.sh").symlink_to("c.sh")
    os.link(tmp_path / "a.sh", tmp_path / "d.sh")
    assert names(tmp_path, told) == ["a.sh"]
    assert len(told) == 1
    assert "c.sh" in told[0]


def test_pipes_devices_and_binaries_are_not_read(tmp_path, told):
    os.mkfifo(tmp_path / "a.sh")
    (tmp_path / "b.sh").write_bytes(b"\x7fELF\0" + LOOP.encode())
    assert names(tmp_path, told) == []


def test_what_cannot_be_read_is_told_and_the_rest_is_read(tmp_path, told, monkeypatch):
    monkeypatch.setattr(files, "FILE_BYTES_MAX", 1000)
    (tmp_path / "a.py").write_text("while True\n")
    (tmp_path / "b.sh").write_text("#" * 2000)
    (tmp_path / "c.sh").write_text(LOOP)
    assert names(tmp_path, told) == ["c.sh"]
    assert [("a.py:1" in told[0]), ("b.sh: larger" in told[1])] == [True, True]


def test_a_file_that_was_asked_for_and_is_no_program_is_told(tmp_path, told):
    (tmp_path / "notes").write_text("#!/usr/bin/awk\n")
    assert list(scan([tmp_path / "notes"], told.append)) == []
    assert "neither Python nor a shell program" in told[0]


def test_the_ten_daemons_are_found_with_the_intervals_of_their_inventory(tmp_path, told):
    for name, text in DAEMONS.items():
        (tmp_path / name).write_text(text)
    found = {each.name: each for each in scan([tmp_path], told.append)}
    assert {name: (each.interval_s, each.bus) for name, each in found.items()} == {
        "introspection": (5.0, "yes"),
        "curiosity_core_consumer": (60.0, "yes"),
        "action_consumer": (300.0, "partial"),
        "investigation_consumer": (300.0, "partial"),
        "shadow": (60.0, "partial"),
        "tournament_consumer": (15.0, "partial"),
        "semantic_dedup_consumer": (5.0, "partial"),
        "ledger_writer": (1.0, "yes"),
        "chembus_historian": (1.0, "yes"),
        "decay": (None, "none"),
    }
    assert found["decay"].interval == "variable"
    assert found["chembus_historian"].interval == "1s (+ backoff)"
    assert found["introspection"].purpose == "Proactive capability scanning"
    assert told == []


def test_the_checkout_itself_can_be_scanned(told):
    found = list(scan([CHECKOUT / "scripts", CHECKOUT / "src"], told.append))
    assert {"machine-load", "worker-loop"} <= {each.name for each in found}
    assert told == []
