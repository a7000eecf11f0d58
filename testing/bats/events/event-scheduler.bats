#!/usr/bin/env bats
# The face of `hookline schedule run` and `run-due`: help, --once for cron, exit statuses.

load ../test_helper

setup() {
  sandbox
  SCHEDULES=$HOOKLINE_HOME/coordination/config/schedules.toml
  printf '[schedule.beat]\nevery = "100ms"\nevent = "beat.due"\ncatch_up = "all"\n' >"$SCHEDULES"
}

teardown() {
  [[ -z ${SCHEDULER-} ]] || kill -- "$SCHEDULER" 2>/dev/null || true
}

scheduler() { "$HOOKLINE_CHECKOUT/scripts/events/event-scheduler.sh" "$@"; }

ticks() { jq -r .data.nominal "$(log_of beat)"; }

wait_for_ticks() { # <count>
  local turns
  for ((turns = 0; turns < 500; turns++)); do
    [[ -e $(log_of beat) ]] && (($(ticks | wc -l) >= $1)) && return
    sleep 0.02 # nobody tells of ticks that are there
  done
  return 1
}

@test "--help prints the header" {
  run scheduler --help
  assert_success
  assert_output --partial 'Usage: event-scheduler.sh [--once] [--verbose]'
  assert_output --partial 'Exit: 0 done, 64 usage'
  assert_output --partial '--once      append what is due now and exit'
}

@test "--once begins, and the next one appends what came due since" {
  run scheduler --once
  assert_success
  assert_output ''
  sleep 0.3 # so long that something comes due
  run scheduler --once
  assert_success
  assert_output ''
  run ticks
  assert_success
  (($(wc -l <<<"$output") >= 2))
  assert_equal "$(sort -u <<<"$output")" "$output"
}

@test "--once --verbose shows each tick on stderr" {
  scheduler --once
  sleep 0.2 # as above
  run --separate-stderr scheduler --once --verbose
  assert_success
  assert_output ''
  [[ $stderr == *'beat.due  beat  '*' ms late, '* ]]
}

@test "it appends until it is told to end, and a second one exits 75" {
  "$HOOKLINE_CHECKOUT/scripts/events/event-scheduler.sh" 3>&- &
  SCHEDULER=$!
  wait_for_ticks 3
  run scheduler
  assert_failure 75
  assert_output --partial 'a scheduler runs already'
  run scheduler --once
  assert_failure 75
  kill -TERM "$SCHEDULER"
  wait "$SCHEDULER"
  SCHEDULER=
  assert_equal "$(ticks | sort -u)" "$(ticks)"
}

@test "a flag that it does not know is usage" {
  run scheduler --daemon
  assert_failure 64
}

@test "a configuration that is wrong is told with its key, and nothing is appended" {
  printf '[schedule.beat]\nevery = "100ms"\nevnt = "beat.due"\n' >"$SCHEDULES"
  for flag in '' --once; do
    run scheduler ${flag:+"$flag"}
    assert_failure 78
    assert_output --partial 'schedules.toml'
    assert_output --partial 'evnt'
  done
  refute_exists "$(log_of beat)"
}

@test "without a configuration nothing is due" {
  rm -- "$SCHEDULES"
  run scheduler --once
  assert_success
  assert_output ''
}
