#!/usr/bin/env bats
# shellcheck disable=SC2016 # scripts

load restarts

setup() { restarts_begin; }

teardown() { restarts_end; }

check() { # <seconds>: a program that polls looks at the pool
  event "check-$1" '{}' "$1"
  clock $((T0_S + $1))
  HOOKLINE_HOME=$HOOKLINE_HOME BASH_ENV=$CLOCK bash -c '
    source "$0/scripts/events/lib/worker-restart.sh" && restart_check worker-restart-daemon "$1"' \
    "$HOOKLINE_CHECKOUT" "$BATS_TEST_TMPDIR/events/check-$1"
}

@test "a worker that failed is a process again: of its own session, and of nobody's attempt" {
  local pid
  policies
  fails w1
  assert_equal "$(begun)" 1
  pid=$(<"$BEGUN")
  kill -0 "$pid"
  assert_equal "$(said worker.restarted '[.worker_id, .worker_type, .reason, .policy, .restarts,
    .pid, .outcome]')" "[\"w1\",\"x\",\"failed\",\"restart.x\",1,$pid,\"started\"]"
  assert_equal "$(said worker.restart_requested '[.worker_id, .policy, .restarts, .restarts_max,
    .dry_run]')" '["w1","restart.x",1,3,false]'
  assert_equal "$(ps -o sid= -p "$pid" | tr -d ' ')" "$pid"
  assert_equal "$(tr '\0' '\n' <"/proc/$pid/environ" | grep -c '^HOOKLINE_ATTEMPT\|^EVENT_')" 0
  assert_equal "$(tr '\0' '\n' <"/proc/$pid/environ" | grep '^HOOKLINE_[WR]' | sort)" \
    $'HOOKLINE_RESTARTS=1\nHOOKLINE_WORKER_ID=w1\nHOOKLINE_WORKER_TYPE=x'
  assert_equal "$(readlink "/proc/$pid/cwd")" "$HOOKLINE_HOME"
}

@test "it runs what the policy says, whatever an event says" {
  policies
  worker 'printf "%s\n" "$@" >"$HOOKLINE_HOME/said"'
  handled "$H" one '{"worker_id":"w1","worker_type":"x","command":["touch","/evil"],
    "script":"rm -rf /"}'
  assert_equal "$(said worker.restarted .worker_id)" '"w1"'
  assert_equal "$(<"$HOOKLINE_HOME/said")" '--quiet now'
  handled "$H" two '{"worker_id":"w2","worker_type":"y"}'
  handled "$H" three '{"worker_id":"w3"}'
  handled "$H" four '{"worker_id":"../w4","worker_type":"x"}'
  assert_equal "$(begun)" 1
  assert_equal "$(said worker.restart_refused '[.worker_id, .why]')" \
    '["../w4","its id is not fit to be the name of a file"]'
}

@test "one that runs is not doubled" {
  policies 'pause = "1ms"'
  fails w1 0
  fails w1 10
  assert_equal "$(begun)" 1
  assert_equal "$(said worker.restarted '[.pid, .outcome]')" \
    "[$(<"$BEGUN"),\"started\"]"$'\n'"[$(<"$BEGUN"),\"running\"]"
}

whose_child_is_left() { # a worker whose child holds its lock was killed
  policies 'pause = "1ms"'
  worker 'tail -f /dev/null & printf "%s\n" "$!" >>"$HOOKLINE_HOME/begun"; wait'
  fails w1 0
  await 60 begun_is 2
  child=$(tail -n 1 "$BEGUN")
  kill -KILL "$(head -n 1 "$BEGUN")"
}

begun_is() { [[ $(begun) == "$1" ]]; }

@test "of one that was killed what is left is ended, and it is started again" {
  local child
  whose_child_is_left
  fails w1 10
  await 60 begun_is 4
  run ! lives "$child"
  assert_equal "$(said worker.restarted '[.pid, .outcome]' | tail -n 1)" \
    "[$(sed -n 3p "$BEGUN"),\"started\"]"
}

