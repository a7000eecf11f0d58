"""At which speed adaptive schedules go, and why."""

import msgspec
import pytest

from hookline.schedule.adapt import Conditions, adapt, recall
from hookline.schedule.adaptive import Adaptive
from hookline.schedule.machine import Machine
from testing.unit.schedule.world import CONFIG, QUIET, World, schedule


@pytest.fixture
def world():
    return World()


def test_while_nothing_is_wrong_nothing_changes(world):
    assert world.turn() == {}
    assert world.after(3600).turn() == {}


def test_fatigue_halves_the_speed_of_all_that_are_adaptive(world):
    changes = world.hear("affect.critical_fatigue").turn()

    why = "affect.critical_fatigue since 2027-01-15T08:00:00Z until 10m without another"
    assert changes == {"curiosity": (1.0, 0.5, why), "tournament": (1.0, 0.5, why)}
    assert world.after(599).turn() == {}
    over = (0.5, 1.0, "affect.critical_fatigue is over")
    assert world.after(1).turn() == {"curiosity": over, "tournament": over}


def test_what_is_said_again_lasts_longer_and_does_not_begin_anew(world):
    begin_us = world.now_us
    world.hear("affect.critical_fatigue").turn()
    for _ in range(5):
        assert world.after(500).hear("affect.critical_fatigue").turn() == {}

    assert world.conditions.heard["affect.critical_fatigue"].since_us == begin_us
    assert world.after(599).turn() == {}
    assert world.after(1).speed() == 1.0


def test_what_is_said_again_after_it_was_over_begins_anew(world):
    world.hear("affect.critical_fatigue").after(600).hear("affect.critical_fatigue")
    assert world.conditions.heard["affect.critical_fatigue"].since_us == world.now_us


def test_an_event_that_comes_late_shortens_nothing(world):
    world.hear("affect.critical_fatigue")
    world.hear("affect.critical_fatigue", at_us=world.now_us - 10**9).turn()
    assert world.after(599).speed() == 0.5


def test_the_slowest_counts_and_a_speed_up_only_without_any(world):
    world.hear("affect.wellbeing_high").hear("affect.critical_fatigue")
    world.hear("affect.memory_pressure", {"severity": "critical"})

    assert (world.speed("curiosity"), world.speed("tournament")) == (0.25, 0.5)
    assert world.after(120).speed() == 0.5
    world.after(300).hear("affect.wellbeing_high")
    assert world.after(300).speed() == 1.5
    assert world.speed("tournament") == 1.0


def test_speed_ups_do_not_multiply(world):
    world.config = msgspec.structs.replace(CONFIG, speed_max=60)
    assert world.hear("affect.wellbeing_high").hear("affect.exuberance").speed() == 50


def test_no_speed_leaves_the_bounds(world):
    assert world.hear("affect.exuberance").speed() == CONFIG.speed_max
    assert world.hear("affect.faint").speed() == CONFIG.speed_min


def test_bounds_that_leave_nothing_leave_only_the_brake(world):
    world.config = msgspec.structs.replace(CONFIG, speed_min=1.0, speed_max=1.0)
    assert world.hear("affect.exuberance").hear("affect.faint").turn() == {}
    assert world.hear("affect.emergency_brake").speed() == 0.0


def test_memory_pressure_gets_milder_level_by_level(world):
    world.hear("affect.memory_pressure", {"severity": "critical"})

    assert world.speed() == 0.25
    assert world.after(59).speed() == 0.25
    assert world.after(1).speed() == 0.5
    assert world.after(59).speed() == 0.5
    assert world.after(1).speed() == 1.0


def test_a_milder_event_does_not_take_a_worse_one_back_nor_prolong_it(world):
    world.hear("affect.memory_pressure", {"severity": "critical"}).turn()
    for _ in range(3):
        world.after(25).hear("affect.memory_pressure", {"severity": "high"})
    assert world.speed() == 0.5
    assert world.after(59).speed() == 0.5
    assert world.after(1).speed() == 1.0


@pytest.mark.parametrize("data", [None, [], "critical", {}, {"severity": 7}, {"severity": "odd"}])
def test_an_event_without_a_known_severity_is_of_the_common_one(world, data):
    assert world.hear("affect.memory_pressure", data).speed() == 0.5


def test_the_brake_holds_until_it_is_cleared(world):
    why = "affect.emergency_brake since 2027-01-15T08:00:00Z until affect.emergency_brake_cleared"
    assert world.hear("affect.emergency_brake").turn()["curiosity"] == (1.0, 0.0, why)
    assert world.after(30 * 86400).hear("affect.wellbeing_high").turn() == {}
    assert world.hear("affect.emergency_brake_cleared").speed() == 1.5
    assert world.state["heartbeat"].speed == 1.0


def test_the_brake_does_not_wait_for_the_hold_and_its_release_does(world):
    world.hear("affect.critical_fatigue").turn()
    world.after(1).hear("affect.emergency_brake")
    assert world.speed() == 0.0
    world.after(1).hear("affect.emergency_brake_cleared")
    assert world.speed() == 0.0
    assert world.after(59).speed() == 0.5


def test_load_slows_down_from_one_threshold_on_until_below_the_other(world):
    world.machine = Machine(load=3.1, processors=2, memory_used=0.3)
    assert world.turn()["tournament"] == (1.0, 0.5, "load 3.1 on 2 processors")
    world.machine = Machine(load=2.1, processors=2, memory_used=0.3)
    assert world.after(3600).turn() == {}
    world.machine = Machine(load=2.0, processors=2, memory_used=0.3)
    assert world.after(5).turn()["tournament"] == (0.5, 1.0, "high load is over")
    world.machine = Machine(load=2.9, processors=2, memory_used=0.3)
    assert world.after(3600).turn() == {}


