#!/usr/bin/env bash
# Usage: emit-event.sh TYPE DATA [SOURCE]
# Summary: what Cortex had before its bus: an event, and its line in dashboard-events.jsonl
# Exit: 0 done, 64 usage, 65 bad event, 74 writing failed
#
#   TYPE     worker.started, or a word: worker_started becomes dashboard.worker_started
#   DATA     any JSON value
#   SOURCE   emit-event where none is given
#
# coordination/dashboard-events.jsonl is for dashboards that read it: id, timestamp, type, data and
# source, as TYPE was given. Handlers wait for the event. Where it cannot be logged, it is in the
# drop box.
set -euo pipefail

SCRIPTS=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
readonly SCRIPTS USAGE_LINES=12 LINE_BYTES_MAX=262144

# shellcheck source=events/lib/event-fallback.sh
source "$SCRIPTS/events/lib/event-fallback.sh"

main() { # <type> <data> [<source>]
  local type=${1-} source=${3:-emit-event} line _hookline_home
  if [[ $type == --help || $type == -h ]]; then
    sed -n "2,${USAGE_LINES}s/^# \{0,1\}//p" -- "${BASH_SOURCE[0]}"
    return 0
  fi
  if (($# < 2 || $# > 3)); then
    printf 'ERROR: expected TYPE DATA [SOURCE]; see emit-event.sh --help\n' >&2
    return 64
  fi
  if [[ $type != *.* ]]; then
    type=${type,,}
    type=dashboard.${type//[!a-z0-9_]/_}
  fi
  say_event "$type" "$source" "$2"
  _hookline_home=${HOOKLINE_HOME:-${CORTEX_HOME:-${SCRIPTS%/scripts}}}
  ! has_event_logger || _hookline_find_home
  line=$(jq -nc --arg id "evt-$EPOCHSECONDS-$$" --arg type "$1" --arg source "$source" \
    --argjson data "$2" \
    '{id: $id, timestamp: (now | todate), type: $type, data: $data, source: $source}')
  # One write, so that two lines never mix.
  dd bs="$LINE_BYTES_MAX" iflag=fullblock oflag=append conv=notrunc status=none \
    of="$_hookline_home/coordination/dashboard-events.jsonl" <<<"$line"
}

main "$@"
