#!/usr/bin/env bats
# shellcheck disable=SC2016 # texts for handlers
# The face of `hookline event-replay`: the flags and the words of the original.

load ../test_helper

setup() {
  sandbox
  OUT=$HOOKLINE_HOME/out
  away_from_the_turn 86400
  TODAY=$(date +%F)
}

replay() { "$HOOKLINE_CHECKOUT/scripts/events/event-replay.sh" "$@"; }

hookline() { "$HOOKLINE_CHECKOUT/.venv/bin/hookline" "$@"; }

emit() { # <id> [<type> [<attributes>]]: as it is stored, without a process for each
  local type=${2-a.b}
  printf '{"specversion":"1.0","id":"%s","source":"%s","type":"%s",' \
    "$1" "${SOURCE-me}" "$type" >>"$(log_of "${type%%.*}")"
  printf '"time":"%(%FT%T)T.000000Z"%s}\n' -1 "${3:+,}${3-}" >>"$(log_of "${type%%.*}")"
}

handler() { # <name> [<body>]
  printf '#!/bin/bash\nprintf "%%s %%s\\n" "$EVENT_ID" "${EVENT_REPLAYOF:+again}" >>%q\n%s\n' \
    "$OUT" "${2-}" >"$HOOKLINE_HOME/scripts/events/handlers/$1"
  chmod 0755 -- "$HOOKLINE_HOME/scripts/events/handlers/$1"
}

delivered() { # three events, handled once
  handler on-a-b.sh "${1-}"
  emit e1
  emit e2
  emit e3 c.d
  hookline dispatch --once
  : >"$OUT"
}

said() { tr -d '\n' <"$OUT"; }

@test "--help is the tool's usage" {
  run replay --help
  assert_success
  assert_output --partial 'Event Replay Tool'
  assert_output --partial 'USAGE: event-replay.sh --event-id ID | --date YYYY-MM-DD'
  assert_output --partial '--json'
  assert_output --partial 'or else one is run.'
}

@test "an event is delivered once more to every handler that wants it" {
  delivered
  handler on-also.sh
  sed -i '2i # on: a.*   from: now' "$HOOKLINE_HOME/scripts/events/handlers/on-also.sh"
  run replay --event-id e2 --verbose
  assert_success
  assert_output --partial 'VERBOSE MODE'
  assert_output --partial '[VERBOSE] successful e2 a.b '
  assert_output --partial $'Event Replay Summary\nTotal processed: 1\nSuccessful: 1\nFailed: 0\n'
  assert_equal "$(said)" 'e2 againe2 again'
}

@test "a day's events are found in logs and in compressed segments" {
  delivered
  printf '[archive]\nrotate_size = "1B"\n' >"$HOOKLINE_HOME/coordination/config/hookline.toml"
  hookline archive
  emit e4
  hookline dispatch --once
  : >"$OUT"
  run replay --date "$TODAY"
  assert_success
  assert_output --partial "Replaying events from date: $TODAY"
  assert_output --partial $'Total processed: 4\nSuccessful: 3\nFailed: 0\nSkipped: 1'
  assert_equal "$(said)" 'e1 againe2 againe4 again'
}

@test "a day is one of the local calendar" {
  local hour
  for hour in 28T22 28T23 29T12 29T21 29T22; do
    "$HOOKLINE_CHECKOUT/scripts/events/lib/event-logger.sh" >/dev/null "$(printf \
      '{"specversion":"1.0","id":"at%s","source":"s","type":"a.b","time":"2026-03-%s:30:00Z"}' \
      "$hour" "$hour")"
  done
  export TZ=Europe/Berlin
  run replay --date 2026-03-29 --dry-run --json
  assert_success
  # The clocks are set forward that night: the day has 23 hours.
  assert_equal "$(jq -r '.event // empty' <<<"$output" | tr '\n' ' ')" 'at28T23 at29T12 at29T21 '
}

@test "filters: type, source, priority and correlation" {
  emit e1 task.failed '"priority":"high","correlationid":"c1"'
  SOURCE=you emit e2 task.done '"priority":"low","correlationid":"c1"'
  emit e3 task.done
  counted() { replay --date "$TODAY" --dry-run --json "$@" | tail -n 1 | jq .processed; }
  assert_equal "$(counted --type '^task\.')" 3
  assert_equal "$(counted --type 'failed|lost')" 1
  assert_equal "$(counted --source '^you$')" 1
  assert_equal "$(counted --priority high)" 1
  assert_equal "$(counted --priority medium)" 1
  assert_equal "$(counted --correlation c1 --priority low)" 1
  run replay --date "$TODAY" --dry-run --type 'done' --priority low
  assert_output --partial 'Type filter: done'
  assert_output --partial 'Priority filter: low'
}

@test "--dry-run says who would get what, and nobody gets it" {
  delivered
  run replay --date "$TODAY" --dry-run
  assert_success
  assert_output --partial 'DRY-RUN MODE'
  assert_output --partial 'Mode: DRY RUN'
  assert_output --regexp 'skipped e1 a.b [-0-9T:.]*Z: would go to on-a-b.sh'
  assert_output --regexp 'skipped e3 c.d [-0-9T:.]*Z: would go to nobody'
  assert_output --partial $'Total processed: 3\nSuccessful: 0\nFailed: 0\nSkipped: 3'
  assert_equal "$(said)" ''
}

