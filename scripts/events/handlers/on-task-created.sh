#!/usr/bin/env bash
# Usage: on-task-created.sh EVENT-FILE
# Summary: queues and counts a new task, and alerts when it is an urgent one
# Exit: 0 done, 65 bad data, 75 the figures were locked too long
# on: task.created
# run: warm   timeout: 30s   envelope: cloudevents
set -uo pipefail
umask 027

# shellcheck source=../lib/worker-pool.sh
source "${BASH_SOURCE[0]%/*}/../lib/worker-pool.sh"

SHAPES='[{"total_tasks": "number", "by_priority": {"*": "number"}, "by_type": {"*": "number"},
  "by_master": {"*": "number"}, "urgent": "object"}, '$_HOOKLINE_QUEUE_SHAPE']'

# Urgent tasks come in flocks: told is the first, and then once in 5 minutes how many there were.
# shellcheck disable=SC2016 # a jq program
PROGRAM=$_HOOKLINE_POOL_WORDS'
(id("task_id") | required("task_id")) as $id
| ($event.priority // "medium") as $priority
| {timestamp: $at, task_id: $id, task_type: (text("task_type"; 256) // "general"),
    description: text("description"; 2000), priority: $priority, master: master} as $task
| ($priority | . == "high" or . == "critical") as $is_urgent
| append("metrics/task-creation-metrics.jsonl"; $task),
  dashboard("task.created"; $task),
  ($states[0] | .total_tasks += 1 | .last_created = $at
    | tallied("by_priority"; $priority) | tallied("by_type"; $task.task_type)
    | tallied("by_master"; $task.master)
    | if $is_urgent then .urgent.untold += 1 else . end
    | ($is_urgent and (.urgent.told_at | ago($now)) >= 300) as $tell
    | .urgent.untold as $urgent
    | save(0; if $tell then .urgent = {told_at: $at, untold: 0} else . end),
      if $tell then emit("system.health_alert"; $priority; ($task
        | {alert_type: "high_priority_task", task_id, task_type, priority, master}
        + {tasks_since_last_alert: $urgent})) else empty end),
  ($states[1] | with_task($id; {status: "pending", created_at: $at}
    + ($task | {task_type, description, priority, master} | known)) | save(1; .))
'

state_apply on-task-created "${1-}" "$SHAPES" "$PROGRAM" \
  metrics/task-stats.json task-queue.json
