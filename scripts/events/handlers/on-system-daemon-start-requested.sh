#!/usr/bin/env bash
# Usage: on-system-daemon-start-requested.sh EVENT-FILE
# Summary: starts the daemon that data.daemon_type names; events say what becomes of it
# Exit: 0 done, 65 no such daemon, bad data or daemons.toml, 69 hookline is not there, 75 not yet
# on: system.daemon_start_requested
# timeout: 60s   attempts: 3   key: data.daemon_type   concurrency: 4   envelope: cloudevents
#
# What is started is what coordination/config/daemons.toml says, whatever path an event names. A
# request that a system.daemon_start_withdrawn has taken back is done without a start. Where nothing
# is started, system.daemon_start_refused says why.
set -uo pipefail
umask 027

# shellcheck source=../lib/state-file.sh
source "${BASH_SOURCE[0]%/*}/../lib/state-file.sh"
# shellcheck source=../lib/hookline-command.sh
source "${BASH_SOURCE[0]%/*}/../lib/hookline-command.sh"

main() { # <event-file>
  local name
  [[ ${1-} != --help ]] || { state_help && return; }
  # No state file: whether it runs already is for its lock to say.
  name=$(state_apply on-system-daemon-start-requested "${1-}" '[]' \
    'print(id("daemon_type") | required("daemon_type"))') || return
  _hookline_exec "${BASH_SOURCE[0]}" daemon launch --asked -- "$name"
}

main "$@"