@test "one that leads a session of its own and has the lock is ended with the rest" {
  local child
  policies 'pause = "1ms"'
  worker 'setsid tail -f /dev/null & printf "%s\n" "$!" >>"$HOOKLINE_HOME/begun"; wait'
  fails w1 0
  await 60 begun_is 2
  child=$(tail -n 1 "$BEGUN")
  kill -KILL "$(head -n 1 "$BEGUN")"
  fails w1 10
  await 60 begun_is 4
  run ! lives "$child"
}

@test "a command that goes to the background is told, and nothing of it is left" {
  policies
  worker 'tail -f /dev/null & printf "%s\n" "$!" >>"$HOOKLINE_HOME/begun"'
  fails w1
  assert_equal "$(said worker.restart_failed '[.worker_id, .error]')" \
    '["w1","its command went to the background; it is to stay in the foreground"]'
  run ! lives "$(tail -n 1 "$BEGUN")"
}

@test "one that closes the lock is up all the same" {
  policies
  worker 'for fd in /proc/self/fd/*; do fd=${fd##*/}; ((fd < 3)) || exec {fd}>&-; done
    exec tail -f /dev/null'
  fails w1
  assert_equal "$(said worker.restarted .outcome)" '"started"'
}

@test "who only has the lock file open is left alone" {
  local child reader
  whose_child_is_left
  tail -f "$HOOKLINE_HOME/coordination/state/workers/w1.lock" >/dev/null &
  reader=$!
  printf '%s\n' "$reader" >>"$BEGUN.others"
  fails w1 10
  lives "$reader"
  kill "$reader"
}

@test "after the first time it waits, longer each time, and then it is enough" {
  policies 'pause = "10s"' 'restarts = 3'
  worker 'exit 0'
  fails w1 0
  fails w1 1
  assert_equal "$(begun)" 1
  assert_equal "$(said worker.restart_planned '.due[14:]')" '"00:10.001Z"'
  tick 11
  fails w1 12
  assert_equal "$(said worker.restart_planned '.due[14:]')" $'"00:10.001Z"\n"00:31.001Z"'
  tick 32
  assert_equal "$(begun)" 3
  fails w1 40
  tick 100
  assert_equal "$(begun)" 3
  assert_equal "$(said worker.restart_refused '[.worker_id, .why]')" \
    '["w1","it was started again 3 times in an hour"]'
  fails w1 4000
  assert_equal "$(begun)" 4
}

@test "what has come late counts by when something is done, not by when it was said" {
  local n
  policies 'pause = "60s"' 'restarts = 2'
  worker 'exit 0'
  clock $((T0_S + 86400))
  for n in {0..7}; do
    event "late-$n" '{"worker_id":"w1","worker_type":"x"}' $((7200 * n))
    deliver "$H" "late-$n"
  done
  assert_equal "$(begun)" 1
}

@test "what was done while the clock was ahead does not put off what is to be done now" {
  policies 'pause = "60s"' 'restarts = 1'
  worker 'exit 0'
  fails w1 2592000
  clock "$T0_S"
  fails w1 0
  assert_equal "$(begun)" 2
}

@test "what else is open is not held by a worker" {
  policies
  : >"$BATS_TEST_TMPDIR/lock"
  exec {lock}>"$BATS_TEST_TMPDIR/lock"
  flock --nonblock "$lock"
  fails w1
  exec {lock}>&-
  lives "$(<"$BEGUN")"
  flock --nonblock "$BATS_TEST_TMPDIR/lock" true
}

@test "beyond the budget of an hour all wait, and a person is told once" {
  local n
  restart='budget = 2' policies
  for n in 1 2 3 4; do fails "w$n"; done
  assert_equal "$(begun)" 2
  assert_equal "$(said system.health_alert '[.alert_type, .policy, .budget]')" \
    '["budget_spent","restart",2]'
  tick 3601
  assert_equal "$(begun)" 4
}

@test "a person is told once in an hour, whatever comes in between" {
  local n
  restart='budget = 2' policies
  for n in 1 2 3 4 5 6; do
    fails "w$n" "$n"
    handled on-worker-restart-stale "alert$n" '{"alert_type":"budget_spent"}' "$n"
  done
  assert_equal "$(said system.health_alert '[.alert_type, .waiting]')" '["budget_spent",1]'
  tick 3602
  handled on-worker-restart-stale late '{"alert_type":"budget_spent"}' 3603
  fails w7 3604
  assert_equal "$(said system.health_alert '[.alert_type, .waiting]')" \
    $'["budget_spent",1]\n["budget_spent",3]'
}

