#!/usr/bin/env bash
# Usage: storm_emit.sh HOME NAME
# Summary: appends numbered events with emit_event, until HOME/stop is there
# Exit: 0 done; HOME/NAME.count has how many were appended
set -euo pipefail

exec {quiet}<> <(:) # never says a word: reading it is a pause without a fork
readonly SIZES=(30 200 600 3000 90 3900 150 400 4096 250)

main() { # <home> <name>
  local home=$1 name=$2 count=0 size text
  export HOOKLINE_HOME=$home
  # shellcheck source=scripts/events/lib/event-logger.sh
  source "${BASH_SOURCE[0]%/*}/../../../scripts/events/lib/event-logger.sh"
  while [[ ! -e $home/stop ]]; do
    ((RANDOM % 10)) || read -rt 0.02 -u "$quiet" || :
    size=${SIZES[RANDOM % ${#SIZES[@]}]}
    printf -v text '%0*d' "$size" 0
    emit_event storm.emit "$name" "{\"n\":$((count + 1)),\"len\":$size,\"text\":\"$text\"}"
    count=$((count + 1))
  done
  printf '%s' "$count" >"$home/$name.count"
}

main "$@"
