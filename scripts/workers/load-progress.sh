# shellcheck shell=bash disable=SC2154 # folder, hookline, run and the like are the script's
# How a load test goes and has gone: counted while it goes on, and shown: a live bar on a terminal,
# else a line now and then; and the report. For load-test-workers.sh.
#
#   begin_watch      has `hookline load-test --watch` count, where there is one
#   end_watch        ends it
#   count MS         sets `counts` (said, logged, delivered, told to be silent) within that time
#   rest MS          waits, without a process
#   progress_show    of `counts`, `alive`, `workers`, `doing`, `passed_s`, `planned_s`
#   progress_end     leaves the last one standing
#   show_report      in words or, with `json`, as an object; into the file `report`, too

[[ -z ${_load_progress_loaded-} ]] || return 0
_load_progress_loaded=1

watch='' watch_pid='' counts=(0 0 0 0) _counted=''
_PROGRESS_LINE_S=10
_progress_next_s=0 _progress_stands=''

rest() { # <milliseconds>: no process for it
  local seconds
  [[ ${_rest-} ]] || { exec {_rest}<> <(:) && wait "$!" || :; }
  as_seconds "$1"
  read -r -t "$seconds" -u "$_rest" || :
}

begin_watch() {
  [[ $hookline ]] || return 0
  exec {watch}< <(exec "$hookline" load-test "$folder" --watch 2>>"$folder/complaints")
  watch_pid=$!
  printf '%d\n' "$watch_pid" >"$folder/watch"
  count 30000 || fail 69 "nobody counts: $(tail -n 1 -- "$folder/complaints")"
}

end_watch() { # it is none of those that bash waits for
  local gives_up_s=$((SECONDS + 5))
  [[ $watch_pid ]] && kill -TERM "$watch_pid" 2>/dev/null || return 0
  while kill -0 "$watch_pid" 2>/dev/null && ((SECONDS < gives_up_s)); do
    rest 20
  done
}

as_seconds() { # <milliseconds>: sets seconds
  printf -v seconds '%d.%03d' $(($1 / 1000)) $(($1 % 1000))
}

count() { # <milliseconds>: sets counts; else there was no news within that time
  local line seconds status=0
  if [[ $watch ]]; then
    as_seconds "$1"
    read -r -t "$seconds" -u "$watch" line || status=$?
    _counted+=$line
    # Half a line may have come in time.
    ((status <= 128)) || return "$status"
    if ((status == 0)); then
      read -r -a counts <<<"$_counted"
      _counted=''
      return
    fi
    # Whoever counts for us must not end: then we count ourselves.
    watch=''
  fi
  rest "$1"
  counts[0]=$(wc -l <"$folder/tally")
  counts[1]=$(cat -- "$HOOKLINE_HOME/coordination/events/worker-events.jsonl" 2>/dev/null |
    grep -acF "\"source\":\"$run-") || :
}

progress_show() {
  local text done_of='' bar width=10
  text="$alive of $workers alive"
  printf -v text '%s, %d heartbeats said, %d logged' "$text" "${counts[0]}" "${counts[1]}"
  [[ ! $served ]] || text+=", ${counts[2]} delivered"
  ((counts[3] == 0)) || text+=", ${counts[3]} told to be silent"
  printf -v done_of '%d of %d s' "$passed_s" "$planned_s"
  [[ $doing != run ]] || doing=''
  text="$done_of${doing:+, $doing}: $text"
  if [[ ! -t 2 || ${TERM-} == dumb ]]; then
    ((SECONDS >= _progress_next_s)) || return 0
    _progress_next_s=$((SECONDS + _PROGRESS_LINE_S))
    printf '%s\n' "$text" >&2
    return
  fi
  # The size of the terminal is asked for after a command of its own.
  shopt -s checkwinsize
  (:)
  if ((${COLUMNS:=80} >= 100)); then width=20; fi
  _progress_bar "$width"
  _progress_stands=1
  text=${text:0:$((COLUMNS > width + 3 ? COLUMNS - width - 4 : 0))}
  printf '\r%s %s\e[K' "$bar" "$text" >&2
}

_progress_bar() { # <width>: sets bar
  local full empty filled
  filled=$((planned_s > 0 ? passed_s * $1 / planned_s : $1))
  ((filled <= $1)) || filled=$1
  printf -v full '%*s' "$filled" ''
  printf -v empty '%*s' "$(($1 - filled))" ''
  bar="${full// /#}${empty// /-}"
  [[ ${NO_COLOR-} ]] || bar=$'\e[32m'"${full// /#}"$'\e[0m'"${empty// /-}"
  bar="[$bar]"
}

progress_end() {
  [[ ! $_progress_stands ]] || printf '\n' >&2
  _progress_stands='' _progress_next_s=0
}

show_report() { # 1: something was lost or late
  local status=0
  if [[ $hookline ]]; then
    [[ ! $report ]] || "$hookline" load-test "$folder" --json >"$report" || :
    "$hookline" load-test "$folder" ${json:+"$json"} || status=$?
    return "$status"
  fi
  count_plainly >"$folder/report.json"
  [[ ! $report ]] || cp -- "$folder/report.json" "$report"
  if [[ $json ]]; then
    cat -- "$folder/report.json"
  else
    jq -r 'to_entries[] | "\(.key): \(.value)"' "$folder/report.json"
  fi
  jq -e '.lost + .failed == 0' "$folder/report.json" >/dev/null
}

count_plainly() { # without Python
  # shellcheck disable=SC2016 # a jq program
  cat -- "$HOOKLINE_HOME/coordination/events/worker-events.jsonl" 2>/dev/null |
    jq -Rnc --rawfile tally "$folder/tally" --slurpfile plan "$folder/plan.json" '
      ([inputs | [try fromjson catch empty] | .[] | objects | {(.id // ""): 1}] | add) as $logged
      | [$tally | split("\n")[] | split(" ") | select(length == 4)] as $said
      | [$said[] | select($logged[.[1]] | not)] as $missing
      | $plan[0] + {said: ($said | length), logged: (($said | length) - ($missing | length)),
          failed: ([$missing[] | select(.[3] == "failed")] | length),
          in_the_drop_box: ([$missing[] | select(.[3] == "dropped")] | length),
          lost: ([$missing[] | select(.[3] == "logged")] | length)}'
}
