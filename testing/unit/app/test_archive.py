"""One run of the archiver over a home."""

import contextlib
import os
from datetime import UTC, datetime
from itertools import islice

import apsw
import msgspec
import pytest

from hookline.app import archive as archiving
from hookline.app.archive import Archive
from hookline.app.config import ArchiveConfig, load_config
from hookline.app.pausing import set_paused
from hookline.dispatch import replays
from hookline.dispatch.dead_letter import DeadLetter
from hookline.dispatch.journal import STATE_FILE, open_journal, write_entry
from hookline.dispatch.ledger import Entry, decode
from hookline.dispatch.pace import Pace
from hookline.dispatch.replays import Replay
from hookline.log import packing
from hookline.log.append import append_event
from hookline.log.files import append_line
from hookline.log.log import Log
from hookline.log.rotate import rotate, rotate_stream
from hookline.model.clock import SystemClock, rfc3339
from hookline.model.errors import BadConfig, BadData, TryAgain
from testing.unit.log.clocks import HandClock

DAY_S = 86_400.0
NOW = "2026-11-21T00:00:00.000000Z"
LATER = "2999-01-01T00:00:00.000000Z"
BIG = {"text": "x" * 300_000}


def archive(home, *parts, days=0.0, dry_run=False, **config):
    """The steps of a run so many days from now."""
    clock = HandClock()
    clock.advance(days * DAY_S + 60)
    run = Archive(home, ArchiveConfig(**config), clock, dry_run=dry_run)
    return list(run.run(*([parts] if parts else [])))


def told(steps):
    return [(step.action, step.log, step.segment) for step in steps]


def emit(home, type="a.b", **more):
    return Log(home).append(type, source="test", **more).id


def close(home, events=1):
    """One more closed segment of the domain `a`."""
    for _ in range(events):
        emit(home, data={"n": 1})
    rotate(home, "a")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def tree(home):
    return {
        path.relative_to(home.root): path.read_bytes() if path.is_file() else None
        for path in home.coordination.rglob("*")
    }


def handler(home, name, header="# from: beginning"):
    path = home.handlers / name
    path.write_text(f"#!/bin/bash\n{header}\nexit 0\n")
    path.chmod(0o750)


def test_a_large_log_is_closed_and_compressed_and_a_small_one_stays(home):
    emit(home, data={"text": "x" * 2000})
    emit(home, "c.d")
    assert told(archive(home, rotate_size="1KiB")) == [("rotated", "a", 1), ("compressed", "a", 1)]
    assert names(home.segments) == ["a-events.00000001.jsonl.zst"]
    assert home.live("c").exists()


def test_a_log_is_closed_a_while_after_its_first_event(home):
    emit(home)
    assert archive(home, days=0.9) == []
    assert told(archive(home, "rotate", days=1.1)) == [("rotated", "a", 1)]


def test_an_event_that_claims_an_old_time_closes_no_log_that_was_just_begun(home):
    close(home)
    emit(home, time=datetime(2001, 1, 1, tzinfo=UTC))
    assert archive(home, "rotate") == []
    assert told(archive(home, "rotate", days=1.1)) == [("rotated", "a", 2)]


def test_an_old_log_without_events_is_closed_by_its_size_only(home):
    append_line(home.live("zombie-cleanup"), b'{"killed":3}')
    assert archive(home, days=30) == []
    assert told(archive(home, "rotate", rotate_size="1B")) == [("rotated", "zombie-cleanup", 1)]


def test_a_segment_is_compressed_only_after_a_while(home):
    close(home)
    assert archive(home, compress_after="1h") == []
    assert told(archive(home, compress_after="50s")) == [("compressed", "a", 1)]


def test_the_journal_is_compressed_too(home):
    append_line(home.deliveries, b"{}")
    with open_journal(home) as journal:
        rotate_stream(journal)
    assert told(archive(home, "compress")) == [("compressed", "deliveries", 1)]


def test_old_parts_of_the_journal_go_when_a_snapshot_makes_up_for_them(home, monkeypatch):
    with open_journal(home) as journal:
        for _ in range(3):
            append_line(home.deliveries, b"{}")
            rotate_stream(journal)
    assert archive(home, "cleanup", days=91) == []
    monkeypatch.setattr(archiving, "spare_segments", lambda _: [1, 2, 3])
    assert archive(home, "cleanup", days=89) == []
    assert told(archive(home, "cleanup", days=91)) == [
        ("deleted", "deliveries", 1),
        ("deleted", "deliveries", 2),
    ]


def test_what_is_old_is_deleted_but_for_the_newest(home):
    for _ in range(3):
        close(home)
    steps = archive(home, days=91)
    assert told(steps) == [("deleted", "a", 1), ("deleted", "a", 2), ("compressed", "a", 3)]
    assert steps[0].freed == steps[0].bytes > 0
    assert archive(home, days=91) == []


