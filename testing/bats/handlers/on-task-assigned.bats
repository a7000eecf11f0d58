#!/usr/bin/env bats

load handlers

H=on-task-assigned

setup() { sandbox; }

@test "queue, pool and figures know who has the task, and the routing hears of it" {
  handled on-task-created made '{"task_id":"t1"}'
  handled "$H" one '{"task_id":"t1","worker_id":"w1","worker_type":"implementer",
    "assignment_strategy":"round_robin"}' 1
  assert_state task-queue.json '.tasks[0] | [.status, .assigned_to, .assigned_at]' \
    '["assigned","w1","2020-01-01T10:00:01.000000Z"]'
  assert_state worker-pool.json '.workers[0] | [.id, .status, .task_id, .worker_type]' \
    '["w1","busy","t1","implementer"]'
  assert_state worker-pool.json '.active_workers.w1.status' '"busy"'
  assert_state metrics/assignment-stats.json '[.total_assignments, .by_strategy, .by_worker_type]' \
    '[1,{"round_robin":1},{"implementer":1}]'
  assert_equal "$(lines metrics/task-assignments.jsonl \
    '[.task_id, .worker_id, .worker_type, .assignment_strategy]')" \
    '["t1","w1","implementer","round_robin"]'
  assert_equal "$(emitted '[.type, .data]')" \
    "$(jq -c . <<<'["routing.decision_made", {"task_id":"t1","worker_id":"w1",
      "worker_type":"implementer","assignment_strategy":"round_robin","decision":"assigned"}]')"
}

@test "with the handler of routing decisions, the decision is on record there, once" {
  handled "$H" one '{"task_id":"t1","worker_id":"w1","worker_type":"implementer"}'
  handled on-routing-decision two "$(emitted .data)"
  assert_equal "$(lines routing/routing-decisions.jsonl \
    '[.master, .task_id, .worker_id, .decision]')" \
    '["implementer","t1","w1","assigned"]'
}

@test "by hand, of no known kind, is what is left out" {
  handled "$H" one '{"task_id":"t1","worker_id":"w1"}'
  assert_equal "$(emitted '.data | [.worker_type, .assignment_strategy]')" '["unknown","manual"]'
  assert_state worker-pool.json '.workers[0] | has("worker_type")' false
}

@test "an assignment that is handled late does not take a task up again" {
  handled on-task-completed over '{"task_id":"t1"}' 60
  handled "$H" one '{"task_id":"t1","worker_id":"w1"}' 1
  assert_state task-queue.json '.tasks[0] | [.status, .assigned_to]' '["completed","w1"]'
}

@test "both the task and the worker must be named" {
  refused "$H" one '{"task_id":"t1"}'
  assert_stderr "$H: data.worker_id is missing"
  refused "$H" one '{"worker_id":"w1"}'
  assert_stderr "$H: data.task_id is missing"
}
