#!/usr/bin/env bash
# Usage: worker-daemon.sh start | stop | status | run [--interval SECONDS] [--once]
# Summary: does the tasks of task-queue.json for which a written policy says how they are done
# Exit: 0 done, 3 not running, 64 usage, 69 it did not start, 75 it runs already, 78 no home
#
# How is said in coordination/config/policies.toml, and never by a task:
#
#   [task.report]                            tasks whose task_type is "report"
#   run = ["scripts/tasks/report.sh"]        a program of the home, or of the PATH; it gets the task
#                                            on stdin, and TASK_ID, TASK_TYPE, TASK_ATTEMPT
#   timeout = "10m"                          10m when it is left out
#   attempts = 3                             1 when it is left out
#
# Tasks of other types, and those that somebody else has, are left alone. Exit 0 of the program is
# task.completed; 64, 65, 77 and 78 are task.failed at once, all else when its attempts are used up.
# A task that was cut short by a kill counts as an attempt; one that was stopped with us does not.
set -euo pipefail
umask 027

# shellcheck source=scripts/daemons/daemon-loop.sh
source "${BASH_SOURCE[0]%/*}/daemon-loop.sh"
# shellcheck source=scripts/events/lib/worker-pool.sh
source "${BASH_SOURCE[0]%/*}/../events/lib/worker-pool.sh"
# shellcheck source=scripts/events/lib/policies.sh
source "${BASH_SOURCE[0]%/*}/../events/lib/policies.sh"

readonly ME=worker-daemon

