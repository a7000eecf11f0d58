"""Backups that are made while writers go on and logs are closed and compressed under them."""

import json
import os
import subprocess
import threading
import time
from itertools import count

from hookline.log.home import Home
from hookline.log.log import Log
from hookline.log.rotate import rotate, seal
from hookline.model.clock import SystemClock, rfc3339
from testing.docs.console import CHECKOUT

HANDLER = CHECKOUT / "scripts/events/handlers/on-system-backup-scheduled.sh"
WRITERS = 2
BACKUPS_MIN = 3
DEADLINE_S = 60.0


class Storm:
    """Writers that number their events, and one who closes their log and compresses what is."""

    def __init__(self, home, chance):
        self.home, self.chance = home, chance
        self.acknowledged = [-1] * WRITERS
        self.over = threading.Event()
        targets = [*((self.write, (name,)) for name in range(WRITERS)), (self.rotate, ())]
        self.threads = [threading.Thread(target=target, args=args) for target, args in targets]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()

    def write(self, name):
        log = Log(self.home.root)
        for n in count():
            if self.over.is_set():
                return
            log.append("a.b", source=str(name), data={"n": n, "text": "x" * (n % 2000)})
            self.acknowledged[name] = n
            time.sleep(0.001)  # the pace of the load: else the logs outgrow the copies of them

    def rotate(self):
        while not self.over.wait(self.chance.uniform(0.05, 0.8)):
            rotate(self.home, "a")
            seal(self.home, "a")


def backup(home, number):
    """One run of the handler; its exit status."""
    event = home.root / f"event-{number}"
    event.write_text(json.dumps({
        "specversion": "1.0", "id": f"b{number}", "source": "test",
        "type": "system.backup_scheduled", "time": rfc3339(SystemClock().now()),
        "data": {"keep": 1},
    }))  # fmt: skip
    env = {**os.environ, "HOOKLINE_HOME": str(home.root)}
    return subprocess.run([HANDLER, event], env=env, check=False, timeout=DEADLINE_S).returncode


def numbers_in(home, restored):
    """What each writer has said, in the order of a restored backup."""
    (file,) = (home.coordination / "backups").glob("backup-*.tar.gz")
    (restored / "coordination").mkdir(parents=True, exist_ok=True)
    subprocess.run(["tar", "-xzf", file, "-C", restored / "coordination"], check=True)
    found = [[] for _ in range(WRITERS)]
    for event in Log(restored).read("a.*"):
        found[int(event.source)].append(event.value()["n"])
    return found


def test_a_backup_has_all_that_was_there_before_it_once_and_in_order(tmp_path, chance, soak_s):
    home = Home(tmp_path / "home")
    home.segments.mkdir(parents=True)
    good, number, until_s = 0, 0, time.monotonic() + max(soak_s, DEADLINE_S / 2)
    with Storm(home, chance) as storm:
        while time.monotonic() < until_s and (soak_s or good < BACKUPS_MIN):
            number += 1
            before = list(storm.acknowledged)
            status = backup(home, number)
            # Closed under it each time: it says so, and there is none.
            assert status in (0, 75)
            if status == 0:
                good += 1
                found = numbers_in(home, tmp_path / f"restored-{number}")
                for name in range(WRITERS):
                    assert found[name] == list(range(len(found[name])))
                    assert len(found[name]) > before[name]
    assert good >= BACKUPS_MIN
