"""`verify`, `rebuild` and `doctor` as a person in trouble calls them."""

import json
import os
from pathlib import Path

import pytest

from hookline.app import condition
from hookline.cli.main import main
from hookline.dispatch.journal import STATE_FILE
from hookline.dispatch.lock import Lock
from hookline.log.rotate import rotate
from hookline.model.errors import HooklineError
from testing.unit.bench import OBEY


@pytest.fixture(name="used")
def make_used(bench, monkeypatch, capsys):
    """A home in which an event was done and one was given up."""
    monkeypatch.setenv("HOOKLINE_HOME", str(bench.home.root))
    bench.shell("on-a-b.sh", OBEY)
    for folder in (bench.home.rejected, bench.home.data):
        folder.mkdir()
    bench.emit("a.b", 0)
    bench.emit("a.b", 65)
    bench.drain()
    capsys.readouterr()
    return bench


def objects(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def verify(capsys, *arguments):
    """The exit status, the findings and the sum."""
    status = main(["verify", "--json", *arguments])
    *findings, total = objects(capsys)
    assert all(each["next"] for each in findings if each["level"] == "wrong"), "and what now?"
    return status, findings, total


@pytest.mark.usefixtures("used")
def test_a_home_without_damage_is_verified(capsys):
    status, findings, total = verify(capsys)
    assert (status, findings) == (0, [])
    assert (total["events"], total["wrong"], total["notes"]) == (2, 0, 0)
    assert total["lines"] > 4
    assert main(["verify"]) == 0
    assert capsys.readouterr().out.startswith("nothing is wrong, 0 notes: ")


def test_damage_is_said_with_its_place_and_ends_with_65(used, capsys):
    with used.home.live("a").open("ab") as log:
        at = log.tell()
        log.write(b"{torn\n")
    assert main(["verify"]) == os.EX_DATAERR
    out = capsys.readouterr().out
    assert out.startswith(f"wrong  a 00000001:{at} (6 bytes)  ")
    assert out.splitlines()[-1].startswith("1 wrong, 0 notes: ")


def test_what_a_dispatcher_has_set_aside_is_no_alarm_any_more(used, capsys):
    with used.home.live("a").open("ab") as log:
        log.write(b"{torn\n")
    assert verify(capsys)[0] == os.EX_DATAERR
    used.drain()
    status, findings, total = verify(capsys)
    assert (status, [each["check"] for each in findings]) == (0, ["torn"])
    assert (total["wrong"], total["notes"]) == (0, 1)


def test_only_the_logs_that_were_named_are_looked_at(used, capsys):
    used.emit("b.c", 0)
    with used.home.live("a").open("ab") as log:
        log.write(b"{torn\n")
    assert verify(capsys, "b")[2]["lines"] == 1
    assert verify(capsys, "b.*")[0] == 0
    assert verify(capsys, "a.b", "b")[0] == os.EX_DATAERR
    assert main(["verify", "c"]) == os.EX_USAGE
    assert "a, b" in capsys.readouterr().err


def test_a_second_identity_of_a_domain_is_a_note(used, capsys):
    used.emit("a.b", 0, id="one")
    used.emit("a.c", 0, id="one")
    used.emit("b.c", 0, id="one")
    status, findings, _ = verify(capsys)
    assert status == 0
    assert [(each["check"], each["log"]) for each in findings] == [("twin", "a")]


def test_the_journal_is_looked_at_too(used, capsys):
    with used.home.deliveries.open("ab") as journal:
        journal.write(b'{"action":"attempt","ti\n{"action":"of a later version"}\n')
    status, findings, _ = verify(capsys)
    assert status == os.EX_DATAERR
    assert [(each["level"], each["check"], each["log"]) for each in findings] == [
        ("wrong", "entry", "deliveries"), ("note", "entry", "deliveries"),
    ]  # fmt: skip


def test_an_event_that_is_not_where_it_was_handled_is_found(used, capsys):
    lines = used.home.live("a").read_bytes().splitlines(keepends=True)
    used.home.live("a").write_bytes(lines[0])
    status, findings, _ = verify(capsys)
    assert status == os.EX_DATAERR
    checks = [each["check"] for each in findings]
    assert checks == ["entry", "cursor"]
    assert "past the log's end" in findings[1]["found"]
    assert findings[1]["next"] == "hookline dispatch --once"


def test_many_events_that_are_gone_are_one_line_until_somebody_has_seen_it(used, capsys):
    def lose():
        used.home.live("a").write_bytes(
            used.home.live("a").read_bytes().replace(b'"id":"', b'"id":"x')
        )
        return [each for each in verify(capsys)[1] if each["check"] == "entry"]

    for _ in range(3):
        used.emit("a.b", 0)
    used.drain()
    (finding,) = lose()
    assert (finding["level"], finding["log"], finding["offset"]) == ("wrong", "a", 0)
    assert ": 5, the first of " in finding["found"]
    touch, path, *_ = finding["next"].split()
    assert touch == "touch"
    Path(path).touch()
    (finding,) = lose()
    assert finding["level"] == "note"
    used.drain()
    (finding,) = lose()
    assert finding["level"] == "wrong", "it was lost since then"


def test_damage_behind_all_cursors_is_quieted_by_the_file_that_is_named(used, capsys):
    log = used.home.live("a")
    log.write_bytes(log.read_bytes().replace(b'"type":', b'"typX":', 1))
    used.drain()
    status, (torn, gone), _ = verify(capsys)
    assert (status, torn["check"], gone["check"]) == (os.EX_DATAERR, "torn", "entry")
    touch, path, *_ = torn["next"].split()
    assert touch == "touch"
    Path(path).touch()
    assert verify(capsys)[0] == 0


@pytest.mark.parametrize(
    ("since", "is_awaited"), [("beginning", True), ("now", False), ("install", False)]
)
def test_damage_that_a_handler_which_never_ran_is_still_to_get_to_is_not_for_touch(
    used, capsys, since, is_awaited
):
    with used.home.live("a").open("ab") as log:
        log.write(b"{torn\n")
    (used.home.handlers / "on-a-b.sh").unlink()
    used.shell("on-a-c.sh", "exit 0", f"# from: {since}")
    (torn,) = verify(capsys)[1]
    assert torn["next"].startswith("hookline dispatch --once" if is_awaited else "touch ")
    used.drain()
    assert [each["level"] for each in verify(capsys)[1]] == ["note"]


def test_damage_in_a_log_that_no_handler_asks_for_any_more_is_awaited_by_nobody(used, capsys):
    with used.home.live("a").open("ab") as log:
        log.write(b"{torn\n")
    used.shell("on-a-b.sh", "exit 0", "# on: other.thing")
    for _ in range(2):
        (torn,) = verify(capsys)[1]
        assert torn["next"].startswith("touch ")
        used.drain()


def test_a_dead_letter_that_is_torn_is_found(used, capsys):
    with used.home.dead_letters.open("ab") as letters:
        letters.write(b'{"letter":"on-a\n')
    status, findings, _ = verify(capsys)
    assert (status, [each["log"] for each in findings]) == (os.EX_DATAERR, ["dead-letters"])


@pytest.mark.parametrize("log", ["deliveries", "dead-letters"])
@pytest.mark.parametrize("damage", [b"{torn\n", b"\0" * 30 + b"\n"])
def test_damage_of_the_journal_and_of_the_letters_is_quieted_too(used, capsys, log, damage):
    with (used.home.coordination / f"{log}.jsonl").open("ab") as file:
        file.write(damage)
    status, (finding,), _ = verify(capsys)
    assert (status, finding["log"]) == (os.EX_DATAERR, log)
    touch, path, *_ = finding["next"].split()
    assert touch == "touch"
    Path(path).touch()
    assert verify(capsys)[0] == 0


def missing(capsys):
    """The findings of letters that the journal tells of and that are not there."""
    return [each for each in verify(capsys)[1] if each["check"] == "missing"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda line: b"\0" * (len(line) - 1) + b"\n",
        lambda line: line[: len(line) // 2] + b"\n",
        lambda line: line.replace(b'"source":"', b'"source":"\xff', 1),
        lambda line: line.replace(b'"data":', b'"data":"\xff",', 1),
    ],
    ids=["gone", "nuls", "torn", "identity", "data"],
)
def test_a_letter_that_is_lost_is_found_until_its_event_is_asked_for(used, capsys, damage):
    id = used.letters()[0]["event"]["id"]
    used.home.dead_letters.write_bytes(damage(used.home.dead_letters.read_bytes()))
    (finding,) = missing(capsys)
    command, _, _ = finding["next"].partition(";")
    assert command == f"hookline replay --to on-a-b.sh --id {id}"
    assert main(command.split()[1:]) == 0
    capsys.readouterr()
    assert missing(capsys) == []
    used.drain()
    assert missing(capsys) == [], "the new letter is there"
    used.home.dead_letters.write_bytes(b"")
    assert len(missing(capsys)) == 1


def test_letters_that_are_decided_or_old_are_not_missed(used, capsys):
    assert main(["dead-letters", "drop", "--all"]) == 0
    capsys.readouterr()
    used.home.dead_letters.unlink()
    assert missing(capsys) == []
    used.emit("a.b", 65)
    used.drain()
    used.home.dead_letters.unlink()
    assert len(missing(capsys)) == 1
    config = used.home.coordination / "config"
    config.mkdir()
    config.joinpath("hookline.toml").write_text('[dead_letters]\nkeep = "1ms"\n')
    assert missing(capsys) == []


@pytest.mark.parametrize("action", [["list", "--each"], ["show"], ["replay", "--all"]])
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_damaged_letter_is_passed_over_and_named(used, capsys, action, form):
    for _ in range(2):
        used.emit("a.b", 65)
        used.drain()
    first, second, third = used.home.dead_letters.read_bytes().splitlines(keepends=True)
    bad_byte = second.replace(b'"source":"', b'"source":"\xff')
    nuls = b"\0" * (len(third) - 1) + b"\n"
    used.home.dead_letters.write_bytes(b"".join([first, bad_byte, nuls]))
    assert main(["dead-letters", *action, *form]) == os.EX_DATAERR
    told = capsys.readouterr()
    assert (json.loads(first)["letter"] in told.out) == (action[0] != "replay")
    assert json.loads(second)["letter"] not in told.out
    assert (
        f"2 damaged places of {used.home.dead_letters}, the first at 00000001:{len(first)}: "
        "hookline verify" in told.err
    )


@pytest.mark.parametrize("action", [["list"], ["show"], ["replay", "--all"], ["drop", "--all"]])
def test_damage_of_the_letters_that_somebody_has_seen_is_passed_over_quietly(used, capsys, action):
    with used.home.dead_letters.open("ab") as letters:
        letters.write(b"{torn\n" + b"\0" * 30 + b"\n")
    first, second = [each["next"].split()[1] for each in verify(capsys)[1]]
    Path(first).touch()
    assert main(["dead-letters", *action, "--json"]) == os.EX_DATAERR
    assert f"1 damaged place of {used.home.dead_letters}" in capsys.readouterr().err
    used.emit("a.b", 65)
    used.drain()
    Path(second).touch()
    assert main(["dead-letters", *action, "--json"]) == 0
    assert "damaged" not in capsys.readouterr().err


def test_many_lost_letters_of_a_handler_are_one_line(used, capsys):
    for _ in range(11):
        used.emit("a.b", 65)
    used.drain()
    used.home.dead_letters.unlink()
    (finding,) = missing(capsys)
    assert finding["found"].endswith(": 12")
    assert finding["next"].count("--id") == 10
    assert ", then hookline verify names more; or touch " in finding["next"]
    Path(finding["next"].partition(" touch ")[2].split()[0]).touch()
    assert missing(capsys) == []
    used.emit("a.b", 65)
    used.drain()
    used.home.dead_letters.unlink()
    assert missing(capsys)[0]["found"].endswith(": 1")


def test_verify_changes_nothing(used, capsys):
    def everything():
        return {
            path: (path.read_bytes(), path.stat().st_mtime_ns)
            for path in used.home.root.rglob("*")
            if path.is_file() and not path.name.endswith(("-shm", "-wal"))
        }

    with used.home.live("a").open("ab") as log:
        log.write(b'{torn\n\0\0{"specver')
    before = everything()
    verify(capsys)
    assert everything() == before


def test_rebuild_is_same_as_it_did_and_can_be_called_again(used, capsys):
    assert main(["rebuild", "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("would be deleted: dispatch.db identities\n")
    assert main(["rebuild", "--json"]) == 0
    (done,) = objects(capsys)
    assert (done["handlers"], done["underway"]) == (1, 0)
    assert main(["rebuild"]) == 0
    attempts = len(used.attempts())
    used.drain()
    assert len(used.attempts()) == attempts


def test_a_lost_journal_is_told_by_all_and_stops_a_rebuild(used, capsys):
    assert main(["dead-letters", "drop", "--all"]) == 0
    used.drain()
    used.home.deliveries.unlink()
    index = used.home.state / STATE_FILE
    capsys.readouterr()
    (wrong,) = verify(capsys)[1]
    assert (wrong["level"], wrong["check"]) == ("wrong", "journal")
    assert (found := doctor(capsys)[1]["journal"])["well"] is False
    assert main(["status", "--json"]) == os.EX_TEMPFAIL
    assert f"{wrong['found']}: {wrong['next']}" in objects(capsys)[0]["needs"]
    assert (found["found"], found["next"]) == (wrong["found"], wrong["next"])
    assert main(["rebuild", "--dry-run"]) == os.EX_DATAERR
    assert "would be forgotten: decisions on dead letters: 1" in capsys.readouterr().out
    assert main(["rebuild"]) == os.EX_DATAERR
    assert "how far on-a-b.sh has got in a; decisions on dead letters: 1" in capsys.readouterr().err
    assert index.exists()
    assert main(["rebuild", "--force"]) == 0
    assert "forgotten: decisions on dead letters: 1" in capsys.readouterr().out
    assert main(["rebuild"]) == 0


def test_rebuild_does_not_disturb_a_dispatcher(used, capsys):
    lock = Lock(used.home)
    assert main(["rebuild"]) == os.EX_TEMPFAIL
    lock.close()
    assert f"kill {os.getpid()}" in capsys.readouterr().err


def doctor(capsys):
    status = main(["doctor", "--json"])
    return status, {each["check"]: each for each in objects(capsys)}


@pytest.mark.usefixtures("used")
def test_the_doctor_finds_nothing_wrong_and_notes_the_dead_letters(capsys):
    status, found = doctor(capsys)
    assert status == 0
    assert {"disk", "inodes", "inotify", "index", "journal"} <= found.keys()
    letters = found["dead letters"]
    assert (letters["well"], letters["note"], letters["next"]) == (
        True, True, "hookline dead-letters",
    )  # fmt: skip


def test_the_doctor_sees_that_the_dispatcher_of_cortex_is_still_at_work(used, capsys):
    day = used.home.archive / "2026-11-21"
    day.mkdir(parents=True)
    status, found = doctor(capsys)
    assert status == 0
    assert "done twice" in found["dispatcher"]["found"]
    os.utime(day, (1, 1))
    assert "dispatcher" not in doctor(capsys)[1]


def test_the_doctor_sees_a_damaged_index(used, capsys):
    for path in used.home.state.glob(f"{STATE_FILE}*"):
        path.write_bytes(b"garbage" * 1000)
    status, found = doctor(capsys)
    assert status == os.EX_CONFIG
    assert (found["index"]["well"], found["index"]["next"]) == (False, "hookline rebuild")


def test_the_doctor_sees_who_keeps_a_closed_segment_open(used, capsys):
    with used.home.live("a").open("ab"):
        rotate(used.home, "a")
        status, found = doctor(capsys)
    assert status == os.EX_CONFIG
    assert str(os.getpid()) in found["writer"]["found"]


def test_the_doctor_sees_a_clock_that_is_behind_its_log(used, capsys):
    used.emit("a.b", 0, time="2099-01-01T00:00:00.000000Z")
    status, found = doctor(capsys)
    assert (status, found["clock"]["well"]) == (os.EX_CONFIG, False)


def test_the_doctor_notes_tails_old_segments_and_paused_handlers(used, capsys):
    rotate(used.home, "a")
    closed = used.home.segments / "a-events.00000001.jsonl"
    os.utime(closed, (1, 1))
    used.home.live("a").write_bytes(b'{"specver')
    os.utime(used.home.live("a"), (1, 1))
    main(["handlers", "pause", "on-a-b.sh"])
    capsys.readouterr()
    status, found = doctor(capsys)
    assert status == 0
    assert found["segments"]["next"] == "hookline archive"
    assert found["tail"]["next"] == "hookline dispatch --once"
    assert found["paused"]["next"] == "hookline handlers resume on-a-b.sh"


def test_the_doctor_sees_damage_of_the_letters_until_somebody_has_seen_it(used, capsys):
    with used.home.dead_letters.open("ab") as letters:
        letters.write(b"{torn\n")
    status, found = doctor(capsys)
    assert (status, found["damaged letters"]["next"]) == (os.EX_CONFIG, "hookline verify")
    (finding,) = verify(capsys)[1]
    Path(finding["next"].split()[1]).touch()
    status, found = doctor(capsys)
    assert (status, "damaged letters" in found) == (0, False)


@pytest.mark.usefixtures("used")
def test_the_doctor_sees_a_disk_that_is_nearly_full(capsys, monkeypatch):
    monkeypatch.setattr(condition.shutil, "disk_usage", lambda _: Usage)
    assert doctor(capsys)[1]["disk"]["well"] is False


class Usage:
    """A disk with next to nothing left."""

    total, free = 100 << 30, 1 << 20


@pytest.mark.usefixtures("used")
def test_the_doctor_survives_what_cannot_be_read(capsys, monkeypatch):
    def unreadable(_):
        raise HooklineError("it cannot be read")

    monkeypatch.setattr(condition, "read_ledger", unreadable)
    assert doctor(capsys)[1]["logs"]["next"] == "hookline verify"
