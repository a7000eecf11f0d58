"""Running a handler on an event from a Python test."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hookline.app import trial
from hookline.app.root import root
from hookline.app.trial import Trial
from hookline.log.home import Home
from hookline.model import envelope
from hookline.model.clock import SystemClock, nanoseconds, rfc3339
from hookline.model.ids import uuid7

SOURCE = "test"


def try_handler(
    handler: str | os.PathLike[str],
    event: Mapping[str, Any] | bytes | str,
    *,
    state: str | os.PathLike[str] | None = None,
    home: str | os.PathLike[str] | None = None,
) -> Trial:
    """Run a handler once on an event, in a copy of its home that is thrown away; see `hookline
    try`.

    `handler` is a name in the home's handlers folder or a path; `event` an object such as
    `{"specversion": "1.0", "type": "worker.started", "data": {…}}` or its JSON text, what it lacks
    of id, source and time is made up; `state` a folder whose files lie in `coordination/` when the
    handler begins; `home` the folder that has `coordination/`, by default the one that is meant
    where the tests run. Raises BadData for what cannot be tried.
    """
    clock = SystemClock()
    now = clock.now()
    text = event.encode() if isinstance(event, str) else event
    fields = envelope.from_outside(
        dict(text) if isinstance(text, Mapping) else text,
        id=uuid7(nanoseconds(now)),
        source=SOURCE,
        time=rfc3339(now),
    )
    meant = Home(Path(root(os.fspath(home) if home is not None else None)))
    name = os.fspath(handler)
    path = Path(name) if "/" in name else meant.handlers / name
    folder = None if state is None else Path(state)
    return trial.try_handler(meant, path, envelope.line(**fields), clock, folder)
