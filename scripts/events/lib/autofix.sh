# shellcheck shell=bash
# What is done about tasks that fail, as [autofix] of config/policies.toml says, and not more.
#
#   autofix_task <handler> <event-file>     a task.failed, or a task.retry_due: what has come due
#   autofix_check <handler> <event-file>    for a program that polls, with an event of its own
#                                           making: the failed tasks of task-queue.json, what is due
#
# Nothing is run here: a task is asked for again (task.retry_requested), or an event is emitted that
# a handler answers (`action = "emit"`). Each time autofix.applied says what, by which policy, and
# for which time. A pause is slept by nobody: its end is asked for as task.retry_planned, of which
# the schedule task_retry makes a task.retry_due.

[[ -n ${_hookline_autofix_loaded-} ]] && return
_hookline_autofix_loaded=1

# shellcheck source=worker-pool.sh
source "${BASH_SOURCE[0]%/*}/worker-pool.sh"
# shellcheck source=policies.sh
source "${BASH_SOURCE[0]%/*}/policies.sh"

_HOOKLINE_AUTOFIX_SHAPES='[{"pending": [{"key": "string", "error_type": "string",
  "due": "number"}], "spent": ["number"], "tried": {"*": {"times": "array"}},
  "answered": {"*": {"at": "number"}}, "by_policy": {"*": "number"},
  "over": {"told_at": "number"}, "next": "object"}, '$_HOOKLINE_QUEUE_SHAPE']'

# What was tried for a task is forgotten a day after the last time.
# shellcheck disable=SC2016 # a jq program
_HOOKLINE_AUTOFIX_WORDS='
def failed($type; $task; $since; $now): ("autofix." + $type) as $table
  | if $policies[$table] == null then . else
      policy($table; "action"; "retry") as $action | policy($table; "attempts"; 3) as $attempts
      | (if $action == "retry" then $task else "kind " + $type end) as $key
      | if $key == null or is_answered($task // $key; $since; $now) then . else
          answered($task // $key; $since; $now)
          | ([.tried[$key].times // [] | .[] | select(ago($now) < 86400)] | length + 1) as $n
          | if any((.pending // [])[]; .key == $key) then .
            elif $n > $attempts then refused($task // $key; $table; {task_id: $task,
              error_type: $type, policy: $table, action: $action, attempts: $attempts}; $now)
            else later({key: $key, due: ($now + pause_s($table; $n)), task_id: $task,
              error_type: $type, action: $action, attempt: $n, attempts: $attempts})
            end
        end
    end;
def tried($now): reduce .released[] as $each (.; .tried[$each.key].times += [$now]
    | answered_again($each.task_id // $each.key; $now)
    | .by_policy |= count("autofix." + $each.error_type))
  | .tried = (.tried // {} | with_entries(select(any(.value.times[]; ago($now) < 86400))));

def applied: policy("autofix"; "dry_run"; false) as $dry
  | .released | range(length) as $n | .[$n] | ("autofix." + .error_type) as $table
  | ({task_id, error_type, attempt, attempts} + {policy: $table}) as $said
  | emit_as("-\($n)"; "autofix.applied"; "medium"; $said + {action, dry_run: $dry}),
    if $dry then empty elif .action == "retry"
    then emit_as("-\($n)"; "task.retry_requested"; "medium"; $said)
    else emit_as("-\($n)"; policy($table; "event"; ""); "medium"; $said) end;
# The policy may be another one than when it was put off.
def allowed: .pending = [(.pending // [])[] | ("autofix." + .error_type) as $table
  | select($policies[$table] and policy($table; "action"; "retry") == .action)];
def mended: $clock as $now | allowed | released("autofix"; $now) | tried($now)
  | remembered($states[1].tasks // [] | .[] | objects | select(.status == "failed")
      | .id // .task_id | strings; $now)
  | applied, say_refused("autofix.given_up"),
    (del(.refused) | told("autofix"; "task.retry_planned"; $now));
'

# shellcheck disable=SC2016 # a jq program
_HOOKLINE_AUTOFIX_TASK='
if $event.type == "task.retry_due" then $states[0] else
  text("failure_reason"; 256) as $reason | id("task_id") as $task | id("worker_id") as $worker
  | text("error_message"; 1) as $message
  | (id("error_type") // $reason | required("error_type")) as $type
  | $clock as $now | $states[0] | failed($type; $task; $event.time | moment // 0; $now)
end | mended
'

# shellcheck disable=SC2016 # a jq program
_HOOKLINE_AUTOFIX_CHECK='
$clock as $now | reduce (($states[1].tasks // [])[] | objects | select(.status == "failed"))
  as $row ($states[0]; ($row | .id // .task_id | strings) as $task
    | failed($row.error_type // "unknown"; $task; $row.failed_at | moment // 0; $now)) | mended
'

autofix_task() { # <handler> <event-file>
  _autofix_apply "$1" "${2-}" "$_HOOKLINE_AUTOFIX_TASK"
}

autofix_check() { # <handler> <event-file>
  _autofix_apply "$1" "${2-}" "$_HOOKLINE_AUTOFIX_CHECK"
}

_autofix_apply() { # <handler> <event-file> <jq-program>
  policies_read || return
  state_apply "$1" "$2" "$_HOOKLINE_AUTOFIX_SHAPES" "$_HOOKLINE_POLICY_WORDS
    $_HOOKLINE_POLICY_AGENDA$_HOOKLINE_POLICY_ANSWERS$_HOOKLINE_AUTOFIX_WORDS$3" \
    autofix.json task-queue.json -- --argjson policies "$_hookline_policies"
}
