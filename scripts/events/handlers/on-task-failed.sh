#!/usr/bin/env bash
# Usage: on-task-failed.sh EVENT-FILE
# Summary: records a task's failure and alerts when one kind of failure keeps coming back
# Exit: 0 done, 65 bad data, 75 the figures were locked too long
# on: task.failed
# run: warm   timeout: 30s
set -uo pipefail
umask 027

# shellcheck source=../lib/state-file.sh
source "${BASH_SOURCE[0]%/*}/../lib/state-file.sh"

SHAPES='[{"total_failures": "number", "by_type": "object", "_recent": "array",
  "_alerted": "object"}, {"tasks": "array"}]'

# Workers of the original say failure_reason where its handler read error_type.
# shellcheck disable=SC2016 # a jq program
PROGRAM='
def is($id): type == "object" and (.id // .task_id) == $id;
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
    | ($count > 3 and $now - (._alerted[$type] | epoch_or(0)) >= 300) as $tell
    | save(0; if $tell then ._alerted[$type] = $at else . end),
      if $tell then emit("system.health_alert"; "high"; {alert_type: "repeated_failure",
        error_type: $type, occurrence_count: $count, sample_message: $message}) else empty end),
  ($states[1] | select($task != null and any((.tasks // [])[]; is($task)))
    | save(1; .tasks |= map(if is($task)
        then . + {status: "failed", failed_at: $at, error_type: $type} else . end)))
'

state_apply on-task-failed "${1-}" "$SHAPES" "$PROGRAM" metrics/failure-stats.json task-queue.json