@test "--queue makes new events that say which they repeat, and their handlers run" {
  delivered
  run replay --date "$TODAY" --queue
  assert_success
  assert_output --partial 'Mode: QUEUE'
  assert_output --partial $'Total processed: 3\nSuccessful: 3'
  assert_equal "$(jq -r .replayof coordination/events/queue/*.json | tr '\n' ' ')" 'e1 e2 e3 '
  hookline dispatch --once
  assert_equal "$(hookline log a.b | jq -r '.replayof // empty' | tr '\n' ' ')" 'e1 e2 '
  assert_equal "$(wc -l <"$OUT")" 2

  run replay --date "$TODAY" --queue
  assert_output --partial 'Total processed: 3'
}

@test "a payload beside the log comes along into the queue" {
  delivered
  printf '"%*s"' 300000 '' | hookline emit a.b --id big --data - >/dev/null
  run replay --event-id big --queue
  assert_success
  hookline dispatch --once
  assert_equal "$(hookline log a.b --format cortex | tail -n 1 | jq '.payload | length')" 300000
}

@test "Cortex lines are found and delivered too" {
  handler on-worker-started.sh
  printf '%s\n' '{"event_id":"evt_20251201_120000_test123","event_type":"worker.started",
    "timestamp":"2025-12-01T22:55:11+0000","source":"w","payload":{"a":1}}' | tr -d '\n' \
    >"$(log_of worker)"
  printf '\n' >>"$(log_of worker)"
  run replay --event-id evt_20251201_120000_test123
  assert_success
  assert_equal "$(said)" 'evt_20251201_120000_test123 again'
}

@test "a delivery that fails is told, and the exit is 1" {
  delivered 'exit "$(jq -r ".data.exit // 0" "$1")"'
  hookline emit a.b --id bad exit:=65 >/dev/null
  hookline dispatch --once
  run replay --date "$TODAY" --type '^a'
  assert_failure 1
  assert_output --regexp 'failed bad a.b [-0-9T:.]*Z: on-a-b.sh: exit 65'
  assert_output --partial $'Total processed: 3\nSuccessful: 2\nFailed: 1'
}

@test "a handler that is paused keeps it waiting: 75, and what helps" {
  delivered
  hookline handlers pause on-a-b.sh
  run replay --event-id e1
  assert_failure 75
  assert_output --partial 'Waiting: 1'
  assert_output --regexp 'waiting e1 a.b [-0-9T:.]*Z: on-a-b.sh is paused \(by hand\): '
  assert_output --partial 'hookline handlers resume on-a-b.sh'
  hookline handlers resume on-a-b.sh
  hookline dispatch --once
  assert_equal "$(said)" 'e1 again'
}

@test "a running dispatcher delivers it, and is waited for" {
  delivered 'sleep 0.2 # so that the replay has something to wait for'
  "$HOOKLINE_CHECKOUT/.venv/bin/hookline" dispatch 3>&- &
  local pid=$!
  await 60 hookline_runs
  run replay --event-id e1
  kill "$pid"
  wait "$pid"
  assert_success
  assert_output --partial 'Successful: 1'
  assert_equal "$(said)" 'e1 again'
}

@test "told to end while it waits, it says where to look for the rest" {
  # shellcheck disable=SC2016 # for the handler
  delivered '[[ -z $EVENT_REPLAYOF ]] ||
    until [[ -e $HOOKLINE_HOME/go ]]; do read -rt 0.05 <> <(:); done'
  "$HOOKLINE_CHECKOUT/.venv/bin/hookline" dispatch 3>&- &
  local pid=$! asker status=0
  await 60 hookline_runs
  "$HOOKLINE_CHECKOUT/scripts/events/event-replay.sh" --event-id e1 2>"$OUT.err" 3>&- &
  asker=$!
  await 60 grep -q '^e1 again' "$OUT"
  kill "$asker"
  wait "$asker" || status=$?
  touch "$HOOKLINE_HOME/go"
  kill "$pid"
  wait "$pid" || true
  assert_equal "$status" 143
  run cat "$OUT.err"
  assert_output --partial 'ended before all was replayed; what waits is shown by: hookline'
}

hookline_runs() { [[ $(hookline status --json | jq .dispatcher) != null ]]; }

@test "what cannot be asked for is refused in the words of the original" {
  run replay --date 2026-13-01
  assert_failure 64
  assert_output --partial 'Invalid date format'
  local date
  for date in 9999-12-31 0000-01-01; do
    run replay --date "$date"
    assert_failure 64
    assert_output --partial 'Invalid date: '
  done
  run replay --date yesterday
  assert_failure 64
  assert_output --partial 'Invalid date format'
  run replay --date "$TODAY" --priority urgent
  assert_failure 64
  assert_output --partial 'Invalid priority'
  run replay --date "$TODAY" --type '('
  assert_failure 64
  run replay
  assert_failure 64
  assert_output --partial 'one of the arguments --event-id --date is required'
  run replay --event-id nobody
  assert_failure 65
  assert_output --partial "Event not found: 'nobody' is in no log; see: hookline log"
  emit e1
  run replay --event-id e1 --type '^c'
  assert_failure 65
  assert_output --partial "Event not found: 'e1' is in no log as the other options choose"
}

@test "what is wrong with the call is said first, and why one event went nowhere" {
  run -64 replay --bogus
  [[ $output == *"unrecognized arguments: --bogus"* ]]
  run -64 replay
  [[ $output == *"one of the arguments --event-id --date is required"* ]]
  emit e1 x.y
  run -0 replay --event-id e1
  [[ $output == *"skipped e1 x.y "*": nobody wants it"* ]]
}
