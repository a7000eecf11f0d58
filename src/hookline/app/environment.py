"""What handlers and programs get of our environment: the same under cron and a terminal."""

import os
import pwd
import sys
from pathlib import Path

from hookline.app.config import Config
from hookline.notify import Notifier

_FOLDERS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def notifier() -> Notifier:
    """Who tells the service manager that has started us, if one has; to be asked for once."""
    return Notifier.from_environment(os.environ)


def user_units() -> Path:
    """The folder of the user's own units, as systemd.unit(5) has it."""
    config = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(config, "systemd", "user")


def passed_environment(config: Config) -> dict[str, str]:
    """What of our environment a handler gets: the same under cron, a terminal and systemd."""
    name, folder = _user()
    env = {
        "PATH": f"{Path(sys.executable).parent}:{_FOLDERS}",
        "HOME": folder,
        "USER": name,
        "LOGNAME": name,
        # As cron has it; without one, each bash reads `passwd` when it starts.
        "SHELL": "/bin/sh",
        # Nothing else in this locale differs from C, and for LANG a dozen files would be read.
        "LC_CTYPE": "C.UTF-8",
    }
    env.update((name, os.environ[name]) for name in config.handlers.env if name in os.environ)
    return env


def _user() -> tuple[str, str]:
    """The name and the home folder of who runs this. A container may run as a number that no
    `passwd` knows, and a machine short of descriptors cannot read it: then what we were given."""
    try:
        user = pwd.getpwuid(os.geteuid())
    except KeyError:
        number = str(os.geteuid())
        return os.environ.get("USER", number), os.environ.get("HOME", "/")
    return user.pw_name, user.pw_dir
