"""The programs beside the dispatcher, and when each is started again."""

import math
import os

import pytest

from hookline.app.config import Program, load_programs
from hookline.app.programs import PATIENT_S, ProgramKeeper
from hookline.control.restarts import END_S
from hookline.model.errors import BadConfig
from testing.waiting import until


@pytest.fixture
def keeper(home, request):
    """A keeper of one program that runs a line of shell."""

    def keep(line, **more):
        program = Program(command=("/bin/sh", "-c", line), **more)
        made = ProgramKeeper(home, {"it": program}, {})
        request.addfinalizer(made.close)
        return made

    return keep


def ended(keeper):
    # A test that ran a dispatcher in this process has made it the heir of orphans, too.
    while not keeper.exited(*os.waitpid(-1, 0)):
        pass


def test_a_program_that_is_due_every_so_often_runs_again_after_so_long(home, keeper):
    keeper = keeper("echo once", every="10m")
    for now_s in (0.0, 600.0):
        assert keeper.turn(now_s) is None
        ended(keeper)
        assert keeper.turn(now_s + 599.0) == now_s + 600.0
    assert (home.coordination / "logs/it.log").read_text() == "once\nonce\n"


def test_one_that_fails_is_tried_again_sooner_and_that_is_said(home, keeper):
    keeper = keeper("exit 3", every="10m")
    keeper.turn(0.0)
    ended(keeper)
    assert keeper.turn(0.0) == 1.0
    assert (
        "it ended with 3, the 1. time in a row" in (home.coordination / "logs/it.log").read_text()
    )


def test_one_that_is_to_stay_is_started_again_soon(keeper):
    keeper = keeper("exit 0")
    keeper.turn(0.0)
    ended(keeper)
    assert keeper.turn(0.0) == 1.0


def test_one_whose_log_cannot_be_opened_is_tried_again_later(home, keeper):
    keeper = keeper("echo once", every="10m")
    (home.coordination / "logs").touch()
    assert keeper.turn(0.0) == 60.0
    (home.coordination / "logs").unlink()
    assert keeper.turn(60.0) is None
    ended(keeper)
    assert (home.coordination / "logs/it.log").read_text() == "once\n"


def test_one_that_gives_up_is_not_started_again(home, keeper):
    keeper = keeper("exit 69", restart_prevent=(65, 69))
    keeper.turn(0.0)
    ended(keeper)
    assert keeper.turn(1e9) == math.inf
    log = (home.coordination / "logs/it.log").read_text()
    assert log.endswith("it is not started again after that\n")


def test_one_that_is_told_to_end_is_waited_for(home, keeper, tmp_path):
    done = tmp_path / "done"
    keeper = keeper(f"trap 'echo done >{done}; exit' TERM; echo; while :; do sleep 0.01; done")
    keeper.turn(0.0)
    until((home.coordination / "logs/it.log").read_text)
    assert not keeper.busy
    keeper.stop()
    keeper.stop()
    assert keeper.busy
    keeper.turn(1.0)
    ended(keeper)
    assert not keeper.busy
    assert done.read_text() == "done\n"
    assert "hookline: " not in (home.coordination / "logs/it.log").read_text()
    assert keeper.turn(2.0) is None, "nothing is begun any more"


def test_one_that_does_not_end_is_named_and_killed_in_the_end(home):
    said = []
    program = Program(command=("/bin/sh", "-c", "trap '' TERM; echo; while :; do sleep 0.01; done"))
    keeper = ProgramKeeper(home, {"deaf": program}, {}, said.append)
    try:
        keeper.turn(0.0)
        until((home.coordination / "logs/deaf.log").read_text)
        keeper.stop()
        assert keeper.turn(10.0) == 10.0 + PATIENT_S
        assert said == []
        assert keeper.turn(10.0 + PATIENT_S) == 10.0 + END_S
        assert said == ["waits for deaf to end; Ctrl-C kills what is left"]
        assert keeper.busy
        keeper.turn(10.0 + END_S)
        ended(keeper)
        assert not keeper.busy
    finally:
        keeper.close()


def test_a_span_that_is_none_is_refused_by_name(home):
    (home.config / "programs.toml").write_text('[program.a]\ncommand = ["a"]\nevery = "often"\n')
    with pytest.raises(BadConfig, match=r"programs\.toml: every: duration 'often'"):
        load_programs(home)
