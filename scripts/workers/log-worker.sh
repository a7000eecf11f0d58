#!/usr/bin/env bash
# Usage: log-worker.sh [--interval SECONDS]
# Summary: a worker that reads the new lines of every log with jq, and counts those that are bad
# Exit: 0 told to end, 64 usage
set -euo pipefail

readonly SCRIPTS=${BASH_SOURCE[0]%/*}

# shellcheck source=scripts/workers/worker-loop.sh
source "$SCRIPTS/worker-loop.sh"

declare -A read_bytes=() # how far each log was read

# Counts the JSON lines among those that have come to lie in every log since the last round.
work_round() {
  local file size from good all lines=0 bad=0
  for file in "$HOOKLINE_HOME"/coordination/events/*-events.jsonl; do
    [[ -f $file ]] || continue
    size=$(stat --format=%s -- "$file") || return
    from=${read_bytes[$file]-0}
    if ((size < from)); then
      from=0 # rotated: a new file
    fi
    read -r good all < <(tail -c "+$((from + 1))" -- "$file" | head -c "$((size - from))" |
      jq -Rnr '[inputs | try (fromjson | 1) catch 0] | "\(add // 0) \(length)"') || return
    read_bytes[$file]=$size
    lines=$((lines + all))
    bad=$((bad + all - good))
  done
  activity="read $lines new lines, $bad bad"
}

worker_main "${BASH_SOURCE[0]}" log-worker log "$@"
