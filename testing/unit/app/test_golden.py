import msgspec
import pytest

from hookline.app.golden import differences, golden_text, keep
from hookline.app.trial import Change, Trial
from hookline.model.errors import BadData

OWN = "01a1fc75-0000-7000-8000-000000000001"
MADE = ["01a1fc75-0000-7000-8000-00000000000a", "01a1fc75-0000-7000-8000-00000000000b"]


def trial(**more):
    line = (
        b'{"specversion":"1.0","id":"%s","source":"t","type":"a.b","time":"2026-01-01T00:00:00Z"}'
    )
    return Trial(
        **{
            "handler": "on-a-b.sh",
            "event": msgspec.Raw(line % OWN.encode()),
            "verdict": "done",
            "then": "settled",
            "exit": 0,
            "signal": None,
            "ms": 3.0,
            "error": "",
            "stdout": "",
            "stderr": "",
            "emitted": (),
            "files": (),
            "home": "/tmp/hookline-try.x/home",
            "began": "2026-11-21T10:00:00.000000Z",
            "ended": "2026-11-21T10:00:02.000000Z",
            **more,
        }
    )


def emitted(id, data):
    return msgspec.Raw(
        b'{"specversion":"1.0","id":"%s","source":"h","type":"c.d","time":"2026-11-21T10:00:01Z",'
        b'"causationid":"%s","hops":1,"data":%s}' % (id.encode(), OWN.encode(), data)
    )


def test_what_stays_the_same_is_kept():
    told = msgspec.json.decode(
        golden_text(
            trial(
                stdout="one\ntwo\n",
                files=(Change(path="coordination/x", change="created", text="a\n", diff="+a"),),
                emitted=(emitted(MADE[0], b'{"n":1}'),),
            )
        )
    )
    assert told == {
        "handler": "on-a-b.sh",
        "verdict": "done",
        "exit": 0,
        "then": "settled",
        "stdout": ["one", "two"],
        "events": [{"type": "c.d", "source": "h", "causationid": OWN, "data": {"n": 1}}],
        "files": [{"path": "coordination/x", "change": "created", "diff": ["+a"]}],
    }


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("/tmp/hookline-try.x/home/coordination/a", "<home>/coordination/a"),
        ("/tmp/hookline-try.x/home/coordination/state/runs/on-a-b.7/f", "<scratch>/f"),
        (f"{MADE[0]} {MADE[1]} {MADE[0]} {OWN}", f"<id 1> <id 2> <id 1> {OWN}"),
        ("at 2026-11-21T10:00:01.5Z", "at <time>"),
        ("at 2026-11-21T11:00:01+0100", "at <time>"),
        ("at 2026-11-21T09:59:59Z", "at <time>"),
        ("at 2026-11-21T10:00:09Z", "at 2026-11-21T10:00:09Z"),
        ("at 2026-13-41T10:00:01Z", "at 2026-13-41T10:00:01Z"),
        ("1795255201 1795255201.25 1795255201000", "<time> <time> <time>"),
        ("1795255300 x1795255201", "1795255300 x1795255201"),
    ],
)
def test_what_differs_from_run_to_run_is_replaced(said, kept):
    assert msgspec.json.decode(golden_text(trial(stdout=said)))["stdout"] == [kept]


def test_an_identity_that_was_made_up_for_the_event_is_replaced_wherever_it_stands():
    found = trial(made=OWN, stdout=OWN, emitted=(emitted(MADE[0], b'{"n":1}'),))
    told = msgspec.json.decode(golden_text(found))
    assert told["stdout"] == ["<id 1>"]
    assert told["events"][0]["causationid"] == "<id 1>"


def test_a_golden_file_is_compared_line_by_line(tmp_path):
    path = tmp_path / "g.json"
    keep(path, golden_text(trial(stdout="old")))
    assert differences(path, golden_text(trial(stdout="old"))) == []
    found = differences(path, golden_text(trial(stdout="new")))
    assert any(line.startswith("-") and "old" in line for line in found)
    assert any(line.startswith("+") and "new" in line for line in found)


def test_a_golden_file_that_is_missing_or_no_text_is_an_error(tmp_path):
    with pytest.raises(BadData, match="--update"):
        differences(tmp_path / "none", "")
    (tmp_path / "odd").write_bytes(b"\xff")
    with pytest.raises(BadData, match="odd cannot be read: it is no text"):
        differences(tmp_path / "odd", "")
    with pytest.raises(BadData, match=r"cannot be read: Is a directory\Z"):
        differences(tmp_path, "")
