"""`hookline log`: read or follow the events."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hookline.cli.main import main
from hookline.log.home import Home
from hookline.log.log import Log
from hookline.log.rotate import rotate
from hookline.model.envelope import LINE_BYTES_MAX

SRC = str(Path(__file__).parents[3] / "src")
COMMAND = [sys.executable, "-m", "hookline", "log"]
CORTEX = (
    '{"event_id":"evt_20251201_165511_d27b177b424c","event_type":"system.health_alert",'
    '"timestamp":"2025-12-01T22:55:11+0000","source":"s","metadata":{"priority":"high"},'
    '"payload":{"a":1}}'
)
OLD = '{"event_type":"zombie_detected","worker_id":"w"}'

Run = Callable[..., str]


@pytest.fixture
def log(home: Home) -> Log:
    return Log(home)


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command and gives what it printed."""

    def run(*arguments: str, status: int = 0, says: str = "") -> str:
        assert main(["log", *arguments]) == status
        out, err = capsys.readouterr()
        assert says in err
        assert bool(err) == bool(says)
        return out

    return run


def ids(text: str) -> list[str]:
    return [json.loads(line)["id"] for line in text.splitlines()]


def append(log: Log, *names: str, type: str = "worker.done") -> None:
    """Events named by a letter: `a` of one o'clock, `b` of a minute later."""
    for name in names:
        minute = ord(name[0]) - ord("a")
        log.append(type, source="test", id=name, time=f"2026-11-21T01:{minute:02d}:00Z")


def test_events_are_printed_as_they_are_stored(log: Log, home: Home, printed: Run) -> None:
    log.append("worker.done", source="test", data={"n": 2**60, "t": "é\u202e"})
    assert printed().encode() == home.live("worker").read_bytes()


def test_an_empty_log_prints_nothing(home: Home, printed: Run) -> None:
    assert printed() == ""
    assert printed("worker.*") == ""
    assert home.events.exists()


def test_a_pattern_chooses(log: Log, printed: Run) -> None:
    append(log, "a")
    append(log, "b", type="worker.failed")
    append(log, "c", type="task.failed")
    assert ids(printed("worker.*")) == ["a", "b"]
    assert ids(printed("*.failed")) == ["b", "c"]
    assert ids(printed("task.failed")) == ["c"]


@pytest.mark.parametrize("bad", ["Worker.*", "../x", "worker", "a.*.b", "\x1b[2J.x"])
def test_a_malformed_pattern_is_told_in_one_line(home: Home, printed: Run, bad: str) -> None:
    assert printed(bad, status=65, says="is not like 'worker.started', 'worker.*'") == ""
    assert home.events.exists()


def test_times_choose(log: Log, printed: Run) -> None:
    append(log, "a", "b", "c")
    assert ids(printed("--since", "2026-11-21T01:01:00Z")) == ["b", "c"]
    assert ids(printed("--until", "2026-11-21T03:01:00+02:00")) == ["a"]
    assert ids(printed("--since", "2026-11-21", "--until", "2026-11-22")) == ["a", "b", "c"]
    assert ids(printed("--until", "2026-11-21")) == []


def test_how_long_ago_is_a_time_too(log: Log, printed: Run) -> None:
    append(log, "o")
    new = log.append("worker.done", source="test")
    assert ids(printed("--since", "10m")) == [new.id]
    assert ids(printed("--until", "1.5h")) == ["o"]


@pytest.mark.parametrize("bad", ["yesterday", "10", "10x", "2026-13-01", "-5m", "99999999d"])
@pytest.mark.parametrize("option", ["--since", "--until"])
def test_no_time_is_a_usage_error(home: Home, printed: Run, option: str, bad: str) -> None:
    assert printed(f"{option}={bad}", status=64, says="is not like 2026-11-21T01:35:31Z") == ""
    assert home.events.exists()


def test_the_last_ones(log: Log, home: Home, printed: Run) -> None:
    append(log, "a", "b", "c")
    rotate(home, "worker")
    append(log, "d", type="task.done")
    assert ids(printed("-n", "2")) == ["c", "d"]
    assert ids(printed("worker.*", "-n", "1")) == ["c"]
    assert ids(printed("-n", "0")) == []
    assert printed("-n", "-1", status=64, says="-n takes a number") == ""
    assert printed("-n", "x", status=64, says="invalid int") == ""


def test_cortex_lines_are_translated_and_old_ones_shown(home: Home, printed: Run) -> None:
    home.live("system").write_text(f"{CORTEX}\n{OLD}\n{{torn\n")
    first, second = printed().splitlines()
    assert second == OLD
    event = json.loads(first)
    assert list(event) == ["specversion", "id", "source", "type", "time", "priority", "data"]
    assert event["time"] == "2025-12-01T22:55:11.000000Z"
    assert printed("system.health_alert").count("\n") == 1


def test_other_formats_are_given_out(log: Log, printed: Run) -> None:
    log.append(
        "dream.trigger", source="test", id="x", time="2026-11-21T01:00:00Z", data={"facts": 2**60}
    )
    cortex = json.loads(printed("--format", "cortex"))
    assert (cortex["event_type"], cortex["payload"]) == ("dream.trigger", {"facts": 2**60})
    signal = json.loads(printed("--format", "signal"))
    assert (signal["signal"], signal["facts"]) == ("Q_DREAM_TRIGGER", {"facts": 2**60})
    assert ids(printed("--format", "cloudevents")) == ["x"]
    assert printed("--format", "xml", status=64, says="invalid choice") == ""


