# shellcheck shell=bash
# The common part of the workers: do a round of work, say so in a heartbeat, wait, until told to
# end. Source it, define `work_round` (sets `activity`), call
# `worker_main <script> <worker-id> <worker-type> [option...]`.
#
# Rounds begin at a steady pace; one that takes too long is followed by the next at once, and what
# was missed is not made up for. Waiting takes no process. The last heartbeat says `stopped`, so
# that nobody is missed who was told to end.
if [[ -n ${_HOOKLINE_WORKER_LOOP-} ]]; then
  return 0
fi
_HOOKLINE_WORKER_LOOP=1

# shellcheck source=scripts/events/lib/event-fallback.sh
source "${BASH_SOURCE[0]%/*}/../events/lib/event-fallback.sh"

worker_more='' # a worker's own members of its heartbeat: ',"key":value'
_worker_due_us=0 _worker_pipe='' _worker_told=''

# Before the loop: a signal ends the wait, whether it comes during it or before.
worker_listen() {
  # Nobody else writes into it: to read from it is to wait. The shell that made it has ended.
  { exec {_worker_pipe}<> <(:) && wait "$!"; } || :
  trap '_worker_told=1; printf "\n" >&"$_worker_pipe"' TERM INT
}

# Waits until the next round is due. 1: told to end
worker_wait() { # <milliseconds from one round to the next>
  local - now_us=${EPOCHREALTIME//[.,]/} wait_ms timeout
  _worker_due_us=$((_worker_due_us + $1 * 1000))
  ((_worker_due_us > now_us)) || _worker_due_us=$now_us
  wait_ms=$(((_worker_due_us - now_us) / 1000))
  if ((wait_ms > 0)); then
    printf -v timeout '%d.%03d' $((wait_ms / 1000)) $((wait_ms % 1000))
    # Only in posix mode does a signal that has a trap end a read.
    set -o posix
    read -r -t "$timeout" -u "$_worker_pipe" || :
  fi
  [[ ! $_worker_told ]]
}

worker_heartbeat() { # <worker-id> <worker-type> <status> <activity> <count>
  local data
  printf -v data '{"worker_id":"%s","worker_type":"%s","task_id":"round-%d","status":"%s"' \
    "$1" "$2" "$5" "$3"
  printf -v data '%s,"activity":"%s","heartbeat_count":%d,"pid":%d%s}' "$data" "$4" "$5" \
    "$$" "$worker_more"
  worker_say worker.heartbeat "$1" "$data"
}

worker_say() { # <type> <source> <data>: a worker may have one of its own
  say_newest "$@"
}

worker_loop() { # <worker-id> <worker-type> <milliseconds>
  local id=$1 type=$2 interval_ms=$3 count=0 activity status=running
  while [[ $status == running ]]; do
    activity=''
    work_round || activity="failed: ${activity:-unknown}"
    count=$((count + 1))
    worker_heartbeat "$id" "$type" "$status" "$activity" "$count" ||
      printf '%s: the heartbeat was not logged\n' "$id" >&2
    worker_wait "$interval_ms" || status=stopped
  done
  worker_heartbeat "$id" "$type" "$status" 'was told to end' $((count + 1))
}

worker_main() { # <script> <worker-id> <worker-type> [--help | --interval SECONDS]
  local script=$1 id=$2 type=$3 interval=5
  shift 3
  case ${1-} in
    --help | -h)
      sed -n '2,4s/^# //p' -- "$script"
      return 0
      ;;
    --interval) interval=${2-} ;;
    '') ;;
    *) interval= ;;
  esac
  if [[ ! $interval =~ ^([0-9]{1,5})(\.([0-9]{1,3}))?$ || ! $interval == *[1-9]* ]]; then
    printf 'ERROR: --interval takes seconds from 0.001 to 99999.999; see --help\n' >&2
    return 64
  fi
  local decimals=${BASH_REMATCH[3]}000
  : "${HOOKLINE_HOME:=$(cd -- "${script%/*}/../.." && pwd -P)}"
  export HOOKLINE_HOME TZ=UTC
  _worker_due_us=${EPOCHREALTIME//[.,]/}
  worker_listen
  worker_loop "$id" "$type" $((10#${BASH_REMATCH[1]} * 1000 + 10#${decimals:0:3}))
}
