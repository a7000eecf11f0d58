from hookline.control.restarts import LOOP_ENDS, PAUSE_MAX_S, STEADY_S, Restarts


def after(*runs_s):
    restarts = Restarts()
    for ran_s in runs_s:
        restarts = restarts.after(ran_s)
    return restarts


def test_the_pauses_double_up_to_a_limit():
    assert [after(*[0.0] * ends).pause_s for ends in range(1, 5)] == [1.0, 2.0, 4.0, 8.0]
    assert after(*[0.0] * 5000).pause_s == PAUSE_MAX_S


def test_a_steady_run_is_forgiven_its_earlier_ends():
    assert after(0.0, 0.0, STEADY_S + 1).ends == 1
    assert after(0.0, 0.0, STEADY_S).ends == 3


def test_so_many_ends_in_a_row_are_a_crash_loop():
    assert not after(*[0.0] * (LOOP_ENDS - 1)).is_crash_loop
    assert after(*[0.0] * LOOP_ENDS).is_crash_loop
