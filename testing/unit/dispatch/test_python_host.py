"""What a Python handler's host tells of failures: the handler's own frames, and no way to them."""

import json
import subprocess

import pytest

from hookline.dispatch.python_runner import host_argv

HEAD = "# run: python   attempts: 1\nfrom hookline import on\n"


def letter_of(bench, body):
    bench.handler("on-a-py.py", f"{HEAD}{body}")
    bench.emit("a.b")
    bench.drain()
    (letter,) = bench.letters()
    return letter


@pytest.mark.parametrize("mark", ["@on('a.*')", "@on('a.*', batch=5)"])
def test_a_traceback_begins_at_the_handlers_function(bench, mark):
    body = f"def deep():\n    1 / 0\n\n{mark}\ndef handle(event):\n    deep()\n"
    trace = letter_of(bench, body)["traceback"].splitlines()
    path = bench.home.handlers / "on-a-py.py"
    assert trace[:3] == [
        "Traceback (most recent call last):",
        f'  File "{path}", line 8, in handle',
        "    deep()",
    ]
    assert trace[-1] == "ZeroDivisionError: division by zero"
    assert sum(line.startswith("  File ") for line in trace) == 2


def test_so_does_the_last_of_exceptions_that_came_of_each_other(bench):
    body = (
        "@on('a.*')\ndef handle(event):\n    try:\n        1 / 0\n"
        "    except ZeroDivisionError as error:\n        raise ValueError('worse') from error\n"
    )
    trace = letter_of(bench, body)["traceback"]
    assert "ZeroDivisionError" in trace
    assert trace.splitlines()[-1] == "ValueError: worse"
    assert "python_host" not in trace


def test_what_ends_the_host_is_told_on_stderr_from_the_handler_on(bench):
    letter = letter_of(bench, "@on('a.*')\ndef handle(event):\n    raise KeyboardInterrupt\n")
    assert letter["stderr"].splitlines()[-1] == "KeyboardInterrupt"
    assert "in handle" in letter["stderr"]
    assert "python_host" not in letter["stderr"]


def test_frames_of_ours_that_the_handler_called_stay(bench):
    body = (
        "from hookline import Log\n"
        "@on('a.*')\ndef handle(event):\n    Log().append('BAD', source='x')\n"
    )
    trace = letter_of(bench, body)["traceback"]
    assert trace.splitlines()[1].endswith("in handle")
    assert "in append" in trace


@pytest.mark.parametrize(
    ("body", "frames"),
    [("x = (\n", ["line 3"]), ("1 / 0\n", ["line 3, in <module>"])],
)
def test_a_file_that_cannot_be_loaded_is_told_without_the_way_to_it(tmp_path, body, frames):
    path = tmp_path / "on-a.py"
    path.write_text(HEAD + body)
    said = json.loads(hosted(path, "3>&1").stdout)
    assert [line for line in said["trace"].splitlines() if line.startswith("  File ")] == [
        f'  File "{path}", {frame}' for frame in frames
    ]


def test_a_fault_of_the_host_itself_is_told_in_full(tmp_path):
    path = tmp_path / "on-a.py"
    path.write_text(f"{HEAD}@on('a.*')\ndef handle(event):\n    pass\n")
    told = hosted(path, "3>&-").stderr
    assert told.splitlines()[-1] == "OSError: [Errno 9] Bad file descriptor"
    assert "python_host.py" in told
    assert "in _say" in told


def hosted(path, redirection):
    """The host with its descriptor 3 led elsewhere."""
    return subprocess.run(
        ["bash", "-c", f'exec "$@" {redirection}', "bash", *host_argv(path, "--describe")],
        capture_output=True,
        text=True,
        check=False,
    )
