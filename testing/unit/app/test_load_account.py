"""A load test's account: what workers say, what the logs have, what the journal tells."""

import pytest

from hookline.app.load_account import Account, Told
from hookline.log.log import Log
from hookline.log.read import records
from hookline.log.stream import Stream
from hookline.model.errors import BadData
from testing.unit.app.load_runs import Run


@pytest.fixture
def run(home, tmp_path):
    return Run(home, tmp_path / "notes")


def test_a_heartbeat_is_said_logged_and_delivered(run):
    account = run.account()
    first, second = run.beat("load-x-001"), run.beat("load-x-002")
    run.batch(first, second)
    account.tick()
    assert [each.event for each in account.said] == [first, second]
    assert [each.event for each in account.beats] == [first, second]
    assert [each.beat for each in account.delivered["on-x.sh"]] == [0, 1]


def test_what_was_there_before_counts_for_nothing(run):
    run.beat("load-x-001", tally=False)
    account = run.account()
    account.tick()
    assert account.beats == []
    again = Account(run.home, run.folder)
    later = run.beat("load-x-001")
    again.tick()
    assert [each.event for each in again.beats] == [later]


def test_workers_of_others_are_none_of_ours(run):
    account = run.account()
    other = run.beat("load-y-001", tally=False)
    mine = run.beat("load-x-001")
    run.batch(other, mine)
    Log(run.home).append("worker.started", source="load-x-001", data=None)
    account.tick()
    assert [each.event for each in account.beats] == [mine]
    assert len(account.delivered["on-x.sh"]) == 1


def test_only_the_last_attempt_of_a_delivery_ends_it(run):
    account = run.account()
    event = run.beat("load-x-001")
    run.attempt(event, then="retry")
    account.tick()
    assert account.delivered == {}
    run.attempt(event, then="dead-letter")
    account.tick()
    assert [each.well for each in account.delivered["on-x.sh"]] == [False]


def test_a_replay_is_not_the_delivery(run):
    account = run.account()
    run.attempt(run.beat("load-x-001"), replayof="again")
    account.tick()
    assert account.delivered == {}


def test_it_reads_on_where_it_was_over_a_rotation_and_half_a_line_of_the_tally(run):
    account = run.account()
    run.beat("load-x-001")
    with (run.folder / "tally").open("a") as tally:
        tally.write("load-x-001 hal")
    account.tick()
    assert len(account.said) == 1
    with (run.folder / "tally").open("a") as tally:
        tally.write("f 12 logged\n")
    run.rotate()
    run.beat("load-x-001")
    account.tick()
    assert [each.event for each in account.said][1] == "half"
    assert len(account.said) == 3
    assert len(account.beats) == 2


def test_who_was_told_to_be_silent(run):
    account = run.account()
    event = run.alert(["load-x-001", "somebody", 7])
    account.tick()
    (told,) = account.told
    assert told == Told("load-x-001", told.time_s)
    with Stream.of_domain(run.home, "system") as stream:
        (record,) = records(stream.read(stream.first()))
    assert record.event.id == event


def test_another_folder_is_refused(home, tmp_path):
    with pytest.raises(BadData, match="is not the folder of a load test"):
        Account(home, tmp_path)
