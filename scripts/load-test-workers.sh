#!/usr/bin/env bash
# Usage: load-test-workers.sh [--workers N] [--duration S] [--rate R] [option...]
# Summary: many real workers, each a process of its own that sends heartbeats, and a report of them
# Exit: 0 every heartbeat is accounted for, 1 one was lost or late, 64 usage, 69 what was asked for
#       is missing, 73 no place for its notes, 75 the bus does not start, 78 no home
#
#   --workers N        how many; default 100
#   --duration S       so many seconds, once all are there; default 300
#   --rate R           heartbeats a second of all workers together; default: each one in 5 s
#   --ramp S           the workers are started within so many seconds; default: those of one
#                      heartbeat of each
#   --stale N          half way N workers are stopped (SIGSTOP): is it noticed? default 0
#   --threshold S      after how many seconds of silence that is to be told (what their heartbeats
#                      say of themselves); default 60
#   --with-dispatcher  where nobody dispatches, run `hookline up` for as long as the test lasts
#   --home DIR         default: HOOKLINE_HOME, CORTEX_HOME, the home that this script lies in
#   --json             the report as a JSON object
#   --report FILE      and into a file, as JSON
#   --keep             do not remove its notes; `hookline load-test FOLDER` reports of them again
#
# The test is of the home itself, with its own handlers. Its workers are called load-TIME-NUMBER:
# their heartbeats stay in the log; in worker-pool.json they are removed at the end. Without an
# event logger heartbeats go into the drop box, and the observability hub is started as a daemon.
# Without a dispatcher what is said and logged is counted. Ctrl-C ends all workers, and reports;
# who kills it (kill -9) gets no report, but nothing of it is left.
set -euo pipefail

SCRIPTS=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
readonly SCRIPTS USAGE_LINES=27 DRAIN_STILL_S=30 BUS_READY_S=30

# shellcheck source=scripts/events/lib/hookline-command.sh
source "$SCRIPTS/events/lib/hookline-command.sh"
# shellcheck source=scripts/events/lib/event-fallback.sh
source "$SCRIPTS/events/lib/event-fallback.sh"
# shellcheck source=scripts/workers/load-crew.sh
source "$SCRIPTS/workers/load-crew.sh"
# shellcheck source=scripts/workers/load-progress.sh
source "$SCRIPTS/workers/load-progress.sh"

workers=100 duration_s=300 rate='' ramp_s='' stale=0 threshold_s=60
with_dispatcher='' json='' report='' keep=''
interval_ms=5000 folder='' hookline='' served='' hub='' bus='' keeper='' interrupted=0
alive=0 doing=start passed_s=0 planned_s=0 started_s=0

fail() { # <exit> <message>
  printf 'ERROR: %s\n' "$2" >&2
  exit "$1"
}

tell() { printf '%s\n' "$1" >&2; }

fits() { # <option> <value> <regexp>
  [[ $2 =~ ^$3$ ]] || fail 64 "$1 does not take ${2@Q}; see --help"
}

read_options() { # <argument>...
  while (($#)); do
    case $1 in
      --help | -h) sed -n "2,${USAGE_LINES}s/^# \{0,1\}//p" -- "${BASH_SOURCE[0]}" && exit ;;
      --workers) fits "$1" "${2-}" '[1-9][0-9]{0,3}' && workers=$2 && shift ;;
      --duration) fits "$1" "${2-}" '[1-9][0-9]{0,5}' && duration_s=$2 && shift ;;
      --rate) fits "$1" "${2-}" '[0-9]{1,5}(\.[0-9]{1,3})?' && rate=$2 && shift ;;
      --ramp) fits "$1" "${2-}" '[0-9]{1,5}' && ramp_s=$2 && shift ;;
      --stale) fits "$1" "${2-}" '(0|[1-9][0-9]{0,3})' && stale=$2 && shift ;;
      --threshold) fits "$1" "${2-}" '[1-9][0-9]{0,4}' && threshold_s=$2 && shift ;;
      --with-dispatcher) with_dispatcher=1 ;;
      --home) fits "$1" "${2-}" '.+' && export HOOKLINE_HOME=$2 && shift ;;
      --json) json=--json ;;
      --report) fits "$1" "${2-}" '.+' && report=$2 && shift ;;
      --keep) keep=1 ;;
      *) fail 64 "${1@Q} is not known; see --help" ;;
    esac
    shift
  done
  [[ ! $rate ]] || set_interval
  ((stale <= workers)) || fail 64 'there are not so many workers to be stopped'
  ((stale == 0 || duration_s * 500 >= threshold_s * 1000 + 1000 + interval_ms)) ||
    fail 64 "half of --duration is too short to see who is silent for $threshold_s s (--threshold)"
}

