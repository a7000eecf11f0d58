"""Each kind of damage is found at its place, and nothing is found where there is none."""

import os

import pytest

from hookline.log import verify as module
from hookline.log.append import append_line_to_log
from hookline.log.rotate import rotate, seal
from hookline.log.verify import LogCheck, Tally
from hookline.model import envelope
from hookline.model.clock import SystemClock

CLOCK = SystemClock()
TIME = "2026-11-21T01:00:00.000000Z"


def line(id="e1", **more):
    return envelope.line(
        **{"id": id, "source": "s", "type": "a.b", "time": TIME, "data": b"1", **more}
    )


def write(home, *texts):
    with home.live("a").open("ab") as log:
        for text in texts:
            log.write(text)


def check(home, twin=lambda *_: False, **more):
    tally = Tally()
    findings = list(LogCheck(home, "a", twin, tally, CLOCK, **more).findings())
    assert all(each.next for each in findings if each.level == "wrong"), "and what now?"
    return findings, tally


def found(home, **more):
    return [(each.level, each.check, each.segment, each.offset, each.length)
            for each in check(home, **more)[0]]  # fmt: skip


def test_a_good_log_gives_no_finding_and_is_counted(home):
    for n in range(3):
        append_line_to_log(home.root, "a", line(f"e{n}"))
    findings, tally = check(home)
    assert findings == []
    assert (tally.lines, tally.events, tally.bytes) == (3, 3, home.live("a").stat().st_size)


def test_a_torn_line_is_found_with_its_place(home):
    good = line() + b"\n"
    write(home, good, b'{"specversion":"1.0","id":"x","sou\n', good)
    assert found(home) == [("wrong", "torn", 1, len(good), 35)]


@pytest.mark.parametrize("kind", ["torn", "too-long"])
def test_what_was_set_aside_is_a_note_as_long_as_its_file_is_there(home, kind):
    piece = b'{"specversion":"1.0","id":"x","data":"'
    write(home, piece + b"x" * (10 if kind == "torn" else 300_000) + b"\n")
    (finding,), _ = check(home)
    assert (finding.level, finding.check) == ("wrong", kind)
    assert finding.next == "hookline dispatch --once"
    aside = home.rejected / "a-events.00000001.0.json"
    aside.write_text("{}\n")
    (noted,), _ = check(home)
    assert (noted.level, noted.check, noted.offset) == ("note", kind, 0)
    assert (noted.means, noted.next) == (f"set aside in {aside.name}", f"jq . {aside}")
    aside.unlink()
    assert check(home)[0] == [finding]


def test_a_torn_line_that_no_handler_gets_to_is_quieted_by_the_file_that_is_named(home):
    write(home, b'{"specversion":"1.0","id":"x","sou\n')
    aside = home.rejected / "a-events.00000001.0.json"
    (awaited,) = check(home)[0]
    assert (str(aside) in awaited.means, awaited.next) == (True, "hookline dispatch --once")
    (passed,) = check(home, awaited=lambda _: False)[0]
    assert passed.next == f"touch {aside} says that you have seen it"
    aside.touch()
    (seen,) = check(home, awaited=lambda _: False)[0]
    assert (seen.level, seen.next) == ("note", ""), "there is nothing in it to be looked at"
    assert seen.means == f"seen by somebody, says {aside.name}"


@pytest.mark.parametrize("lies", ["a file", "a link to itself"])
def test_a_mark_that_cannot_be_looked_at_is_none(home, lies):
    home.rejected.rmdir()
    if lies == "a file":
        home.rejected.touch()
    else:
        home.rejected.symlink_to(home.rejected.name)
    one = line("e1") + b"\n"
    write(home, b"\0" * 8, one, b"torn\n", one)
    for awaited in (True, False):
        judged = found(home, awaited=lambda _: awaited)  # noqa: B023  # called at once
        assert [each[:2] for each in judged] == [("wrong", "nuls"), ("wrong", "torn")]


def test_a_line_glued_behind_another_is_noted_and_read(home):
    one, two = line("e1"), line("e2")
    write(home, one, two, b"\n")
    findings, tally = check(home)
    assert [(each.level, each.check, each.offset) for each in findings] == [
        ("note", "glued", len(one))
    ]
    assert tally.events == 2


def test_nuls_are_found(home):
    one = line("e1") + b"\n"
    write(home, one, b"\0" * 100, line("e2") + b"\n")
    assert found(home) == [("wrong", "nuls", 1, len(one), 100)]
    aside = home.rejected / f"a-events.00000001.{len(one)}.json"
    assert check(home)[0][0].next == f"touch {aside} says that you have seen it"
    aside.touch()
    assert found(home) == [("note", "nuls", 1, len(one), 100)]


def test_a_line_over_the_limit_is_found(home):
    write(home, b'{"specversion":"1.0","id":"x","data":"' + b"x" * 300_000 + b'"}\n')
    ((level, kind, *_, length),) = found(home)
    assert (level, kind) == ("wrong", "too-long")
    assert length > 300_000


