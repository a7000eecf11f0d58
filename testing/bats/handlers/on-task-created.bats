#!/usr/bin/env bats

load handlers

H=on-task-created

setup() { sandbox; }

created() { # <number> <priority> [<seconds>]
  event "t$1" "{\"task_id\":\"t$1\",\"task_type\":\"feature\"}" "${3-$1}"
  sed -i "s/\"data\":/\"priority\":\"$2\",\"data\":/" "$BATS_TEST_TMPDIR/events/t$1"
  run --separate-stderr deliver "$H" "t$1"
  assert_success
}

@test "what was said while the clock was ahead hinders nothing that is said now" {
  handled on-task-created one '{"task_id":"t1"}' 2592000
  clock "$T0_S"
  handled on-task-assigned two '{"task_id":"t1","worker_id":"w1"}' 0
  assert_state task-queue.json '.tasks[0] | [.status, .assigned_to]' '["assigned","w1"]'
}

@test "a new task is queued, counted, on record and on the dashboard" {
  handled "$H" one '{"task_id":"t1","task_type":"feature","description":"build it",
    "_metadata":{"master":"development"}}'
  assert_state task-queue.json '.tasks' \
    '[{"id":"t1","status":"pending","created_at":"2020-01-01T10:00:00.000000Z",
      "task_type":"feature","description":"build it","priority":"medium","master":"development",
      "status_at":"2020-01-01T10:00:00.000000Z"}]'
  assert_state metrics/task-stats.json '[.total_tasks, .by_priority, .by_type, .by_master]' \
    '[1,{"medium":1},{"feature":1},{"development":1}]'
  assert_equal "$(lines metrics/task-creation-metrics.jsonl '[.task_id, .priority, .master]')" \
    '["t1","medium","development"]'
  assert_equal "$(lines dashboard-events.jsonl '[.type, .data.task_id]')" '["task.created","t1"]'
  assert_equal "$(emitted .)" ''
}

@test "a task that is queued already is not queued twice, nor begun anew" {
  state_is task-queue.json '{"version":2,"tasks":[{"task_id":"t1","status":"done","title":"x"}]}'
  sed -i 's/"status":"done"/&,"status_at":"2020-01-01T11:00:00Z"/' \
    "$HOOKLINE_HOME/coordination/task-queue.json"
  clock $((T0_S + 3600))
  handled "$H" one '{"task_id":"t1","description":"y"}'
  assert_state task-queue.json '[.version, (.tasks | length), (.tasks[0] | .status, .title,
    .description)]' '[2,1,"done","x","y"]'
}

@test "urgent tasks are told once in five minutes, with how many there were" {
  local n
  created 1 high
  for n in 2 3 4; do created "$n" critical; done
  created 5 low
  assert_equal "$(emitted '[.type, .priority, (.data | .alert_type, .task_id, .priority,
    .tasks_since_last_alert)]')" \
    '["system.health_alert","high","high_priority_task","t1","high",1]'
  created 6 critical 301
  assert_equal "$(emitted '.data | [.task_id, .tasks_since_last_alert]')" $'["t1",1]\n["t6",4]'
}

@test "a task without an id is refused" {
  refused "$H" one '{"task_type":"feature"}'
  assert_stderr "$H: data.task_id is missing"
}

@test "of what is over the queue keeps the newest two hundred" {
  state_is task-queue.json "$(jq -n '{tasks: [range(250) | {id: "d\(.)", status: "completed"}]}')"
  handled "$H" one '{"task_id":"t1"}'
  assert_state task-queue.json '[(.tasks | length), .tasks[0].id, .tasks[-1].id]' \
    '[201,"d50","t1"]'
}
