# shellcheck shell=bash disable=SC2034,SC2154 # bats sets status, output and stderr
# A home for what was written for Cortex, with the scripts in it and no variable that leads there.

[[ -z ${_hookline_cortex_loaded-} ]] || return 0
_hookline_cortex_loaded=1

load ../test_helper

make_base() { # in setup_file: a home as `hookline init` makes it, without handlers
  "$HOOKLINE_CHECKOUT/.venv/bin/hookline" init "$BATS_FILE_TMPDIR/base" >/dev/null
  rm -f -- "$BATS_FILE_TMPDIR"/base/scripts/events/handlers/on-*
  sed -i 's/^envelope = .*/envelope = "cortex"/' \
    "$BATS_FILE_TMPDIR/base/coordination/config/hookline.toml"
}

cortex() { # sets HOME_OF, EVENTS, LOGGER, DISPATCHER, and stands in a folder of its own
  sandbox
  HOME_OF=$BATS_TEST_TMPDIR/project EVENTS=$HOME_OF/coordination/events
  LOGGER=$HOME_OF/scripts/events/lib/event-logger.sh
  DISPATCHER=$HOME_OF/scripts/events/event-dispatcher.sh
  rm -rf -- "${HOOKLINE_HOME:?}"
  unset -v HOOKLINE_HOME
  cp -a -- "$BATS_FILE_TMPDIR/base" "$HOME_OF"
  cd -- "$TMPDIR" || return
}

client() { # <name> <text>: a program of the project
  printf '#!/usr/bin/env bash\nset -euo pipefail\n%s\n' "$2" >"$HOME_OF/scripts/$1"
  chmod 0755 -- "$HOME_OF/scripts/$1"
}

handler() { # <name> <text>
  printf '#!/usr/bin/env bash\nset -euo pipefail\n%s\n' "$2" \
    >"$HOME_OF/scripts/events/handlers/$1"
  chmod 0755 -- "$HOME_OF/scripts/events/handlers/$1"
}

hookline() { "$HOOKLINE_CHECKOUT/.venv/bin/hookline" "$@" --home "$HOME_OF"; }

stored() { # <domain> <jq filter>: of each event in the log, under the names that Cortex has
  jq -c '{event_id: .id, event_type: .type, source, correlation_id: .correlationid,
    metadata: {priority: (.priority // "medium")}, payload: .data} | '"$2" \
    "$EVENTS/$1-events.jsonl"
}

made() { # <file> <jq filter>: of a state file below coordination/
  jq -c "$2" <"$HOME_OF/coordination/$1"
}
