#!/usr/bin/env bats

load handlers

H=on-learning-cycle-requested

setup() { sandbox; }

logged() { # <type> <data> <seconds>: an event of the log, of the time that `event` gives it
  local time
  TZ=UTC printf -v time '%(%Y-%m-%dT%H:%M:%S)T.000000Z' "$((T0_S + $3))"
  printf '{"specversion":"1.0","id":"%s","source":"s","type":"%s","time":"%s","data":%s}\n' \
    "e$3" "$1" "$time" "$2" >>"$HOOKLINE_HOME/coordination/events/${1%%.*}-events.jsonl"
}

@test "the cycle looks at what the log had when it was asked for" {
  logged routing.decision_made '{"task_id":"t","master":"dev"}' -20
  logged task.completed '{"task_id":"t"}' -10
  logged routing.decision_made '{"task_id":"u","master":"dev"}' 10
  handled "$H" one '{"date":"2020-01-01","cycle_type":"daily"}'
  assert_equal "$(state moe-learning/expert-confidence.json \
    '[.as_of, .decisions, .experts.dev.successes]')" '["2020-01-01T10:00:00.000000Z",1,1]'
  assert_equal "$(state routing/expert-weights.json '.weights.dev == 1')" true
  assert_equal "$(<"$HOOKLINE_HOME/coordination/metrics/learning/last-daily-run.txt")" 2020-01-01
  [[ $(<"$HOOKLINE_HOME/coordination/moe-learning/reports/2020-01-01.md") == *'| dev | 0.67 |'* ]]
  assert_equal "$(emitted 'select(.source == "hookline.learn")
    | [.type, .causationid, .data.request.id, .data.outcomes]')" \
    '["learning.cycle_completed","one","one",1]'
}

@test "without a date it is that of the event, without a type the daily one" {
  handled "$H" one '{}'
  assert_equal "$(emitted '[.data.date, .data.cycle_type]')" '["2020-01-01","daily"]'
}

@test "a daily cycle runs once for its date, and again when it is forced" {
  handled "$H" one '{"date":"2020-01-01","cycle_type":"daily"}'
  handled "$H" two '{"date":"2020-01-01","cycle_type":"daily"}' 60
  handled "$H" three '{"date":"2020-01-01","cycle_type":"daily","force":true}' 120
  handled "$H" three '{"date":"2020-01-01","cycle_type":"daily","force":true}' 120
  assert_equal "$(emitted .data.request.id)" $'"one"\n"three"'
}

@test "what is no day, or would be a path, is refused" {
  refused "$H" one '{"date":"../../2020-01-01"}'
  assert_stderr "$H: data.date is not like 2026-11-21"
  refused "$H" one '{"cycle_type":"../x"}'
  assert_stderr "$H: data.cycle_type is not like daily"
  handle "$H" one '{"date":"2020-02-30"}'
  assert_failure 65
  assert_stderr "hookline learn: date '2020-02-30' is not a day like 2026-11-21"
}

@test "a cycle that is at work has the request tried again" {
  local lock
  mkdir -p -- "$HOOKLINE_HOME/coordination/moe-learning"
  exec {lock}<"$HOOKLINE_HOME/coordination/moe-learning"
  flock "$lock"
  handle "$H" one '{}'
  assert_failure 75
  exec {lock}<&-
  handled "$H" one '{}'
}

@test "where hookline is not installed it says what to do" {
  local copy=$BATS_TEST_TMPDIR/bus
  mkdir -p -- "$copy/scripts/events" "$copy/coordination/events"
  cp -r -- "$HOOKLINE_CHECKOUT"/scripts/events/{lib,handlers} "$copy/scripts/events"
  event one '{}'
  run --separate-stderr env HOOKLINE_HOME="$copy" "$copy/scripts/events/handlers/$H.sh" \
    "$BATS_TEST_TMPDIR/events/one"
  assert_failure 69
  assert_stderr --partial 'hookline is not installed: run scripts/setup.sh'
}
