"""What is told of a timer loop."""

import pytest

from hookline.model.errors import BadData
from hookline.schedule.scan.loops import Loop, first_sentence, name_of, named, span_text


@pytest.mark.parametrize(
    ("span_s", "text"),
    [(0.25, "250ms"), (5.0, "5s"), (60.0, "1m"), (90.0, "90s"), (300.0, "5m"), (7200.0, "2h"),
     (172800.0, "2d"), (None, "variable")],
)  # fmt: skip
def test_a_span_is_written_as_every_takes_it(span_s, text):
    assert span_text(span_s) == text


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/introspection_daemon.py", "introspection"),
        ("a/heartbeat-monitor-daemon.sh", "heartbeat-monitor"),
        ("decay/main.py", "decay"),
        ("main.py", "main"),
        ("x/.hidden", "x"),
    ],
)
def test_a_daemon_is_called_as_its_file(path, name):
    assert name_of(path) == name


def test_of_a_docstring_the_first_sentence_is_told_on_one_line():
    assert first_sentence("Scans\n  all. Then more.\n\nAnd more.") == "Scans all"
    assert first_sentence(None) == ""
    assert len(first_sentence("x" * 500)) == 100


def test_loops_of_one_file_have_names_that_differ():
    def loop(line, where):
        return Loop(
            name="a", path="a.py", line=line, interval_s=1.0, interval="1s", purpose="",
            bus="none", pattern="", where=where,
        )  # fmt: skip

    found = named("a.py", [loop(9, "A.run"), loop(5, "A.run"), loop(1, "A.beat")])
    assert [each.name for each in found] == ["a.beat", "a.run:5", "a.run:9"]
    assert [each.name for each in named("a.py", [loop(1, "A.run")])] == ["a"]
    with pytest.raises(BadData, match=r"a\.py: more than 500"):
        named("a.py", (loop(each, "") for each in range(1000)))
