#!/usr/bin/env bats
# What is counted and checked: metrics-snapshot, integration-validator.

load daemons

setup() {
  furnish_home
  mkdir -p coordination/state && ln -s /bin/true coordination/state/hookline
}
teardown() { end_daemons; }

problems() { state integration-report.json .problems; }
told() { said 'select(.data.alert_type == "integration") | [.priority, .data.problems]'; }

@test "metrics: a line tells how much there is of everything" {
  state_is task-queue.json '{"tasks":[{"status":"pending"},{"status":"pending"},{"status":"done"}]}'
  state_is worker-pool.json '{"workers":[{"status":"busy"},"odd"]}'
  "$HOOKLINE_CHECKOUT/scripts/events/lib/event-logger.sh" --emit a.b me '{}'
  printf '{}\n' >coordination/events/queue/one.json
  printf '{}\n{}\n' >coordination/dead-letters.jsonl
  a_round metrics-snapshot
  a_round metrics-snapshot
  assert_equal "$(wc -l <coordination/metrics/snapshots.jsonl)" 2
  assert_equal "$(head -n 1 coordination/metrics/snapshots.jsonl | jq -c \
    '[.tasks, .workers, .events, .drop_box, .dead_letters, .free_kib > 0, .log_bytes > 0]')" \
    '[{"done":1,"pending":2},{"busy":1},{"a":1},1,2,true,true]'
  assert_equal "$(state metrics/snapshot-stats.json .total_snapshots)" 2
}

@test "metrics: it stands by for the handler that docs/howto writes" {
  handlers_are on-system-metrics-due.sh
  dispatcher_serves
  a_round metrics-snapshot
  refute_exists coordination/metrics
}

@test "integration: what is broken is told when it breaks, and when it is mended" {
  a_round integration-validator
  assert_equal "$(problems)" '[]'
  assert_equal "$(told)" ''
  printf '{"half' >coordination/task-queue.json
  printf '#!/bin/bash\n' >scripts/events/handlers/on-a-b.sh
  printf '{}\n' >coordination/events/queue/old.json
  touch -d '10 minutes ago' coordination/events/queue/old.json
  printf '[daemon.x]\nscript = "scripts/daemons/x.sh"\n' >coordination/config/daemons.toml
  a_round integration-validator
  a_round integration-validator
  assert_equal "$(told)" "$(jq -c . <<<'["high",["coordination/task-queue.json is no JSON",
    "files have waited in the drop box for more than 5 minutes",
    "scripts/daemons/x.sh, a daemon, is not there or cannot be executed",
    "scripts/events/handlers/on-a-b.sh cannot be executed"]]')"
  rm coordination/task-queue.json scripts/events/handlers/on-a-b.sh \
    coordination/events/queue/old.json coordination/config/daemons.toml
  a_round integration-validator
  assert_equal "$(told | tail -n 1)" '["low",[]]'
}

@test "integration: a logger that does not work, or is not there, is a problem" {
  rm scripts/events/lib/event-time.sh
  a_round integration-validator
  run problems
  assert_output --partial 'the event logger does not work'
  without_logger
  a_round integration-validator
  run problems
  assert_output --partial 'there is no event logger: what is said waits in the drop box'
}

@test "integration: what hookline doctor finds, and what a dead daemon has left, is told" {
  rm coordination/state/hookline
  printf '#!/bin/bash\nprintf "%%s\\n" %q\n' \
    '{"check":"folder","well":false,"found":"/x is gone","next":"make it"}' \
    >coordination/state/hookline
  chmod +x coordination/state/hookline
  mkdir -p coordination/daemons/x
  bash -c : &
  wait "$!"
  printf '%d 0\n' "$!" >coordination/daemons/x/lock
  exec {held}>>coordination/daemons/x/lock
  flock "$held"
  a_round integration-validator
  exec {held}>&-
  assert_equal "$(problems)" "$(jq -c . <<<'["hookline doctor: folder: /x is gone; make it",
    "the daemon x is dead, and what it has started goes on"]')"
}
