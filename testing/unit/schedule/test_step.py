"""One command of a layer, for real."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hookline.dispatch.process import family, null
from hookline.schedule.step import Command, argv_of, perform

DEADLINE_S = 60.0


@pytest.fixture
def run(tmp_path, request):
    """Runs a text in bash."""
    mark = f"HOOKLINE_RUN=test:{request.node.nodeid}:{os.getpid()}"

    def run(text, *, stdin=None, output_bytes_max=1 << 20, timeout_s=DEADLINE_S):
        return perform(
            Command(
                argv_of(text, tmp_path, "/usr/bin:/bin"),
                {"PATH": "/usr/bin:/bin", "HOOKLINE_RUN": mark.partition("=")[2]},
                tmp_path,
                mark,
                null() if stdin is None else stdin,
                tmp_path / "output",
                output_bytes_max,
                timeout_s,
            )
        )

    run.output = tmp_path / "output"
    run.mark = mark
    return run


def wait_until(is_so):
    deadline_s = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)  # the pace of the look


def test_what_it_prints_is_kept_and_it_is_well(run):
    ended = run("printf 'a\\nb'; echo said >&2")
    assert (ended.exit, ended.signal, ended.error, ended.cut) == (0, None, "", False)
    assert run.output.read_bytes() == b"a\nb"
    assert ended.output_bytes == 3
    assert run.output.stat().st_mode & 0o007 == 0


def test_a_failure_is_told_with_its_last_words(run):
    ended = run("echo first >&2; echo last >&2; exit 3")
    assert (ended.exit, ended.error) == (3, "exit 3: last")
    assert run("exit 4").error == "exit 4"
    ended = run("kill -SEGV $$")
    assert (ended.exit, ended.signal, ended.error) == (None, signal.SIGSEGV, "SIGSEGV")


def test_all_of_a_large_output_is_kept(run):
    ended = run("head -c 3000000 /dev/zero | tr '\\0' x", output_bytes_max=3_000_000)
    assert (ended.cut, ended.output_bytes) == (False, 3_000_000)
    assert run.output.read_bytes() == b"x" * 3_000_000


def test_of_too_much_nothing_is_kept_and_it_goes_on_to_its_end(run):
    ended = run("head -c 3000000 /dev/zero; exit 3", output_bytes_max=1000)
    assert (ended.exit, ended.cut) == (3, True)
    assert not run.output.exists()


def test_one_that_prints_for_ever_is_ended_when_its_time_is_over(run):
    ended = run("yes", output_bytes_max=1000, timeout_s=0.3)
    assert ended.cut
    assert ended.error == "it ran longer than 0.3 s"


def test_what_takes_too_long_ends_with_all_that_it_has_started(run):
    ended = run(
        "trap '' TERM; setsid sleep 600 & sleep 600 & while :; do wait; done", timeout_s=0.3
    )
    assert ended.error == "it ran longer than 0.3 s"
    assert family({run.mark}) == set()


def test_it_is_asked_to_end_first(run):
    ended = run("trap 'echo bye; exit 0' TERM; while :; do sleep 0.01; done", timeout_s=3.0)
    assert ended.error == "it ran longer than 3 s"
    assert (ended.exit, run.output.read_text()) == (0, "bye\n")


def test_a_child_that_holds_the_pipe_is_not_waited_for(run):
    ended = run("echo done; sleep 600 & exit 0")
    assert (ended.error, run.output.read_text()) == ("", "done\n")
    for kin in family({run.mark}):
        os.kill(kin.pid, signal.SIGKILL)


def test_it_is_the_leader_of_its_own_session_and_reads_what_it_is_given(run, tmp_path):
    (tmp_path / "input").write_text("given")
    with (tmp_path / "input").open("rb") as file:
        run('cat; read -r _ _ _ _ group session _ </proc/$$/stat; echo " $$ $group $session"',
            stdin=file.fileno())  # fmt: skip
    given, pid, group, session = run.output.read_text().split()
    assert given == "given"
    assert pid == group == session


def test_a_program_is_looked_for_on_the_path_and_one_with_a_slash_in_the_folder(tmp_path):
    assert argv_of(("cat", "-"), tmp_path, "/usr/bin:/bin")[0].endswith("/cat")
    assert argv_of(("bin/x", "a b"), tmp_path, "/bin") == [str(tmp_path / "bin/x"), "a b"]
    assert argv_of(("/bin/x",), tmp_path, "/bin") == ["/bin/x"]
    with pytest.raises(FileNotFoundError, match="no program nothing-such on /bin"):
        argv_of(("nothing-such",), tmp_path, "/bin")


def test_where_its_end_could_not_be_seen_it_is_ended(run, monkeypatch):
    def short(_):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "pidfd_open", short)
    with pytest.raises(OSError, match="Too many open files"):
        run("sleep 600")
    assert family({run.mark}) == set()


@pytest.mark.parametrize("when", ["it has just begun", "it is at it"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_when_we_are_told_to_end_it_ends_too(number, when, tmp_path):
    mark = f"HOOKLINE_RUN=test:{tmp_path}"
    code = """
import signal, sys
from pathlib import Path
from hookline.cli.ending import end_on_term
from hookline.dispatch.process import null, spawn
from hookline.schedule import step
from hookline.schedule.step import Command, perform
end_on_term()
def told_to_end(*arguments, **more):
    pid = spawn(*arguments, **more)
    signal.raise_signal(int(sys.argv[3]))
    return pid
if int(sys.argv[3]):
    step.spawn = told_to_end
name, _, value = sys.argv[1].partition("=")
folder = Path(sys.argv[2])
perform(Command(["/bin/bash", "-c", "touch begun; sleep 600; :"], {name: value}, folder,
    sys.argv[1], null(), folder / "output", 1000, 600.0))
"""
    at_once = when == "it has just begun"
    running = subprocess.Popen(
        [sys.executable, "-c", code, mark, str(tmp_path), str(int(number) if at_once else 0)],
        stderr=subprocess.DEVNULL,
    )
    try:
        if not at_once:
            wait_until(Path(tmp_path, "begun").exists)
            running.send_signal(number)
        assert running.wait(DEADLINE_S) != 0
    finally:
        running.kill()
    # Who is killed is there until the kernel has taken it down.
    wait_until(lambda: not family({mark}))