set_interval() { # of one worker, from the heartbeats a second of all
  local decimals thousandths
  [[ $rate =~ ^([0-9]+)(\.([0-9]+))?$ ]]
  decimals=${BASH_REMATCH[3]}000
  thousandths=$((10#${BASH_REMATCH[1]} * 1000 + 10#${decimals:0:3}))
  ((thousandths > 0)) || fail 64 '--rate is more than 0'
  interval_ms=$((workers * 1000000 / thousandths))
  ((interval_ms > 0)) || fail 64 'a worker sends at most a thousand heartbeats a second'
}

find_home() {
  local root=${SCRIPTS%/scripts}
  export HOOKLINE_HOME=${HOOKLINE_HOME:-${CORTEX_HOME:-$root}}
  [[ -d $HOOKLINE_HOME/coordination ]] ||
    fail 78 "no home at ${HOOKLINE_HOME@Q}: hookline init makes one"
  HOOKLINE_HOME=$(cd -- "$HOOKLINE_HOME" && pwd -P)
  hookline=$(_hookline_find_command "$root") || hookline=''
  [[ ! $with_dispatcher || $hookline ]] ||
    fail 69 'there is no dispatcher without hookline: run scripts/setup.sh in the checkout'
}

make_notes() {
  printf -v run 'load-%(%Y%m%dT%H%M%S)T-%04x' -1 $((SRANDOM & 0xffff))
  folder=$(mktemp -d "${TMPDIR:-/tmp}/$run.XXXXXX") || fail 73 'there is no place for notes'
  printf '{"run":"%s","workers":%d,"interval_ms":%d,"duration_s":%d,"threshold_s":%d}\n' \
    "$run" "$workers" "$interval_ms" "$duration_s" "$threshold_s" >"$folder/plan.json"
  : >"$folder/tally"
  # In a session of its own: who kills us may kill all of ours.
  setsid "$SCRIPTS/workers/load-keeper.sh" "$$" "$run" "$folder" ${keep:+--keep} \
    </dev/null >/dev/null 2>&1 &
  keeper=$!
}

# Whatever the logger makes of it, the test goes on.
announce() {
  if [[ -f $SCRIPTS/events/lib/event-logger.sh ]]; then
    (say_event system.observability_check load-test-workers \
      '{"action":"ensure_active","reason":"load_test_starting"}') ||
      tell 'system.observability_check was refused: goes on without it'
  elif [[ ! -x $SCRIPTS/daemons/observability-hub-daemon.sh ]]; then
    tell 'there is neither an event logger nor the observability hub: goes on without them'
  elif ! hub_runs; then
    : >"$folder/hub"
    "$SCRIPTS/daemons/observability-hub-daemon.sh" start >&2 && hub=started || :
  fi
  if event_system_is_active; then
    tell 'Event System: Active (recent events)'
  elif hub_runs; then
    tell 'ObservabilityHub: Running (legacy mode)'
  else
    tell 'Event System: Inactive'
  fi
}

hub_runs() {
  "$SCRIPTS/daemons/observability-hub-daemon.sh" status 2>/dev/null | grep -q RUNNING
}

event_system_is_active() {
  local events=$HOOKLINE_HOME/coordination/events
  [[ -f $events/system-events.jsonl &&
    $(find "$events" -maxdepth 1 -name '*.jsonl' -mmin -5 -print -quit) ]]
}

# A dispatcher has a lock on the folder.
bus_serves() { ! flock --shared --nonblock -- "$HOOKLINE_HOME/coordination" true; }

find_bus() {
  if ! bus_serves && [[ ! $with_dispatcher ]]; then
    tell 'no dispatcher serves this home: nothing will be delivered (--with-dispatcher)'
    return
  elif ! bus_serves; then
    # In a session of its own, so that Ctrl-C is not for it too.
    setsid "$hookline" up --quiet </dev/null >"$folder/bus.log" 2>&1 &
    bus=$!
    printf '%d\n' "$bus" >"$folder/bus"
    while ! bus_serves; do
      { kill -0 "$bus" && ((SECONDS < BUS_READY_S)); } 2>/dev/null ||
        fail 75 "the bus does not start: $(tail -n 1 -- "$folder/bus.log")"
      rest 100
    done
  fi
  served=1
}

turn() { # <until, in microseconds>: shows how it goes; 1: interrupted
  local left_ms
  while left_ms=$((($1 - ${EPOCHREALTIME/[.,]/}) / 1000)) && ((left_ms > 0)); do
    ((interrupted == 0)) || return
    count $((left_ms < 1000 ? left_ms : 1000)) || :
    crew_alive
    passed_s=$((SECONDS - started_s))
    progress_show
  done
}

load() { # starts the workers, lets them work, ends them
  local begun_us=${EPOCHREALTIME/[.,]/} ramp_us=$((interval_ms * 1000)) number seconds
  [[ ! $ramp_s ]] || ramp_us=$((ramp_s * 1000000))
  as_seconds "$interval_ms"
  started_s=$SECONDS planned_s=$((ramp_us / 1000000 + duration_s))
  for ((number = 1; number <= workers; number++)); do
    crew_start "$folder" "$run" "$number" "$seconds" "$threshold_s"
    turn $((begun_us + ramp_us * number / workers)) || return 0
  done
  doing=run
  turn $((begun_us + ramp_us + duration_s * 500000)) || return 0
  crew_silence "$folder" "$stale"
  turn $((begun_us + ramp_us + duration_s * 1000000)) || return 0
}

drain() { # until all that was said is delivered, or nothing moves any more
  local still_s=$SECONDS before='' rounds=0
  doing=drain
  while ((interrupted < 2 && SECONDS - still_s < DRAIN_STILL_S)); do
    count "$((${watch:+1500} + 1))" || :
    progress_show
    rounds=$((rounds + 1))
    # What the watcher has counted may be of before the end.
    if [[ ! $watch ]] || { ((rounds > 1)) && is_delivered; }; then
      break
    fi
    [[ $before == "${counts[*]}" ]] || still_s=$SECONDS before=${counts[*]}
  done
  progress_end
}

is_delivered() { # as far as it ever will be
  [[ ! $served ]] || { ((counts[2] >= counts[1])) &&
    ! compgen -G "$HOOKLINE_HOME/coordination/events/queue/worker.heartbeat.$run-*" >/dev/null; }
}

leave() { # nothing is left running, and no notes
  trap '' INT TERM HUP
  trap - EXIT
  crew_end "$folder"
  end_watch
  if [[ $bus ]]; then
    kill -TERM "$bus" 2>/dev/null || :
    wait "$bus" 2>/dev/null || :
  fi
  [[ ! $hub ]] || "$SCRIPTS/daemons/observability-hub-daemon.sh" stop >&2 || :
  [[ ! $keeper ]] || { kill -TERM "$keeper" && wait "$keeper"; } 2>/dev/null || :
  if [[ $keep ]]; then
    tell "its notes are kept in $folder"
  elif [[ $folder ]]; then
    rm -rf -- "$folder"
  fi
}

main() {
  local status=0
  read_options "$@"
  find_home
  trap 'interrupted=$((interrupted + 1))' INT TERM HUP
  trap leave EXIT
  make_notes
  announce
  find_bus
  begin_watch
  load
  crew_end "$folder"
  drain
  crew_forget "$run"
  show_report || status=$?
  return "$status"
}

main "$@"
