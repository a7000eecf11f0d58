#!/usr/bin/env bats
# What all daemons have in common, shown on one whose round leaves a line.

load daemons

setup() {
  furnish_home
  cat >"$HOOKLINE_HOME/scripts/daemons/test-daemon.sh" <<'DAEMON'
#!/usr/bin/env bash
# Usage: test-daemon.sh start | stop | status | run
# Summary: leaves a line
# Exit: 0 done
set -euo pipefail
source "${BASH_SOURCE[0]%/*}/daemon-loop.sh"
daemon_round() {
  local event
  event=$(daemon_event) || return
  jq -r .id "$event" >>"$HOOKLINE_HOME/rounds"
  [[ ! -e $HOOKLINE_HOME/during ]] || source "$HOOKLINE_HOME/during"
}
daemon_main test 60 on-a-test.sh -- "$@"
DAEMON
  chmod +x -- "$HOOKLINE_HOME/scripts/daemons/test-daemon.sh"
  ROUNDS=$HOOKLINE_HOME/rounds
}

teardown() { end_daemons; }

rounds() { [[ ! -e $ROUNDS ]] || wc -l <"$ROUNDS"; }
has_rounds() { (($(rounds) >= $1)); }
pid() {
  local pid
  read -r pid _ <"$HOOKLINE_HOME/coordination/daemons/test/lock"
  printf '%s\n' "$pid"
}
is_gone() { [[ ! -e /proc/$1 ]]; }

@test "it is started, asked and stopped, and says so as events" {
  run daemon test status
  assert_failure 3
  assert_output 'test: STOPPED'
  run daemon test start
  assert_success
  assert_output "test: RUNNING (process $(pid))"
  await 60 has_rounds 1
  run daemon test status
  assert_success
  run daemon test start
  assert_success
  assert_output "test: RUNNING (process $(pid))"
  run daemon test stop
  assert_success
  assert_output 'test: stopped'
  run daemon test stop
  assert_success
  assert_output 'test: STOPPED already'
  assert_equal "$(find coordination/events/queue -name '*.json')" ''
  assert_equal "$(said '[.type, .source, .data.daemon_type, .data.daemon_script, .data.reason]')" \
    '["daemon.started","test","test","scripts/daemons/test-daemon.sh",null]
["daemon.stopped","test","test","scripts/daemons/test-daemon.sh","SIGTERM"]'
}

@test "one that runs has no other process, and none is left of one that was killed" {
  daemon test start
  await 60 has_rounds 1
  local pid
  pid=$(pid)
  nothing_beside() { [[ $(ps -o pid= --sid "$pid") -eq $pid ]]; }
  await 60 nothing_beside
  kill -KILL "$pid"
  await 60 is_gone "$pid"
  run daemon test status
  assert_failure 3
  run daemon test start
  assert_success
  refute_output --partial "$pid"
}

@test "a lock of whoever starts it is not held by it" {
  exec {lock}>"$BATS_TEST_TMPDIR/lock"
  flock --nonblock "$lock"
  daemon test start
  exec {lock}>&-
  flock --nonblock "$BATS_TEST_TMPDIR/lock" true
}

@test "a second one is refused" {
  daemon test start
  run daemon test run
  assert_failure 75
  assert_output "ERROR: test runs already (process $(pid))"
  run daemon test run --once
  assert_failure 75
}

@test "of many that start at once one runs, and all say so" {
  local n
  for n in {1..6}; do daemon test start >"$BATS_TEST_TMPDIR/$n" 2>&1 & done
  wait
  # Who has just begun to run has not written its number yet.
  run sort -u "$BATS_TEST_TMPDIR"/{1..6}
  assert_equal "${lines[0]}" "test: RUNNING (process $(pid))"
  assert_output --regexp $'^[^\n]*(\ntest: RUNNING \\(process unknown\\))?$'
  assert_equal "$(said .type)" '"daemon.started"'
}

@test "what is no file of ours is not locked, and that is said" {
  local folder=$HOOKLINE_HOME/coordination/daemons/test
  mkdir -p "$folder/lock"
  run daemon test start
  assert_failure 69
  assert_equal "$(<coordination/logs/test.log)" "ERROR: $folder/lock is no file: remove it"
  rmdir "$folder/lock"
  ln -s nowhere "$folder/lock"
  run daemon test run --once
  assert_failure 73
  assert_output "ERROR: $folder/lock is no file: remove it"
}

@test "one whose lock was removed ends before its next round, and says so where no other runs" {
  local first
  daemon test start --interval 1
  first=$(pid)
  rm coordination/daemons/test/lock
  await 60 is_gone "$first"
  assert_equal "$(said '[.type, .data.reason]')" \
    $'["daemon.started",null]\n["daemon.failed","its lock was removed"]'
  printf 'touch begun; until [[ -e enough ]]; do /bin/sleep 0.02; done\n' >during
  daemon test start --interval 1
  await 60 test -e begun
  first=$(pid)
  rm coordination/daemons/test/lock
  daemon test start
  touch enough
  await 60 is_gone "$first"
  kill -0 "$(pid)"
  assert_equal "$(said .type | tail -n 1)" '"daemon.started"'
}