def test_what_was_done_with_the_events_is_on_disk_before_they_are_deleted(home, monkeypatch):
    close(home)
    close(home)
    for path in (home.deliveries, home.dead_letters):
        path.write_bytes(b"")
    calls = []
    fdatasync, unlink = os.fdatasync, os.unlink

    def synced(fd):
        calls.append(os.readlink(f"/proc/self/fd/{fd}"))
        fdatasync(fd)

    def unlinked(path, **more):
        calls.append(os.fspath(path))
        unlink(path, **more)

    monkeypatch.setattr(os, "fdatasync", synced)
    monkeypatch.setattr(os, "unlink", unlinked)
    archive(home, "cleanup", days=91)
    wanted = [home.deliveries, home.dead_letters, home.segments / "a-events.00000001.jsonl"]
    assert [each for each in calls if each in set(map(str, wanted))] == list(map(str, wanted))


def test_never_is_never(home):
    close(home)
    close(home)
    assert archive(home, "cleanup", days=4000, delete_after="never") == []


def test_a_segment_that_a_handler_needs_stays_and_it_is_said_who_and_why(home):
    first = Log(home).append("a.b", source="test")
    for _ in range(3):
        close(home)
    handler(home, "on-a-b.sh")
    (held,) = archive(home, "cleanup", days=91)
    assert told([held]) == [("held", "a", 1)]
    assert (held.last, held.handler, held.since) == (2, "on-a-b.sh", first.time)
    assert (held.why, held.next) == ("it will start there", "hookline dispatch --once")
    assert len(names(home.segments)) == 3


def test_what_is_asked_for_again_while_another_domain_is_deleted_stays(home, monkeypatch):
    handler(home, "on-b-c.sh")
    for type in ("a.b", "b.c"):
        for _ in range(2):
            emit(home, type)
            rotate(home, type[0])
    cursor = Entry(action="cursor", time=NOW, handler="on-b-c.sh", domain="b", segment=3, offset=0)
    write_entry(home, cursor)
    remove = archiving.remove_segment

    def removed(stream, ordinal, **more):
        if stream.segments.stem.startswith("a"):
            ask = Entry(
                action="replay", time=NOW, handler="on-b-c.sh", domain="b", segment=1, offset=0,
                event="x", source="s", type="b.c", replay="again",
            )  # fmt: skip
            write_entry(home, ask)
        return remove(stream, ordinal, **more)

    monkeypatch.setattr(archiving, "remove_segment", removed)
    steps = archive(home, "cleanup", days=91)
    assert told(steps) == [("deleted", "a", 1), ("held", "b", 1)]


def replaying(home, name="weekly", **more):
    """A replay of the domain `a` that was begun."""
    replay = Replay(name=name, handler="on-a-b.sh", until=LATER, types=("a.b",), **more)
    return replays.begin(home, replay, SystemClock())


def ask_for(home, begun, count):
    """So many of its events are asked for, and delivered."""
    events = islice(replays.chosen(home, begun, pytest.fail), count)
    replays.ask(home, begun, events, Pace(None, None, 0.0), SystemClock())
    done = {"action": "attempt", "verdict": "done", "then": "settled", "attempt": 1}
    for entry in map(decode, home.deliveries.read_bytes().splitlines()):
        if entry.action == "replay":
            write_entry(home, msgspec.structs.replace(entry, **done))


def test_what_a_named_replay_has_still_to_ask_for_stays_until_it_is_over(home):
    handler(home, "on-a-b.sh", "# from: now")
    for _ in range(4):
        close(home)
    ask_for(home, replaying(home), 1)
    for dry_run in (True, False):
        deleted, held = archive(home, "cleanup", days=91, dry_run=dry_run)
        assert told([deleted, held]) == [("deleted", "a", 1), ("held", "a", 2)]
        assert (held.last, held.handler, held.replay) == (3, "on-a-b.sh", "weekly")
        assert (held.why, held.next) == (
            "the replay weekly is not over",
            "hookline replay --resume weekly (or --end weekly)",
        )
    ask_for(home, replays.find(home, "weekly"), 1)
    assert told(archive(home, "cleanup", days=91)) == [("deleted", "a", 2), ("held", "a", 3)]
    replays.finish(home, replays.find(home, "weekly").replay, SystemClock())
    assert told(archive(home, "cleanup", days=91)) == [("deleted", "a", 3)]


def test_a_replay_holds_only_what_it_is_of(home):
    handler(home, "on-a-b.sh", "# from: now")
    emit(home, id="wanted")
    for _ in range(2):
        close(home)
    begun = replaying(home, ids=("wanted",))
    assert told(archive(home, "cleanup", days=91)) == [("held", "a", 1)]
    # As an older version left it: all of it was asked for, and nothing says that it is over.
    ask_for(home, begun, 1)
    assert told(archive(home, "cleanup", days=91)) == [("deleted", "a", 1)]


