"""The oracle must see what is wrong, or it proves nothing."""

from hookline.app.selftest.history import History, Run


def run(event, begun, ended, *, key="k", attempt=1, exit=0):
    return Run(event=event, key=key, attempt=attempt, begun_ns=begun, ended_ns=ended, exit=exit)


def problems(runs, **more):
    base = {
        "acknowledged": {"a", "b"},
        "letters": set(),
        "known": {"a", "b"},
        "order": {"k": ["a", "b"]},
        "attempts_max": 3,
    }
    return History(runs=runs, **{**base, **more}).problems()


def test_a_good_history_has_no_problems():
    assert problems([run("a", 1, 2), run("b", 3, 4)]) == []


def test_a_failed_event_may_be_a_dead_letter():
    assert problems([run("a", 1, 2), run("b", 3, 4, exit=1)], letters={"b"}) == []


def test_a_lost_event_is_seen():
    assert problems([run("a", 1, 2)]) == ["lost: b"]


def test_an_unfinished_run_is_no_delivery():
    assert problems([run("a", 1, 2), run("b", 3, 0)]) == ["lost: b"]


def test_an_invented_event_is_seen():
    assert problems([run("a", 1, 2), run("b", 3, 4), run("x", 5, 6)]) == ["never logged: x"]


def test_too_many_attempts_are_seen():
    assert problems([run("a", 1, 2), run("b", 3, 4, attempt=4)]) == ["attempt 4 of b"]


def test_an_overlap_is_seen():
    assert problems([run("a", 1, 4), run("b", 3, 5)]) == ["key k: a and b at once"]


def test_a_wrong_order_is_seen():
    assert problems([run("b", 1, 2), run("a", 3, 4)]) == ["key k: events began out of order"]


def test_a_run_after_one_that_went_well_wants_a_kill_between_them():
    runs = [run("a", 10, 20), run("a", 50, 60, attempt=2), run("b", 70, 80)]
    assert problems(runs, kills=[30]) == []
    assert problems(runs, kills=[]) == ["a ran again, and nobody had been killed"]
    assert problems(runs, kills=[8]) == ["a ran again, and nobody had been killed"]
    assert problems(runs, kills=[8], orphan=5) == []


def test_who_is_replayed_has_its_attempts_again():
    runs = [run("a", n * 10, n * 10 + 5, attempt=n % 3 + 1, exit=1) for n in range(8)]
    more = {"letters": {"a"}, "acknowledged": {"a"}}
    assert problems(runs, **more) == ["8 runs of a: [1, 2, 3, 1, 2, 3, 1, 2]"]
    assert problems(runs, replayed={"a"}, **more) == []