@test "on a full disk it runs: what the kernel keeps is enough" {
  # Nothing more can be written to any file.
  run bash -c 'trap "" XFSZ; ulimit -f 0; exec "$@"' - \
    "$HOOKLINE_HOME/scripts/daemons/test-daemon.sh" start
  assert_success
  assert_output 'test: RUNNING (process unknown)'
  run daemon test run --once
  assert_failure 75
  run daemon test stop
  assert_success
  assert_output 'test: stopped'
}

@test "told to end in the middle of a round, it brings that to its end" {
  printf 'touch begun; until [[ -e enough ]]; do /bin/sleep 0.02; done; touch reached\n' >during
  daemon test start
  await 60 test -e begun
  local pid
  pid=$(pid)
  kill -TERM "$pid"
  touch enough
  await 60 is_gone "$pid"
  assert_exists reached
  assert_equal "$(rounds)" 1
  assert_equal "$(tail -n 1 "$(log_of daemon)" | jq -r .data.reason)" SIGTERM
}

@test "one that runs here ends alone when it is told to" {
  printf 'touch begun; until [[ -e enough ]]; do /bin/sleep 0.02; done\n' >during
  # Without a session of its own: who ends is not to end whoever has started it.
  run bash -c '"$1" run & until [[ -e begun ]]; do /bin/sleep 0.02; done
    kill -TERM $!; : >enough; wait $!; printf "exit %d\n" $?' - \
    "$HOOKLINE_HOME/scripts/daemons/test-daemon.sh"
  assert_success
  assert_output --partial 'exit 0'
}

@test "one that does not end is killed with all that it has started" {
  printf 'trap "" TERM; (trap "" TERM; touch begun; while :; do /bin/sleep 1; done)\n' >during
  sed -i 's/_STOP_WAIT_S=15/_STOP_WAIT_S=1/' scripts/daemons/daemon-commands.sh
  daemon test start
  await 60 test -e begun
  local pid
  pid=$(pid)
  run daemon test stop
  assert_success
  # Who has been killed is there until somebody asks for its end.
  nobody_lives() { ! pgrep --session "$pid" --runstates D,R,S,T; }
  await 60 nobody_lives
}

@test "nobody but the daemon is told to end, whatever its lock says" {
  mkdir -p coordination/daemons/test
  bash -c 'read -r _ <&0' < <(exec tail -f /dev/null) &
  local innocent=$!
  printf '%d 0\n' "$innocent" >coordination/daemons/test/lock
  (
    exec {held}>>coordination/daemons/test/lock
    flock "$held" && touch held && exec tail -f /dev/null
  ) &
  await 60 test -e held
  sed -i 's/_STOP_WAIT_S=15/_STOP_WAIT_S=0.1/' scripts/daemons/daemon-commands.sh
  run daemon test stop
  assert_success
  kill -0 "$innocent"
  kill -KILL "$innocent"
}

@test "a round that was cut short goes on as the same event, one that was done does not" {
  daemon test run --once
  printf 'kill -KILL $$\n' >during
  run daemon test run --once
  assert_failure
  printf 'return 75\n' >during
  run daemon test run --once
  assert_failure 75
  rm during
  daemon test run --once
  daemon test run --once
  local -a ids
  mapfile -t ids <"$ROUNDS"
  assert_equal "${#ids[@]}" 5
  assert_equal "${ids[1]} ${ids[1]}" "${ids[2]} ${ids[3]}"
  assert_equal "$(sort -u "$ROUNDS" | wc -l)" 3
}

@test "a round that fails is told, and the next one comes" {
  printf 'false\n' >during
  run daemon test run --once
  assert_failure 1
  daemon test start --interval 1
  await 60 has_rounds 3
  assert_equal "$(grep -c 'a round has failed with exit 1' coordination/logs/test.log)" \
    "$(($(rounds) - 1))"
}

@test "it stands by while a dispatcher runs, and takes over when none does" {
  handlers_are on-a-test.sh
  dispatcher_serves
  (dispatcher_ends && daemon test start --interval 1)
  await 60 grep -q 'stands by' coordination/logs/test.log
  run daemon test status
  assert_output "test: RUNNING (process $(pid), standing by: the event system serves)"
  run daemon test run --once
  assert_failure 75
  assert_equal "$(rounds)" ''
  dispatcher_ends
  await 60 has_rounds 1
  dispatcher_serves
  stands_by_again() { (($(grep -c 'stands by' coordination/logs/test.log) == 2)); }
  await 60 stands_by_again
}

@test "one round of one that is stood in for does nothing" {
  handlers_are on-a-test.sh
  dispatcher_serves
  a_round test
  assert_equal "$(rounds)" ''
}

