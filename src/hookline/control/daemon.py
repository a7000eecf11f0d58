"""What a daemon is: an entry of `daemons.toml`, and its folder in a home."""

from pathlib import Path, PurePosixPath
from typing import Final, Literal

import msgspec

from hookline.log.home import Home
from hookline.model.duration import seconds
from hookline.model.errors import BadData

READY_S: Final = 30.0
"""How long a daemon may take to say that it is ready."""


class Daemon(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One that people start and stop by its name."""

    script: str
    """A program in the home, which `run` keeps in the foreground."""
    label: str = ""
    """What people call it."""
    about: str = ""
    start: Literal["event", "direct"] = "event"
    """Whether the wizard asks for it with an event or starts it itself."""
    run: Literal["asked", "always"] = "asked"
    """`always`: `hookline up`, and the units, start it by themselves."""
    replaces: tuple[str, ...] = ()
    """The handlers that do its work while a dispatcher serves: then it stands by."""
    alive_for: str = ""
    """For one that never says that it is ready: it is, when it has lived for so long."""

    def __post_init__(self) -> None:
        """Raises ValueError, naming the key."""
        path = PurePosixPath(self.script)
        if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in self.script:
            raise ValueError(f"script: {self.script!r} is not the path of a program in the home")
        if self.alive_for:
            try:
                seconds(self.alive_for)
            except BadData as error:
                raise ValueError(f"alive_for: {error}") from error


def folder_of(home: Home, name: str) -> Path:
    """What belongs to a daemon. Its supervisor has a lock on the folder itself."""
    return home.coordination / "daemons" / name


def lock_of(home: Home, name: str) -> Path:
    """The lock that the daemon itself has: locked, it runs. It says two numbers: the process of the
    daemon, and that of its supervisor, or 0 without one."""
    return folder_of(home, name) / "lock"


def log_of(home: Home, name: str) -> Path:
    """What it prints."""
    return home.coordination / "logs" / f"{name}.log"
