#!/usr/bin/env bats

load handlers

H=on-task-auto-fix

setup() { sandbox; }

policies() { # <lines...>
  printf '%s\n' "$@" >"$HOOKLINE_HOME/coordination/config/policies.toml"
}

retries() { # [<table lines>...]: timeouts are tried again
  policies '[autofix]' "${autofix-budget = 60}" '[autofix.timeout]' 'action = "retry"' "$@"
}

task_fails() { # <id> [<seconds> [<error_type>]]
  handled "$H" "$1-${2-0}" "{\"task_id\":\"$1\",\"error_type\":\"${3-timeout}\"}" "${2-0}"
}

tick() { # <seconds>
  event "tick-$1" '{"schedule":"task_retry"}' "$1" hookline.schedule
  sed -i 's/"a.test"/"task.retry_due"/' "$BATS_TEST_TMPDIR/events/tick-$1"
  run --separate-stderr deliver "$H" "tick-$1"
  assert_success
}

said() { # <type> <jq filter>
  emitted "select(.type == \"$1\") | .data | $2"
}

failed_rows() { # <error_type> <id>...
  state_is task-queue.json "$(jq -nc --arg type "$1" --args '{tasks: [$ARGS.positional[]
    | {id: ., status: "failed", error_type: $type, failed_at: "2020-01-01T09:59:00Z"}]}' "${@:2}")"
}

comes_late() { # <id> <error_type>: a minute after it was looked at twice
  event "late-$1" "{\"task_id\":\"$1\",\"error_type\":\"$2\"}" -60
  clock $((T0_S + 90))
  deliver "$H" "late-$1"
}

check() { # <seconds>: a program that polls looks at the queue
  event "check-$1" '{}' "$1"
  clock $((T0_S + $1))
  HOOKLINE_HOME=$HOOKLINE_HOME BASH_ENV=$CLOCK bash -c '
    source "$0/scripts/events/lib/autofix.sh" && autofix_check auto-fix-daemon "$1"' \
    "$HOOKLINE_CHECKOUT" "$BATS_TEST_TMPDIR/events/check-$1"
}

@test "a task is tried again after a pause that doubles, and then no more" {
  local n
  retries 'attempts = 3' 'pause = "10s"' 'pause_max = "1m"'
  task_fails t1 0
  assert_equal "$(said task.retry_planned .due)" '"2020-01-01T10:00:10.001Z"'
  assert_equal "$(said task.retry_requested .)" ''
  tick 11
  assert_equal "$(said task.retry_requested .)" "$(jq -c . <<<'{"task_id":"t1",
    "error_type":"timeout","attempt":1,"attempts":3,"policy":"autofix.timeout"}')"
  task_fails t1 20
  tick 41
  task_fails t1 50
  tick 91
  assert_equal "$(said task.retry_requested .attempt)" $'1\n2\n3'
  assert_equal "$(said task.retry_planned '.due[14:]')" $'"00:10.001Z"\n"00:40.001Z"\n"01:30.001Z"'
  task_fails t1 100
  tick 500
  assert_equal "$(said task.retry_requested .attempt | wc -l)" 3
  assert_equal "$(said autofix.given_up '[.task_id, .policy, .attempts]')" \
    '["t1","autofix.timeout",3]'
}

@test "what was done is said, with the policy and for which time" {
  retries
  task_fails t1
  tick 2
  assert_equal "$(said autofix.applied .)" "$(jq -c . <<<'{"task_id":"t1","error_type":"timeout",
    "attempt":1,"attempts":3,"policy":"autofix.timeout","action":"retry","dry_run":false}')"
  assert_equal "$(emitted 'select(.type == "autofix.applied") | .causationid')" '"tick-2"'
}

@test "a kind of failure without a policy, and a task without an id, are left alone" {
  retries
  task_fails t1 0 disk_full
  handled "$H" two '{"error_type":"timeout"}'
  tick 100
  assert_equal "$(emitted .)" ''
}

@test "without policies nothing is done" {
  task_fails t1
  tick 100
  assert_equal "$(emitted .)" ''
}

@test "one failure that is told twice is tried again once" {
  retries
  task_fails t1 0
  task_fails t1 1
  tick 5
  assert_equal "$(said task.retry_requested .attempt)" 1
}

@test "a dry run only says what it would do" {
  autofix='dry_run = true' retries
  task_fails t1
  tick 2
  assert_equal "$(said autofix.applied '[.task_id, .dry_run]')" '["t1",true]'
  assert_equal "$(said task.retry_requested .)" ''
}

@test "beyond the budget of an hour all waits, and a person is told once" {
  local n
  autofix='budget = 2' retries
  for n in 1 2 3 4; do task_fails "t$n" 0; done
  tick 2
  tick 3
  assert_equal "$(said task.retry_requested .task_id)" $'"t1"\n"t2"'
  assert_equal "$(said system.health_alert '[.alert_type, .policy, .budget, .waiting]')" \
    '["budget_spent","autofix",2,2]'
  tick 3603
  assert_equal "$(said task.retry_requested .task_id)" $'"t1"\n"t2"\n"t3"\n"t4"'
  assert_equal "$(said system.health_alert . | wc -l)" 1
}

@test "a person is told once in an hour, whatever kinds of failure come in between" {
  local n
  autofix='budget = 1' retries
  for n in 1 2 3 4; do
    task_fails "t$n" $((n * 10))
    tick $((n * 10 + 2))
    task_fails "u$n" $((n * 10 + 3)) disk_full
  done
  assert_equal "$(said system.health_alert .alert_type)" '"budget_spent"'
}

