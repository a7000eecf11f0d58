"""The handler of the machine's load, run by a dispatcher."""

import json
from pathlib import Path

SHIPPED = Path(__file__).resolve().parents[2] / "scripts" / "events" / "handlers"


def test_a_machine_under_load_is_an_alert_once_in_a_while(bench):
    source = (SHIPPED / "on-system-load-measured.py").read_text()
    bench.handler("on-system-load-measured.py", source)
    for load, cores in ((1.0, 2), (9.0, 2), (9.5, 2)):
        bench.emit("system.load_measured", {"load_1m": load, "cores": cores})
    bench.emit("system.load_measured", {"load_1m": "much"})
    bench.drain()
    events = [json.loads(line) for line in bench.home.live("system").read_text().splitlines()]
    (alert,) = [event for event in events if event["type"] == "system.health_alert"]
    assert alert["data"] == {"alert_type": "overload", "load_1m": 9.0, "cores": 2}
    assert alert["causationid"] == events[1]["id"]
    assert bench.verdicts() == [("done", "settled"), ("rejected", "dead-letter")]
