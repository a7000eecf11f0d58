"""Everything is killed all the time, and nothing is lost: the storm of `hookline selftest --chaos`.

With `--soak 20` it goes on until a thousand dispatchers and a thousand writers were killed and the
log was rotated a thousand times.
"""

import os

import msgspec
import pytest

from hookline.app.selftest import leaks
from hookline.app.selftest.place import blamed
from hookline.app.selftest.report import judge
from hookline.app.selftest.storm import Plan, Storm
from hookline.cli.main import main
from hookline.model.errors import WriteFailed

EACH = 1000
QUICK_S = 8.0
SHARE = 9
"""It has nearly all of a soak, since it runs beside the others."""


@pytest.mark.timeout(0)
def test_nothing_is_lost_in_a_storm(home, seed, soak_s):
    plan = Plan(seed=seed, lasts_s=QUICK_S)
    if soak_s:
        quickly = (0.02, 0.4)
        plan = Plan(
            seed=seed, lasts_s=SHARE * soak_s, each=EACH, pace_s=0.12,
            dispatcher_s=quickly, writer_s=(0.1, 0.9), rotate_s=(0.1, 0.9),
        )  # fmt: skip
    report = judge(home, plan, Storm(home, plan).run())
    print(msgspec.json.format(msgspec.json.encode(report)).decode())
    assert report.problems == []
    least = EACH * min(1.0, plan.lasts_s / 1000) if soak_s else 1
    assert min(report.dispatcher_kills, report.writer_kills, report.rotations) >= least
    assert report.acknowledged > 0


def test_a_run_that_a_killed_dispatcher_left_is_ended_before_the_event_runs_again(bus):
    bus.shell("[[ $EVENT_ATTEMPT != 1 ]] || sleep 30")
    event = bus.emit("k")
    process = bus.ready()
    bus.wait(bus.begun, "nothing runs")
    process.kill()
    process.wait()
    assert leaks.marked(bus.home) != []
    bus.once()
    assert bus.begun() == [event, event]
    assert bus.verdicts(event) == [("interrupted", "retry"), ("done", "settled")]
    bus.check()


def test_what_a_killed_dispatcher_wrote_half_of_is_removed(bus):
    half = bus.home.rejected / ".a-events.00000001.0.json.77.abc.tmp"
    half.write_bytes(b"{")
    bus.once()
    assert not half.exists()
    bus.check()


@pytest.mark.parametrize("options", [[], ["--chaos"]])
def test_on_a_full_disk_nothing_is_tested_and_the_disk_is_named(small_disk, capsys, options):
    small_disk.fill()
    assert main(["selftest", *options, "--dir", str(small_disk.root)]) == os.EX_IOERR
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"hookline selftest: {small_disk.root}/selftest-")
    assert ": No space left on device (0 KiB are free): " in err
    assert "--dir" in err
    assert [path.name for path in small_disk.root.iterdir()] == ["filler"]


def test_a_disk_that_fills_up_ends_the_storm(home, monkeypatch):
    def told(_):
        """Seen from inside: from now on, there is less room than it takes."""
        monkeypatch.setattr("hookline.app.selftest.place.ROOM_BYTES_MIN", 1 << 62)

    with pytest.raises(WriteFailed, match="No space left on device"):
        Storm(home, Plan(seed=1, lasts_s=60.0), told).run()
    assert leaks.marked(home) == []


def test_what_fails_on_the_disk_under_test_is_told_with_its_path(home):
    with (
        pytest.raises(WriteFailed, match=f"^{home.root}: Input/output error: .*--dir"),
        blamed(home),
    ):
        raise OSError(5, "Input/output error")
    with pytest.raises(WriteFailed, match=r"^/x/y: Read-only"), blamed(home):
        raise OSError(30, "Read-only file system", "/x/y")
    with pytest.raises(OSError, match="Too many"), blamed(home):
        raise OSError(24, "Too many open files")
