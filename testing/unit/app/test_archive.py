"""One run of the archiver over a home."""

import contextlib
import os
from datetime import UTC, datetime

import apsw
import msgspec
import pytest

from hookline.app import archive as archiving
from hookline.app.archive import Archive
from hookline.app.config import ArchiveConfig, load_config
from hookline.app.pausing import set_paused
from hookline.dispatch.asks import write_some
from hookline.dispatch.dead_letter import DeadLetter
from hookline.dispatch.journal import STATE_FILE, open_journal
from hookline.dispatch.ledger import Entry
from hookline.dispatch.letters import damaged_places
from hookline.log import packing
from hookline.log.append import append_event
from hookline.log.files import append_line
from hookline.log.log import Log
from hookline.log.rotate import rotate, rotate_stream
from hookline.model.clock import rfc3339
from hookline.model.errors import BadConfig, BadData, TryAgain
from testing.unit.app.archives import NOW, archive, close, emit, handler, told
from testing.unit.log.clocks import HandClock

BIG = {"text": "x" * 300_000}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def tree(home):
    return {
        path.relative_to(home.root): path.read_bytes() if path.is_file() else None
        for path in home.coordination.rglob("*")
    }


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
    write_some(home, [cursor])
    remove = archiving.remove_segment

    def removed(stream, ordinal, **more):
        if stream.segments.stem.startswith("a"):
            ask = Entry(
                action="replay", time=NOW, handler="on-b-c.sh", domain="b", segment=1, offset=0,
                event="x", source="s", type="b.c", replay="again",
            )  # fmt: skip
            write_some(home, [ask])
        return remove(stream, ordinal, **more)

    monkeypatch.setattr(archiving, "remove_segment", removed)
    steps = archive(home, "cleanup", days=91)
    assert told(steps) == [("deleted", "a", 1), ("held", "b", 1)]


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


def test_without_its_journal_nothing_is_deleted(bench):
    home = bench.home
    close(home)
    close(home)
    bench.shell("on-a-b.sh", "true", "# from: beginning")
    bench.drain()
    kept = home.deliveries.rename(home.root / "kept")
    (failed,) = archive(home, "cleanup", days=91)
    assert (failed.action, failed.exit) == ("failed", os.EX_CONFIG)
    assert "is missing" in failed.why
    kept.rename(home.deliveries)
    assert told(archive(home, "cleanup", days=91))[0] == ("deleted", "a", 1)


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


def test_what_is_said_of_damage_stays_as_long_as_the_segment_that_has_it(home):
    for _ in range(2):
        close(home)
    home.dead_letters.write_bytes(b"torn\n")
    stay = ["a-events.00000002.7.json", "a-events.00000003.0.json", "dead-letters.00000001.0.json",
            "deliveries.00000001.0.json"]  # fmt: skip
    go = ["a-events.00000001.0.json", "a-events.00000004.0.json", "b-events.00000001.0.json"]
    for name in stay + go:
        (home.rejected / name).touch()
    archive(home, days=91)
    assert names(home.rejected) == stay
    assert list(damaged_places(home)) == []


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
