# shellcheck shell=bash
# The common part of the workers: do a round of work, say so in a heartbeat, wait, until told to
# end. Source it, define `work_round` (sets `activity`), call
# `worker_main <script> <worker-id> <worker-type> [option...]`.
if [[ -n ${_HOOKLINE_WORKER_LOOP-} ]]; then
  return 0
fi
_HOOKLINE_WORKER_LOOP=1

# shellcheck source=scripts/events/lib/event-logger.sh
source "${BASH_SOURCE[0]%/*}/../events/lib/event-logger.sh"

# Waits, but not a moment longer when a signal comes: bash runs traps only between commands.
worker_wait() { # <seconds>
  sleep "$1" &
  wait "$!" || true
}

worker_heartbeat() { # <worker-id> <worker-type> <status> <activity> <count>
  local data
  printf -v data '{"worker_id":"%s","worker_type":"%s","task_id":"round-%d","status":"%s"' \
    "$1" "$2" "$5" "$3"
  printf -v data '%s,"activity":"%s","heartbeat_count":%d,"pid":%d}' "$data" "$4" "$5" "$$"
  emit_event worker.heartbeat "$1" "$data"
}

worker_loop() { # <worker-id> <worker-type> <seconds>
  local id=$1 type=$2 interval_s=$3 count=0 activity
  trap 'exit 0' TERM INT
  while :; do
    activity=''
    work_round || activity="failed: ${activity:-unknown}"
    count=$((count + 1))
    worker_heartbeat "$id" "$type" running "$activity" "$count" ||
      printf '%s: the heartbeat was not logged\n' "$id" >&2
    worker_wait "$interval_s"
  done
}

worker_main() { # <script> <worker-id> <worker-type> [--help | --interval SECONDS]
  local script=$1 id=$2 type=$3 interval_s=5
  shift 3
  case ${1-} in
    --help | -h)
      sed -n '2,4s/^# //p' -- "$script"
      return 0
      ;;
    --interval) interval_s=${2-} ;;
    '') ;;
    *) interval_s= ;;
  esac
  if [[ ! $interval_s =~ ^[1-9][0-9]{0,4}$ ]]; then
    printf 'ERROR: --interval takes whole seconds from 1 to 99999; see --help\n' >&2
    return 64
  fi
  : "${HOOKLINE_HOME:=$(cd -- "${script%/*}/../.." && pwd -P)}"
  export HOOKLINE_HOME TZ=UTC
  worker_loop "$id" "$type" "$interval_s"
}
