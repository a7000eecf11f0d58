"""`policies.toml`: what may be done without asking a person. Handlers and daemons act by it, in
bash; so whether it is as it should be is for bash to say."""

import os
import subprocess
from typing import Final

from hookline.app.shipped import shipped_scripts
from hookline.log.home import Home
from hookline.model.errors import BadConfig, printable

_READ: Final = 'source "$1/events/lib/policies.sh" && policies_read'


def check_policies(home: Home) -> None:
    """Nothing, where handlers and daemons can act by them, or there are none. Raises BadConfig,
    naming the line and the key."""
    command = ["bash", "-c", _READ, "policies", str(shipped_scripts())]
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOOKLINE_HOME": str(home.root)}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise BadConfig("bash, which is to read it, is not installed") from error
    if done.returncode:
        raise BadConfig(printable(done.stderr.decode(errors="replace").strip()))
