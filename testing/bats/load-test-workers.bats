#!/usr/bin/env bats
# A load test of a few workers: with a bus and without one, with an event logger, without one, and
# when it is taken away in the middle; on a terminal, and interrupted.

load test_helper

setup() {
  sandbox
  cp -RT -- "$HOOKLINE_CHECKOUT/scripts" scripts
  rm -- scripts/events/handlers/*
  mkdir -p coordination/state
  LOGGER=scripts/events/lib/event-logger.sh
  LOAD=''
}

teardown() {
  [[ -z $LOAD ]] || kill -- "$LOAD" 2>/dev/null || true
}

with_hookline() {
  ln -s -- "$HOOKLINE_CHECKOUT/.venv/bin/hookline" coordination/state/hookline
}

with_handler() { # one that is quick
  printf '#!/bin/bash\n# run: warm   batch: 100\nexit 0\n' \
    >scripts/events/handlers/on-worker-heartbeat.sh
  chmod 0750 scripts/events/handlers/on-worker-heartbeat.sh
}

load_test() { # [<argument>...]
  scripts/load-test-workers.sh --workers 3 --duration 1 --rate 24 "$@" 3>&-
}

begin() { # [<argument>...]: in the background, where INT is not for the deaf
  setsid env --default-signal=INT scripts/load-test-workers.sh --workers 3 --rate 12 "$@" \
    >out 2>err 3>&- &
  LOAD=$!
}

beats() { # <count>: at least
  (($(log_lines worker) >= $1))
}

nobody_works() { ! pgrep -f -- "$HOOKLINE_HOME/scripts/workers" >/dev/null; }

is_over() { ! pgrep -f -- "$HOOKLINE_HOME" >/dev/null && [[ ! $(ls -A -- "$TMPDIR") ]]; }

nothing_is_left() {
  run pgrep -f -- "$HOOKLINE_HOME"
  refute_output
  run find "$TMPDIR" -mindepth 1
  refute_output
}

@test "--help says all of it, and what it does not know is refused" {
  run load_test --help
  assert_success
  assert_output --partial 'Usage: load-test-workers.sh'
  assert_output --partial '--with-dispatcher'
  assert_output --partial 'Ctrl-C ends all workers, and reports'
  local wrong
  for wrong in '--workers 0' '--workers x' '--rate 0' '--rate 1e9' '--stale 4' '--frobnicate' \
    '--stale 1 --threshold 60' '--duration'; do
    # shellcheck disable=SC2086 # two words
    run load_test $wrong
    assert_failure 64
    assert_equal "${#lines[@]}" 1
  done
  run load_test --home "$TMPDIR"
  assert_failure 78
  run load_test --with-dispatcher
  assert_failure 69
  nothing_is_left
}

@test "each heartbeat of each worker is said, logged and delivered" {
  with_hookline
  with_handler
  run --separate-stderr load_test --with-dispatcher --json --report report.json
  assert_success
  assert_equal "$(<report.json)" "$output"
  run jq -r '[.workers, .failed, .lost, .doubled, .disorder, .false_alarms, (.problems | length),
    .said == .logged, .said > 5, .deliveries[0].delivered == .said,
    .deliveries[0].handler, .emit_us.p50 > 0, .deliveries[0].latency_ms.p99 > 0] | join(" ")' \
    report.json
  assert_output '3 0 0 0 0 0 0 true true true on-worker-heartbeat.sh true true'
  run jq -c 'select(.type == "system.observability_check") | [.source, .data]' "$(log_of system)"
  assert_output '["load-test-workers",{"action":"ensure_active","reason":"load_test_starting"}]'
  nothing_is_left
}

@test "the pool is left as if the workers had never been" {
  with_hookline
  cp -- "$HOOKLINE_CHECKOUT/scripts/events/handlers/on-worker-heartbeat.sh" scripts/events/handlers
  printf '{"workers":[{"id":"load-of-mine","status":"running"}],"active_workers":{}}\n' \
    >coordination/worker-pool.json
  run --separate-stderr load_test --with-dispatcher --rate 3
  assert_success
  assert_output --partial 'all heartbeats are accounted for'
  run jq -c '[.workers[].id, (.active_workers | keys)]' coordination/worker-pool.json
  assert_output '["load-of-mine",[]]'
  # They had been there.
  grep -q '"load-[0-9T]*-.*-003"' coordination/worker-health-metrics.jsonl
}

@test "where nobody dispatches and there is no Python, what is said and logged is counted" {
  run --separate-stderr load_test --report report.json
  assert_success
  assert_stderr --partial 'Event System: Active'
  assert_stderr --partial 'no dispatcher serves this home'
  [[ $output =~ said:\ ([0-9]+) ]]
  ((BASH_REMATCH[1] > 5))
  assert_equal "$(jq -c '[.said == .logged, .lost, .failed]' report.json)" '[true,0,0]'
  nothing_is_left
}

@test "without an event logger the hub runs for as long, and nothing that was said is lost" {
  rm -- "$LOGGER"
  run --separate-stderr load_test --json
  assert_success
  assert_stderr --partial 'ObservabilityHub: Running (legacy mode)'
  assert_equal "$(jq -c '[.logged, .lost, .failed, .in_the_drop_box == .said]' <<<"$output")" \
    '[0,0,0,true]'
  assert_equal "$(compgen -G 'coordination/events/queue/worker.heartbeat.*')" ''
  run scripts/daemons/observability-hub-daemon.sh status
  assert_failure 3
  nothing_is_left
}

@test "a logger that refuses everything does not end it" {
  printf '#!/bin/bash\nexit 1\n' >"$LOGGER"
  run --separate-stderr load_test --report report.json
  assert_success
  assert_equal "$(jq -c '[.in_the_drop_box == .said, .said > 5]' report.json)" '[true,true]'
}

@test "the logger is taken away in the middle, and comes back" {
  with_hookline
  with_handler
  begin --duration 4 --ramp 2 --with-dispatcher --json
  await 60 beats 1
  mv -- "$LOGGER" away
  await 60 beats 12
  mv -- away "$LOGGER"
  wait "$LOAD"
  run jq -c '[.workers, .lost, .failed, .problems]' out
  assert_output '[3,0,0,[]]'
}

@test "Ctrl-C ends all workers; what was said is still delivered and reported" {
  with_hookline
  with_handler
  begin --duration 60 --with-dispatcher
  await 60 beats 5
  # To all that a terminal would send it to.
  kill -INT -- "-$LOAD"
  wait "$LOAD"
  grep -q 'all heartbeats are accounted for' out
  nothing_is_left
}

@test "killed, it leaves nothing behind: no worker, stopped or not, no bus, no notes" {
  with_hookline
  with_handler
  begin --duration 8 --stale 1 --threshold 1 --with-dispatcher
  await 40 compgen -G "$TMPDIR/load-*/stopped"
  kill -KILL -- "-$LOAD"
  await 40 is_over
}

