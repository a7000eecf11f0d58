# shellcheck shell=bash
# Starts workers again that failed or fell silent, as [restart] of config/policies.toml says, and
# not more.
#
#   restart_worker <handler> <event-file>   a worker.failed, a system.health_alert of stale_workers,
#                                           or a worker.restart_due: what has come due
#   restart_check <handler> <event-file>    for a program that polls, with an event of its own
#                                           making: who failed or is silent in worker-pool.json
#
# What is run is the command of [restart.WORKER_TYPE] and never a word of an event. It is a process
# of its own session and environment, which holds the lock state/workers/<worker-id>.lock for as
# long as it lives: that is how a start that is repeated, after a kill in its middle, finds it
# running.
#
# First it is written down who is to be started, then they are started, then what came of it: so a
# kill anywhere loses no start, and doubles none.

[[ -n ${_hookline_worker_restart_loaded-} ]] && return
_hookline_worker_restart_loaded=1

# shellcheck source=worker-pool.sh
source "${BASH_SOURCE[0]%/*}/worker-pool.sh"
# shellcheck source=policies.sh
source "${BASH_SOURCE[0]%/*}/policies.sh"

_HOOKLINE_RESTART_FILE=worker-restarts.json
_HOOKLINE_RESTART_ROW='{"worker_id": "string", "worker_type": "string?", "policy": "string",
  "due": "number"}'
_HOOKLINE_RESTART_SHAPES='[{"pending": ['$_HOOKLINE_RESTART_ROW'], "spent": ["number"],
  "starting": ['$_HOOKLINE_RESTART_ROW'], "workers": {"*": {"times": "array"}},
  "answered": {"*": {"at": "number"}}, "over": {"told_at": "number"}, "next": "object"},
  '$_HOOKLINE_POOL_SHAPE']'
# A worker that ends with an error before this has not come up.
_HOOKLINE_RESTART_UP_S=0.3
_HOOKLINE_RESTART_END_S=2

