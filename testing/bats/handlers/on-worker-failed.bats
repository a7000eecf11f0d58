#!/usr/bin/env bats

load handlers

H=on-worker-failed

setup() { sandbox; }

@test "the failure is on record, the worker failed, and so is its task" {
  handled "$H" one '{"worker_id":"w1","worker_type":"implementer","task_id":"t1",
    "error_type":"timeout","error_message":"no answer"}'
  assert_equal "$(lines metrics/worker-failures.jsonl \
    '[.worker_id, .worker_type, .task_id, .error_type, .error_message]')" \
    '["w1","implementer","t1","timeout","no answer"]'
  assert_state worker-pool.json '.workers[0] | [.status, .error_type]' '["failed","timeout"]'
  assert_state metrics/worker-stats.json '[.total_failed, .by_error]' '[1,{"timeout":1}]'
  assert_equal "$(emitted '[.type, .priority, .causationid, .data]')" \
    "$(jq -c . <<<'["task.failed","high","one",{"task_id":"t1","worker_id":"w1",
      "error_type":"timeout","error_message":"no answer","reason":"worker_failure"}]')"
}

@test "the lifecycle's failure_reason is a type and a message" {
  handled "$H" one '{"worker_id":"w1","worker_type":"x","task_id":"t1","tokens_used":7,
    "failure_reason":"out of memory","status":"failed"}'
  assert_equal "$(emitted '.data | [.error_type, .error_message]')" \
    '["out of memory","out of memory"]'
  handled on-task-failed two "$(emitted .data)"
  assert_state metrics/failure-stats.json .by_type '{"out of memory":1}'
}

@test "one that says nothing of its failure has failed all the same" {
  handled "$H" one null 0 worker-7
  assert_equal "$(lines metrics/worker-failures.jsonl \
    '[.worker_id, .error_type, .error_message]')" \
    '["worker-7","unknown",null]'
  assert_equal "$(emitted .)" ''
}

@test "a very long reason is shortened" {
  local long
  printf -v long '%03000d' 0
  handled "$H" one "{\"worker_id\":\"w1\",\"failure_reason\":\"$long\"}"
  assert_equal "$(lines metrics/worker-failures.jsonl \
    '[(.error_type | length), (.error_message | length)]')" '[256,2000]'
}

@test "killed anywhere, the task fails once" {
  event one '{"worker_id":"w1","task_id":"t1","error_type":"timeout"}'
  killed_everywhere "$H" one
  assert_equal "$(snapshot | grep -c '"type":"task.failed"')" 1
}
