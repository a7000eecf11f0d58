#!/usr/bin/env bash
# Usage: storm_emit.sh HOME NAME
# Summary: appends numbered events with emit_event, until HOME/stop is there
# Exit: 0 done; HOME/NAME.count has how many were appended
set -euo pipefail

readonly SIZES=(30 200 600 3000 90 3900 150 30000 400 4096 250)

main() { # <home> <name>
  local home=$1 name=$2 count=0 size text
  export HOOKLINE_HOME=$home
  # shellcheck source=scripts/events/lib/event-logger.sh
  source "${BASH_SOURCE[0]%/*}/../../../scripts/events/lib/event-logger.sh"
  while [[ ! -e $home/stop ]]; do
    size=${SIZES[RANDOM % ${#SIZES[@]}]}
    ((RANDOM % 200)) || size=150000
    printf -v text '%*s' "$size" ''
    emit_event storm.emit "$name" "{\"n\":$((count + 1)),\"len\":$size,\"text\":\"${text// /e}\"}"
    count=$((count + 1))
  done
  printf '%s' "$count" >"$home/$name.count"
}

main "$@"
