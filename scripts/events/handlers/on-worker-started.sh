#!/usr/bin/env bash
# Usage: on-worker-started.sh EVENT-FILE
# Summary: puts a worker that has begun into the pool, on record and into the figures
# Exit: 0 done, 65 bad data, 75 the figures were locked too long
# on: worker.started
# run: warm   timeout: 30s   envelope: cloudevents
set -uo pipefail
umask 027

# shellcheck source=../lib/worker-pool.sh
source "${BASH_SOURCE[0]%/*}/../lib/worker-pool.sh"

SHAPES='[{"total_started": "number", "by_type": {"*": "number"}, "by_master": {"*": "number"}},
  '$_HOOKLINE_POOL_SHAPE']'

# shellcheck disable=SC2016 # a jq program
PROGRAM=$_HOOKLINE_POOL_WORDS'
worker as $id
| {timestamp: $at, worker_id: $id, worker_type: text("worker_type"; 256), task_id: id("task_id"),
    master: master} as $start
| append("metrics/worker-startups.jsonl"; $start),
  dashboard("worker.started"; $start),
  ($states[0] | .total_started += 1 | .last_started = $at | tallied("by_type"; $start.worker_type)
    | tallied("by_master"; $start.master) | save(0; .)),
  ($states[1] | with_worker($id; {status: "running", started_at: $at}
    + ($start | {worker_type, task_id} | known)) | save(1; .))
'

state_apply on-worker-started "${1-}" "$SHAPES" "$PROGRAM" \
  metrics/worker-stats.json worker-pool.json
