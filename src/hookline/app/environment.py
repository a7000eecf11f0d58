"""What handlers and programs get of our environment: the same under cron and a terminal."""

import os
import pwd
import sys
from pathlib import Path

from hookline.app.config import Config

_FOLDERS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def passed_environment(config: Config) -> dict[str, str]:
    """What of our environment a handler gets: the same under cron, a terminal and systemd."""
    user = pwd.getpwuid(os.geteuid())
    env = {
        "PATH": f"{Path(sys.executable).parent}:{_FOLDERS}",
        "HOME": user.pw_dir,
        "USER": user.pw_name,
        "LOGNAME": user.pw_name,
        "LANG": "C.UTF-8",
    }
    env.update((name, os.environ[name]) for name in config.handlers.env if name in os.environ)
    return env