def test_an_old_line_and_a_second_identity_are_notes(home):
    write(home, b'{"old":1}\n', line("e1") + b"\n", line("e1") + b"\n")
    seen = set()

    def twin(_, __, source, id):
        return (source, id) in seen or seen.add((source, id)) is not None

    assert [(level, kind) for level, kind, *_ in found(home, twin=twin)] == [
        ("note", "legacy"), ("note", "twin"),
    ]  # fmt: skip


def test_a_type_of_another_domain_is_found(home):
    write(home, line(type="b.c") + b"\n")
    assert [each[:2] for each in found(home)] == [("wrong", "domain")]


def test_times_that_cannot_be_are_notes(home):
    write(home, line("e1", time="2099-01-01T00:00:00.000000Z") + b"\n", line("e2") + b"\n",
          line("e3", time="2020-01-01T00:00:00.000000Z") + b"\n", line("e4") + b"\n")  # fmt: skip
    findings, _ = check(home)
    assert [(each.check, each.level) for each in findings] == [("time", "note")] * 2
    assert "to come" in findings[0].found
    assert "long before" in findings[1].found


def test_a_payload_that_is_missing_is_found(home):
    append_line_to_log(home.root, "a", line("e1", data=None, dataref="data/e1.json"))
    assert [each[:2] for each in found(home)] == [("wrong", "dataref")]
    (home.data / "e1.json").write_text("1")
    assert found(home) == []


def test_a_tail_is_only_a_note(home):
    good = line() + b"\n"
    write(home, good, b'{"specver')
    assert found(home) == [("note", "tail", 1, len(good), 0)]


def closed(home, count):
    for n in range(count):
        append_line_to_log(home.root, "a", line(f"e{n}"))
        rotate(home, "a")


def test_a_segment_that_is_missing_between_others_is_found(home):
    closed(home, 3)
    (home.segments / "a-events.00000002.jsonl").unlink()
    assert [each[:3] for each in found(home)] == [("wrong", "gap", 2)]


def test_segments_that_are_missing_one_behind_the_other_are_one_finding(home):
    closed(home, 1)
    (home.segments / "a-events.99999999.jsonl").touch()
    (gap,) = [each for each in check(home)[0] if each.check == "gap"]
    assert (gap.segment, gap.found) == (
        2,
        "the segments up to 99999998 are missing between others",
    )


def packed(home):
    closed(home, 1)
    while not seal(home, "a"):
        pass  # for the tenth of a second in which somebody may just be opening it
    return home.segments / "a-events.00000001.jsonl.zst"


@pytest.mark.parametrize("how", ["flipped", "cut"])
def test_a_damaged_compressed_segment_is_found_and_the_rest_is_looked_at(home, how):
    path = packed(home)
    append_line_to_log(home.root, "a", line("later"))
    whole = bytearray(path.read_bytes())
    if how == "cut":
        del whole[-6:]
    else:
        whole[len(whole) // 2] ^= 0xFF
    path.write_bytes(whole)
    findings, tally = check(home)
    assert [(each.level, each.check, each.segment) for each in findings][-1] == (
        "wrong", "damaged", 1,
    )  # fmt: skip
    assert tally.events >= 1


def test_a_segment_that_is_there_twice_is_a_note(home):
    path = packed(home)
    plain = path.with_suffix("")
    plain.write_bytes(line("e0") + b"\n")
    assert [each[:3] for each in found(home)] == [("note", "both", 1)]


@pytest.mark.parametrize("what", ["link", "fifo", "folder", "hard link", "mode"])
@pytest.mark.parametrize("where", ["live", "segment"])
def test_what_lies_in_a_logs_place_and_is_none_is_found(home, what, where):
    append_line_to_log(home.root, "a", line())
    path = home.live("a")
    if where == "segment":
        rotate(home, "a")
        path = home.segments / "a-events.00000001.jsonl"
        append_line_to_log(home.root, "a", line("behind"))
    elsewhere = home.root / "elsewhere"
    if what == "mode":
        path.chmod(0o666)
    elif what == "hard link":
        elsewhere.hardlink_to(path)
    else:
        path.rename(elsewhere)
        {"link": lambda: path.symlink_to(elsewhere), "fifo": lambda: os.mkfifo(path),
         "folder": path.mkdir}[what]()  # fmt: skip
    findings, tally = check(home)
    assert [(each.level, each.check) for each in findings] == [
        ("wrong", "mode" if what == "mode" else "file")
    ]
    assert tally.events == (where == "segment") + (what in ("mode", "hard link"))
    advice = {"folder": f"mv {path} {path}.aside", "link": f"rm {path}", "fifo": f"rm {path}"}
    assert findings[0].next == advice.get(what, findings[0].next)


def test_a_closed_segment_that_somebody_has_open_is_a_note(home, monkeypatch):
    monkeypatch.setattr(module, "_SEAL_WAIT_S", 0.11)
    append_line_to_log(home.root, "a", line())
    with home.live("a").open("ab"):
        rotate(home, "a")
        append_line_to_log(home.root, "a", line("behind"))
        findings, tally = check(home)
    assert [(each.level, each.check) for each in findings] == [("note", "open")]
    assert str(os.getpid()) in findings[0].found
    assert tally.events == 2
