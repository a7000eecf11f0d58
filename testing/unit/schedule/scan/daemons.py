"""The ten daemons of the inventory in seed 000, as they may have been: programs by file name."""

DAEMONS = {
    "action_consumer_daemon.py": '''\
"""Action processing."""

import threading

from kloros.orchestration.chem_bus_v2 import ChemSub


class Consumer:
    CHECK_INTERVAL_MINUTES = 5

    def __init__(self):
        self._stop = threading.Event()
        self.queue = []
        self.sub = ChemSub("Q_CURIOSITY", self.queue.append, niche="queue")

    def run(self):
        while not self._stop.wait(self.CHECK_INTERVAL_MINUTES * 60):
            while self.queue:
                self.apply(self.queue.pop())

    def apply(self, message):
        print(message)
''',
    "chembus_historian_daemon.py": '''\
"""ChemBus history archival."""

import logging
import time

from kloros.orchestration.chem_bus_v2 import ChemSub

logger = logging.getLogger(__name__)


class Historian:
    def __init__(self):
        self.backoff = 1.0
        self.sub = ChemSub("", self._archive)

    def _archive(self, message):
        print(message)

    def run(self):
        while True:
            try:
                time.sleep(1.0)
            except OSError:
                logger.exception("history is not written")
                time.sleep(self.backoff)
                self.backoff = min(self.backoff * 2, 60.0)
''',
    "curiosity_core_consumer_daemon.py": '''\
"""Proactive question generation."""

import time

from kloros.orchestration.chem_bus_v2 import ChemPub, ChemSub
from kloros.orchestration.maintenance_mode import wait_for_normal_mode

PROACTIVE_INTERVAL_S = 60


class CuriosityCoreConsumer:
    def __init__(self, proactive_interval=None):
        self.proactive_interval = proactive_interval or PROACTIVE_INTERVAL_S
        self.last_generation = time.monotonic()
        self.pub = ChemPub()
        self.sub = ChemSub("CAPABILITY_GAP", self._on_gap, zooid_name="curiosity")

    def run(self):
        while True:
            wait_for_normal_mode()
            self._maybe_generate()
            time.sleep(1)

    def _maybe_generate(self):
        elapsed = time.monotonic() - self.last_generation
        if elapsed >= self.proactive_interval:
            self._generate()
            self.last_generation = time.monotonic()

    def _generate(self):
        self.pub.emit("Q_CURIOSITY_INVESTIGATE", ecosystem="curiosity", facts={})

    def _on_gap(self, message):
        self.last_generation = 0.0
''',
    "decay_daemon.py": '''\
"""Memory decay processing."""

import time


class Decay:
    def __init__(self):
        self.interval = 300

    def run(self):
        while True:
            forgotten = self.decay()
            self.interval = max(30, self.interval / 2) if forgotten else self.interval * 2
            time.sleep(self.interval)

    def decay(self):
        return 0
''',
    "introspection_daemon.py": '''\
"""Proactive capability scanning."""

import time

from kloros.orchestration.chem_bus_v2 import ChemPub, ChemSub
from kloros.orchestration.maintenance_mode import wait_for_normal_mode


class IntrospectionDaemon:
    def __init__(self, scan_interval: float = 5.0):
        self.scan_interval = scan_interval
        self.last_scan_ts = 0.0
        self.running = True
        self.chem_pub = ChemPub()

    def run(self):
        while self.running:
            wait_for_normal_mode()

            now = time.time()
            if now - self.last_scan_ts >= self.scan_interval:
                self._run_scan_cycle()
                self.last_scan_ts = now

            time.sleep(1)  # Polling loop

    def _run_scan_cycle(self):
        self.chem_pub.emit("CAPABILITY_GAP", ecosystem="introspection", facts={"found": 1})
''',
    "investigation_consumer_daemon.py": '''\
"""Investigation processing."""

import threading

from kloros.orchestration.chem_bus_v2 import ChemSub


class Consumer:
    CHECK_INTERVAL_MINUTES = 5

    def __init__(self):
        self._stop = threading.Event()
        self.queue = []
        self.sub = ChemSub("Q_CURIOSITY", self.queue.append, niche="queue")

    def run(self):
        while not self._stop.wait(self.CHECK_INTERVAL_MINUTES * 60):
            while self.queue:
                self.investigate(self.queue.pop())

    def investigate(self, message):
        print(message)
''',
    "ledger_writer_daemon.py": '''\
"""Observability ledger writes."""

import logging
import time

from kloros.orchestration.chem_bus_v2 import ChemSub

logger = logging.getLogger(__name__)


class LedgerWriter:
    def __init__(self):
        self.running = True
        self.sub = ChemSub("OBSERVATION", self._write)

    def _write(self, message):
        with open("/var/lib/kloros/ledger.jsonl", "a") as ledger:
            ledger.write(str(message))

    def run(self):
        logger.info("started")
        while self.running:
            time.sleep(1)
''',
    "semantic_dedup_consumer_daemon.py": '''\
"""Deduplication processing."""

import threading

from kloros.orchestration.chem_bus_v2 import ChemSub


class Dedup:
    batch_interval = 5.0

    def start(self):
        ChemSub("Q_SEMANTIC", self._add)
        self.pending = []
        self._schedule()

    def _schedule(self):
        threading.Timer(self.batch_interval, self._process_batch).start()

    def _process_batch(self):
        self.pending.clear()
        self._schedule()

    def _add(self, message):
        self.pending.append(message)
''',
    "shadow_daemon.py": '''\
"""D-REAM shadow evaluation."""

import asyncio

from kloros.orchestration.chem_bus_v2 import ChemSub

CONFIG = {"shadow": {"interval": 60.0, "depth": 3}}


class Shadow:
    def __init__(self, config=CONFIG):
        self.evaluations = 0
        self.sub = ChemSub("Q_DREAM_COMPLETE", self.remember)

    async def run(self):
        while True:
            await self.evaluate()
            await asyncio.sleep(CONFIG["shadow"]["interval"])

    async def evaluate(self):
        self.evaluations += 1

    def remember(self, message):
        pass
''',
    "tournament_consumer_daemon.py": '''\
"""Tournament evaluation."""

import os
from time import sleep as pause

from kloros.orchestration.chem_bus_v2 import ChemSub


def evaluate(brackets):
    return sorted(brackets)


def main():
    poll_s = float(os.environ.get("TOURNAMENT_POLL_S", "15"))
    brackets = []
    ChemSub("Q_TOURNAMENT", brackets.append)
    while True:
        evaluate(brackets)
        pause(poll_s)
''',
}
