"""The walk through the points of a program, walked through a program whose points are known."""

import os
import signal
import sys
from pathlib import Path

import pytest

from testing.faults.injection import KILL, Point, Points


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file"


def three_writes(file: Path) -> None:
    fd = os.open(file, os.O_WRONLY | os.O_CREAT)
    for _ in range(3):
        os.write(fd, b"x")


def test_a_walk_strikes_every_point_once(points: Points, file: Path) -> None:
    sizes = []

    def trial(strike):
        file.unlink(missing_ok=True)
        ended = strike(lambda: three_writes(file))
        sizes.append((ended.status, file.stat().st_size))

    struck = points.walk(trial, ["write", "fsync"], KILL, quick=9)
    assert list(map(str, struck)) == [f"write:signal=KILL:when={n}" for n in (1, 2, 3)]
    killed = -signal.SIGKILL
    assert sizes == [(0, 3), (killed, 0), (killed, 1), (killed, 2)]


def test_a_call_fails_where_it_is_told_to(points: Points, file: Path) -> None:
    ended = points.strike(lambda: three_writes(file), inject=["write:error=ENOSPC:when=2"])
    assert ended.status == os.EX_SOFTWARE
    assert "No space left" in ended.stderr
    assert file.stat().st_size == 1


def test_of_a_command_only_calls_on_the_paths_count(points: Points, file: Path) -> None:
    script = f"open({str(file)!r}, 'wb', 0).write(b'x'); print('done')"
    inject = [Point("write", KILL, 2)]
    command = [sys.executable, "-c", script]
    ended = points.strike(command, inject=inject, paths=[file], env={"PATH": os.defpath})
    assert (ended.status, ended.stdout) == (0, "done\n")
    assert ended.calls["write"] == 1


def test_the_quick_walk_is_spread_over_all_points(points: Points, file: Path) -> None:
    walked = Points(points._scratch)
    struck = walked.walk(
        lambda strike: strike(lambda: three_writes(file)), ["openat", "write"], KILL, quick=2
    )
    assert [point.syscall for point in struck] == ["openat", "write"]


def test_what_fails_names_its_point_and_it_can_be_walked_alone(points: Points, file: Path) -> None:
    def trial(strike):
        file.unlink(missing_ok=True)
        strike(lambda: three_writes(file))
        assert file.stat().st_size != 1

    with pytest.raises(AssertionError) as caught:
        points.walk(trial, ["write"], KILL, quick=9)
    (note,) = caught.value.__notes__
    assert note.endswith("--point write:signal=KILL:when=2")
    alone = Points(points._scratch, only=Point.parse(note.rpartition(" ")[2]))
    with pytest.raises(AssertionError, match="1 != 1"):
        alone.walk(trial, ["write"], KILL, quick=9)
