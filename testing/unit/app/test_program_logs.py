"""What programs print: kept small while they go on printing."""

import os

import pytest

from hookline.app import program_logs
from testing.unit.app.archives import archive


@pytest.fixture
def log(home, monkeypatch):
    """Of a program that has it open to append, as `hookline up` opens it."""
    monkeypatch.setattr(program_logs, "BYTES_MAX", 10)
    path = home.coordination / "logs/it.log"
    path.parent.mkdir()
    with path.open("ab", buffering=0) as file:
        yield file


def test_a_program_goes_on_printing_where_its_log_begins_anew(home, log):
    log.write(b"first\nsecond\nthird\n")
    assert [(step.action, step.what) for step in archive(home)] == [
        ("rotated", "coordination/logs/it.log")
    ]
    log.write(b"fourth\n")
    path = home.coordination / "logs/it.log"
    assert path.read_text() == "fourth\n"
    assert path.with_name("it.log.1").read_text() == "third\n"
    assert archive(home) == []


def test_what_is_printed_while_it_is_moved_is_kept(home, log, monkeypatch):
    write = program_logs.durable_write

    def slow_write(*what):
        write(*what)
        log.write(b"late\n")

    monkeypatch.setattr(program_logs, "durable_write", slow_write)
    log.write(b"first\nsecond\n")
    archive(home)
    assert (home.coordination / "logs/it.log.1").read_text() == "second\nlate\n"


def test_a_dry_run_moves_nothing_and_what_is_no_file_is_left_alone(home, log):
    log.write(b"first\nsecond\n")
    folder = home.coordination / "logs"
    (folder / "folder.log").mkdir()
    os.mkfifo(folder / "pipe.log")
    assert [step.freed for step in archive(home, dry_run=True)] == [3]
    assert sorted(os.listdir(folder)) == ["folder.log", "it.log", "pipe.log"]


def test_one_that_cannot_be_moved_keeps_what_it_has(home, log, monkeypatch):
    def no_room(*_):
        raise OSError(28, "No space left on device")

    log.write(b"first\nsecond\n")
    monkeypatch.setattr(program_logs, "durable_write", no_room)
    assert [(step.action, step.why) for step in archive(home)] == [
        ("failed", "No space left on device")
    ]
    assert (home.coordination / "logs/it.log").read_bytes() == b"first\nsecond\n"