def test_little_memory_slows_down(world):
    world.machine = Machine(load=0.1, processors=1, memory_used=0.93)
    assert world.turn()["curiosity"] == (1.0, 0.5, "93% of the memory is in use")
    world.machine = Machine(load=0.1, processors=1, memory_used=0.8)
    assert world.after(60).turn()["curiosity"] == (0.5, 1.0, "little memory is over")


def test_what_cannot_be_measured_slows_nothing_down(world):
    world.machine = Machine(load=9.0, processors=1, memory_used=0.99)
    assert world.speed() == 0.5
    world.machine = Machine()
    assert world.after(60).speed() == 1.0


def test_a_backlog_halves_and_halves_again_and_then_stops(world):
    speeds = []
    for count in (2, 3, 5, 6, 9, 12, 19, 20, 50):
        world.backlogs = {"curiosity": {"on-other.sh": 1, "on-trigger-curiosity.sh": count}}
        speeds.append(world.after(1).speed())
    assert speeds == [1.0, 0.5, 0.5, 0.25, 0.125, 0.1, 0.1, 0.0, 0.0]
    assert world.state["tournament"].speed == 1.0


def test_a_backlog_names_the_handler(world):
    world.backlogs = {"curiosity": {"on-all.sh": 1, "on-trigger-curiosity.sh": 7}}
    why = "7 ticks wait for on-trigger-curiosity.sh"
    assert world.turn() == {"curiosity": (1.0, 0.25, why)}


def test_after_a_backlog_the_speed_recovers_halving_by_halving(world):
    world.backlogs = {"curiosity": {"on-trigger-curiosity.sh": 6}}
    assert world.speed() == 0.25
    world.backlogs = {"curiosity": {"on-trigger-curiosity.sh": 2}}
    assert world.after(3600).turn() == {}
    world.backlogs = {"curiosity": {"on-trigger-curiosity.sh": 1}}
    assert world.turn()["curiosity"] == (0.25, 0.5, "the backlog is down to 1 tick")
    assert world.after(599).turn() == {}
    world.backlogs = {}
    assert world.after(1).turn()["curiosity"] == (0.5, 1.0, "backlog is over")


def test_up_it_goes_only_a_hold_after_the_last_change(world):
    world.hear("affect.memory_pressure", {"severity": "high"})
    assert world.speed() == 0.5
    world.after(30).machine = Machine(load=9.0, processors=1, memory_used=0.0)
    world.turn()
    world.machine = QUIET
    assert world.after(29).speed() == 0.5
    assert world.after(1).speed() == 1.0


def test_another_cause_at_the_same_speed_is_told(world):
    world.hear("affect.critical_fatigue").turn()
    world.machine = Machine(load=9.0, processors=1, memory_used=0.0)
    assert world.after(599).turn() == {}
    assert world.after(1).turn()["curiosity"] == (0.5, 0.5, "load 9.0 on 1 processor")


def test_a_difference_that_is_not_worth_it_is_no_change():
    text = """[on."a.half"]\nspeed = 0.5\nfor = "10m"\nseverity = { more = 0.45 }"""
    world = World(msgspec.toml.decode(text, type=Adaptive))
    assert world.hear("a.half").speed() == 0.5
    assert world.after(300).hear("a.half", {"severity": "more"}).turn() == {}


def test_a_schedule_that_is_not_adaptive_any_more_is_back_at_once(world):
    world.hear("affect.critical_fatigue").turn()
    world.schedules["curiosity"] = schedule("curiosity", adaptive=False)
    assert world.after(1).turn() == {"curiosity": (0.5, 1.0, "it is not adaptive any more")}


def test_what_the_configuration_does_not_answer_any_more_is_over(world):
    world.hear("affect.emergency_brake").turn()
    world.config = Adaptive()
    assert world.after(60).turn()["curiosity"] == (0.0, 1.0, "affect.emergency_brake is over")


def test_an_event_that_claims_to_be_of_the_future_is_of_now(world):
    world.hear("affect.critical_fatigue", at_us=world.now_us + 10**15)
    assert world.speed() == 0.5
    assert world.after(600).speed() == 1.0


def test_a_clock_that_is_set_back_holds_nothing_up(world):
    world.hear("affect.critical_fatigue").turn()
    world.after(-86400).turn()
    assert world.after(600).speed() == 1.0


def test_what_is_remembered_survives_as_json(world):
    world.backlogs = {"curiosity": {"on-x.sh": 9}}
    world.machine = Machine(load=9.0, processors=1, memory_used=0.95)
    world.hear("affect.memory_pressure", {"severity": "critical"}).hear("affect.emergency_brake")
    world.turn()
    text = msgspec.json.encode(world.conditions)

    assert msgspec.json.decode(text, type=Conditions) == world.conditions


def test_changes_in_the_log_are_made_once(world):
    before = world.hear("affect.critical_fatigue").conditions
    changes, _ = adapt(world.config, world.schedules, world.state, before, QUIET, {}, world.now_us)
    # Killed once they lay in the log: what was remembered is from before.
    for each in changes:
        data = each.data()
        assert list(data) == ["schedule", "from", "to", "cause", "reason"]
        world.conditions = recall(world.conditions, data["schedule"], data["cause"], world.now_us)
        memory = world.state[each.schedule]
        world.state[each.schedule] = msgspec.structs.replace(memory, speed=data["to"])

    assert world.after(1).turn() == {}
    assert world.after(599).speed() == 1.0


def test_a_schedule_that_is_gone_is_forgotten(world):
    world.hear("affect.critical_fatigue").turn()
    del world.schedules["curiosity"]
    world.after(1).turn()
    assert set(world.conditions.adapted) == {"tournament"}
