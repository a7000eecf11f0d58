"""What a load test has come to: the figures, and what is a problem."""

import pytest

from hookline.app.load_report import report_of, spread
from testing.unit.app.load_runs import T0_S, Run

HANDLER = "on-x.sh"


@pytest.fixture
def run(home, tmp_path):
    handler = home.handlers / HANDLER
    handler.write_text("#!/bin/sh\n# on: worker.heartbeat\n")
    handler.chmod(0o750)
    return Run(home, tmp_path / "notes")


@pytest.fixture
def account(run, monkeypatch):
    monkeypatch.setattr("hookline.app.load_account.holder", lambda _: 1)
    return run.account()


def judged(account):
    account.tick()
    return report_of(account)


def test_all_is_well(run, account):
    first, last = run.beat("load-x-001", 0.0, us=300), run.beat("load-x-002", 1.0, us=900)
    run.batch(first, last, 1.5)
    report = judged(account)
    assert report.problems == []
    assert (report.said, report.logged, report.lost, report.per_s) == (2, 2, 0, 1.0)
    assert (report.emit_us.p50, report.emit_us.max) == (300, 900)
    (delivered,) = report.deliveries
    assert (delivered.handler, delivered.delivered, delivered.missing) == (HANDLER, 2, 0)
    assert (delivered.latency_ms.p50, delivered.latency_ms.max) == (500, 1500)


def test_said_and_not_in_the_log_is_lost(run, account):
    run.attempt(run.beat("load-x-001"))
    run.say("load-x-001", "gone")
    assert judged(account).problems == ["1 heartbeats are not in the log"]


def test_what_a_newer_one_replaced_in_the_drop_box_is_not_lost(run, account):
    run.attempt(run.beat("load-x-001", how="dropped"))
    run.say("load-x-001", "older", how="dropped")
    report = judged(account)
    assert (report.replaced, report.lost, report.problems) == (1, 0, [])


def test_what_could_not_be_said_is_a_problem(run, account):
    run.attempt(run.beat("load-x-001"))
    run.say("load-x-001", "-", how="failed")
    assert judged(account).problems == ["1 heartbeats could not be said"]


def test_logged_and_not_delivered_is_a_problem_where_somebody_serves(run, account):
    run.beat("load-x-001")
    assert judged(account).problems == [f"1 heartbeats were not delivered to {HANDLER}"]


def test_where_nobody_serves_nothing_is_to_be_delivered(run):
    account = run.account()
    run.beat("load-x-001")
    report = judged(account)
    assert (report.served, report.deliveries, report.problems) == (False, [], [])


def test_a_dead_letter_is_a_problem(run, account):
    run.attempt(run.beat("load-x-001"), then="dead-letter")
    assert judged(account).problems == [f"1 heartbeats are dead letters of {HANDLER}"]


def test_a_second_delivery_is_told_and_no_problem(run, account):
    event = run.beat("load-x-001")
    run.attempt(event)
    run.attempt(event)
    report = judged(account)
    assert (report.deliveries[0].doubled, report.problems) == (1, [])


def test_two_of_a_worker_in_the_wrong_order(run, account):
    later = run.beat("load-x-001", number=2)
    run.attempt(later)
    sooner = run.beat("load-x-001", number=1)
    run.attempt(sooner)
    assert judged(account).problems == ["1 heartbeats are in the log behind a later one"]


def test_two_of_a_worker_delivered_in_the_wrong_order(run, account):
    first, second = run.beat("load-x-001"), run.beat("load-x-001")
    run.attempt(second)
    run.attempt(first)
    assert judged(account).problems == [f"1 heartbeats came to {HANDLER} behind a later one"]


@pytest.mark.parametrize(
    ("told_s", "problems"),
    [(2.9, []), (3.2, ["1 silent workers were not told of within 3 s"])],
)
def test_a_worker_that_was_stopped_is_told_of_in_time_or_not(run, account, told_s, problems):
    run.attempt(run.beat("load-x-001", 0.0))
    run.note("stopped", f"load-x-001 {round((T0_S + 0.05) * 1e6)}")
    run.alert(["load-x-001"], told_s)
    report = judged(account)
    assert (report.silent[0].told_after_s, report.problems) == (told_s, problems)


def test_a_worker_that_was_stopped_and_is_never_told_of(run, account):
    run.attempt(run.beat("load-x-001", 0.0))
    run.note("stopped", f"load-x-001 {round(T0_S * 1e6)}")
    report = judged(account)
    assert report.silent[0].told_after_s is None
    assert report.problems == ["1 silent workers were not told of within 3 s"]


def test_a_worker_that_lives_is_no_silent_one_until_all_were_ended(run, account):
    run.attempt(run.beat("load-x-001", 0.0))
    run.note("ended", f"{round((T0_S + 5) * 1e6)}")
    run.alert(["load-x-001"], 6.0)
    assert judged(account).false_alarms == 0
    run.alert(["load-x-001"], 4.0)
    assert judged(account).problems == ["1 workers were told to be silent and were not"]


def test_nothing_at_all_is_a_problem(account):
    assert judged(account).problems == ["no worker has said anything"]


def test_percentiles_are_of_what_was_measured():
    assert spread([]) is None
    found = spread([float(each) for each in range(1, 101)])
    assert (found.p50, found.p90, found.p99, found.max) == (50, 90, 99, 100)
    assert spread([7.0]).p50 == spread([7.0]).max == 7


def test_the_processors_are_counted_over_the_time(run, account):
    run.note("usage", "100.0 5.0 10.0 0.0 1024 2048")
    run.note("usage", "110.0 6.0 15.0 1.0 2048 4096")
    run.note("usage", "120.0 7.0 20.0 0.0 1024 3072")
    usage = judged(account).usage
    assert (usage.dispatcher_cpu, usage.with_handlers_cpu, usage.workers_cpu) == (0.1, 0.5, 0.05)
    assert (usage.dispatcher_mib, usage.with_handlers_mib) == (2, 4)
