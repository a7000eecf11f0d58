#!/usr/bin/env bash
# Usage: coordinator-daemon.sh start | stop | status | run [--interval SECONDS] [--once]
# Summary: assigns the pending tasks of task-queue.json to the free workers of worker-pool.json
# Exit: 0 done, 3 not running, 64 usage, 69 it did not start, 75 it runs already, 78 no home
#
# The most urgent task first, then the oldest. Free is who is `available` or `idle`. A task that
# names a worker_type gets one of that type. Among those that it may get, best is one whose type is
# its task_type, then who has the highest confidence in metrics/worker-confidence.json, the fewest
# tasks so far, or has waited longest. What task.assigned says is written in both files.
#
# A failed task for which a task.retry_requested has come since is pending again.
set -euo pipefail
umask 027

# shellcheck source=scripts/daemons/daemon-loop.sh
source "${BASH_SOURCE[0]%/*}/daemon-loop.sh"
# shellcheck source=scripts/events/lib/worker-pool.sh
source "${BASH_SOURCE[0]%/*}/../events/lib/worker-pool.sh"

# A long queue is assigned in several rounds: who waits for the files' locks is not to wait long.
readonly AT_ONCE=50

# shellcheck disable=SC2016 # a jq program
ASSIGN='
def name($key): .id // .[$key] | values;
def is_open: ([name("task_id")] != []) and .assigned_to == null
  and (.status == "pending" or .status == "queued") and (.not_before | epoch_or(0)) <= $now;
def is_free: ([name("worker_id")] != [])
  and (.status == "available" or .status == "idle");

$states[0] as $queue | $states[1] as $pool | ($states[2].workers // {}) as $rated
| (reduce ($queue.tasks // [] | .[] | .assigned_to | strings) as $id ({}; .[$id] += 1))
  as $had
| ([$queue.tasks // [] | .[] | select(is_open)] | sort_by([rank, .created_at // ""])) as $open
| [$pool.workers // [] | .[] | select(is_free)] as $free
| reduce $open[] as $task ({free: $free, pairs: []};
    if (.free == []) or (.pairs | length) >= $at_once then . else
      ([.free[] | select($task.worker_type == null or .worker_type == $task.worker_type)]
        | sort_by([.worker_type != ($task.task_type // null),
            -($rated[name("worker_id")].confidence // 0), $had[name("worker_id")] // 0,
            .status_at // .last_heartbeat // ""])[0]) as $worker
      | if $worker == null then . else .free -= [$worker] | .pairs += [{$task, $worker}] end
    end)
| .pairs | select(. != []) as $pairs
| (reduce $pairs[] as {$task, $worker} ($queue; ($worker | name("worker_id")) as $who
    | .tasks |= map(if is_row($task | name("task_id"); "task_id") then . + {status: "assigned",
        assigned_to: $who, assigned_at: $at, status_at: $at} else . end)) | save(0; .)),
  (reduce $pairs[] as {$task, $worker} ($pool; with_worker($worker | name("worker_id");
    {status: "busy", task_id: ($task | name("task_id"))})) | save(1; .)),
  ($pairs | range(length) as $n | .[$n] | (.task | name("task_id")) as $id
    | emit_as("-\($n)." + ($id[:40] | clean); "task.assigned"; "medium"; {task_id: $id,
        worker_id: (.worker | name("worker_id")), worker_type: (.worker.worker_type // "unknown"),
        assignment_strategy: "coordinator"}))
'

# shellcheck disable=SC2016 # a jq program
AGAIN='
def has_failed($id): is_row($id; "task_id") and .status == "failed"
  and (.status_at // .failed_at | moment // 0) < ($event.time | moment // 0);
(id("task_id") | required("task_id")) as $id | $states[0]
| select(any(.tasks[]?; has_failed($id)))
| save(0; .tasks |= map(if has_failed($id) then del(.not_before)
    + {status: "pending", assigned_to: null, attempts: 0, status_at: $at} else . end))
'

tasks_again() { # <event-file>
  state_apply coordinator-daemon-again "$1" "[$_HOOKLINE_QUEUE_SHAPE]" \
    "$_HOOKLINE_POOL_WORDS$AGAIN" task-queue.json
}

daemon_round() {
  local folder=$HOOKLINE_HOME/coordination event
  daemon_each_new tasks_again task.retry_requested || return
  [[ -f $folder/task-queue.json && -f $folder/worker-pool.json ]] &&
    daemon_has_news pool "$folder/task-queue.json" "$folder/worker-pool.json" || return 0
  event=$(daemon_event) || return
  state_apply coordinator-daemon "$event" \
    "[$_HOOKLINE_QUEUE_SHAPE, $_HOOKLINE_POOL_SHAPE, {\"workers\":
      {\"*\": {\"confidence\": \"number\"}}}]" \
    "$_HOOKLINE_POOL_WORDS$ASSIGN" task-queue.json worker-pool.json \
    metrics/worker-confidence.json -- --argjson at_once "$AT_ONCE"
}

daemon_main coordinator 5 -- "$@"
