"""What a power cut may leave of what programs had not synced: a bus that starts again on any of it
keeps what was acknowledged, and delivers it."""

import json
import os
import shutil
import sys
import time
from collections import Counter
from pathlib import Path

import apsw
import pytest

from hookline.dispatch.ledger import letter_of
from hookline.log.home import Home
from testing.faults.crash_states import Crash, record
from testing.faults.recovery import NOTING, NOTING_PYTHON, Recovery
from testing.faults.writers import crash_scenario

QUICK = 8
CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recorded")
    home = Home(folder / "home")
    for part in (home.segments, home.queue, home.state, home.handlers):
        part.mkdir(parents=True)
    recovery = Recovery(home)
    recovery.handler(text=NOTING.replace("*.made", "a.made batch.made shell.made"))
    recovery.handler("on-fast.py", NOTING_PYTHON.replace("*.made", "fast.made"))
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "HOOKLINE_HOME": str(home.root),
        "PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'src'}",
    }
    command = [sys.executable, crash_scenario.__file__, home.root]
    return record(command, home.root, env, folder / "trace")


def test_any_crash_state_loses_nothing_that_was_acknowledged(recording, tmp_path, chance, soak_s):
    ends_s = time.monotonic() + soak_s
    seen: Counter[str] = Counter()
    for number, crash in enumerate(recording.crashes(chance)):
        if number >= QUICK and time.monotonic() >= ends_s:
            break
        folder = tmp_path / "crash"
        try:
            survive(recording, crash, folder)
        except BaseException as error:
            error.add_note(f"state {number}: {crash.what}, at the moment {crash.moment} of:")
            for change in recording.changes[max(0, crash.moment - 12) : crash.moment + 2]:
                error.add_note(f"  {change}")
            raise
        seen[crash.what.partition(":")[0]] += 1
        shutil.rmtree(folder)
    print(f"{len(recording.changes)} changes;", dict(seen))


def survive(recording, crash, folder):
    """Make the state, let the bus go on with it, and check."""
    root = folder / "home"
    root.mkdir(parents=True)
    recording.tree(crash).write(root)
    recovery = Recovery(Home(root))
    for name, text in recording.marks(crash.moment):
        with (folder / name).open("ab") as file:
            file.write(text)
    acknowledged = folder / "acknowledged"
    if acknowledged.exists():
        recovery.acknowledged |= set(acknowledged.read_text().split())
    known = {run.event for run in recovery.runs()}
    before, runs_before = recovery.delivered(), len(recovery.runs())
    # A cursor that is ahead of its log would skip these, which come to lie where others lay.
    for domain in ("a", "fast", "shell"):
        if recovery.home.events.is_dir():
            recovery.emit(f"{domain}-later", 2, domain)
    recovery.once()
    assert recovery.problems(known) == []
    again = [run.event for run in recovery.runs()[runs_before:] if run.event in before]
    assert len(again) == len(set(again)), "a second time, and a third"
    check_letters(recovery)
    check_large(recovery)
    assert recovery.wrong() == []
    recovery.check_again()


def check_letters(recovery):
    """What the journal calls a dead letter is one."""
    letters = {letter["letter"] for letter in lines_of(recovery.home.dead_letters)}
    for entry in lines_of(recovery.home.deliveries):
        if entry.get("then") == "dead-letter":
            identity = (entry[name] for name in ("handler", "domain", "source", "event"))
            assert letter_of(*identity, "") in letters


def check_large(recovery):
    """Data beside a log is whole where its event is there."""
    for path in [*recovery.home.events.glob("*.jsonl"), *recovery.home.segments.glob("*.jsonl")]:
        for event in lines_of(path):
            if "dataref" in event:
                assert (
                    len(json.loads((recovery.home.events / event["dataref"]).read_text()))
                    == 300_000
                )


# -- the order of the calls --------------------------------------------------------------------


def test_nothing_is_acknowledged_before_it_is_on_disk(recording):
    acknowledged = 0
    for moment, change in enumerate(recording.changes):
        if change.kind == "mark" and change.path.endswith("/acknowledged"):
            left = recording.tree(nothing_left(moment))
            files = b"\n".join(
                bytes(left.texts[file])
                for name, file in left.names.items()
                if name.endswith(".jsonl") or "/queue/" in name
            )
            assert change.data.strip() in files
            acknowledged += 1
    assert acknowledged == 9


