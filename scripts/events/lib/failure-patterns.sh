# shellcheck shell=bash
# What fails, how often, and whether one kind of failure keeps coming back.
#
#   failures_noted <event-file>    of task.failed, one or a batch: for its handler, and for whoever
#                                  polls while nobody delivers. An event counts once for both.

[[ -n ${_hookline_failure_patterns_loaded-} ]] && return
_hookline_failure_patterns_loaded=1

# shellcheck source=worker-pool.sh
source "${BASH_SOURCE[0]%/*}/worker-pool.sh"

_HOOKLINE_FAILURE_SHAPES='[{"total_failures": "number", "by_type": {"*": "number"},
  "_recent": "array", "_alerted": "object"}, '$_HOOKLINE_QUEUE_SHAPE']'

# Workers of the original say failure_reason where its handler read error_type.
# shellcheck disable=SC2016 # a jq program
_HOOKLINE_FAILURE_PROGRAM=$_HOOKLINE_POOL_WORDS'
def noted($type): .total_failures += 1 | .last_updated = $at | .by_type |= count($type)
  | ._recent = ((._recent // []) + [$type] | .[-100:])
  | ._recent as $known
  | ._alerted = (._alerted // {} | with_entries(select(.key as $type | $known | index([$type]))));

(id("error_type") // text("failure_reason"; 256) | required("error_type")) as $type
| id("task_id") as $task
| (text("error_message"; 2000) // text("failure_reason"; 2000)) as $message
| append("patterns/failure-patterns.jsonl"; {timestamp: $at, task_id: $task,
    worker_id: id("worker_id"), error_type: $type, error_message: $message,
    retryable: (["timeout", "connection_error", "rate_limit"] | index([$type]) != null)}),
  ($states[0] | noted($type)
    | ([._recent[] | select(. == $type)] | length) as $count
    | ($count > 3 and (._alerted[$type] | ago($now)) >= 300) as $tell
    | save(0; if $tell then ._alerted[$type] = $at else . end),
      if $tell then emit("system.health_alert"; "high"; {alert_type: "repeated_failure",
        error_type: $type, occurrence_count: $count, sample_message: $message}) else empty end),
  if $task then $states[1] | save(1; with_task($task;
    {status: "failed", failed_at: $at, error_type: $type})) else empty end
'

failures_noted() { # <event-file>
  state_apply on-task-failed "${1-}" "$_HOOKLINE_FAILURE_SHAPES" "$_HOOKLINE_FAILURE_PROGRAM" \
    metrics/failure-stats.json task-queue.json
}
