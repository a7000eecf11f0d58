#!/usr/bin/env bash
# Usage: pm-daemon.sh start | stop | status | run [--interval SECONDS] [--once]
# Summary: follows the tasks of task-queue.json, says which are late or stuck, writes a report
# Exit: 0 done, 3 not running, 64 usage, 69 it did not start, 75 it runs already, 78 no home
#
# Late is a task past its `deadline`: task.overdue, once. Stuck is one that is in work, or assigned,
# for longer than `stuck_after` of [tasks] in config/policies.toml (30m), or whose worker the pool
# does not know or calls failed, stale or stopped: system.health_alert stuck_tasks, with a new one
# at once, else each half an hour. How far all are is in coordination/progress-report.md.
set -euo pipefail
umask 027

# shellcheck source=scripts/daemons/daemon-loop.sh
source "${BASH_SOURCE[0]%/*}/daemon-loop.sh"
# shellcheck source=scripts/events/lib/worker-pool.sh
source "${BASH_SOURCE[0]%/*}/../events/lib/worker-pool.sh"
# shellcheck source=scripts/events/lib/policies.sh
source "${BASH_SOURCE[0]%/*}/../events/lib/policies.sh"

# The queue and the pool are only read: their locks are held, so that both are of one moment.
# shellcheck disable=SC2016 # a jq program
FOLLOW='
def stuck_after_s: [$policies.tasks.stuck_after | span][0] // 1800;
def quiet_s: 1800;
def name: .id // .task_id | strings;
def is_in_work: .status == "in_progress" or .status == "assigned" or .status == "running";
def since: [.started_at, .assigned_at, .status_at | past | strings] | max;
def cell: explode | [.[] as $c | if [92, 96, 42, 95, 60, 62, 124, 91, 93] | index([$c])
  then 92, $c else $c end] | implode | clean[:80];

[$states[1].tasks // [] | .[] | objects | select([name] != [])] as $tasks
| (reduce ($states[2].workers // [] | .[] | objects) as $worker ({};
    ($worker | .id // .worker_id | strings) as $id | .[$id] = $worker.status)) as $pool
| [$tasks[] | select(.status != "completed" and .status != "failed")
    | select(.deadline | epoch_or($now + 1) < $now)] as $late
| ([$tasks[] | select(is_in_work) | . as $task
    | select($now - (since | epoch_or($now)) > stuck_after_s
      or ($task.assigned_to | strings | . != "worker-daemon" and ($pool[.] // "failed"
        | . == "failed" or . == "stale" or . == "stopped"))) | name] | unique) as $stuck
| $states[0] | (.stuck_told.tasks // []) as $told
| [$late[] | select(. as $task | $states[0].overdue[$task | name] != $task.deadline)] as $newly_late
| ($stuck - $told != [] or ($stuck != []
    and (.stuck_told.at | ago($now)) >= quiet_s)) as $tell
| ($tasks | group_by(.status // "unknown") | map({(.[0].status // "unknown" | tostring): length})
    | add // {}) as $counts
| ({counts: $counts, overdue: ([$late[] | {(name): .deadline}] | add // {}), stuck: $stuck,
    stuck_told: (if $tell then {at: $at, tasks: $stuck}
      else {at: .stuck_told.at, tasks: ($told - ($told - $stuck))} end)}) as $found
| select(. == {} or (. | del(._applied, .last_check)) != $found or $newly_late != [])
| save(0; . + $found + {last_check: $at}),
  write("text"; "progress-report.md"; "# Progress\n\nAs of \($at): \($tasks | length) tasks, "
    + "\($counts.completed // 0) completed.\n\n| status | tasks |\n|---|---|\n"
    + ([$counts | to_entries[] | "| \(.key | cell) | \(.value) |\n"] | add // "")
    + "\n## Late\n\n" + ([$late[] | "- \(name | cell), due \(.deadline)\n"] | add // "none\n")
    + "\n## Stuck\n\n" + ([$stuck[] | "- \(cell)\n"] | add // "none\n")),
  ($newly_late | range(length) as $n | .[$n] | emit_as("-\($n)." + (name[:40] | clean);
    "task.overdue"; "high"; {task_id: name, deadline: (.deadline | clean[:64]),
    status: (.status // "unknown" | tostring | clean[:256]),
    worker_id: (.assigned_to | strings // null)})),
  if $tell then emit("system.health_alert"; "high"; {alert_type: "stuck_tasks",
    tasks: $stuck[:100], task_count: ($stuck | length)}) else empty end
'

daemon_round() {
  local event
  [[ -f $HOOKLINE_HOME/coordination/task-queue.json ]] || return 0
  # Where the policies cannot be read, tasks are followed all the same.
  policies_read || _hookline_policies='{}'
  event=$(daemon_event) || return
  state_apply pm-daemon "$event" "[{\"overdue\": \"object\", \"stuck_told\": \"object\"},
    $_HOOKLINE_QUEUE_SHAPE, $_HOOKLINE_POOL_SHAPE]" \
    "$_HOOKLINE_POLICY_WORDS$FOLLOW" metrics/progress.json task-queue.json worker-pool.json -- \
    --argjson policies "$_hookline_policies"
}

daemon_main pm 30 -- "$@"
