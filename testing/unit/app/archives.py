"""What the tests of the archiver share."""

from hookline.app.archive import Archive
from hookline.app.config import ArchiveConfig
from hookline.log.log import Log
from hookline.log.rotate import rotate
from testing.unit.log.clocks import HandClock

DAY_S = 86_400.0
NOW = "2026-11-21T00:00:00.000000Z"
LATER = "2999-01-01T00:00:00.000000Z"


def archive(home, *parts, days=0.0, dry_run=False, **config):
    """The steps of a run so many days from now."""
    clock = HandClock()
    clock.advance(days * DAY_S + 60)
    run = Archive(home, ArchiveConfig(**config), clock, dry_run=dry_run)
    return list(run.run(*([parts] if parts else [])))


def told(steps):
    return [(step.action, step.log, step.segment) for step in steps]


def emit(home, type="a.b", **more):
    return Log(home).append(type, source="test", **more).id


def close(home, events=1):
    """One more closed segment of the domain `a`."""
    for _ in range(events):
        emit(home, data={"n": 1})
    rotate(home, "a")


def handler(home, name, header="# from: beginning"):
    path = home.handlers / name
    path.write_text(f"#!/bin/bash\n{header}\nexit 0\n")
    path.chmod(0o750)
