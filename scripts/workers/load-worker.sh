#!/usr/bin/env bash
# Usage: load-worker.sh WORKER-ID TALLY-FILE STALE-AFTER-SECONDS [--interval SECONDS]
# Summary: a worker of a load test: measures its own memory, and writes down each heartbeat it sends
# Exit: 0 told to end, or whoever has started it has ended; 64 usage
set -euo pipefail

readonly SCRIPTS=${BASH_SOURCE[0]%/*}

# shellcheck source=scripts/workers/worker-loop.sh
source "$SCRIPTS/worker-loop.sh"

# Whoever has started it may be killed, and who was to end it then (load-keeper.sh) too.
work_round() {
  local pages parent
  read -r _ _ _ parent _ <"/proc/$$/stat"
  [[ $parent == "$PPID" ]] || kill -TERM "$$"
  read -r _ pages _ </proc/self/statm || return
  activity="uses $((pages * 4)) KiB"
}

# All workers of a test write into one tally, each line with one write: the worker, the id of the
# heartbeat, how many microseconds it took to say it, how that went.
worker_say() { # <type> <source> <data>
  local begun_us=${EPOCHREALTIME/[.,]/} ended_us how=logged
  say_newest "$@" || how=failed
  ended_us=${EPOCHREALTIME/[.,]/}
  [[ ! ${HOOKLINE_EVENT_FILE-} || $how == failed ]] || how=dropped
  printf '%s %s %d %s\n' "$2" "${HOOKLINE_EVENT_ID:--}" $((ended_us - begun_us)) "$how" >&"$tally"
  [[ $how != failed ]]
}

main() {
  if [[ ${1-} == --help || ${1-} == -h ]]; then
    set -- '' '' '' --help
  elif [[ ! ${1-} =~ ^[A-Za-z0-9][A-Za-z0-9._-]{0,100}$ || ! ${2-} ||
    ! ${3-} =~ ^[1-9][0-9]{0,4}$ ]]; then
    printf 'ERROR: which worker, where is its tally, when is it missed? see --help\n' >&2
    return 64
  else
    exec {tally}>>"$2"
    worker_more=",\"stale_after_s\":$3"
  fi
  worker_main "${BASH_SOURCE[0]}" "$1" load "${@:4}"
}

main "$@"