@test "a dry run only says what it would do" {
  restart='dry_run = true' policies
  fails w1
  assert_equal "$(begun)" 0
  assert_equal "$(said worker.restart_requested '[.worker_id, .dry_run]')" '["w1",true]'
}

@test "without a policy nobody is started, and with a bad one neither" {
  fails w1
  policies 'restarts = "3"'
  handle "$H" two '{"worker_id":"w2","worker_type":"x"}'
  assert_failure 78
  printf '[restart.x]\n' >"$HOOKLINE_HOME/coordination/config/policies.toml"
  handle "$H" three '{"worker_id":"w2","worker_type":"x"}'
  assert_failure 78
  assert_stderr --partial '[restart.x] is to have command'
  assert_equal "$(begun)" 0
}

@test "one that does not come up is told, with where it says why" {
  policies
  worker 'printf "no room\n" >&2; exit 3'
  fails w1
  assert_equal "$(said worker.restart_failed '[.worker_id, .error]')" \
    '["w1","it ended at once with 3: see coordination/logs/worker-w1.log"]'
  assert_equal "$(<"$HOOKLINE_HOME/coordination/logs/worker-w1.log")" 'no room'
  rm -- "$HOOKLINE_HOME/scripts/worker.sh"
  fails w2
  assert_equal "$(said worker.restart_failed '[.worker_id, .error]' | tail -n 1)" \
    '["w2","its command is not there, or not executable"]'
}

@test "a program that polls starts each once" {
  policies
  state_is worker-pool.json '{"workers":[null,{"id":"w1","worker_type":"x","status":"failed",
    "failed_at":"2020-01-01T09:59:00Z"},{"id":"w2","worker_type":"x","status":"running"}]}'
  check 0
  check 30
  assert_equal "$(said worker.restarted '[.worker_id, .reason]')" '["w1","failed"]'
  assert_equal "$(begun)" 1
}

@test "a refusal is told once for what it is about, however often it is looked at" {
  policies 'restarts = 0'
  state_is worker-pool.json '{"workers":[{"id":"../w","worker_type":"x","status":"failed",
    "failed_at":"2020-01-01T09:59:00Z"},{"id":"w1","worker_type":"x","status":"failed",
    "failed_at":"2020-01-01T09:59:00Z"}]}'
  check 0
  check 30
  event late '{"worker_id":"w1","worker_type":"x"}' -60
  clock $((T0_S + 60))
  deliver "$H" late
  check $((3 * 86400))
  assert_equal "$(said worker.restart_refused .worker_id)" $'"../w"\n"w1"'
  assert_equal "$(begun)" 0
}

@test "a worker that goes on failing is told once an hour that nothing is done" {
  local at
  policies 'restarts = 0'
  for at in 0 10 3500 3601; do fails w1 "$at"; done
  assert_equal "$(said worker.restart_refused . | wc -l)" 2
}

# Of the points at which testing kills all other handlers, those between the two states: who is to
# be started is written down, and what came of it is not.
@test "killed on the way, it is started once" {
  local at begin=$BATS_TEST_TMPDIR/begin tried=''
  policies
  killers
  cp -a -- "$HOOKLINE_HOME/coordination" "$begin"
  event one '{"worker_id":"w1","worker_type":"x"}'
  for at in {6..40}; do
    back_to "$begin"
    restarts_end
    : >"$BEGUN"
    if deliver_killed "$H" one "$at" before; then break; fi
    [[ $(<"$BATS_TEST_TMPDIR/killers/struck") == @(mv|jq|mkdir) ]] || continue
    tried+=$(<"$BATS_TEST_TMPDIR/killers/struck")' '
    deliver "$H" one
    assert_equal "$(begun)" 1
    assert_equal "$(emitted 'select(.type == "worker.restarted") | .data.pid' | sort -u)" \
      "$(<"$BEGUN")"
    assert_state worker-restarts.json '[.starting, .workers.w1.times | length]' '[0,1]'
    kill -KILL "$(<"$BEGUN")"
  done
  [[ $tried == *'mv '*'jq '*'mv '* ]] || fail "only $tried"
}
