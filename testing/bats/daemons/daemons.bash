# shellcheck shell=bash disable=SC2154 # bats sets status, output and stderr
# A home with scripts of its own, so that a test can take the event logger away, or a handler.

[[ -n ${_hookline_daemons_loaded-} ]] && return
_hookline_daemons_loaded=1

load ../test_helper

furnish_home() {
  sandbox
  cp -R -- "$HOOKLINE_CHECKOUT/scripts/daemons" "$HOOKLINE_HOME/scripts/"
  cp -R -- "$HOOKLINE_CHECKOUT/scripts/events/lib" "$HOOKLINE_HOME/scripts/events/"
}

daemon() { # <script without -daemon.sh> <argument>...
  "$HOOKLINE_HOME/scripts/daemons/$1-daemon.sh" "${@:2}"
}

a_round() { # <script without -daemon.sh>: one round, which must be done
  run --separate-stderr daemon "$1" run --once
  assert_success
}

# Whatever a test has left at work; a lock says which process it is.
end_daemons() {
  local lock pid
  for lock in "$HOOKLINE_HOME"/coordination/daemons/*/lock; do
    if [[ ! -f $lock ]] || flock --nonblock "$lock" true; then continue; fi
    read -r pid _ <"$lock" || continue
    kill -KILL -- "$pid" 2>/dev/null || :
  done
}

handlers_are() { # <name>...: they are there, and a dispatcher holds its lock
  local name
  for name; do
    printf '#!/bin/bash\n' >"$HOOKLINE_HOME/scripts/events/handlers/$name"
    chmod 0755 -- "$HOOKLINE_HOME/scripts/events/handlers/$name"
  done
}

dispatcher_serves() {
  exec {dispatcher}<"$HOOKLINE_HOME/coordination"
  flock --nonblock "$dispatcher"
}

dispatcher_ends() { exec {dispatcher}<&-; }

without_logger() { rm -- "$HOOKLINE_HOME/scripts/events/lib/event-logger.sh"; }

said() { # <jq filter>: what it says of each event, in the logs and in the drop box
  local -a files
  mapfile -t files < <(find "$HOOKLINE_HOME/coordination/events" -name '*.json*' | sort)
  ((${#files[@]} == 0)) || cat -- "${files[@]}" | jq -c "$1"
}

state() { # <file> <jq filter>: on one line
  jq -c "$2" <"$HOOKLINE_HOME/coordination/$1"
}

state_is() { # <file> <text>
  [[ $1 != */* ]] || mkdir -p -- "$HOOKLINE_HOME/coordination/${1%/*}"
  printf '%s\n' "$2" >"$HOOKLINE_HOME/coordination/$1"
}

ago() { # <seconds>: a time
  TZ=UTC printf '%(%Y-%m-%dT%H:%M:%SZ)T' "$((EPOCHSECONDS - $1))"
}
