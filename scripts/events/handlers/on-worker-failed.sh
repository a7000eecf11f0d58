#!/usr/bin/env bash
# Usage: on-worker-failed.sh EVENT-FILE
# Summary: records a worker's failure, and that the task which it was at has failed with it
# Exit: 0 done, 65 bad data, 75 the figures were locked too long
# on: worker.failed
# run: warm   timeout: 30s   envelope: cloudevents
set -uo pipefail
umask 027

# shellcheck source=../lib/worker-pool.sh
source "${BASH_SOURCE[0]%/*}/../lib/worker-pool.sh"

SHAPES='[{"total_failed": "number", "by_error": {"*": "number"}}, '$_HOOKLINE_POOL_SHAPE']'

# The workers of the original say failure_reason where its handler read error_type. One that says
# neither has failed all the same.
# shellcheck disable=SC2016 # a jq program
PROGRAM=$_HOOKLINE_POOL_WORDS'
worker as $id | id("task_id") as $task | text("failure_reason"; 2000) as $reason
| (id("error_type") // ($reason | values | .[:256]) // "unknown") as $type
| {timestamp: $at, worker_id: $id, worker_type: text("worker_type"; 256), task_id: $task,
    error_type: $type, error_message: (text("error_message"; 2000)
      // $reason), tokens_used: amount("tokens_used")} as $failure
| append("metrics/worker-failures.jsonl"; $failure),
  ($states[0] | .total_failed += 1 | .last_failed = $at | tallied("by_error"; $type)
    | save(0; .)),
  ($states[1] | with_worker($id; {status: "failed", failed_at: $at, error_type: $type}
    + ($failure | {worker_type, task_id} | known)) | save(1; .)),
  if $task then emit("task.failed"; "high"; ($failure
    | {task_id, worker_id, error_type, error_message} + {reason: "worker_failure"}))
  else empty end
'

state_apply on-worker-failed "${1-}" "$SHAPES" "$PROGRAM" \
  metrics/worker-stats.json worker-pool.json
