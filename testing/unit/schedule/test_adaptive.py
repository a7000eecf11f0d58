"""`[adaptive]` as it is written."""

import math
from pathlib import Path

import msgspec
import pytest

from hookline.model.signal import type_of
from hookline.schedule.adaptive import Adaptive
from hookline.schedule.recurrence import SECOND_US, Every
from hookline.schedule.schedule import Schedule
from hookline.schedule.table import Table, schedules_of

SHIPPED = Path(__file__).resolve().parents[3] / "coordination" / "config" / "schedules.toml"
SCHEDULE = Schedule(
    name="curiosity_generation", when=Every(SECOND_US, "1s"), event="trigger.curiosity"
)


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`schedules.toml`."""

    schedule: dict[str, Table] = {}
    adaptive: Adaptive = Adaptive()


def read(text):
    return msgspec.toml.decode(text, type=File).adaptive


def test_a_threshold_may_be_out_of_reach():
    assert read("[adaptive.load]\nslow_at = inf\nnormal_at = 1").load.slow_at == math.inf


def test_without_a_table_load_memory_and_backlog_count_all_the_same():
    assert read("") == Adaptive()
    assert (Adaptive().types, Adaptive().hold_us) == (frozenset(), 60 * SECOND_US)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sped_min = 1", "`sped_min` - at `$.adaptive`"),
        ("speed_min = 0", "`$.adaptive.speed_min`"),
        ("speed_min = 1.1", "`$.adaptive.speed_min`"),
        ("speed_max = 0.9", "`$.adaptive.speed_max`"),
        ("speed_max = inf", "`$.adaptive.speed_max`"),
        ('hold = "often"', "hold: duration 'often'"),
        ("load.slow_at = 2", "`normal_at` - at `$.adaptive.load`"),
        ("load = { slow_at = 1, normal_at = 1 }", "normal_at is less than slow_at"),
        ("load = { slow_at = 1, normal_at = nan }", "`$.adaptive.load"),
        ("memory = { slow_at = 2, normal_at = 1, speed = 2 }", "`$.adaptive.memory.speed`"),
        ("backlog.slow_at = 1", "normal_at is less than slow_at"),
        ("backlog.stop_at = 2", "less than stop_at"),
        ("backlog.stop_at = 101", "`$.adaptive.backlog.stop_at`"),
        ("backlog.slow = 1", "`slow` - at `$.adaptive.backlog`"),
        ('on."affect.x" = { speed = 1 }', "one of for and until"),
        ('on."affect.x" = { for = "1m" }', "`speed` - at `$.adaptive.on[...]`"),
        ('on."affect.x" = { speed = -1, for = "1m" }', "`$.adaptive.on[...].speed`"),
        ('on."affect.x" = { speed = 1, for = "0s" }', "for is zero"),
        ('on."affect.x" = { speed = 1, for = "soon" }', "for: duration 'soon'"),
        ('on."affect.x" = { speed = 1, fore = "1m" }', "`fore` - at `$.adaptive.on[...]`"),
        ('on."affect.x" = { speed = 1, until = ["X"] }', "until: type 'X'"),
        ('on."AFFECT_X" = { speed = 1, for = "1m" }', "on: type 'AFFECT_X'"),
        ('on."affect.x" = { speed = 1, for = "1m", schedules = ["A"] }', "schedules: 'A'"),
        ('on."affect.x" = { speed = 1, for = "1m", schedules = ["a.*.b"] }', "schedules: 'a.*.b'"),
        ('on."affect.x" = { speed = 1, for = "1m", severity = { high = 101 } }', "severity"),
    ],
)
def test_what_cannot_be_is_an_error_that_names_the_key(text, said):
    with pytest.raises(msgspec.ValidationError) as wrong:
        read(f"[adaptive]\n{text}\n")
    assert said in str(wrong.value)


@pytest.mark.parametrize(
    ("pattern", "concerned"),
    [
        ("*", True),
        ("curiosity*", True),
        ("curiosity_generation", True),
        ("*_generation", True),
        ("curiosity", False),
        ("trigger.curiosity", True),
        ("trigger.*", True),
        ("*.curiosity", True),
        ("trigger.tournament", False),
    ],
)
def test_schedules_are_chosen_by_name_or_by_event(pattern, concerned):
    response = read(f'[adaptive.on."a.b"]\nspeed = 0.5\nfor = "1s"\nschedules = ["{pattern}"]').on[
        "a.b"
    ]
    assert response.concerns(SCHEDULE) == concerned


def test_the_types_that_matter_are_those_that_begin_and_those_that_end():
    config = read('[adaptive.on."a.b"]\nspeed = 0\nuntil = ["a.c", "d.e"]')
    assert config.types == {"a.b", "a.c", "d.e"}


def test_the_schedules_that_ship_are_those_of_the_seed():
    shipped = msgspec.toml.decode(SHIPPED.read_bytes(), type=File)
    schedules = {
        name: each
        for name, each in schedules_of(shipped.schedule).items()
        # Those that events ask for are our own.
        if not each.moment
    }

    assert {name: (str(each.when), each.event) for name, each in schedules.items()} == {
        "introspection_scan": ("every 5s", type_of("Q_TRIGGER_INTROSPECTION")),
        "curiosity_generation": ("every 60s", type_of("Q_TRIGGER_CURIOSITY")),
        "action_processing": ("every 300s", type_of("Q_TRIGGER_ACTION_PROCESSING")),
        "investigation": ("every 300s", type_of("Q_TRIGGER_INVESTIGATION")),
        "shadow_eval": ("every 60s", type_of("Q_TRIGGER_SHADOW_EVAL")),
        "tournament": ("every 15s", type_of("Q_TRIGGER_TOURNAMENT")),
        "semantic_dedup": ("every 5s", type_of("Q_TRIGGER_SEMANTIC_DEDUP")),
        "heartbeat": ("every 1s", type_of("Q_SCHEDULE_TICK")),
    }
    assert all(each.data["ecosystem"] for each in schedules.values())
    fixed = {name for name, each in schedules.items() if not each.adaptive}
    assert fixed == {"introspection_scan", "semantic_dedup", "heartbeat"}
    # No two of the same interval are due in the same second half.
    offsets = [(each.interval_us, each.offset_us) for each in schedules.values()]
    assert len(set(offsets)) == len(offsets)


def test_the_responses_that_ship_are_about_signals_of_the_original():
    config = msgspec.toml.decode(SHIPPED.read_bytes(), type=File).adaptive
    signals = (
        "AFFECT_EMERGENCY_BRAKE", "AFFECT_LOBOTOMY_INITIATED", "AFFECT_CRITICAL_FATIGUE",
        "AFFECT_MEMORY_PRESSURE", "AFFECT_RESOURCE_STRAIN", "AFFECT_STUCK_LOOP",
        "AFFECT_TASK_FAILURE_PATTERN", "AFFECT_CONTEXT_OVERFLOW", "AFFECT_WELLBEING_LOW",
        "AFFECT_WELLBEING_HIGH", "INVESTIGATION_QUEUE_FULL",
    )  # fmt: skip
    assert set(config.on) == {type_of(each) for each in signals}
    page = (SHIPPED.parents[2] / "docs" / "SCHEDULES.md").read_text()
    assert [each for each in signals if f"| `{each}` |" not in page] == []


def test_what_ships_besides_are_the_defaults():
    shipped = msgspec.toml.decode(SHIPPED.read_bytes(), type=File).adaptive
    assert msgspec.structs.replace(shipped, on={}) == Adaptive()