@test "killed, it leaves no worker that is asleep for an hour" {
  begin --duration 60 --rate 0.001 --ramp 1
  await 20 beats 3
  kill -KILL "$LOAD"
  await 40 is_over
}

@test "a worker ends by itself when nobody is left to end it" {
  begin --duration 60
  await 20 beats 5
  pkill -KILL -f -- "$HOOKLINE_HOME/scripts/workers/load-keeper.sh"
  kill -KILL "$LOAD"
  await 10 nobody_works
}

@test "on a terminal a bar shows how it goes, as wide as there is room" {
  run env TERM=xterm python3 -c '
import fcntl, os, pty, struct, sys, termios
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(2, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    os.execvp(sys.argv[1], sys.argv[1:])
try:
    while data := os.read(fd, 4096):
        sys.stdout.buffer.write(data)
except OSError:
    pass
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
' scripts/load-test-workers.sh --workers 2 --duration 1 --rate 8
  assert_success
  assert_output --regexp $'\r\[##########\] [12] of 1 s: 2 of 2 alive'
  refute_output --partial $'\e[32m'
  local part
  while IFS= read -r -d $'\r' part; do
    part=${part%$'\e[K'}
    [[ $part != '['* ]] || ((${#part} < 40)) || fail "too wide: $part"
  done <<<"$output"$'\r'
}
