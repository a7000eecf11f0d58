#!/usr/bin/env bats
# The cycle of the day: asked for once, done once, and marked as done when it is.

load test_helper

setup() {
  sandbox
  mkdir -p -- "$HOOKLINE_HOME/coordination/state"
  cp -r -- "$HOOKLINE_CHECKOUT/scripts/events/lib" "$HOOKLINE_HOME/scripts/events"
  cp -- "$HOOKLINE_CHECKOUT/scripts/daily-learning-scheduler.sh" "$HOOKLINE_HOME/scripts"
  ln -s -- "$HOOKLINE_CHECKOUT/.venv/bin/hookline" "$HOOKLINE_HOME/coordination/state/hookline"
  LOGGER=$HOOKLINE_HOME/scripts/events/lib/event-logger.sh
  LOG=$HOOKLINE_HOME/coordination/logs/daily-learning-scheduler.log
  away_from_the_turn 86400
  TODAY=$(date -u +%F)
}

schedule() { run --separate-stderr "$HOOKLINE_HOME/scripts/daily-learning-scheduler.sh" "$@"; }

scheduled() { # as schedule, as cron likes it: done without a word
  schedule "$@"
  assert_success
  assert_equal "$output$stderr" ''
}

handler() { # [<body> [<backoff>]]: that of the checkout, or a script of this body
  local name=on-learning-cycle-requested.sh
  local file=$HOOKLINE_HOME/scripts/events/handlers/$name
  if (($#)); then
    printf '#!/bin/bash\n# backoff: %s   from: beginning\n%s\n' "${2-1s}" "$1" >"$file"
  else
    sed 's/^# timeout:/# from: beginning\n&/' "$HOOKLINE_CHECKOUT/scripts/events/handlers/$name" \
      >"$file"
  fi
  chmod 0755 -- "$file"
}

dispatch() { "$HOOKLINE_HOME/coordination/state/hookline" dispatch --once; }

# The day is the one on which the test began, or the next one.
marked() {
  local mark=$HOOKLINE_HOME/coordination/metrics/learning/last-daily-run.txt
  [[ -f $mark && ! $(<"$mark") < $TODAY ]]
}

unmarked() { if marked; then fail 'marked as done'; fi; }

said() { # <type> <jq filter>: what it says of each such event
  [[ ! -e $(log_of learning) ]] || jq -cr --arg type "$1" "select(.type == \$type) | $2" \
    "$(log_of learning)"
}

ids() { said learning.cycle_requested .id | sort -u; }

standing() {
  schedule --status
  printf '%s\n' "${output#* }"
}

@test "--help prints the header" {
  schedule --help
  assert_success
  assert_output --partial 'Usage: daily-learning-scheduler.sh [--force] [--wait SECONDS] | --status'
  assert_output --partial '--status         print how it stands'
}

@test "what it does not know is usage, and where there is no home nothing is done" {
  schedule --wait soon
  assert_failure 64
  schedule --daemon
  assert_failure 64
  assert_stderr "ERROR: '--daemon' is not known; see --help"
  run env HOOKLINE_HOME="$BATS_TEST_TMPDIR" "$HOOKLINE_HOME/scripts/daily-learning-scheduler.sh"
  assert_failure 78
}

@test "it asks once a day, and a request is not yet a completed cycle" {
  assert_equal "$(standing)" due
  scheduled
  scheduled
  assert_equal "$(said learning.cycle_requested '[.source, .priority, .data.cycle_type]')" \
    '["daily-learning-scheduler","high","daily"]'
  [[ $(ids) == daily-learning.????-??-??.1 ]]
  unmarked
  assert_equal "$(standing)" requested
  [[ $(<"$LOG") == ????-??-??T??:??:??Z' asked for the cycle of '????-??-?? ]]
}

@test "the day is marked when the dispatcher has had the cycle run, and then nothing is asked" {
  handler
  scheduled
  dispatch
  marked
  assert_equal "$(said learning.cycle_completed .causationid)" "$(ids)"
  # What is marked is known without asking anybody.
  ln -sf -- /bin/false "$HOOKLINE_HOME/coordination/state/hookline"
  scheduled
  schedule --status
  assert_success
  assert_equal "$(ids | wc -l)" 1
}

@test "a request that is still tried is not doubled" {
  handler 'exit 75' 1h
  scheduled
  dispatch
  scheduled
  assert_equal "$(ids | wc -l)" 1
  assert_equal "$(standing)" requested
}

@test "a request that became a dead letter is made again" {
  handler 'exit 65'
  scheduled
  dispatch
  assert_equal "$(standing)" failed
  unmarked
  handler
  scheduled
  [[ $(ids) == *.1$'\n'*.2 ]]
  dispatch
  marked
  assert_equal "$(said learning.cycle_completed .causationid)" "$(ids | tail -n 1)"
}

@test "without an event logger the cycle is run here" {
  rm -- "$LOGGER"
  scheduled
  marked
  assert_equal "$(ids)" ''
  assert_equal "$(said learning.cycle_completed .data.cycle_type)" daily
  scheduled
  assert_equal "$(said learning.cycle_completed .id | wc -l)" 1
}

@test "a logger that refuses, cannot be run or is taken away in the middle is as good as none" {
  local body
  # shellcheck disable=SC2016 # scripts
  for body in 'exit 65' 'exit 75' 'kill -KILL $$' 'rm -rf -- "${0%/*}"; exec "$0"'; do
    printf '#!/bin/bash\n%s\n' "$body" >"$LOGGER"
    scheduled
    marked
    rm -r -- "$HOOKLINE_HOME/coordination/metrics" "$(log_of learning)"
  done
  mkdir -p -- "${LOGGER%/*}"
  printf '#!/bin/bash\n' >"$LOGGER"
  chmod a-x -- "$LOGGER"
  scheduled
  marked
  [[ $(<"$LOG") == *'the event logger has refused the request (exit 65)'* ]]
}

@test "when a request has waited for more than a day, the cycle is run here" {
  printf '{"specversion":"1.0","id":"%s","source":"s","type":"%s","time":"%s","data":%s}\n' old \
    learning.cycle_requested "$(date -u -d '25 hours ago' +%FT%T.000000Z)" '{}' \
    >"$(log_of learning)"
  assert_equal "$(standing)" overdue
  scheduled
  marked
  assert_equal "$(ids)" old
  # The dispatcher that comes at last makes up for the day of the request, and for no other.
  handler
  dispatch
  marked
  assert_equal "$(said learning.cycle_completed .data.date | sort -u | wc -l)" 2
  assert_equal "$(said learning.cycle_completed .data.date | wc -l)" 2
}

@test "without hookline it can only ask, with the same event, and without a logger not even that" {
  rm -- "$HOOKLINE_HOME/coordination/state/hookline"
  scheduled
  scheduled
  assert_equal "$(ids | wc -l)" 1
  rm -- "$LOGGER"
  schedule
  assert_failure 69
  assert_stderr 'ERROR: hookline is not installed: run scripts/setup.sh'
  unmarked
}

@test "a cycle that fails here is told, with its exit, and the day is not done" {
  rm -- "$LOGGER"
  printf 'no folder\n' >"$HOOKLINE_HOME/coordination/moe-learning"
  schedule
  assert_failure
  [[ $stderr == 'ERROR: the cycle of '*' failed: hookline learn: '* && $stderr != *$'\n'* ]]
  unmarked
  rm -- "$HOOKLINE_HOME/coordination/moe-learning"
  scheduled
  marked
}

@test "where its own log cannot be written, it says the same on stderr and asks all the same" {
  printf 'no folder\n' >"$HOOKLINE_HOME/coordination/logs"
  schedule
  assert_success
  assert_stderr --partial 'asked for the cycle of'
  assert_equal "$(ids | wc -l)" 1
}

@test "--force has it run again" {
  handler
  scheduled
  dispatch
  scheduled --force
  unmarked
  dispatch
  marked
  assert_equal "$(said learning.cycle_completed .id | wc -l)" 2
}

@test "--wait ends when the cycle is completed, or when the time is up" {
  handler
  schedule --wait 1
  assert_failure 75
  assert_stderr --partial 'is not completed after 1 s'
  "$HOOKLINE_HOME/scripts/daily-learning-scheduler.sh" --wait 60 3>&- &
  dispatch
  wait "$!"
  marked
}

@test "two at once are one" {
  local lock
  mkdir -p -- "$HOOKLINE_HOME/coordination/state/locks"
  exec {lock}>"$HOOKLINE_HOME/coordination/state/locks/daily-learning-scheduler.lock"
  flock "$lock"
  schedule
  assert_failure 75
  assert_equal "$output$stderr$(ids)" ''
  exec {lock}>&-
  scheduled
  assert_equal "$(ids | wc -l)" 1
}

@test "a home that is named by the environment is the one that learns" {
  run env HOOKLINE_HOME= CORTEX_HOME="$HOOKLINE_HOME" \
    "$HOOKLINE_CHECKOUT/scripts/daily-learning-scheduler.sh"
  assert_success
  assert_equal "$(ids | wc -l)" 1
}
