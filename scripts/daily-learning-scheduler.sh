#!/usr/bin/env bash
# Usage: daily-learning-scheduler.sh [--force] [--wait SECONDS] | --status
# Summary: has the learning cycle of the day (UTC) run, once; for cron, as often as you like
# Exit: 0 done or asked for, 64 usage, 69 hookline is not installed, 75 not done yet, else failed
#
#   --force          run it again though it was completed
#   --wait SECONDS   wait so long until it is completed; else it is only asked for
#   --status         print how it stands: done, requested, overdue, failed or due; exit 0 when done
#
# The cycle is asked for with an event. Where there is no event logger, or it refuses, or a request
# has waited for a dispatcher for more than a day, the cycle is run here. Whoever runs it marks the
# day as done when it is completed: coordination/metrics/learning/last-daily-run.txt. Without a
# terminal, what it does is in coordination/logs/daily-learning-scheduler.log.
set -euo pipefail

SCRIPTS=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
readonly SCRIPTS USAGE_LINES=13

force='' wait_s=0 action=schedule

main() {
  parse "$@"
  if [[ $action == help ]]; then
    sed -n "2,${USAGE_LINES}s/^# \{0,1\}//p" -- "${BASH_SOURCE[0]}"
    return 0
  fi
  export HOOKLINE_HOME=${HOOKLINE_HOME:-${CORTEX_HOME:-${SCRIPTS%/scripts}}}
  [[ -d $HOOKLINE_HOME/coordination ]] || fail 78 "no home at ${HOOKLINE_HOME@Q}: hookline init"
  log=$HOOKLINE_HOME/coordination/logs/daily-learning-scheduler.log
  mark=$HOOKLINE_HOME/coordination/metrics/learning/last-daily-run.txt
  TZ=UTC printf -v today '%(%Y-%m-%d)T' -1
  if [[ $action == status ]]; then
    find_standing
    printf '%s %s\n' "$today" "$state"
    [[ $state == 'done' ]] || return 75
  else
    alone
    schedule
  fi
}

parse() {
  while (($#)); do
    case $1 in
      --help | -h) action=help ;;
      --status) action=status ;;
      --force) force=1 ;;
      --wait)
        [[ ${2-} =~ ^[0-9]{1,6}$ ]] || fail 64 '--wait takes whole seconds; see --help'
        wait_s=$((10#$2))
        shift
        ;;
      *) fail 64 "${1@Q} is not known; see --help" ;;
    esac
    shift
  done
}

schedule() {
  local state requests=0
  find_standing
  if [[ $force ]]; then
    rm -f -- "$mark"
    state=due
  fi
  case $state in
    done | requested) [[ ! -t 2 ]] || note "the cycle of $today is $state already" ;;
    overdue)
      note 'a request has waited for more than a day: no dispatcher comes'
      run_here
      return
      ;;
    *)
      if ! ask; then
        run_here
        return
      fi
      ;;
  esac
  ((wait_s == 0)) || wait_for_it
}

# What the log says. Where hookline is not installed to read it, the mark says whether it is done;
# asking twice then does no harm: it is the same event.
find_standing() {
  local found said
  state=due requests=0
  if is_marked; then
    state='done'
  elif found=$(find_hookline) && said=$("$found" learn status --for "$today"); then
    read -r _ state requests <<<"${said##*$'\n'}"
  fi
}

is_marked() { [[ -f $mark && $(<"$mark") == "$today" ]]; }

# A request that became a dead letter may be made again, under the next number; one that waits has
# this number's id, and an id is delivered once.
ask() {
  local logger=$SCRIPTS/events/lib/event-logger.sh number=$((requests + 1)) said status=0 event
  if [[ ! -f $logger ]]; then
    note 'there is no event logger'
    return 1
  fi
  printf -v event '{"date":"%s","cycle_type":"daily"%s}' "$today" "${force:+,\"force\":true}"
  [[ ! $force ]] || number=forced.${EPOCHREALTIME//[!0-9]/}
  printf -v event '{"specversion":"1.0","id":"daily-learning.%s.%s","source":"%s","type":"%s",%s}' \
    "$today" "$number" daily-learning-scheduler learning.cycle_requested \
    "\"priority\":\"high\",\"data\":$event"
  said=$("$logger" "$event" 2>&1) || status=$?
  if ((status != 0)); then
    note "the event logger has refused the request (exit $status): ${said##*$'\n'}"
    return 1
  fi
  note "asked for the cycle of $today"
}

run_here() {
  local found said status=0
  found=$(find_hookline) || fail 69 'hookline is not installed: run scripts/setup.sh'
  note "running the cycle of $today here"
  said=$("$found" learn --for "$today" 2>&1) || status=$?
  ((status == 0)) || fail "$status" "the cycle of $today failed: ${said##*$'\n'}"
  note "completed: ${said##*$'\n'}"
}

wait_for_it() {
  local deadline=$((SECONDS + wait_s))
  until is_marked; do
    ((SECONDS < deadline)) || fail 75 "the cycle of $today is not completed after $wait_s s"
    sleep 0.2
  done
  note "the cycle of $today is completed"
}

# As scripts/events/lib/hookline-command.sh finds it; but that may be gone, as the logger may.
find_hookline() {
  local found
  for found in {"$HOOKLINE_HOME","${SCRIPTS%/scripts}"}/{.venv/bin,coordination/state}/hookline; do
    if [[ -x $found ]]; then
      printf '%s\n' "$found"
      return
    fi
  done
  command -v hookline
}

# Held by the kernel, also for a cycle that outlives us.
alone() {
  local folder=$HOOKLINE_HOME/coordination/state/locks lock
  mkdir -p -- "$folder" || fail 73 "cannot make ${folder@Q}"
  { exec {lock}>>"$folder/daily-learning-scheduler.lock"; } 2>/dev/null ||
    fail 73 "cannot open a lock in ${folder@Q}"
  if ! flock --nonblock "$lock"; then
    note 'another one runs'
    exit 75
  fi
}

# A full disk keeps a line from the log, and nothing from being done.
note() { # <text>
  if [[ -t 2 ]] || ! {
    mkdir -p -- "${log%/*}" && TZ=UTC printf '%(%Y-%m-%dT%H:%M:%SZ)T %s\n' -1 "$1" >>"$log"
  } 2>/dev/null; then
    printf '%s\n' "$1" >&2
  fi
}

fail() { # <exit> <text>
  [[ -t 2 || ! ${log-} ]] || note "$2"
  printf 'ERROR: %s\n' "$2" >&2
  exit "$1"
}

main "$@"
