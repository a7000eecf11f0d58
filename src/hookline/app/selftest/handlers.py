"""The handlers of the storm: they note what they do, and fail as often as an event tells them."""

from typing import Final

from hookline.log.home import Home

ATTEMPTS_MAX: Final = 3
DOMAIN: Final = "storm"

EXEC: Final = r"""#!/bin/bash
# on: storm.task   from: beginning   key: data.k   concurrency: 3   attempts: 3   backoff: 10ms
note() { # <begin|end> [<status>]
  printf '%s %s %s %s %s %s\n' "$1" "$EVENT_ID" "$key" "$EVENT_ATTEMPT" "${EPOCHREALTIME/./}" \
    "${2-}" >>"$HOOKLINE_HOME/${0##*/}.runs"
}
read -r event
[[ $event =~ \"k\":\"(k[0-9])\",\"fails\":([0-9]) ]]
key=${BASH_REMATCH[1]} status=$((EVENT_ATTEMPT <= BASH_REMATCH[2]))
note begin
((RANDOM % 16)) || sleep 0.1
note end "$status"
exit "$status"
"""

WARM: Final = EXEC.replace("# on:", "# run: warm   on:", 1)

# A failure that was counted is in a file of its own: the program ends with it.
STREAM: Final = r"""#!/bin/bash
# on: storm.task   run: stream   from: beginning   attempts: 3   backoff: 10ms
note() { # <begin|end> [<status>]
  printf '%s %s %s 1 %s %s\n' "$1" "$id" "$key" "${EPOCHREALTIME/./}" "${2-}" \
    >>"$HOOKLINE_HOME/${0##*/}.runs"
}
while IFS= read -r event; do
  [[ $event =~ \"id\":\"([^\"]*)\".*\"k\":\"(k[0-9])\",\"fails\":([0-9]) ]]
  id=${BASH_REMATCH[1]} key=${BASH_REMATCH[2]} fails=${BASH_REMATCH[3]}
  failed=$HOOKLINE_HOME/${0##*/}.failed.$id times=
  [[ ! -e $failed ]] || times=$(<"$failed")
  status=$((${#times} < fails))
  note begin
  ((RANDOM % 32)) || sleep 0.02
  ((status == 0)) || printf x >>"$failed"
  note end "$status"
  printf '%s %s\n' "$id" "$status" >&3
  ((status == 0)) || exit
done
"""

PYTHON: Final = """# run: python   from: beginning   attempts: 3   backoff: 10ms
import os, random, time
from hookline import on

out = open(os.environ["HOOKLINE_HOME"] + "/on-storm.py.runs", "ab", buffering=0)
left = {}

def note(what, event, status=""):
    out.write(f"{what} {event.id} all 1 {time.time_ns() // 1000} {status}\\n".encode())

@on("storm.*")
def handle(event):
    note("begin", event)
    if random.random() < 0.03:
        time.sleep(0.02)
    fails = left.pop(event.id, event.value()["fails"])
    note("end", event, int(fails > 0))
    if fails:
        left[event.id] = fails - 1
        raise RuntimeError("as the event said")
"""

# What is killed all the time may leave many dead letters in a row, which says nothing of a handler.
CONFIG: Final = """[dispatch]
pause_after = 0
"""

HANDLERS: Final = {
    "on-storm-task.sh": EXEC,
    "on-storm-warm.sh": WARM,
    "on-storm-stream.sh": STREAM,
    "on-storm.py": PYTHON,
}


def install(home: Home) -> None:
    """Put them into a home, with its configuration."""
    (home.config / "hookline.toml").write_text(CONFIG)
    for name, text in HANDLERS.items():
        path = home.handlers / name
        path.write_text(text)
        path.chmod(0o750)
