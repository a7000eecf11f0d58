#!/usr/bin/env bats

load handlers

H=on-task-failed

setup() { sandbox; }

task_fails() { # <number> <error_type> [<seconds>]
  handled "$H" "f$1" \
    "{\"task_id\":\"t$1\",\"error_type\":\"$2\",\"error_message\":\"message $1\"}" "${3-$1}"
}

@test "a failure is recorded and counted" {
  handled "$H" one "$(<"$BATS_TEST_DIRNAME/samples/$H.json")"
  assert_equal "$(lines patterns/failure-patterns.jsonl \
    '[.timestamp, .task_id, .worker_id, .error_type, .error_message, .retryable]')" \
    '["2020-01-01T10:00:00.000000Z","t1","w1","timeout","no answer",true]'
  assert_state metrics/failure-stats.json '[.total_failures, .by_type]' '[1,{"timeout":1}]'
}

@test "a kind of failure that comes back a fourth time is told" {
  local n
  for n in 1 2 3; do task_fails "$n" disk; done
  assert_equal "$(emitted .)" ''
  task_fails 4 disk
  assert_equal "$(emitted '[.type, .priority, (.data | .alert_type, .error_type, .occurrence_count,
      .sample_message)]')" \
    '["system.health_alert","high","repeated_failure","disk",4,"message 4"]'
}

@test "it is told once in five minutes for each kind" {
  local n
  for n in 1 2 3 4 5 6; do task_fails "$n" disk; done
  for n in 11 12 13 14 15; do task_fails "$n" net; done
  assert_equal "$(emitted .data.error_type)" $'"disk"\n"net"'
  task_fails 20 disk 303
  assert_equal "$(emitted . | wc -l)" 2
  task_fails 21 disk 304
  assert_equal "$(emitted .data.error_type)" $'"disk"\n"net"\n"disk"'
}

@test "only the newest hundred failures count" {
  state_is metrics/failure-stats.json "$(jq -n \
    '{total_failures: 103, by_type: {disk: 3, net: 100}, _alerted: {net: "2020-01-01T10:00:00Z"},
      _recent: (["disk", "disk", "disk"] + [range(97) | "net"])}')"
  task_fails 1 disk
  assert_equal "$(emitted .)" ''
  assert_state metrics/failure-stats.json '[(._recent | length), .by_type.disk]' '[100,4]'
}

@test "the task in the queue is marked, the others are not" {
  state_is task-queue.json \
    '{"version":2,"tasks":[{"id":"t1","status":"running","title":"x"},
    {"task_id":"t2","status":"running"},"odd"]}'
  task_fails 2 timeout
  assert_state task-queue.json '.tasks' \
    '[{"id":"t1","status":"running","title":"x"},
    {"task_id":"t2","status":"failed","failed_at":"2020-01-01T10:00:02.000000Z",
      "error_type":"timeout","status_at":"2020-01-01T10:00:02.000000Z"},"odd"]'
  assert_state task-queue.json .version 2
}

@test "a task whose task.created comes later is not queued as a new one then" {
  task_fails 2 timeout
  assert_state task-queue.json '[.tasks[] | [.id, .status]]' '[["t2","failed"]]'
  handled on-task-created late '{"task_id":"t2","task_type":"feature"}' 1
  assert_state task-queue.json '[.tasks[] | [.id, .status, .task_type, .error_type]]' \
    '[["t2","failed","feature","timeout"]]'
}

@test "a damaged queue that it need not write stays where it is" {
  state_is task-queue.json '{"tasks":['
  handled "$H" one '{"error_type":"timeout"}'
  assert_equal "$(<"$HOOKLINE_HOME/coordination/task-queue.json")" '{"tasks":['
}

@test "the failure_reason of a worker will do for a type" {
  handled "$H" one '{"worker_id":"w1","failure_reason":"out of memory"}'
  assert_equal "$(lines patterns/failure-patterns.jsonl '[.error_type, .error_message]')" \
    '["out of memory","out of memory"]'
}

@test "a failure that does not say of what kind is refused" {
  refused "$H" one '{"task_id":"t1"}'
  assert_stderr "$H: data.error_type is missing"
  refused "$H" one '{"task_id":5,"error_type":"x"}'
  refused "$H" one '{"task_id":"t1","error_type":["x"]}'
}

@test "a very long message is shortened, and its line is one line" {
  local long
  printf -v long '%0150000d' 0
  handled "$H" one "{\"error_type\":\"x\",\"error_message\":\"$long\"}"
  assert_equal "$(lines patterns/failure-patterns.jsonl '.error_message | length')" 2000
  long=${long:0:2000}
  handled "$H" two "{\"error_type\":\"x\",\"error_message\":\"${long//0/é}\"}"
  assert_equal "$(wc -l <"$HOOKLINE_HOME/coordination/patterns/failure-patterns.jsonl")" 2
}

@test "killed anywhere with an alert to tell, it tells that one once" {
  local n
  for n in 1 2 3; do task_fails "$n" disk; done
  state_is task-queue.json '{"tasks":[{"id":"t4","status":"running"}]}'
  event f4 '{"task_id":"t4","error_type":"disk"}' 4
  killed_everywhere "$H" f4
  assert_equal "$(snapshot | grep -c '"alert_type":"repeated_failure"')" 1
}