# shellcheck disable=SC2016 # jq programs
_HOOKLINE_RESTART_WORDS='
def fit: test("^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$");
def restarts($id; $now): [(.workers[$id].times // [])[] | select(ago($now) < 3600)] | length;

# $lost: worker_id, worker_type and the reason, failed or stale.
def lost($lost; $since; $now): $lost.worker_id as $id
  | ("restart." + ($lost.worker_type // "")) as $table | ($lost + {policy: $table}) as $what
  | def refused($why): refused($id; $why; $what + {$why}; $now);
  if $policies[$table] == null
      or (policy($table; "on"; ["failed", "stale"]) | index([$lost.reason])) == null
      or is_answered($id; $since; $now) then .
  else answered($id; $since; $now)
    | restarts($id; $now) as $times | policy($table; "restarts"; 3) as $max
    | if any((.pending // [])[], (.starting // [])[]; .worker_id == $id) then .
      elif $id | fit | not then refused("its id is not fit to be the name of a file")
      elif $times >= $max then refused("it was started again \($times) times in an hour")
      else later($what + {restarts: ($times + 1), restarts_max: $max,
          due: ([$now, (.workers[$id].times | newest) + pause_s($table; $times)] | max)})
      end
  end;

def decided($now): policy("restart"; "dry_run"; false) as $dry
  | released("restart"; $now)
  | reduce .released[] as $each (.; .workers[$each.worker_id].times =
      [(.workers[$each.worker_id].times // [])[] | select(ago($now) < 3600)] + [$now]
      | answered_again($each.worker_id; $now))
  | .workers = (.workers // {} | with_entries(select(any(.value.times[]; ago($now) < 86400))))
  | remembered($states[1].workers // [] | .[] | objects | select(.status == "failed"
      or .status == "stale") | .id // .worker_id | strings; $now)
  | if $dry then . else .starting = (.starting // []) + .released end
  | (.released | range(length) as $n | .[$n] | emit_as("-\($n)"; "worker.restart_requested";
      "high"; del(.due, .at) + {dry_run: $dry})),
    say_refused("worker.restart_refused"),
    (del(.refused) | told("restart"; "worker.restart_planned"; $now));
'

# shellcheck disable=SC2016 # jq programs
_HOOKLINE_RESTART_WORKER='
$clock as $now | worker as $id | text("worker_type"; 256) as $type
| kind("alert_type"; "string") as $alert | kind("workers"; "array") as $silent
| def known($id): first($states[1].workers // [] | .[] | select(is_row($id; "worker_id"))) // {};
  def each_lost: if $event.type == "worker.restart_due" then empty elif $alert then
      select($alert == "stale_workers") | ($silent // [])[] | strings
      | {worker_id: ., worker_type: known(.).worker_type, reason: "stale"}
    else {worker_id: $id, worker_type: ($type // known($id).worker_type), reason: "failed"} end;
  reduce each_lost as $lost ($states[0]; lost($lost; $event.time | moment // 0; $now))
  | decided($now)
'

# Who was started again after it was lost may not have said so yet.
# shellcheck disable=SC2016 # jq programs
_HOOKLINE_RESTART_CHECK='
$clock as $now | reduce (($states[1].workers // [])[] | objects
    | select(.status == "failed" or .status == "stale")) as $row ($states[0];
  ($row | .id // .worker_id | strings) as $id
  | ($row | if .status == "failed" then .failed_at else .last_heartbeat end | moment // 0) as $since
  | lost({worker_id: $id, worker_type: $row.worker_type, reason: $row.status}; $since; $now))
| decided($now)
'

# shellcheck disable=SC2016 # jq programs
_HOOKLINE_RESTART_DONE='
[$states[0].starting[]? | . as $each | $results[] | select(.worker_id == $each.worker_id)
  | ($each | del(.due, .at)) + .] as $done
| ($states[0] | .starting = [.starting[]? | select(.worker_id as $id
    | any($done[]; .worker_id == $id) | not)] | save(0; .)),
  ($done | range(length) as $n | .[$n] | emit_as("-\($n)"; if .error then "worker.restart_failed"
    else "worker.restarted" end; if .error then "high" else "medium" end; .))
'

restart_worker() { # <handler> <event-file>
  _restart_apply "$1" "${2-}" "$_HOOKLINE_RESTART_WORKER"
}

restart_check() { # <handler> <event-file>
  _restart_apply "$1" "${2-}" "$_HOOKLINE_RESTART_CHECK"
}

_restart_apply() { # <handler> <event-file> <jq-program>
  policies_read || return
  state_apply "$1" "$2" "$_HOOKLINE_RESTART_SHAPES" "$_HOOKLINE_POLICY_WORDS$_HOOKLINE_POOL_WORDS
    $_HOOKLINE_POLICY_AGENDA$_HOOKLINE_POLICY_ANSWERS$_HOOKLINE_RESTART_WORDS$3" \
    "$_HOOKLINE_RESTART_FILE" worker-pool.json -- --argjson policies "$_hookline_policies" ||
    return
  [[ $2 == --help ]] || _restart_perform "$1" "$2"
}

# Also those whom a run that was killed has left.
_restart_perform() { # <handler> <event-file>
  local home=${HOOKLINE_HOME:-${BASH_SOURCE[0]%/*}/../../..} line result results='' turn
  local -a starting=() words=()
  home=$(cd -P -- "$home" && pwd) || return 73
  local file=$home/coordination/$_HOOKLINE_RESTART_FILE folder=$home/coordination/state/workers
  [[ $(<"$file") == *'"starting": [{'* || $(<"$file") == *'"starting": ['$'\n'* ]] || return 0
  mkdir -p -- "$folder" "$home/coordination/logs" || return 73
  # One at a time: the other one would take for running what is only being tried.
  exec {turn}>>"$folder/.turn" && flock --wait 30 "$turn" || return 75
  mapfile -t starting < <(HOME=/dev/null jq -r --argjson policies "$_hookline_policies" '
    .starting[]? | select(.policy? | type == "string")
    | [.worker_id, .worker_type, .restarts, .reason,
      ($policies[.policy] | .replace == true, .command[]?)] | map(tostring) | join("\u001f")' \
    "$file")
  for line in "${starting[@]}"; do
    IFS=$'\x1f' read -r -a words <<<"$line"
    result=$(_restart_start "${words[@]}")
    results+="${results:+,}{\"worker_id\":\"${words[0]}\",$result}"
  done
  exec {turn}>&-
  ((${#starting[@]} == 0)) ||
    state_apply "$1.started" "$2" "$_HOOKLINE_RESTART_SHAPES" "$_HOOKLINE_RESTART_DONE" \
      "$_HOOKLINE_RESTART_FILE" -- --argjson results "[$results]"
}

# <worker-id> <worker-type> <restarts> <reason> <replace> <command>...
_restart_start() { # prints what came of it, as members of a JSON object
  local id=$1 type=$2 count=$3 reason=$4 replace=$5 lock pid=0 status=0 held ended='' left='' timer
  lock=$folder/$id.lock
  shift 5
  if [[ $# == 0 || ! $id =~ ^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$ ]]; then
    printf '"error":"the policies do not allow it any more"'
    return
  fi
  [[ $1 != */* || $1 == /* ]] || set -- "$home/$1" "${@:2}"
  if ! command -v -- "$1" >/dev/null; then
    printf '"error":"its command is not there, or not executable"'
    return
  fi
  exec {held}>>"$lock" || return
  if ! flock --nonblock "$held"; then
    pid=$(_restart_pid "$lock")
    if ((pid)) && [[ $reason != stale || $replace != true ]]; then
      printf '"pid":%d,"outcome":"running"' "$pid"
      return
    elif ! _restart_end "$lock" || ! flock --wait "$_HOOKLINE_RESTART_END_S" "$held"; then
      printf '"error":"what holds state/workers/%s.lock cannot be ended"' "$id"
      return
    fi
  fi
  (
    cd -- "$home" || exit
    _restart_keep_only "$held"
    printf '%d\n' "$BASHPID" >"$lock"
    exec setsid env -i "PATH=$PATH" "HOME=${HOME-/}" "USER=${USER-}" \
      "LOGNAME=${LOGNAME-}" LC_CTYPE=C.UTF-8 "HOOKLINE_HOME=$home" "HOOKLINE_WORKER_ID=$id" \
      "HOOKLINE_WORKER_TYPE=$type" "HOOKLINE_RESTARTS=$count" "$@" </dev/null \
      >>"$home/coordination/logs/worker-$id.log" 2>&1
  ) &
  pid=$!
  exec {held}>&-
  sleep "$_HOOKLINE_RESTART_UP_S" >/dev/null 2>&1 &
  timer=$!
  wait -n -p ended "$pid" "$timer" || status=$?
  if [[ $ended != "$pid" ]]; then
    printf '"pid":%d,"outcome":"started"' "$pid"
    return
  fi
  if ! flock --nonblock "$lock" true; then
    left=1
    _restart_end "$lock" || :
  fi
  if ((status)); then
    printf '"error":"it ended at once with %d: see coordination/logs/worker-%s.log"' \
      "$status" "$id"
  elif [[ $left ]]; then
    printf '"error":"its command went to the background; it is to stay in the foreground"'
  else
    printf '"pid":%d,"outcome":"started"' "$pid"
  fi
}

# What else is open, somebody's lock for one, must not live as long as a worker.
_restart_keep_only() { # <descriptor>
  local fd
  for fd in /proc/self/fd/*; do
    fd=${fd##*/}
    ((fd <= 2 || fd == $1)) || exec {fd}>&- || :
  done
}

# The kernel tells of each descriptor whether a lock belongs to it: to have the file open is not to
# hold it.
_restart_holders() { # <lock-file>: prints the processes that hold it
  local fd
  while IFS= read -r fd; do
    ! grep -qs '^lock:' "/proc/${fd/fd/fdinfo}" || printf '%s\n' "${fd%%/*}"
  done < <(cd /proc && find -L [1-9]*/fd -maxdepth 1 -samefile "$1" 2>/dev/null)
}

_restart_pid() { # <lock-file>: the process that was started with it, if it holds it still; or 0
  local pid
  read -r pid <"$1" && [[ $pid =~ ^[1-9][0-9]{0,9}$ ]] || pid=0
  [[ $'\n'$(_restart_holders "$1")$'\n' == *$'\n'"$pid"$'\n'* ]] || pid=0
  printf '%d\n' "$pid"
}

# The one that was started may be gone, and its children left: whoever holds the lock is ended, with
# its group where that is of the session that was begun with the lock.
_restart_end() { # <lock-file>
  local begun stat pid group session signal
  read -r begun <"$1" || begun=''
  for signal in TERM KILL; do
    while read -r pid; do
      stat=$(cat "/proc/$pid/stat" 2>/dev/null) || continue
      read -r _ _ group session _ <<<"${stat##*) }"
      [[ $session != "$begun" ]] || kill "-$signal" -- "-$group" 2>/dev/null || :
      kill "-$signal" -- "$pid" 2>/dev/null || :
    done < <(_restart_holders "$1")
    ! flock --wait "$_HOOKLINE_RESTART_END_S" "$1" true || return 0
  done
  return 1
}