def test_other_formats_bring_long_data_along(log: Log, home: Home, printed: Run) -> None:
    event = log.append("a.b", source="test", data="x" * LINE_BYTES_MAX)
    assert len(json.loads(printed("--format", "cortex"))["payload"]) == LINE_BYTES_MAX
    assert json.loads(printed())["dataref"] == event.dataref
    (home.events / str(event.dataref)).unlink()
    assert printed("--format", "cortex", status=65, says="No such file") == ""


def test_what_cannot_be_read_is_told_and_the_rest_printed(
    log: Log, home: Home, printed: Run
) -> None:
    (home.segments / "worker-events.00000001.jsonl.zst").write_bytes(b"no frame")
    append(log, "a")
    assert ids(printed(status=65, says=": hookline verify worker")) == ["a"]


def test_following_has_an_end_of_its_own(printed: Run) -> None:
    assert printed("--follow", "--until", "1h", status=64, says="exclude each other") == ""


def environment(home: Home) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": SRC, "HOOKLINE_HOME": str(home.root), "TERM": "xterm"}


@pytest.mark.parametrize(
    ("arguments", "before"),
    [((), []), (("-n", "1"), ["b"]), (("-n", "0"), []), (("--since", "2026-11-21"), ["a", "b"])],
)
def test_following_prints_what_comes(
    log: Log, home: Home, arguments: tuple[str, ...], before: list[str]
) -> None:
    append(log, "a", "b")
    with subprocess.Popen(
        [*COMMAND, "--follow", *arguments], env=environment(home), stdout=subprocess.PIPE
    ) as process:
        try:
            found: list[str] = []
            number = 0
            deadline_s = time.monotonic() + 60
            while len(found) < len(before):
                assert time.monotonic() < deadline_s
                found += ids_from(process, 1.0)
            # Else nothing says when it has begun: it may have begun behind some of these.
            while not any(name.startswith("new") for name in found):
                assert time.monotonic() < deadline_s
                log.append("worker.done", source="test", id=f"new{number}")
                number += 1
                found += ids_from(process, 0.05)
            last = log.append("task.new", source="test")
            while found[-1] != last.id:
                assert time.monotonic() < deadline_s
                found += ids_from(process, 1.0)
        finally:
            process.send_signal(signal.SIGINT)
            status = process.wait()
    news = [name for name in found if name.startswith("new")]
    first = 0 if before else int(news[0].removeprefix("new"))
    assert found == [*before, *(f"new{n}" for n in range(first, number)), last.id]
    assert status == 130


def ids_from(process: "subprocess.Popen[bytes]", wait_s: float) -> list[str]:
    """What it printed by then, at the latest."""
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], wait_s)
    # Each round of events is one write of whole lines.
    return ids(os.read(process.stdout.fileno(), 1 << 16).decode()) if ready else []


def on_a_terminal(home: Home, *arguments: str, no_color: bool = False) -> str:
    """What a terminal of 80 columns would get."""
    ours, theirs = pty.openpty()
    subprocess.run(["stty", "cols", "80"], stdin=theirs, check=True)
    env = environment(home)
    env.pop("NO_COLOR", None)
    if no_color:
        env["NO_COLOR"] = "1"
    with subprocess.Popen([*COMMAND, *arguments], env=env, stdout=theirs) as process:
        os.close(theirs)
        found = b""
        try:
            while data := os.read(ours, 4096):
                found += data
        except OSError:
            # EIO is how a terminal says that its other end is closed.
            pass
        assert process.wait() == 0
    os.close(ours)
    return found.decode().replace("\r\n", "\n")


def test_a_terminal_gets_columns(log: Log, home: Home) -> None:
    append(log, "a")
    log.append(
        "worker.failed", source="long", subject="w1", priority="critical", data={"x": "y" * 100},
        time="2026-11-21T02:00:00Z",
    )  # fmt: skip
    text = on_a_terminal(home, no_color=True)
    first, second = text.splitlines()
    assert first == "2026-11-21 01:00:00.000  worker.done                   test"
    assert second.startswith("2026-11-21 02:00:00.000  worker.failed ")
    assert 'CRITICAL [w1] {"x":"yyy'[:15] in second
    assert second.endswith("…")
    assert "\x1b" not in text
    assert "\x1b[1m" in on_a_terminal(home)


@pytest.mark.parametrize("arguments", [(), ("--json",), ("--format", "cortex")])
def test_a_terminal_obeys_nothing_in_an_event(home: Home, arguments: tuple[str, ...]) -> None:
    """A foreign writer does not escape what a terminal would obey; what is printed does."""
    home.live("worker").write_text(
        json.dumps(
            {
                "specversion": "1.0", "id": "x", "source": "s\u202e", "type": "worker.done",
                "time": "2026-11-21T02:00:00.000000Z", "data": "\u202e\u009b31m\u200b",
            },
            ensure_ascii=False,
        )
        + '\n{"old\u009b":"\u202e"}\n'
    )  # fmt: skip
    text = on_a_terminal(home, *arguments, no_color=True)
    assert "\\u202e" in text
    assert all(character == "\n" or character.isprintable() for character in text)
    if arguments:
        assert [json.loads(line) for line in text.splitlines()][1] == {"old\u009b": "\u202e"}


def test_json_can_be_had_on_a_terminal(log: Log, home: Home) -> None:
    append(log, "a")
    assert ids(on_a_terminal(home, "--json")) == ["a"]


def test_a_reader_that_stops_reading_ends_it_quietly(log: Log, home: Home) -> None:
    with log.batch() as batch:
        for _ in range(5000):
            batch.append("worker.done", source="test")
    pipe = f"{' '.join(COMMAND)} | head -n 1"
    done = subprocess.run(
        ["sh", "-c", pipe], env=environment(home), capture_output=True, text=True, check=True
    )
    assert (done.stdout.count("\n"), done.stderr) == (1, "")
