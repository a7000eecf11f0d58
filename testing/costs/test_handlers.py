"""What the handlers that come with Hookline ask of the kernel."""

import json
import os
from pathlib import Path

from hookline.log.home import Home
from testing.costs.counting import CHECKOUT, Each, Trace, Tracer

HANDLER = CHECKOUT / "scripts/events/handlers/on-worker-heartbeat.sh"
SEEN = "2020-01-01T10:00:00.000000Z"


def test_a_state_is_not_read_byte_by_byte(home: Home, tracer: Tracer, tmp_path: Path) -> None:
    event = tmp_path / "event"
    event.write_text(
        f'{{"specversion":"1.0","id":"one","source":"w","type":"worker.heartbeat","time":"{SEEN}"}}'
    )

    def run(rows: int) -> Trace:
        workers = [{"id": f"w{n}", "last_heartbeat": SEEN, "pad": "x" * 100} for n in range(rows)]
        pool = home.coordination / "worker-pool.json"
        pool.write_text(json.dumps({"workers": workers}))
        return tracer.run(os.fspath(HANDLER), os.fspath(event), trace="read")

    assert Each(run, 10, 200)("read") < 10
