#!/usr/bin/env bash
# Usage: on-layer-due.sh EVENT-FILE
# Summary: runs the layer that a schedule has made due; `hookline reflect runs` says how it went
# Exit: 0 success or partial, 65 failed or bad data, 69 hookline is not installed, 75 it is running
# on: layer.due
# timeout: 1d   attempts: 8   backoff: 10s   key: data.layer   envelope: cloudevents
#
# One run after the other, whatever their layers. What has failed is a dead letter at once: whether
# it is to be tried again is for a person to decide (`hookline dead-letters replay`). Tried again by
# itself is only what was killed on the way, and what found another run of its layer at work. For
# the same event no layer is run twice to its end.
set -uo pipefail
umask 027

# shellcheck source=../lib/state-file.sh
source "${BASH_SOURCE[0]%/*}/../lib/state-file.sh"
# shellcheck source=../lib/hookline-command.sh
source "${BASH_SOURCE[0]%/*}/../lib/hookline-command.sh"

main() { # <event-file>
  local layer
  [[ ${1-} != --help ]] || { state_help && return; }
  # No state file: the log is the history.
  layer=$(state_apply on-layer-due "${1-}" '[]' 'print(id("layer") | required("layer"))') || return
  _hookline_exec "${BASH_SOURCE[0]}" reflect run --event "$1" -- "$layer"
}

main "$@"
