import pytest

from hookline.model.errors import BadData, HooklineError
from hookline.testing import Trial, try_handler

CORTEX = (
    '{"event_id":"evt_20260101_000000_abc","event_type":"a.b","timestamp":"2026-01-01T00:00:00Z",'
    '"source":"s","payload":{}}'
)


@pytest.fixture(autouse=True)
def handler(home):
    path = home.handlers / "on-a-b.sh"
    path.write_text(
        '#!/bin/bash\ncat\n[[ $EVENT_TYPE == a.b ]] && cat "$HOOKLINE_HOME"/coordination/x\n'
    )
    path.chmod(0o750)
    return path


def test_a_handler_is_tried_by_its_name_on_an_object(tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "x").write_text("there\n")
    event = {"specversion": "1.0", "type": "a.b", "data": {"n": 9007199254740993}}
    trial = try_handler("on-a-b.sh", event, state=tmp_path / "state")
    assert isinstance(trial, Trial)
    assert trial.done
    line, there = trial.stdout.splitlines()
    assert '"n":9007199254740993' in line
    assert '"source":"hookline-try"' in line
    assert there == "there"


@pytest.mark.parametrize("kind", [str, str.encode])
def test_an_event_may_be_text_and_the_handler_a_path(home, handler, kind):
    trial = try_handler(handler, kind(CORTEX), home=home.root)
    assert '"id":"evt_20260101_000000_abc"' in trial.stdout


def test_a_handler_that_kills_whoever_runs_it_does_not_end_the_tests(handler):
    handler.write_text("#!/bin/bash\nkill -KILL $PPID\n")
    with pytest.raises(HooklineError, match="ended with -9"):
        try_handler("on-a-b.sh", {"specversion": "1.0", "type": "a.b"})


def test_a_handler_that_is_not_there_is_told(home):
    with pytest.raises(BadData, match=r"no handler .*on-x\.sh: hookline handlers"):
        try_handler("on-x.sh", {"specversion": "1.0", "type": "a.b"}, home=home.root)


def test_what_is_no_event_is_refused():
    with pytest.raises(BadData, match="not an event"):
        try_handler("on-a-b.sh", {"n": 1})