def test_a_replay_to_a_handler_that_is_gone_holds_nothing(home):
    for _ in range(2):
        close(home)
    replaying(home)
    (deleted,) = archive(home, "cleanup", days=91)
    assert deleted.why == "on-a-b.sh: listens no more to what is in it"


def test_a_replay_that_is_begun_while_another_domain_is_deleted_counts(home, monkeypatch):
    handler(home, "on-b-c.sh", "# from: now")
    for type in ("a.b", "b.c"):
        for _ in range(2):
            emit(home, type)
            rotate(home, type[0])
    remove = archiving.remove_segment

    def removed(stream, ordinal, **more):
        replay = Replay(name="new", handler="on-b-c.sh", until=LATER, types=("b.c",))
        replays.begin(home, replay, SystemClock())
        return remove(stream, ordinal, **more)

    monkeypatch.setattr(archiving, "remove_segment", removed)
    assert told(archive(home, "cleanup", days=91)) == [("deleted", "a", 1), ("held", "b", 1)]


def test_the_part_of_the_journal_where_a_replay_begins_stays_until_it_is_over(home, monkeypatch):
    monkeypatch.setattr(archiving, "spare_segments", lambda _: [1, 2])
    handler(home, "on-a-b.sh", "# from: now")
    begun = replaying(home)
    with open_journal(home) as journal:
        rotate_stream(journal)
        for _ in range(2):
            append_line(home.deliveries, b"{}")
            rotate_stream(journal)
    (held,) = archive(home, "cleanup", days=91)
    assert (told([held]), held.replay) == ([("held", "deliveries", 1)], "weekly")
    replays.finish(home, begun.replay, SystemClock())
    assert told(archive(home, "cleanup", days=91)) == [
        ("deleted", "deliveries", 1),
        ("deleted", "deliveries", 2),
    ]


def test_a_line_of_the_journal_that_is_no_replay_holds_up_nothing(home):
    handler(home, "on-a-b.sh", "# from: now")
    for _ in range(2):
        close(home)
    for query in ({}, {"until": "soon", "types": ["a.b"]}, {"until": LATER, "types": ["A"]}):
        entry = Entry(action="replaying", time=NOW, handler="on-a-b.sh", replay="x", query=query)
        write_entry(home, entry)
    assert told(archive(home, "cleanup", days=91)) == [("deleted", "a", 1)]


def test_for_a_paused_handler_it_says_how_to_resume_it(home):
    close(home)
    close(home)
    handler(home, "on-a-b.sh")
    set_paused(home, "on-a-b.sh", "pause", "holiday")
    (held,) = archive(home, "cleanup", days=91)
    assert (held.why, held.next) == (
        "it is paused: holiday",
        "hookline handlers resume on-a-b.sh",
    )


def test_an_index_that_cannot_be_read_lets_nothing_be_deleted_but_all_else_goes_on(home):
    close(home)
    close(home)
    emit(home)
    with contextlib.closing(apsw.Connection(str(home.state / STATE_FILE))) as index:
        index.pragma("user_version", 999)
    steps = archive(home, days=91)
    failed = [step for step in steps if step.action == "failed"]
    assert failed
    assert "version 999" in failed[0].why
    assert failed[0].exit == os.EX_CONFIG
    assert [each for each in told(steps) if each[0] != "failed"] == [
        ("rotated", "a", 3),
        *[("compressed", "a", ordinal) for ordinal in (1, 2, 3)],
    ]


def test_a_segment_that_somebody_has_open_is_left_and_its_holder_named(home):
    emit(home)
    with home.live("a").open("ab"):
        rotate(home, "a")
        emit(home)
        (busy,) = archive(home, "compress")
        assert told([busy]) == [("busy", "a", 1)]
        assert f"open for writing by process {os.getpid()} (" in busy.why
        close(home)
        assert told(archive(home, "cleanup", days=91)) == [("busy", "a", 1)]
    assert told(archive(home, "cleanup", days=91)) == [("deleted", "a", 1)]


def test_a_segment_that_does_not_unpack_is_told_and_holds_up_no_other(home, monkeypatch):
    close(home)
    emit(home, "c.d")
    rotate(home, "c")
    compare = packing._compare

    def broken(source, target, packed):
        if "a-events" in packed:
            raise BadData("not the same")
        compare(source, target, packed)

    monkeypatch.setattr(packing, "_compare", broken)
    steps = archive(home, "compress")
    assert told(steps) == [("failed", "a", 0), ("compressed", "c", 1)]
    assert steps[0].exit == os.EX_DATAERR
    assert names(home.segments) == ["a-events.00000001.jsonl", "c-events.00000001.jsonl.zst"]