# The rows are written as they are found: whoever has a task in work says what becomes of it.
# shellcheck disable=SC2016 # a jq program
WORDS='
def policy: $policies["task." + (.task_type // "general")] | objects
  | select(.run | type == "array" and length > 0);
def tried: .attempts // 0;
def attempts_max: [policy | .attempts | numbers][0] // 1;
def became($fields): . + $fields + {status_at: $at};
def row($id): .tasks[] | select(is_row($id; "task_id"));
'

# What is in work by our name is left over: there is only one of us, and it is looking.
# shellcheck disable=SC2016 # a jq program
CLAIM='
def is_ours: (.id // .task_id) != null and ([policy] != [])
  and ((.status | . == "in_progress" or . == "assigned") and .assigned_to == $me
    or (.status | . == "pending" or . == "queued") and (.assigned_to | . == null or . == $me));
def due_at: if .status == "pending" then .not_before | epoch_or(0) else 0 end;

$states[0]
| [.tasks // [] | .[] | select(is_ours)] as $ours
| ([$ours[] | select(due_at <= $now)]
    | sort_by([.status != "in_progress", rank, .created_at // ""])[0]) as $task
| if $task == null then ([$ours[] | due_at] | min | values | print("later \(ceil)")) else
  ($task.id // $task.task_id) as $id
| ($task.status == "in_progress" and ($task | attempts_max) <= ($task | tried)) as $is_lost
| ((row($id)) |= if $is_lost then . else became({status: "in_progress", started_at: $at,
    assigned_to: $me, attempts: (tried + 1)}) end)
| save(0; .),
  print({task: [row($id)][0], run: ($task | policy.run), lost: $is_lost,
    timeout_s: ([$task | policy.timeout | span][0] // 600)} | tojson)
  end
'

# shellcheck disable=SC2016 # a jq program
FINISH='
def pause: pow(2; tried) * 5 | if . > 300 then 300 else . end | $now + . | todate;

$states[0] | [row($id)][0] as $task
| (if $code == 0 then "completed" elif $why == "stopped" then "put back"
    elif ($code | . == 64 or . == 65 or . == 77 or . == 78)
      or ($task | tried >= attempts_max) then "failed" else "again" end) as $verdict
| ((row($id)) |= if $verdict == "completed"
    then became({status: "completed", completed_at: $at, duration_ms: $ms})
    elif $verdict == "failed"
    then became({status: "failed", failed_at: $at, error_type: $why, error_message: $message})
    elif $verdict == "again" then became({status: "pending", not_before: pause})
    else became({status: "pending", attempts: (tried - 1)}) end)
| save(0; .), print($verdict),
  if $verdict == "completed" then emit("task.completed"; "medium"; {task_id: $id, worker_id: $me,
    status: "completed", duration_ms: $ms})
  elif $verdict == "failed" then emit("task.failed"; "high"; {task_id: $id, worker_id: $me,
    error_type: $why, error_message: $message})
  else empty end
'

task_id='' later_s=''

daemon_round() {
  local folder=$HOOKLINE_HOME/coordination status=0
  [[ -f $folder/task-queue.json ]] || return 0
  [[ $later_s && $later_s -le $EPOCHSECONDS ]] ||
    daemon_has_news tasks "$folder/task-queue.json" "$folder/config/policies.toml" || return 0
  later_s=''
  policies_read || return
  while
    work_once || status=$?
    ((status == 0)) && [[ ! $daemon_told ]]
  do :; done
  ((status <= 1)) || return "$status"
}

claim() { # prints the task, or when there will be one, or nothing
  local event
  event=$(daemon_event) || return
  state_apply "$ME-claim" "$event" "[$_HOOKLINE_QUEUE_SHAPE]" \
    "$_HOOKLINE_POLICY_WORDS$_HOOKLINE_POOL_WORDS$WORDS$CLAIM" task-queue.json -- \
    --argjson policies "$_hookline_policies" --arg me "$ME" || return
  : >|"$event"
}

finish() { # <exit> <why> <message> <milliseconds>
  local event verdict
  event=$(daemon_event) || return
  verdict=$(state_apply "$ME" "$event" "[$_HOOKLINE_QUEUE_SHAPE]" \
    "$_HOOKLINE_POLICY_WORDS$_HOOKLINE_POOL_WORDS$WORDS$FINISH" task-queue.json -- \
    --argjson policies "$_hookline_policies" --arg me "$ME" --arg id "$task_id" \
    --argjson code "$1" --arg why "$2" --arg message "$3" --argjson ms "$4") || return
  : >|"$event"
  _daemon_tell "task $task_id: ${verdict:-not in the queue any more} ($2)"
  task_id=''
}

work_once() { # 1: there is nothing to do
  local claimed type attempt is_lost timeout_s limit_ms begun took_ms status=0
  local -a run=()
  claimed=$(claim) || return
  if [[ ! $claimed || $claimed == 'later '* ]]; then
    later_s=${claimed#later }
    return 1
  fi
  {
    IFS= read -r -d '' task_id && IFS= read -r -d '' type && IFS= read -r -d '' attempt &&
      IFS= read -r -d '' is_lost && IFS= read -r -d '' timeout_s &&
      IFS= read -r -d '' limit_ms && mapfile -d '' -t run
  } < <(jq -j '(.task | .id // .task_id), .task.task_type // "general", .task.attempts, .lost,
    .timeout_s, (.timeout_s * 1000 | floor), .run[]
    | tostring | gsub("\u0000"; "") + "\u0000"' <<<"$claimed")
  if [[ $is_lost == true ]]; then
    finish 1 worker_lost 'whoever did it was killed' 0
    return
  fi
  jq -c .task <<<"$claimed" >|"$_daemon_folder/task.json" || return
  [[ ${run[0]} != */* || ${run[0]} == /* ]] || run[0]=$HOOKLINE_HOME/${run[0]}
  begun=${EPOCHREALTIME//[.,]/}
  # It keeps the lock: killed ourselves, nobody does the task once more while it is still done.
  TASK_ID=$task_id TASK_TYPE=$type TASK_ATTEMPT=$attempt \
    timeout --kill-after=5 "$timeout_s" "${run[@]}" <"$_daemon_folder/task.json" &
  daemon_task=$!
  [[ ! $daemon_told ]] || kill -TERM "$daemon_task" || :
  # A signal ends a wait before what is waited for.
  while
    status=0
    wait "$daemon_task" || status=$?
    [[ -e /proc/$daemon_task ]]
  do :; done
  daemon_task=''
  took_ms=$(((${EPOCHREALTIME//[.,]/} - begun) / 1000))
  # What was killed by others ends as what was out of time does, but before.
  [[ $status != @(124|137) ]] || ((took_ms < limit_ms)) || status=timeout
  [[ ! $daemon_told || $status == 0 ]] || status=stopped
  case $status in
    stopped) finish 1 stopped '' 0 ;;
    0) finish 0 'done' '' "$took_ms" ;;
    timeout) finish 1 timeout "not done after $timeout_s s" 0 ;;
    *) finish "$status" "exit_$status" "${run[0]##*/} ended with exit $status" 0 ;;
  esac
}

daemon_main worker 5 -- "$@"
