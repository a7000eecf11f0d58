#!/usr/bin/env bash
# Usage: on-worker-completed.sh EVENT-FILE
# Summary: records what a worker has done, says that it is free again, and what was learned
# Exit: 0 done, 65 bad data, 75 the figures were locked too long
# on: worker.completed
# run: warm   timeout: 30s   envelope: cloudevents
set -uo pipefail
umask 027

# shellcheck source=../lib/worker-pool.sh
source "${BASH_SOURCE[0]%/*}/../lib/worker-pool.sh"

SHAPES='[{"total_completed": "number", "by_outcome": {"*": "number"}, "total_tokens": "number"},
  '$_HOOKLINE_POOL_SHAPE']'

# shellcheck disable=SC2016 # a jq program
PROGRAM=$_HOOKLINE_POOL_WORDS'
worker as $id | id("task_id") as $task
| (text("status"; 64) // "completed") as $status
| {timestamp: $at, worker_id: $id, worker_type: text("worker_type"; 256), task_id: $task,
    duration_ms: duration_ms, tokens_used: amount("tokens_used"), status: $status} as $work
| append("metrics/worker-performance.jsonl"; $work),
  ($states[0] | .total_completed += 1 | .last_completed = $at | tallied("by_outcome"; $status)
    | .total_tokens += ($work.tokens_used // 0) | save(0; .)),
  ($states[1] | with_worker($id; {status: "available", completed_at: $at}
    + ($work | {worker_type, task_id} | known)) | save(1; .)),
  if $status == "completed" and $work.tokens_used > 0 then
    emit("learning.pattern_detected"; "medium"; {worker_id: $id, task_id: $task,
      tokens_used: $work.tokens_used, duration_ms: $work.duration_ms, outcome: "success"})
  else empty end
'

state_apply on-worker-completed "${1-}" "$SHAPES" "$PROGRAM" \
  metrics/worker-stats.json worker-pool.json
