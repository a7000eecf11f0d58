#!/usr/bin/env bats

load daemons

setup() { furnish_home; }
teardown() { end_daemons; }

emit() { "$HOOKLINE_HOME/scripts/events/lib/event-logger.sh" --emit "$@" >/dev/null; }

tasks_fail() { # <error_type> <first> <last>
  local n
  for ((n = $2; n <= $3; n++)); do
    emit task.failed a-test "{\"task_id\":\"t$n\",\"error_type\":\"$1\"}"
  done
}

alerts() {
  said 'select(.type == "system.health_alert") | .data | [.error_type, .occurrence_count]'
}

@test "a failure that comes back is told once, by what lies in the log" {
  tasks_fail timeout 1 3
  a_round failure-pattern
  assert_equal "$(alerts)" ''
  tasks_fail timeout 4 6
  a_round failure-pattern
  a_round failure-pattern
  assert_equal "$(alerts)" '["timeout",4]'
  assert_equal "$(state metrics/failure-stats.json .total_failures)" 6
}

@test "bytes that are no text hide nothing of what lies beside them" {
  tasks_fail timeout 1 3
  printf '\0\n\0\0\377\376torn\n\0' >>"$(log_of task)"
  tasks_fail timeout 4 6
  a_round failure-pattern
  assert_equal "$(state metrics/failure-stats.json .total_failures)" 6
}

@test "what the handler has counted is not counted again, and the other way round" {
  tasks_fail timeout 1 4
  local events=$BATS_TEST_TMPDIR/events.jsonl
  cp -- "$(log_of task)" "$events"
  cp -- "$HOOKLINE_CHECKOUT/scripts/events/handlers/on-task-failed.sh" scripts/events/handlers/
  head -n 2 "$events" >two
  scripts/events/handlers/on-task-failed.sh two
  a_round failure-pattern
  scripts/events/handlers/on-task-failed.sh "$events"
  assert_equal "$(state metrics/failure-stats.json .total_failures)" 4
  assert_equal "$(alerts)" '["timeout",4]'
  assert_equal "$(wc -l <coordination/patterns/failure-patterns.jsonl)" 4
}

@test "without a logger it finds them in the drop box, and its alert is there, too" {
  local n
  without_logger
  source scripts/events/lib/event-fallback.sh
  for n in 1 2 3 4; do say_event task.failed a-test '{"error_type":"rate_limit"}'; done
  a_round failure-pattern
  assert_equal "$(alerts)" '["rate_limit",4]'
  assert_equal "$(find coordination/events -name '*.jsonl')" ''
  a_round failure-pattern
  assert_equal "$(alerts)" '["rate_limit",4]'
}

@test "a task that has failed without an event is found in the queue, once" {
  state_is task-queue.json '{"tasks":[
    {"id":"t1","status":"failed","error_type":"oom","failed_at":"2026-01-01T00:00:00Z"},
    {"id":"t2","status":"failed"},{"id":"t3","status":"running"},"odd",{"id":null}]}'
  a_round failure-pattern
  a_round failure-pattern
  assert_equal "$(state metrics/failure-stats.json '[.total_failures, .by_type]')" \
    '[2,{"oom":1,"unknown":1}]'
  assert_equal "$(state task-queue.json '[.tasks[] | objects | .status]')" \
    '["failed","failed","running",null]'
}

@test "a bad event, and half a line, keep none of the others from being counted" {
  tasks_fail timeout 1 1
  emit task.failed a-test '{"error_type":{"an":"object"}}'
  printf '{"specversion":"1.0","id":"torn","source":"x","type":"task.failed","da\n' \
    >>"$(log_of task)"
  tasks_fail timeout 2 2
  a_round failure-pattern
  assert_stderr --partial 'data.error_type is of type object'
  assert_equal "$(state metrics/failure-stats.json .total_failures)" 2
}

@test "what an event says is text, and nothing else" {
  # shellcheck disable=SC2016 # it is not to be expanded
  local n text='x]$(touch hacked)`touch hacked`\"'"' * '"
  for n in 1 2 3 4; do emit task.failed a-test "{\"n\":$n,\"error_type\":\"$text\"}"; done
  a_round failure-pattern
  a_round failure-pattern
  refute_exists hacked
  assert_equal "$(state metrics/failure-stats.json .total_failures)" 4
}

@test "what has been rotated away since is found" {
  tasks_fail timeout 1 1
  mv -- "$(log_of task)" coordination/events/segments/task-events.00000001.jsonl
  tasks_fail timeout 2 2
  a_round failure-pattern
  assert_equal "$(state metrics/failure-stats.json .total_failures)" 2
}
