"""A host that its handler has spoilt, and one that is ended."""

import mmap
import os
import time
from pathlib import Path

import pytest

from hookline.dispatch.ledger import Ledger, Pending
from hookline.dispatch.python_runner import attribute, progress_path
from hookline.model.position import Position


@pytest.mark.parametrize("page", [b"", b"\xff" * mmap.PAGESIZE, b"\xff" * 200, None])
def test_a_page_that_a_handler_has_spoilt_blames_nobody(tmp_path, page):
    place = {"domain": "a", "position": Position(1, 0), "event": "e", "source": "s", "type": "a.b"}
    pending = Pending(**place, attempt=1, running=True)
    ledger = Ledger()
    ledger.progress("on-a-py.py").pending[pending.place] = pending
    path = progress_path(tmp_path, "on-a-py.py")
    path.mkdir() if page is None else path.write_bytes(page)
    attribute(ledger, tmp_path)
    assert (pending.attempt, pending.running) == (0, False)


@pytest.mark.parametrize("end", ["os._exit(3)", "time.sleep(600)"])
def test_a_spoilt_page_settles_nothing_and_keeps_nobody_running(bench, end):
    bench.handler(
        "on-a-py.py",
        "# run: python   attempts: 1   timeout: 200ms\nimport os, time\nfrom hookline import on\n"
        "@on('a.*')\ndef handle(event):\n"
        f"    os.pwrite(5, b'\\xff' * 200, 0)\n    {end}\n",
    )
    events = [bench.emit("a.b") for _ in range(3)]
    bench.run_until(lambda: len(bench.letters()) == 3, 60.0)
    assert [letter["event"]["id"] for letter in bench.letters()] == events


@pytest.mark.parametrize("kind", ["exec", "python"])
def test_a_second_signal_ends_what_a_run_has_started_in_a_session_of_its_own(bench, kind):
    if kind == "exec":
        bench.shell("on-a-b.sh", 'setsid sleep 600 & echo $! >"$OUT"; sleep 600')
    else:
        bench.handler(
            "on-a-py.py",
            "# run: python\nimport os, subprocess, time\nfrom hookline import on\n"
            "@on('a.*')\ndef handle(event):\n"
            "    child = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
            "    open(os.environ['OUT'], 'w').write(f'{child.pid}\\n')\n    time.sleep(600)\n",
        )
    bench.emit("a.b")
    dispatcher = bench.dispatcher()
    try:
        with dispatcher.signals():
            wait_until(bench.said, lambda: dispatcher.tick(0.05))
            dispatcher.stop(at_once=True)
            dispatcher.run()
    finally:
        dispatcher.close()
    child = Path(f"/proc/{bench.said()[0]}/stat")
    wait_until(lambda: is_gone(child), os.sched_yield)


def wait_until(condition, meanwhile, deadline_s=60.0):
    ends_s = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < ends_s
        meanwhile()


def is_gone(stat):
    try:
        return stat.read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