def test_payloads_go_with_the_last_line_that_refers_to_them(home):
    gone, twice, kept = (emit(home, data=BIG) for _ in range(3))
    rotate(home, "a")
    fields = {"id": twice, "source": "test", "type": "c.d", "time": rfc3339(HandClock().now())}
    append_event(home.root, {**fields, "data": (home.data / f"{twice}.json").read_bytes()})
    lines = (home.segments / "a-events.00000001.jsonl").read_bytes().splitlines()
    append_line(home.dead_letters, letter_of(next(each for each in lines if kept.encode() in each)))
    close(home)
    assert told(archive(home, "cleanup", days=91)) == [("deleted", "a", 1), ("deleted", "", 0)]
    assert names(home.data) == sorted([f"{twice}.json", f"{kept}.json"])
    assert f"{gone}.json" not in names(home.data)


def letter_of(line):
    letter = DeadLetter(
        letter="on-a-b.sh:x",
        time=rfc3339(HandClock().now()),
        handler="on-a-b.sh",
        domain="a",
        attempts=1,
        verdict="failed",
        event=msgspec.Raw(line),
    )
    return msgspec.json.encode(letter)


def test_a_log_that_cannot_be_read_keeps_all_payloads(home):
    emit(home, data=BIG)
    close(home)
    home.live("c").mkdir()
    steps = archive(home, "cleanup", days=91)
    assert [step.action for step in steps] == ["failed"]
    assert len(names(home.data)) == 1


def test_rejected_files_and_litter_go_when_they_are_old(home):
    for folder, name in (
        (home.rejected, "a.json"),
        (home.segments, ".a-events.00000001.jsonl.zst.tmp"),
    ):
        (folder / name).write_text("x")
    assert archive(home) == []
    steps = archive(home, days=91)
    assert [(step.what, step.files, step.freed) for step in steps] == [
        ("rejected file", 1, 1),
        ("temporary file", 1, 1),
    ]
    assert names(home.rejected) == names(home.segments) == []


def test_identities_are_forgotten_when_nothing_as_old_is_held(home):
    runs = home.state / "identities"
    runs.mkdir()
    for number in (1, 2):
        (runs / f"0000000{number}.run").write_text("x")
    close(home)
    close(home)
    handler(home, "on-a-b.sh")
    archive(home, "cleanup", days=91)
    assert len(names(runs)) == 2
    (home.handlers / "on-a-b.sh").unlink()
    archive(home, "cleanup", days=91)
    assert names(runs) == ["00000002.run"]


def test_what_a_program_has_printed_starts_again_when_it_is_long(home):
    logs = home.coordination / "logs"
    logs.mkdir()
    with (logs / "load.log").open("ab", buffering=0) as program:
        program.write(b"x" * 2000)
        (step,) = archive(home, "cleanup", rotate_size="1KiB")
        program.write(b"more")
    assert (step.action, step.what) == ("rotated", "logs/load.log")
    assert (logs / "load.log").read_bytes() == b"more"
    assert (logs / "load.log.1").stat().st_size == 2000


def test_a_dry_run_says_the_same_and_changes_nothing(home):
    close(home)
    close(home)
    emit(home)
    (home.rejected / "a.json").write_text("x")
    before = tree(home)
    planned = archive(home, days=91, dry_run=True)
    assert tree(home) == before
    done = archive(home, days=91)
    assert told(planned) == [
        ("deleted", "a", 1),
        ("rotated", "a", 3),
        ("compressed", "a", 1),
        ("compressed", "a", 2),
        ("deleted", "", 0),
    ]
    assert {each for each in told(done) if each != ("compressed", "a", 3)} <= set(told(planned))


def test_one_archiver_at_a_time(home):
    close(home)
    clock = HandClock()
    clock.advance(60)
    first = Archive(home, ArchiveConfig(), clock).run()
    next(first)
    with pytest.raises(TryAgain, match="another archiver"):
        archive(home)
    first.close()
    assert archive(home) == []


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('rotate_size = "10"', "rotate_size: size '10' is not like"),
        ('rotate_age = "1 day"', "rotate_age: duration '1 day' is not like"),
        ('compress_after = ""', "compress_after: duration '' is not like"),
        ('delete_after = "always"', "delete_after: duration 'always' is not like"),
        ("delete_after = 90", "Expected `str`, got `int`"),
        ('keep = "1d"', "unknown field `keep`"),
    ],
)
def test_a_policy_that_cannot_be_is_refused_by_name(home, line, complaint):
    (home.config / "hookline.toml").write_text(f"[archive]\n{line}\n")
    with pytest.raises(BadConfig, match=r"hookline\.toml: .*archive") as refused:
        load_config(home)
    assert complaint in str(refused.value)
