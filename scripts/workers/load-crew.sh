# shellcheck shell=bash
# The workers of a load test: started one after the other, some of them stopped on purpose, all of
# them ended, whatever happens; and forgotten by the pool of the home. For load-test-workers.sh,
# with load-progress.sh.
#
#   crew_start FOLDER RUN NUMBER INTERVAL STALE-AFTER    one more worker, RUN-NUMBER
#   crew_alive                   sets `alive`: how many run, stopped ones too
#   crew_silence FOLDER COUNT    stops so many of them (SIGSTOP)
#   crew_adopt FOLDER            takes over those that somebody else has started
#   runs_as PID TEXT             whether it runs, with the text in its command line
#   crew_end FOLDER              TERM to all, KILL to those that do not end
#   crew_forget RUN              takes them out of worker-pool.json and the drop box

[[ -z ${_load_crew_loaded-} ]] || return 0
_load_crew_loaded=1
_load_crew_folder=${BASH_SOURCE[0]%/*}

_CREW_END_S=10
declare -A _crew=() # pids, by worker
_crew_stopped=()

crew_start() { # <folder> <run> <number> <interval> <stale after>
  local worker
  printf -v worker '%s-%03d' "$2" "$3"
  "$_load_crew_folder/load-worker.sh" "$worker" "$1/tally" "$5" --interval "$4" \
    </dev/null >/dev/null 2>>"$1/complaints" &
  _crew[$worker]=$!
  printf '%s %d\n' "$worker" "$!" >>"$1/workers"
}

crew_alive() {
  local pid
  alive=0
  for pid in "${_crew[@]}"; do
    ! kill -0 "$pid" 2>/dev/null || alive=$((alive + 1))
  done
}

crew_silence() { # <folder> <count>
  local worker
  for worker in "${!_crew[@]}"; do
    ((${#_crew_stopped[@]} < $2)) || return 0
    kill -STOP "${_crew[$worker]}" 2>/dev/null || continue
    _crew_stopped+=("${_crew[$worker]}")
    printf '%s %s\n' "$worker" "${EPOCHREALTIME/[.,]/}" >>"$1/stopped"
  done
}

crew_adopt() { # <folder>
  local worker pid
  [[ -r $1/workers ]] || return 0
  while read -r worker pid; do
    ! runs_as "$pid" "$worker" || _crew[$worker]=$pid
  done <"$1/workers"
  _crew_stopped=("${_crew[@]}")
}

runs_as() { # <pid> <text>
  local line
  { IFS= read -r -d '' line < <(tr '\0' ' ' <"/proc/$1/cmdline") || :; } 2>/dev/null
  [[ $line == *"$2"* ]]
}

crew_end() { # <folder>
  local gives_up_s=$((SECONDS + _CREW_END_S))
  ((${#_crew[@]})) || return 0
  [[ -e $1/ended ]] || printf '%s\n' "${EPOCHREALTIME/[.,]/}" >"$1/ended"
  kill -TERM "${_crew[@]}" 2>/dev/null || :
  # Who is stopped finds the TERM when it goes on.
  ((${#_crew_stopped[@]} == 0)) || kill -CONT "${_crew_stopped[@]}" 2>/dev/null || :
  crew_alive
  while ((alive && SECONDS < gives_up_s)); do
    rest 50
    crew_alive
  done
  ((alive == 0)) || kill -KILL "${_crew[@]}" 2>/dev/null || :
  wait "${_crew[@]}" 2>/dev/null || :
  _crew=()
}

# Neither pool nor drop box says anything of workers that were there for a test; the logs do.
crew_forget() { # <run>
  local event
  rm -f -- "$HOOKLINE_HOME/coordination/events/queue/worker.heartbeat.$1"-*.json
  [[ -f $HOOKLINE_HOME/coordination/worker-pool.json ]] || return 0
  # shellcheck source=scripts/events/lib/state-file.sh
  source "$_load_crew_folder/../events/lib/state-file.sh" && event=$(mktemp) || return
  printf '{"specversion":"1.0","id":"%s.forgotten","source":"load-test","time":"%(%FT%TZ)T"}\n' \
    "$1" -1 >"$event"
  # shellcheck disable=SC2016 # a jq program
  state_apply load-test-workers "$event" '[{"workers": "array", "stale_alert": "object"}]' '
    def ours: strings | startswith($run + "-");
    $states[0]
    | .workers |= ((. // []) | map(select(type != "object" or (.id // .worker_id | ours | not))))
    | if .active_workers | type == "object"
      then .active_workers |= with_entries(select(.key | ours | not)) else . end
    | if .stale_alert.workers | type == "array"
      then .stale_alert.workers |= map(select(ours | not)) else . end
    | save(0; .)' worker-pool.json -- --arg run "$1" || :
  rm -f -- "$event"
}
