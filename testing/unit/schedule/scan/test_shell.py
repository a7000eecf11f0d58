"""Timer loops in shell programs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.schedule.scan.shell import scan
from hookline.schedule.scan.words import words


def found(text):
    return scan("some-daemon.sh", text.encode("utf-8", "surrogatepass"))


def intervals(text):
    return [each.interval_s for each in found(text)]


@pytest.mark.parametrize(
    ("text", "span_s"),
    [
        ("while true; do work; sleep 30; done", 30.0),
        ("while :\ndo\n  sleep 1.5\ndone", 1.5),
        ("until ready; do sleep 2m; done", 120.0),
        ("for (( ; ; )); do work; /bin/sleep 1h; done", 3600.0),
        ("while sleep 10; do work; done", 10.0),
        ("while true; do sleep 1m 30s; done", 90.0),
        ("X=20\nwhile true; do sleep $X; done", 20.0),
        ('readonly X="20"\nwhile true; do sleep "${X}s"; done', None),
        ("X=${X:-25}\nwhile true; do sleep \"$X\"; done", 25.0),
        ("while true; do sleep \"${1:-40}\"; done", 40.0),
        ("while true; do sleep \"$1\"; done", None),
        ("M=5\nwhile true; do sleep $((M * 60)); done", 300.0),
        ("X=5\nX=6\nwhile true; do sleep $X; done", None),
        ("X=5\nread -r X\nwhile true; do sleep $X; done", None),
        ("while true; do for i in {1..30}; do sleep 2; done; done", 60.0),
        ("while true; do for i in $(seq 10); do sleep 2; done; done", 20.0),
        ("while true; do if ((now - last >= 300)); then work; fi; sleep 1; done", 300.0),
        ('L=9\nwhile :; do if [ $((now - last)) -ge "$L" ]; then work; fi; sleep 1; done', 9.0),
        ("while true; do if ((now - start > 30)); then break; fi; sleep 1; done", 1.0),
        ("watch -n 5 df", 5.0),
        ("watch --interval=0.5 df", 0.5),
        ("watch df -h", 2.0),
        ("while true; do worker_wait 7; done", 7.0),
    ],
)  # fmt: skip
def test_a_loop_around_a_pause_is_found_with_its_interval(text, span_s):
    assert intervals(text) == [span_s]


@pytest.mark.parametrize(
    "text",
    [
        "# while true; do sleep 5; done",
        "echo 'while true; do sleep 5; done'",
        'echo "while true; do sleep 5; done"',
        "cat <<END\nwhile true; do sleep 5; done\nEND",
        "cat <<-'END'\n\twhile true; do sleep 5; done\n\tEND\necho",
        "sleep 5",
        "for each in a b; do sleep 5; done",
        "while read -r line; do sleep 1; done <file",
        "echo while; sleep 5; echo done",
        "while true; do work; done",
        "x=$(while true; do sleep 5; done)",
    ],
)
def test_what_is_no_timer_loop_is_not_listed(text):
    assert intervals(text) == []


def test_a_loop_after_a_here_document_and_a_comment_has_its_own_line():
    head = "#!/bin/bash\n# It keeps warm.\ncat <<A <<B\nx\nA\ny\nB\n# a 'comment\n"
    text = head + "while :; do sleep 1; done\n"
    (loop,) = found(text)
    assert (loop.line, loop.purpose) == (9, "It keeps warm")


def test_the_summary_of_the_header_is_the_purpose():
    text = "#!/bin/bash\n# Usage: x\n# Summary: measure the load\n# Exit: 0\nwatch -n 1 x\n"
    assert found(text)[0].purpose == "measure the load"


@pytest.mark.parametrize(
    ("text", "bus"),
    [
        ("while :; do emit_event a.b c '{}'; sleep 1; done", "yes"),
        (
            "beat() {\n  event-logger.sh --emit a.b c '{}'\n}\nwhile :; do beat; sleep 1; done",
            "yes",
        ),
        ("while :; do hookline emit a.b; sleep 1; done", "yes"),
        ("emit_event daemon.started x '{}'\nwhile :; do work; sleep 1; done", "partial"),
        ("while :; do work; sleep 1; done", "none"),
    ],
)
def test_whether_the_bus_sees_what_a_loop_does(text, bus):
    assert found(text)[0].bus == bus


def test_two_loops_of_a_file_are_told_apart_by_their_functions():
    text = "a() {\n while :; do sleep 1; done\n}\nb() { while :; do sleep 2; done; }\n"
    assert [each.name for each in found(text)] == ["some.a", "some.b"]


@given(st.text(alphabet="'\"`\\$(){}<>|&;# \n\tahwiledosp5-=[]", max_size=60))
def test_whatever_stands_there_it_comes_to_an_end(text):
    tokens = words(text)
    assert all(token.raw for token in tokens)
    found(text)


def test_a_long_program_takes_no_longer_than_its_length():
    text = "# comment\ncat <<E\nx\nE\nwork 'a b' $(date)\n" * 4_000
    assert len(found(text + "while :; do sleep 1; done\n" * 500)) == 500


def test_variables_that_stand_for_each_other_are_looked_up_once():
    text = "".join(f"A=$B{n}\nB{n}=$A\nB{n}=$B{n}$A\n" for n in range(200))
    assert intervals(f"{text}while :; do sleep $A; done\n") == [None]
