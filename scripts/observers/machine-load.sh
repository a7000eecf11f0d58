#!/usr/bin/env bash
# Usage: machine-load.sh [--interval SECONDS]
# Summary: emit the machine's load and free memory as system.load_measured each few seconds
# Exit: 0 told to end, 64 usage
set -euo pipefail

readonly SCRIPTS=${BASH_SOURCE[0]%/*}

# shellcheck source=scripts/workers/worker-loop.sh
source "$SCRIPTS/../workers/worker-loop.sh"

# Prints nothing; sets `kib` to a figure of /proc/meminfo.
memory_kib() { # <name>
  local name value _
  kib=0
  while read -r name value _; do
    if [[ $name == "$1:" ]]; then
      kib=$value
      return
    fi
  done </proc/meminfo
}

measure() {
  local one five fifteen kib data cores=0 line
  read -r one five fifteen _ </proc/loadavg
  while read -r line; do
    if [[ $line == processor* ]]; then
      cores=$((cores + 1))
    fi
  done </proc/cpuinfo
  memory_kib MemAvailable
  printf -v data '{"load_1m":%s,"load_5m":%s,"load_15m":%s,"cores":%d,"memory_available_kib":%d}' \
    "$one" "$five" "$fifteen" "$cores" "$kib"
  say_newest system.load_measured machine-load "$data"
}

# The observer does no rounds of work and sends no heartbeats: what it sees is its sign of life.
worker_loop() { # <id> <type> <milliseconds>
  while :; do
    measure || printf 'machine-load: the figure was not logged\n' >&2
    worker_wait "$3" || return 0
  done
}

worker_main "${BASH_SOURCE[0]}" machine-load observer "$@"
