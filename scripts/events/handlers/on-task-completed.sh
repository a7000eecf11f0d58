#!/usr/bin/env bash
# Usage: on-task-completed.sh EVENT-FILE
# Summary: records a task that is done, in the queue and among the figures
# Exit: 0 done, 65 bad data, 75 the figures were locked too long
# on: task.completed
# run: warm   timeout: 30s   envelope: cloudevents
set -uo pipefail
umask 027

# shellcheck source=../lib/worker-pool.sh
source "${BASH_SOURCE[0]%/*}/../lib/worker-pool.sh"

SHAPES='[{"total_completed": "number", "total_tokens": "number"}, '$_HOOKLINE_QUEUE_SHAPE']'

# shellcheck disable=SC2016 # a jq program
PROGRAM=$_HOOKLINE_POOL_WORDS'
(id("task_id") | required("task_id")) as $id
| {timestamp: $at, task_id: $id, worker_id: id("worker_id"), duration_ms: duration_ms,
    tokens_used: amount("tokens_used"), status: "completed"} as $done
| append("metrics/task-completion-metrics.jsonl"; $done),
  dashboard("task.completed"; $done),
  ($states[0] | .total_completed += 1 | .last_completed = $at
    | .total_tokens += ($done.tokens_used // 0) | save(0; .)),
  ($states[1] | with_task($id; {status: "completed", completed_at: $at}
    + ($done | {duration_ms, tokens_used} | known)) | save(1; .))
'

state_apply on-task-completed "${1-}" "$SHAPES" "$PROGRAM" \
  metrics/task-stats.json task-queue.json
