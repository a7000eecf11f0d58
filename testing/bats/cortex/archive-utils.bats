#!/usr/bin/env bats
# Looking into what is archived: our closed segments, and what their archiver has left.

load ../test_helper

setup() {
  sandbox
  EVENTS=$HOOKLINE_HOME/coordination/events
  export TZ=Europe/Berlin
  stored worker 1 28T22:30:00 e1
  stored worker 1 28T23:30:00 e2
  stored worker 2 29T21:30:00 e3
  stored task 1 29T22:30:00 e4
  mkdir -p -- "$EVENTS/archive/2025-12-01"
  printf '{"event_id":"evt_old","event_type":"worker.failed"}\n' |
    gzip >"$EVENTS/archive/2025-12-01/worker-events.jsonl.gz"
}

stored() { # <domain> <segment> <day and time of March 2026, UTC> <id>
  local segment=$EVENTS/segments/$1-events.0000000$2.jsonl
  printf '{"specversion":"1.0","id":"%s","source":"s","type":"%s.x",' "$4" "$1" >>"$segment"
  printf '"time":"2026-03-%s.000000Z"}\n' "$3" >>"$segment"
}

utils() { "$HOOKLINE_CHECKOUT/scripts/events/archive-utils.sh" "$@"; }

@test "help, and whatever is no command" {
  run utils help
  assert_success
  assert_output --partial 'Usage: archive-utils.sh'
  assert_output --partial 'verify'
  run utils
  assert_success
  local words
  for words in bogus search 'restore 2026-03-29' 'list a b' 'list yesterday' \
    'restore today worker' 'decompress ../x'; do
    # shellcheck disable=SC2086 # words of a command line
    run utils $words
    assert_failure 64
    assert_output --partial 'see archive-utils.sh help'
  done
}

@test "stats, size and list name what lies there" {
  run utils stats
  assert_success
  assert_output --partial 'Closed segments: 3, '
  assert_output --partial 'Files of the old archive: 1'
  run utils list
  assert_output --partial 'worker-events.00000002.jsonl'
  assert_output --partial '2025-12-01/worker-events.jsonl.gz'
  run utils size
  assert_success
}

@test "a day is one of the local calendar" {
  run utils list 2026-03-29
  assert_success
  assert_equal "$(jq -r .event_id <<<"$output" | paste -sd' ')" 'e2 e3'
}

@test "search looks everywhere" {
  run utils search '"(e3|evt_old)"'
  assert_success
  assert_equal "$(jq -r .event_id <<<"$output" | paste -sd' ')" 'e3 evt_old'
  run utils search nothing
  assert_failure 1
}

@test "decompress makes copies, cleanup-temp removes them and nothing else" {
  run utils decompress 2026-03-29
  assert_success
  assert_output "$EVENTS/archive/copies/2026-03-29/worker-events.jsonl"
  assert_equal "$(jq -r .event_id "$output" | paste -sd' ')" 'e2 e3'
  run utils stats
  assert_output --partial 'Files of the old archive: 1'
  utils cleanup-temp
  assert_equal "$(ls "$EVENTS/archive")" 2025-12-01
  run utils decompress 2020-01-01
  assert_failure 1
}

@test "restore has nothing to bring back, and says what is there" {
  run utils restore 2026-03-29 worker
  assert_success
  assert_output --partial 'worker: 2 events of 2026-03-29'
  run utils restore 2026-03-29 task
  assert_failure 1
}

@test "verify tells of a damaged file of the old archive" {
  run utils verify
  assert_success
  printf 'x' >"$EVENTS/archive/2025-12-01/task-events.jsonl.gz"
  run utils verify
  assert_failure 65
}