@test "a failure may be answered with an event, so often in a day" {
  policies '[autofix]' 'budget = 9' '[autofix.disk_full]' 'action = "emit"' \
    'event = "system.cleanup_needed"' 'attempts = 1'
  task_fails t1 0 disk_full
  tick 2
  task_fails t2 10 disk_full
  assert_equal "$(said system.cleanup_needed '[.error_type, .task_id, .attempt]')" \
    '["disk_full","t1",1]'
  assert_equal "$(said autofix.given_up .task_id)" '"t2"'
}

@test "the workers' failure_reason is a kind of failure, too" {
  policies '[autofix]' '[autofix.oom]'
  handled "$H" one '{"task_id":"t1","failure_reason":"oom"}'
  tick 2
  assert_equal "$(said task.retry_requested '[.task_id, .error_type]')" '["t1","oom"]'
}

@test "policies in which something is wrong allow nothing" {
  local text
  for text in '[autofix.timeout' $'[autofix.timeout]\n[autofix]\ndry_runn = true' \
    $'[autofix.timeout]\n[autofix]\nbudget = 0.5' \
    $'[autofix.timeout]\npause = "999999999999999d"'; do
    policies "$text"
    handle "$H" one '{"task_id":"t1","error_type":"timeout"}'
    assert_failure 78
    assert_stderr --regexp '/policies.toml, line [1-9]: '
  done
  assert_equal "$(stored)" ''
}

@test "what waits and is not allowed any more is dropped" {
  retries 'pause = "10s"'
  task_fails t1 0
  policies '[autofix]' '[autofix.timeout]' 'action = "emit"' 'event = "a.b"'
  tick 11
  retries 'pause = "10s"'
  task_fails t2 20
  policies '[autofix]'
  tick 31
  assert_equal "$(emitted 'select(.type | IN("task.retry_requested", "a.b"))')" ''
  assert_state autofix.json .pending '[]'
}

@test "what was done while the clock was ahead is spent, waited for and told at no time" {
  local n month=2592000
  autofix='budget = 2' retries 'pause = "0s"'
  for n in 1 2 3; do task_fails "t$n" "$month"; done
  assert_equal "$(said task.retry_requested .task_id)" $'"t1"\n"t2"'
  clock "$T0_S"
  for n in 1 4 5; do task_fails "t$n" 0; done
  assert_equal "$(said task.retry_requested .task_id | sort | uniq -c | tr -s ' ' | tr '\n' ,)" \
    ' 2 "t1", 1 "t2", 1 "t3",'
  assert_equal "$(said system.health_alert .waiting)" $'1\n1'
  assert_equal "$(said task.retry_planned .due | tail -n 1)" '"2020-01-01T11:00:00.001Z"'
}

@test "the longest span there is makes no moment that nobody can read" {
  retries 'pause = "999999999d"' 'pause_max = "999999999d"'
  task_fails t1 0
  assert_equal "$(said task.retry_planned .due)" '"9999-12-30T00:00:00.001Z"'
}

@test "a program that polls finds the failed tasks of the queue, once" {
  retries
  state_is task-queue.json '{"tasks":[null,{"id":"t1","status":"failed","error_type":"timeout",
    "failed_at":"2020-01-01T09:59:00Z"},{"id":"t2","status":"pending"}]}'
  check 0
  check 30
  check 60
  assert_equal "$(said task.retry_requested '[.task_id, .attempt]')" '["t1",1]'
}

@test "what was answered with an event is not answered again, neither by polling nor by its event" {
  policies '[autofix]' '[autofix.disk_full]' 'action = "emit"' 'event = "system.cleanup_needed"' \
    'pause = "0s"'
  failed_rows disk_full t1 t2
  check 0
  check 30
  check 60
  comes_late t1 disk_full
  assert_equal "$(said system.cleanup_needed '[.task_id, .attempt]')" '["t1",1]'
  task_fails t1 120 disk_full
  assert_equal "$(said system.cleanup_needed '[.task_id, .attempt]')" $'["t1",1]\n["t1",2]'
}

@test "what is given up is told once for each task, however often it is looked at" {
  retries 'attempts = 0'
  failed_rows timeout t1 t2 t3
  check 0
  check 30
  comes_late t2 timeout
  assert_equal "$(said autofix.given_up .task_id)" $'"t1"\n"t2"\n"t3"'
  check $((3 * 86400))
  assert_equal "$(said autofix.given_up . | wc -l)" 3
  failed_rows timeout t1
  check $((3 * 86400 + 30))
  assert_state autofix.json '.answered | keys' '["t1"]'
}

@test "a task that goes on failing after it was given up is told of once an hour" {
  local at
  retries 'attempts = 0'
  for at in 0 10 3500 3601; do task_fails t1 "$at"; done
  assert_equal "$(said autofix.given_up . | wc -l)" 2
}

@test "a failure of which nobody knows when, or from a clock that is ahead, is answered once" {
  retries 'pause = "0s"'
  state_is task-queue.json '{"tasks":[{"id":"t1","status":"failed","error_type":"timeout"},
    {"id":"t2","status":"failed","error_type":"timeout","failed_at":"2020-01-01T12:00:00Z"}]}'
  check 0
  check 30
  check 60
  assert_equal "$(said task.retry_requested '[.task_id, .attempt]')" $'["t1",1]\n["t2",1]'
}

@test "killed anywhere with something to do, it does that once" {
  retries
  task_fails t1 0
  event tick '{"schedule":"task_retry"}' 5 hookline.schedule
  sed -i 's/"a.test"/"task.retry_due"/' "$BATS_TEST_TMPDIR/events/tick"
  killed_everywhere "$H" tick
  assert_equal "$(snapshot | grep -c '"type":"task.retry_requested"')" 1
}
