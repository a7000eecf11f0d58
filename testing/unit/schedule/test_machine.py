"""How busy the machine is."""

import pytest

from hookline.schedule.machine import READ_EVERY_S, Gauge, Machine

LOAD = "3.10 2.00 1.00 2/345 6789\n"
MEMORY = "MemTotal:  8000 kB\nMemFree:  100 kB\nMemAvailable:  2000 kB\nHugePages_Total:  0\n"


@pytest.fixture
def proc(tmp_path):
    (tmp_path / "loadavg").write_text(LOAD)
    (tmp_path / "meminfo").write_text(MEMORY)
    return tmp_path


def test_load_and_memory_are_those_of_proc(proc):
    machine = Gauge(proc).read(0.0)

    assert machine.load == pytest.approx(3.1)
    assert machine.memory_used == pytest.approx(0.75)
    assert machine.processors >= 1


def test_nothing_is_measured_again_within_some_seconds(proc):
    gauge = Gauge(proc)
    first = gauge.read(100.0)
    (proc / "loadavg").write_text("9.00 2.00 1.00 2/345 6789\n")

    assert gauge.read(100.0 + READ_EVERY_S - 0.001) is first
    assert gauge.read(100.0 + READ_EVERY_S).load == pytest.approx(9.0)


@pytest.mark.parametrize(
    "text", ["", "busy\n", "MemTotal: many kB\n", "MemTotal: 0 kB\nMemAvailable: 0 kB\n"]
)
def test_what_proc_does_not_say_is_not_known(proc, text):
    (proc / "loadavg").write_text(text)
    (proc / "meminfo").write_text(text)
    machine = Gauge(proc).read(0.0)

    assert (machine.load, machine.memory_used) == (None, None)


def test_a_machine_without_proc_has_nothing_to_tell(tmp_path):
    assert Gauge(tmp_path / "none").read(0.0) == Machine(processors=Gauge().read(0.0).processors)


def test_this_machine_can_be_measured():
    machine = Gauge().read(0.0)

    assert machine.load is not None
    assert machine.load >= 0
    assert machine.memory_used is not None
    assert 0 < machine.memory_used < 1
