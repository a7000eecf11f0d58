"""Running a handler on an event from a Python test."""

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import msgspec

from hookline.app.root import root
from hookline.app.trial import Trial
from hookline.model import jsontext
from hookline.model.errors import BadData, HooklineError


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

    In a process of its own: a dispatcher reaps children and takes signals, which are the tests' own
    here, and a handler may kill whoever runs it.
    """
    text = event.encode() if isinstance(event, str) else event
    if isinstance(text, Mapping):
        text = jsontext.dumps(dict(text), jsontext.LEVELS_MAX + 1)
    options = ["--json", "--home", root(os.fspath(home) if home is not None else None)]
    if state is not None:
        options += ["--state", os.fspath(state)]
    ended = subprocess.run(
        [sys.executable, "-m", "hookline", "try", *options, "--", os.fspath(handler), "-"],
        input=text,
        capture_output=True,
        check=False,
    )
    if ended.returncode in (0, 1):
        return msgspec.json.decode(ended.stdout, type=Trial)
    reason = ended.stderr.decode("utf-8", "replace").strip().removeprefix("hookline try: ")
    kind = BadData if ended.returncode == BadData.exit_code else HooklineError
    raise kind(reason or f"hookline try ended with {ended.returncode}")
