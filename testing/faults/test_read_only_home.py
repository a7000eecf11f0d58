"""A home that may be looked at only: a backup that is mounted, somebody else's, a disk that the
kernel has made read only. Whoever only looks is told all; whoever would write is told why not.
"""

import json
import os
import shutil
import subprocess
import sys
from functools import partial

import apsw
import pytest

from hookline.dispatch.journal import STATE_FILE
from hookline.log.home import Home

HANDLER = "on-a-b.sh"
EVENT, LETTER = "good", "bad"
DIFFERS = ("root", "until", "before", "deleted", "seconds")
OF_THE_INDEX = [["status"], ["dead-letters"], ["rebuild", "--dry-run"], ["doctor"]]
LOOKING = [
    *OF_THE_INDEX,
    ["log"],
    ["log", "a.*", "-n", "1"],
    ["handlers"],
    ["explain", "a.b"],
    ["explain", EVENT],
    ["verify"],
    ["dead-letters", "list", "--each"],
    ["dead-letters", "show", f"{HANDLER}:{LETTER}"],
    ["dead-letters", "replay", "--all", "--dry-run"],
    ["dead-letters", "drop", "--all", "--dry-run"],
    ["dead-letters", "purge", "--older-than", "0s", "--dry-run"],
    ["replay", "--to", HANDLER, "--name", "weekly", "--dry-run"],
    ["event-replay", "--event-id", EVENT, "--dry-run"],
    ["archive", "--dry-run"],
]
WRITING = [
    ["emit", "a.b"],
    ["dispatch", "--once"],
    ["rebuild"],
    ["handlers", "pause", HANDLER],
    ["replay", "--to", HANDLER],
    ["replay", "--end", "weekly"],
    ["dead-letters", "replay", "--all"],
    ["dead-letters", "drop", "--all"],
    ["dead-letters", "purge", "--older-than", "0s"],
    ["event-replay", "--event-id", EVENT],
]


@pytest.fixture(name="used")
def make_used(bench):
    """A home with an event that was done, a dead letter and one that waits."""
    bench.shell(HANDLER, "[[ $EVENT_ID != bad ]] || exit 65; [[ $EVENT_ID != late ]] || exit 75")
    bench.home.config.mkdir()
    for event in (EVENT, LETTER, "late"):
        bench.emit("a.b", id=event)
    bench.drain()
    return bench


def command(*arguments):
    return [sys.executable, "-m", "hookline", *arguments, "--json"]


def hookline(home, *arguments):
    return subprocess.run(
        command(*arguments),
        env={**os.environ, "HOOKLINE_HOME": os.fspath(home.root)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def told(done):
    """The lines of a command's JSON, without what differs from one moment or place to the next."""
    return [
        {key: value for key, value in line.items() if key not in DIFFERS}
        for line in map(json.loads, done.stdout.splitlines())
        if line.get("check") not in ("folder", "disk", "inodes", "home", "index")
    ]


@pytest.fixture(name="read_only")
def find_read_only(request, used):
    """Has the home so that nobody can write to it; what runs a command on it."""
    if os.geteuid() == 0:
        yield partial(on_a_disk, used.home, request.getfixturevalue("small_disk"))
    else:
        yield partial(without_leave, used.home)
        change_modes(used.home, 0o700)


def on_a_disk(home, disk):
    """EROFS: a disk that is mounted read only, which holds for root too."""
    shutil.copytree(home.root, disk.root / "home", symlinks=True)
    disk.set_read_only(True)
    root = str(disk.mount_point / "home")
    return lambda *arguments: disk.run(command(*arguments), {"HOOKLINE_HOME": root})


def without_leave(home):
    """EACCES: no leave to write to any file or folder of it."""
    change_modes(home, 0o500)
    return partial(hookline, home)


def change_modes(home, mode):
    for path in [home.root, *home.root.rglob("*")]:
        path.chmod(mode)


@pytest.mark.parametrize("how", ["whole", "killed", "none"])
def test_who_only_looks_sees_what_everybody_sees(used, read_only, tmp_path, how, soak_s):
    """W14: with an index as its dispatcher closed it, as a killed one left it, and with none."""
    if how == "killed":
        leave_as_killed(used.home.state / STATE_FILE)
    elif how == "none":
        shutil.rmtree(used.home.state)
        used.home.state.mkdir(mode=0o750)
    commands = LOOKING if soak_s or how == "whole" else OF_THE_INDEX
    # Of its own, since who may write leaves a log beside the index.
    other = Home(shutil.copytree(used.home.root, tmp_path / "other", symlinks=True))
    look = read_only()
    for arguments in commands:
        ended, expected = look(*arguments), hookline(other, *arguments)
        assert told(ended) == told(expected), arguments
        assert ended.stderr == expected.stderr
        # The doctor says that the folders cannot be written to, and that alone.
        doctor = arguments == ["doctor"]
        assert ended.returncode == (os.EX_CONFIG if doctor else expected.returncode), arguments
    findings = [json.loads(line) for line in look("doctor").stdout.splitlines()]
    assert {each["check"] for each in findings if not each["well"]} == {"folder"}


def leave_as_killed(index):
    """As somebody leaves it who is killed: what was committed last is in the log beside it."""
    db = apsw.Connection(str(index))
    db.execute("UPDATE meta SET value = value")
    kept = {path: path.read_bytes() for path in index.parent.glob(f"{index.name}*")}
    db.close()
    for path, data in kept.items():
        path.write_bytes(data)
    assert len(kept) == 3


@pytest.mark.usefixtures("used")
def test_who_would_write_is_told_in_one_line(used, read_only):
    """W14: and nothing is half done."""
    before = used.home.deliveries.read_bytes()
    run = read_only()
    for arguments in WRITING:
        ended = run(*arguments)
        assert ended.returncode in (os.EX_CANTCREAT, os.EX_IOERR, os.EX_NOPERM), (arguments, ended)
        (line,) = ended.stderr.splitlines()
        assert "Read-only file system" in line or "Permission denied" in line
    assert used.home.deliveries.read_bytes() == before
