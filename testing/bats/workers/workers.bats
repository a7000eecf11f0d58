#!/usr/bin/env bats
# shellcheck disable=SC2030,SC2031 # each test has its own
# The workers and the observer: with an event logger, without one, and when it is taken away in the
# middle. Their scripts lie in the home, so that the logger can go.

load ../test_helper

setup() {
  sandbox
  cp -RT -- "$HOOKLINE_CHECKOUT/scripts" scripts
  LOGGER=scripts/events/lib/event-logger.sh
  QUEUE=coordination/events/queue
  PIDS=()
}

teardown() {
  ((${#PIDS[@]} == 0)) || kill -- "${PIDS[@]}" 2>/dev/null || true
}

begin() { # <script below scripts/> [<argument>...]: in the background
  "./scripts/$1" "${@:2}" --interval 0.05 3>&- 2>>complaints &
  PIDS+=("$!")
}

end() { # all of them; each ends well
  local pid
  kill -- "${PIDS[@]}"
  for pid in "${PIDS[@]}"; do wait "$pid" || fail "process $pid ended with $?"; done
  PIDS=()
}

begin_all() {
  begin workers/disk-worker.sh
  begin workers/log-worker.sh
  begin workers/load-worker.sh a-worker tally 9
  begin observers/machine-load.sh
}

logged() { # <source> <count>: at least
  local events
  events=$(cat -- "$(log_of worker)" "$(log_of system)" 2>/dev/null)
  (($(grep -c "\"source\":\"$1\"" <<<"$events") >= $2))
}

dropped() { # <source>: its file in the drop box
  printf '%s\n' "$QUEUE"/*."$1".json
}

all_logged() {
  logged disk-worker "$1" && logged log-worker "$1" && logged a-worker "$1" &&
    logged machine-load "$1"
}

all_dropped() {
  local each
  for each in disk-worker log-worker a-worker machine-load; do
    [[ -s $(dropped "$each") ]] || return
  done
}

is_new() { # <file> <text>: it has another one
  [[ $(<"$1") != "$2" ]]
}

has_more_lines() { # <domain> <count>
  (($(log_lines "$1") > $2))
}

@test "each says what it does, and is told what it cannot do" {
  local script
  for script in workers/{disk,log,load}-worker.sh observers/machine-load.sh; do
    run "scripts/$script" --help
    assert_success
    assert_output --partial "Usage: ${script##*/}"
    run "scripts/$script" --interval 0
    assert_failure 64
  done
  run scripts/workers/disk-worker.sh --interval 5s
  assert_failure 64
  run scripts/workers/load-worker.sh '../worker' tally 9
  assert_failure 64
  refute_exists tally
}

@test "with an event logger they are heard at once, and they end when they are told to" {
  begin_all
  await 60 all_logged 2
  end
  assert_equal "$(ls "$QUEUE")" ''
  assert_equal "$(<complaints)" ''
  run jq -r 'select(.source == "a-worker") | .data | "\(.heartbeat_count) \(.stale_after_s)"' \
    "$(log_of worker)"
  assert_output --partial $'1 9\n2 9'
}

@test "a heartbeat is in the tally with the id that it has in the log" {
  begin workers/load-worker.sh a-worker tally 9
  await 60 logged a-worker 2
  end
  local worker id us how
  while read -r worker id us how; do
    assert_equal "$worker $how" 'a-worker logged'
    ((us > 0))
    grep -q "\"id\":\"$id\"" "$(log_of worker)"
  done <tally
}

@test "whoever is told to end is not missed: the last heartbeat says so, and comes at once" {
  ./scripts/workers/disk-worker.sh --interval 3600 3>&- &
  PIDS+=("$!")
  await 60 logged disk-worker 1
  end
  run jq -r '.data | "\(.heartbeat_count) \(.status)"' "$(log_of worker)"
  assert_output $'1 running\n2 stopped'
}

@test "they wait without a process for it" {
  begin workers/load-worker.sh a-worker tally 9
  await 60 logged a-worker 3
  run ps -o pid= --ppid "${PIDS[0]}"
  refute_output
  end
}

@test "without one, each has its newest in the drop box, however long that goes on" {
  rm -- "$LOGGER"
  begin_all
  await 60 all_dropped
  local first
  first=$(<"$(dropped a-worker)")
  await 60 is_new "$(dropped a-worker)" "$first"
  end
  assert_equal "$(find "$QUEUE" -type f ! -name '.*' | wc -l)" 4
  refute_exists "$(log_of worker)"
  jq -e '.type == "worker.heartbeat" and .data.heartbeat_count > 1' "$(dropped a-worker)"
  grep -q ' dropped$' tally
}

@test "taken away in the middle, who has it goes on; who begins meanwhile uses it when it is back" {
  begin workers/disk-worker.sh
  await 60 logged disk-worker 1
  mv -- "$LOGGER" away
  begin workers/load-worker.sh a-worker tally 9
  begin observers/machine-load.sh
  await 60 test -s "$QUEUE/worker.heartbeat.a-worker.json"
  await 60 test -s "$QUEUE/system.load_measured.machine-load.json"
  local lines
  lines=$(log_lines worker)
  await 60 has_more_lines worker "$lines"
  mv -- away "$LOGGER"
  await 60 logged a-worker 1
  await 60 logged machine-load 1
  end
}

@test "a logger that is none of ours is left alone, and ends nobody" {
  printf '#!/bin/bash\nexit 1\n' >"$LOGGER"
  begin workers/load-worker.sh a-worker tally 9
  await 60 test -s "$QUEUE/worker.heartbeat.a-worker.json"
  end
}