def test_a_file_is_on_disk_before_it_gets_its_name_and_the_name_before_anything_else(recording):
    kinds = set()
    for moment, change in enumerate(recording.changes):
        if change.kind != "rename" or not change.path.endswith(".tmp"):
            continue
        before = recording.tree(nothing_left(moment))
        assert before.texts[change.file] == recording.tree(all_left(moment)).texts[change.file]
        following = recording.changes[moment + 1]
        assert (following.kind, following.path) == ("sync", os.path.dirname(change.to))
        kinds.add(os.path.basename(os.path.dirname(change.to)))
    assert kinds >= {"data", "segments", "identities"}


def test_a_closed_log_is_on_disk_under_its_new_name_when_the_rotation_returns(recording):
    (moment,) = (
        moment
        for moment, change in enumerate(recording.changes)
        if change.kind == "rename" and change.path.endswith("/a-events.jsonl")
    )
    change = recording.changes[moment]
    synced = [each.path for each in recording.changes[moment + 1 : moment + 4]]
    assert synced == [change.to, os.path.dirname(change.to), os.path.dirname(change.path)]
    # The plain segment goes only when the folder has the compressed one.
    (gone,) = (
        moment
        for moment, each in enumerate(recording.changes)
        if each.kind == "remove" and each.path == change.to
    )
    assert f"{change.to}.zst" in recording.tree(nothing_left(gone)).names


def test_a_dead_letter_is_on_disk_before_the_journal_says_so(recording):
    (moment,) = (
        moment
        for moment, change in enumerate(recording.changes)
        if change.path.endswith("/deliveries.jsonl") and b'"then":"dead-letter"' in change.data
    )
    left = recording.tree(nothing_left(moment))
    assert left.texts[left.names["coordination/dead-letters.jsonl"]].count(b"\n") == 1


def test_the_index_never_knows_more_than_the_logs_and_the_journal_have_on_disk(recording, tmp_path):
    commits = 0
    for moment, change in enumerate(recording.changes):
        of_index = change.kind == "write" and change.path.endswith("/dispatch.db-wal")
        goes_on = [
            each
            for each in recording.changes[moment + 1 : moment + 2]
            if (each.kind, each.path) == ("write", change.path)
        ]
        if goes_on or not of_index:
            continue
        folder = tmp_path / str(moment)
        folder.mkdir()
        recording.tree(all_left(moment + 1)).write(folder)
        sizes = {
            name.removeprefix("coordination/"): len(text)
            for name, text in recording.tree(nothing_left(moment + 1)).items()
        }
        for stem, segment, offset in positions(folder / "coordination/state/dispatch.db"):
            closed = f"events/segments/{stem}.{segment:08d}.jsonl"
            live = "deliveries.jsonl" if stem == "deliveries" else f"events/{stem}.jsonl"
            size = sizes.get(closed, sizes.get(live, 0))
            assert offset <= size or f"{closed}.zst" in sizes, (stem, segment, offset)
            commits += offset > 0
        shutil.rmtree(folder)
    assert commits > 20


def positions(index):
    """How far the cursors and the fold over the journal have come, by the stem of the log."""
    db = apsw.Connection(str(index))
    try:
        if db.execute("SELECT * FROM sqlite_schema WHERE name='cursor'").fetchone():
            meta = dict(db.execute("SELECT name, value FROM meta"))
            yield "deliveries", int(meta.get("segment", 1)), int(meta.get("offset", 0))
            for domain, *position in db.execute("SELECT domain, segment, offset FROM cursor"):
                yield f"{domain}-events", *position
    finally:
        db.close()


def nothing_left(moment):
    """Nothing of what was not synced at a moment is left."""
    return Crash(moment=moment, what="nothing of it", left={})


def all_left(moment):
    """All of it is."""
    return Crash(moment=moment, what="all of it", left=None)


def lines_of(path):
    """The lines that are JSON objects."""
    found = []
    for line in path.read_bytes().splitlines() if path.exists() else []:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return [each for each in found if isinstance(each, dict)]
