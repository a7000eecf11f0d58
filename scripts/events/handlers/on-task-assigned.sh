#!/usr/bin/env bash
# Usage: on-task-assigned.sh EVENT-FILE
# Summary: notes which worker has a task, in queue, pool and figures, as a routing decision
# Exit: 0 done, 65 bad data, 75 the figures were locked too long
# on: task.assigned
# run: warm   timeout: 30s   envelope: cloudevents
set -uo pipefail
umask 027

# shellcheck source=../lib/worker-pool.sh
source "${BASH_SOURCE[0]%/*}/../lib/worker-pool.sh"

SHAPES='[{"total_assignments": "number", "by_strategy": {"*": "number"},
  "by_worker_type": {"*": "number"}},
  '$_HOOKLINE_QUEUE_SHAPE', '$_HOOKLINE_POOL_SHAPE']'

# routing/routing-decisions.jsonl gets its line from on-routing-decision.sh, as for every decision.
# shellcheck disable=SC2016 # a jq program
PROGRAM=$_HOOKLINE_POOL_WORDS'
(id("task_id") | required("task_id")) as $task
| (id("worker_id") | required("worker_id")) as $worker
| {timestamp: $at, task_id: $task, worker_id: $worker,
    worker_type: (text("worker_type"; 256) // "unknown"),
    assignment_strategy: (text("assignment_strategy"; 256) // "manual")} as $assignment
| append("metrics/task-assignments.jsonl"; $assignment),
  dashboard("task.assigned"; $assignment),
  ($states[0] | .total_assignments += 1 | .last_assigned = $at
    | tallied("by_strategy"; $assignment.assignment_strategy)
    | tallied("by_worker_type"; $assignment.worker_type) | save(0; .)),
  ($states[1] | with_task($task; {status: "assigned", assigned_to: $worker, assigned_at: $at})
    | save(1; .)),
  ($states[2] | with_worker($worker; {status: "busy", task_id: $task,
    worker_type: text("worker_type"; 256)} | known) | save(2; .)),
  emit("routing.decision_made"; "medium"; ($assignment
    | {task_id, worker_id, worker_type, assignment_strategy} + {decision: "assigned"}))
'

state_apply on-task-assigned "${1-}" "$SHAPES" "$PROGRAM" \
  metrics/assignment-stats.json task-queue.json worker-pool.json
