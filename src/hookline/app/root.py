"""Which home is meant: an option, the environment, the folder one stands in, the checkout."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from hookline.model.errors import BadConfig, printable

if TYPE_CHECKING:
    from hookline.log.home import Home


def root(given: str | None = None) -> str:
    """The root folder of the home that is meant, as an absolute path.

    `given` (an option) comes first, then HOOKLINE_HOME, CORTEX_HOME, the nearest folder upwards
    that has `coordination/`, the checkout. An empty value says nothing. Raises BadConfig when none
    of them says anything, or its name is no text; the folder that was named need not exist.
    """
    return as_text(find_root(given, os.environ, _folder(), _checkout()))


def home_of(args: object) -> "Home":
    """The home that a command's parsed arguments, or else the environment, mean."""
    from pathlib import Path

    from hookline.log.home import Home

    home = Home(Path(root(getattr(args, "home", None))))
    if not home.coordination.is_dir():
        raise BadConfig(f"no home at {home.root}: make one with hookline init {home.root}")
    return home


def find_root(
    given: str | None, environ: Mapping[str, str], folder: str | None, checkout: str | None
) -> str:
    """What `root` does, from arguments; `folder` is None where the working folder is gone."""
    named = given or environ.get("HOOKLINE_HOME") or environ.get("CORTEX_HOME")
    if named:
        return os.path.normpath(os.path.join(folder or "/", named))
    found = _nearest(folder) if folder else None
    if found or checkout:
        return found or checkout or ""
    raise BadConfig("no home here: make one with `hookline init DIR`, or set HOOKLINE_HOME")


def as_text(path: str) -> str:
    """The path. Raises BadConfig where its bytes are no UTF-8, in which the state is kept."""
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise BadConfig(f"{printable(path)}: this name is no UTF-8; rename the folder") from error
    return path


def _nearest(folder: str) -> str | None:
    while not os.path.isdir(os.path.join(folder, "coordination")):
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above
    return folder


def _folder() -> str | None:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None


def _checkout() -> str | None:
    """The checkout that this file lies in; None when it was installed without one."""
    checkout = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
    return checkout if os.path.isdir(os.path.join(checkout, "scripts", "events")) else None