@test "a dispatcher that cron runs serves between its runs, and not for ever" {
  handlers_are on-a-test.sh
  mkdir -p coordination/state
  printf '1\n' >coordination/state/dispatcher.pid
  a_round test
  assert_equal "$(rounds)" ''
  touch -d '3 minutes ago' coordination/state/dispatcher.pid
  a_round test
  assert_equal "$(rounds)" 1
}

@test "without the handler, one that cannot be run, or the logger, nobody serves" {
  dispatcher_serves
  a_round test
  handlers_are on-a-test.sh
  chmod -x scripts/events/handlers/on-a-test.sh
  a_round test
  handlers_are on-a-test.sh
  without_logger
  a_round test
  assert_equal "$(rounds)" 3
}

@test "a handler that the dispatcher would not run serves nobody" {
  local handlers=$HOOKLINE_HOME/scripts/events/handlers
  handlers_are on-a-b.sh
  dispatcher_serves
  source "$HOOKLINE_HOME/scripts/events/lib/daemon-facts.sh"
  event_system_serves "$HOOKLINE_HOME" on-a-b.sh
  chmod o+w "$handlers/on-a-b.sh"
  run ! event_system_serves "$HOOKLINE_HOME" on-a-b.sh
  chmod o-w "$handlers/on-a-b.sh"
  chmod g+w "$handlers"
  run ! event_system_serves "$HOOKLINE_HOME" on-a-b.sh
  chmod g-w "$handlers"
  mv -- "$handlers/on-a-b.sh" "$handlers/a-b"
  ln -s a-b "$handlers/on-a-b.sh"
  run ! event_system_serves "$HOOKLINE_HOME" on-a-b.sh
}

@test "a handler that is paused serves nobody until it goes on" {
  local journal=$HOOKLINE_HOME/coordination/deliveries.jsonl
  handlers_are on-a-b.sh on-a-c.sh
  dispatcher_serves
  source "$HOOKLINE_HOME/scripts/events/lib/daemon-facts.sh"
  "$HOOKLINE_CHECKOUT/.venv/bin/hookline" handlers pause on-a-b.sh --reason "for a while"
  run ! event_system_serves "$HOOKLINE_HOME" on-a-b.sh
  event_system_serves "$HOOKLINE_HOME" on-a-c.sh
  printf '\0\0torn\n' >>"$journal"
  "$HOOKLINE_CHECKOUT/.venv/bin/hookline" handlers resume on-a-b.sh
  event_system_serves "$HOOKLINE_HOME" on-a-b.sh
}

@test "what was written before the clock was set back says nothing of a dispatcher" {
  handlers_are on-a-b.sh
  source "$HOOKLINE_HOME/scripts/events/lib/daemon-facts.sh"
  mkdir -p -- "$HOOKLINE_HOME/coordination/state"
  touch -- "$HOOKLINE_HOME/coordination/state/dispatcher.pid"
  event_system_serves "$HOOKLINE_HOME" on-a-b.sh
  touch -d '+1 hour' -- "$HOOKLINE_HOME/coordination/state/dispatcher.pid"
  run ! event_system_serves "$HOOKLINE_HOME" on-a-b.sh
}

@test "whether it runs is not said to whom that is not to be seen" {
  daemon test start
  local folder=$HOOKLINE_HOME/coordination/daemons/test action
  for action in start stop status run; do
    chmod 0 "$folder"
    run with_modes "$HOOKLINE_HOME/scripts/daemons/test-daemon.sh" "$action"
    chmod 750 "$folder"
    assert_failure 77
    assert_output "ERROR: $folder is not ours to read: it belongs to $(id -un)"
  done
  run daemon test stop
  assert_output 'test: stopped'
}

@test "without the logger what it says is in the drop box, with the time when it was said" {
  without_logger
  daemon test start
  daemon test stop
  assert_equal "$(find coordination/events/queue -name '*.json' | wc -l)" 2
  assert_equal "$(said '[.specversion, .type, .data.daemon_type, (.time | length)]' | sort)" \
    '["1.0","daemon.started","test",27]
["1.0","daemon.stopped","test",27]'
  assert_equal "$(find coordination/events -name '*.jsonl')" ''
}

@test "a logger that is taken away, or comes, in the middle changes nothing" {
  daemon test start
  without_logger
  daemon test stop
  assert_equal "$(said .type)" $'"daemon.started"\n"daemon.stopped"'
  daemon test start
  cp -- "$HOOKLINE_CHECKOUT/scripts/events/lib/event-logger.sh" scripts/events/lib/
  daemon test stop
  assert_equal "$(said .type | sort)" \
    $'"daemon.started"\n"daemon.started"\n"daemon.stopped"\n"daemon.stopped"'
}

@test "what it does not know it refuses, and says how it is used" {
  run daemon test
  assert_failure 64
  run daemon test dance
  assert_failure 64
  assert_output "ERROR: 'dance' is not known; see --help"
  run daemon test run --interval 0
  assert_failure 64
  run daemon test run --interval
  assert_failure 64
  run daemon test --help
  assert_success
  assert_output --partial 'Usage: test-daemon.sh start | stop | status | run'
  rm -r coordination
  run daemon test run --once
  assert_failure 78
}
