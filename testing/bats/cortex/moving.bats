#!/usr/bin/env bats
# shellcheck disable=SC2016 # texts for handlers
# A project with Cortex's bus becomes a home: what was there, what waits, what comes.

load cortex

PENDING=evt_20261120_130000_bbbbbbbbbbbb

setup() {
  sandbox
  unset -v HOOKLINE_HOME
  HOME_OF=$BATS_TEST_TMPDIR/project EVENTS=$HOME_OF/coordination/events
  DISPATCHER=$HOME_OF/scripts/events/event-dispatcher.sh
  LOGGER=$HOME_OF/scripts/events/lib/event-logger.sh
  mkdir -p -- "$HOME_OF"/scripts/events/{lib,handlers} "$EVENTS"/{queue,archive/2026-11-20}
  printf '#!/bin/bash\nprintf theirs\n' | tee "$LOGGER" >"$DISPATCHER"
  chmod 0755 -- "$LOGGER" "$DISPATCHER"
  handler on-worker-complete.sh 'jq -r .event_id "$1" \
    >>"$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)/coordination/done"'
  # Both logged after the handler came: the first is done, the second waits in the queue.
  theirs evt_20261120_120000_aaaaaaaaaaaa >"$EVENTS/worker-events.jsonl"
  theirs "$PENDING" >>"$EVENTS/worker-events.jsonl"
  theirs "$PENDING" | jq . >"$EVENTS/queue/$PENDING.json"
  printf '{"event_type":"zombie_detected","worker_id":"w","time":"x"}\n' |
    tee "$EVENTS/zombie-cleanup-events.jsonl" >>"$EVENTS/worker-events.jsonl"
}

theirs() { # <id>: as their logger writes it
  printf '{"event_id":"%s","event_type":"worker.completed","timestamp":"%(%FT%T)T+0000",%s}\n' \
    "$1" -1 '"source":"w","metadata":{"priority":"medium"},"payload":{}'
}

init() { "$HOOKLINE_CHECKOUT/.venv/bin/hookline" init "$HOME_OF" >/dev/null; }

move() { # the scripts of the bus are ours from here on
  mkdir -- "$HOME_OF/scripts/events.original"
  mv -- "$LOGGER" "$DISPATCHER" "$HOME_OF/scripts/events.original/"
  init
  sed -i 's/^envelope = .*/envelope = "cortex"/' "$HOME_OF/coordination/config/hookline.toml"
}

later() { # until the clock's second is another: their times know no less
  local second=$EPOCHSECONDS
  until ((EPOCHSECONDS > second)); do read -rt 0.05 <> <(:) || :; done
}

@test "what waited in the queue is handled once, what was done before is not, what comes is" {
  later
  move
  run "$DISPATCHER"
  assert_success
  assert_equal "$(<"$HOME_OF/coordination/done")" "$PENDING"
  "$LOGGER" "$(theirs evt_20261121_000000_cccccccccccc)" >/dev/null
  "$DISPATCHER"
  "$DISPATCHER"
  assert_equal "$(<"$HOME_OF/coordination/done")" "$PENDING"$'\n'evt_20261121_000000_cccccccccccc
  assert_equal "$(find "$EVENTS/queue" -type f)" ''
  run hookline verify
  assert_success
  assert_output --partial 'an object of an older writer'
}

@test "the whole past is there to be read and replayed" {
  later
  move
  assert_equal "$(hookline log 'worker.*' --format cortex | jq -r .event_id | head -n 1)" \
    evt_20261120_120000_aaaaaaaaaaaa
  run "${DISPATCHER%dispatcher.sh}replay.sh" --event-id evt_20261120_120000_aaaaaaaaaaaa
  assert_success
  assert_output --partial 'Successful: 1'
  assert_equal "$(grep -c aaaa "$HOME_OF/coordination/done")" 1
}

@test "what is only in their archive is replayed from there, once, and then from the log" {
  local replay=$HOME_OF/scripts/events/event-replay.sh day=2026-10-30
  local old=$EVENTS/archive/$day/evt_20261030_120000_dddddddddddd.json
  mkdir -p -- "${old%/*}" "$EVENTS/archive/failed"
  theirs evt_20261030_120000_dddddddddddd | jq '.timestamp = "2026-10-30T12:00:00+0000"' >"$old"
  jq '.event_id = "evt_20261030_120000_eeeeeeeeeeee" | .source = "other"' \
    <"$old" >"${old/dddddddddddd/eeeeeeeeeeee}"
  jq '.event_id = "evt_20261030_120000_ffffffffffff"' <"$old" >"$EVENTS/archive/failed/evt_f.json"
  printf '{' >"$EVENTS/archive/$day/broken.json"
  rm -- "$EVENTS/queue/$PENDING.json"
  later
  move
  run "$replay" --date "$day" --source '^w$' --dry-run
  assert_success
  assert_output --partial 'skipped evt_20261030_120000_dddddddddddd'
  assert_output --partial 'Total processed: 1'
  run "$replay" --event-id evt_20261030_120000_dddddddddddd
  assert_success
  assert_output --partial 'Successful: 1'
  assert_equal "$(<"$HOME_OF/coordination/done")" evt_20261030_120000_dddddddddddd
  run "$replay" --date "$day"
  assert_success
  assert_output --partial 'Successful: 2'
  assert_equal "$(sort "$HOME_OF/coordination/done" | cut -c 21- | paste -sd' ')" \
    'dddddddddddd dddddddddddd eeeeeeeeeeee'
  run "$replay" --event-id nobody
  assert_failure 65
  assert_output --partial 'Event not found'
  run "$replay" --event-id '*'
  assert_failure 65
}
