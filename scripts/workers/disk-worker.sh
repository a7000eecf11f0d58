#!/usr/bin/env bash
# Usage: disk-worker.sh [--interval SECONDS]
# Summary: a worker that measures the room that the home takes and what is left, each round
# Exit: 0 told to end, 64 usage
set -euo pipefail

readonly SCRIPTS=${BASH_SOURCE[0]%/*}

# shellcheck source=scripts/workers/worker-loop.sh
source "$SCRIPTS/worker-loop.sh"

# Bytes of coordination/ and bytes left on its file system, appended to a metrics file.
work_round() {
  local used left line
  used=$(du -sk -- "$HOOKLINE_HOME/coordination") || return
  left=$(df -Pk -- "$HOOKLINE_HOME/coordination") || return
  read -r _ _ _ left _ <<<"${left##*$'\n'}"
  used=${used%%[[:space:]]*}
  mkdir -p -- "$HOOKLINE_HOME/coordination/metrics"
  printf -v line '{"timestamp":"%(%Y-%m-%dT%H:%M:%SZ)T","used_kib":%d,"left_kib":%d}' \
    -1 "$used" "$left"
  printf '%s\n' "$line" >>"$HOOKLINE_HOME/coordination/metrics/disk-usage.jsonl"
  activity="uses $used KiB, $left KiB are left"
}

worker_main "${BASH_SOURCE[0]}" disk-worker disk "$@"
