#!/usr/bin/env bats
# The face of `hookline archive`: the flags of the original, what it prints, how it exits.

load ../test_helper

setup() {
  sandbox
  EVENTS=$HOOKLINE_HOME/coordination/events
  printf '[archive]\nrotate_size = "1KiB"\ndelete_after = "1d"\n' \
    >"$HOOKLINE_HOME/coordination/config/hookline.toml"
}

archiver() { "$HOOKLINE_CHECKOUT/scripts/events/event-archiver.sh" "$@"; }

hookline() { "$HOOKLINE_CHECKOUT/.venv/bin/hookline" "$@"; }

emit() { # <type> [<bytes of data>]
  local text
  printf -v text '%*s' "${2-1}" ''
  "$HOOKLINE_CHECKOUT/scripts/events/lib/event-logger.sh" --emit "$1" me "\"$text\""
}

closed() { # <ordinal>...: segments of two days ago
  local ordinal
  for ordinal; do
    emit a.b >"$BATS_TEST_TMPDIR/id-$ordinal"
    mv -- "$(log_of a)" "$EVENTS/segments/a-events.0000000$ordinal.jsonl"
    touch -d '2 days ago' -- "$EVENTS/segments/a-events.0000000$ordinal.jsonl"
  done
  sleep 0.15 # a closed segment is taken for final only a tenth of a second after its last change
}

handler() { # <name> [<header>]
  printf '#!/bin/bash\n%s\nexit 0\n' "${2-# from: beginning}" \
    >"$HOOKLINE_HOME/scripts/events/handlers/$1"
  chmod 0755 -- "$HOOKLINE_HOME/scripts/events/handlers/$1"
}

segments() { (cd -- "$EVENTS/segments" && printf '%s ' *); }

@test "--help prints the header" {
  run archiver --help
  assert_success
  assert_output --partial 'Usage: event-archiver.sh [--dry-run] [--compress-only|--cleanup-only'
  assert_output --partial 'Exit: 0 done, 64 usage'
  assert_output --partial '--cleanup-only    only delete'
}

@test "with nothing to do it says so" {
  run --separate-stderr archiver
  assert_success
  assert_output 'nothing to do'
  assert_equal "$stderr" ''
}

@test "a large log is closed and compressed, and zstd and jq read it" {
  emit a.b 2000
  run archiver --verbose
  assert_success
  assert_output --partial 'rotated     a segment 1: 2.1 KiB'
  assert_output --partial 'compressed  a segment 1: 2.1 KiB; to '
  assert_equal "$(segments)" 'a-events.00000001.jsonl.zst '
  run "$HOOKLINE_CHECKOUT/.venv/bin/python" -c '
import sys
from hookline.log.packing import zstd
sys.stdout.buffer.write(zstd.decompress(open(sys.argv[1], "rb").read()))' \
    "$EVENTS/segments/a-events.00000001.jsonl.zst"
  assert_equal "$(jq -r '.data | length' <<<"$output")" 2000
  run hookline log
  assert_equal "$(jq -r '.data | length' <<<"$output")" 2000
}

@test "--dry-run says what would be done and changes nothing" {
  closed 1 2
  emit a.b 2000
  run archiver --dry-run
  assert_success
  assert_output --partial 'deleted     a segment 1: '
  assert_output --partial 'rotated     a segment 3: '
  assert_output --partial 'dry run: 1 rotated, 2 compressed, 1 deleted; '
  assert_equal "$(segments)" 'a-events.00000001.jsonl a-events.00000002.jsonl '
  assert_exists "$(log_of a)"
}

@test "--compress-only compresses and does nothing else" {
  closed 1 2
  emit a.b 2000
  run archiver --compress-only
  assert_success
  assert_equal "$(segments)" 'a-events.00000001.jsonl.zst a-events.00000002.jsonl.zst '
  assert_exists "$(log_of a)"
}

@test "--cleanup-only deletes what is old and does nothing else" {
  closed 1 2 3
  emit a.b 2000
  run archiver --cleanup-only -v
  assert_success
  assert_output --partial 'deleted     a segment 2: '
  assert_output --partial '2 deleted; '
  assert_equal "$(segments)" 'a-events.00000003.jsonl '
  assert_exists "$(log_of a)"
}

@test "a segment that a handler needs stays, and it is said whose it is and what to do" {
  closed 1 2 3
  handler on-a-b.sh
  run archiver --cleanup-only
  assert_success
  assert_output --partial 'held        a segments 1 to 2: '
  assert_output --regexp 'on-a-b.sh needs it from 20[-0-9T:.]*Z on; it will start there;'
  assert_output --partial '; next: hookline dispatch --once'
  assert_equal "$(segments | wc -w)" 3

  hookline dispatch --once
  run archiver --cleanup-only
  assert_output --partial '2 deleted'
}

@test "a second archiver says that one is at work and exits 75" {
  exec 8<"$EVENTS"
  flock 8
  run archiver
  assert_failure 75
  assert_output --partial 'another archiver is at work'
}

@test "--json tells each step and the sum" {
  closed 1 2 3
  run archiver --cleanup-only --json
  assert_success
  assert_equal "$(jq -c '[.action, .segment]' <<<"$output" | head -n 2)" \
    $'["deleted",1]\n["deleted",2]'
  assert_equal "$(tail -n 1 <<<"$output" | jq -c '[.action, .deleted, .held, .freed > 200]')" \
    '["archived",2,0,true]'
}

@test "flags that exclude each other, or are none, are usage" {
  run archiver --compress-only --cleanup-only
  assert_failure 64
  assert_output --partial 'see: hookline archive --help'
  run archiver --gzip
  assert_failure 64
}

@test "a policy that cannot be is named, and nothing is touched" {
  closed 1 2
  printf '[archive]\ndelete_after = "soon"\n' >"$HOOKLINE_HOME/coordination/config/hookline.toml"
  run archiver
  assert_failure 78
  assert_output --partial "delete_after: duration 'soon' is not like"
  assert_equal "$(segments | wc -w)" 2
}

@test "without hookline it says how to get it" {
  mkdir -p -- "$HOOKLINE_HOME/scripts/events/lib"
  cp -- "$HOOKLINE_CHECKOUT/scripts/events/event-archiver.sh" "$HOOKLINE_HOME/scripts/events/"
  cp -- "$HOOKLINE_CHECKOUT"/scripts/events/lib/hookline-command.sh \
    "$HOOKLINE_HOME/scripts/events/lib/"
  run scripts/events/event-archiver.sh
  assert_failure 69
  assert_output --partial 'hookline is not installed: run scripts/setup.sh'
}

@test "hookline up runs it in a home that init has made" {
  hookline init "$BATS_TEST_TMPDIR/made" >/dev/null
  export HOOKLINE_HOME=$BATS_TEST_TMPDIR/made
  "$HOOKLINE_CHECKOUT/.venv/bin/hookline" up --quiet 3>&- &
  local pid=$! log=$HOOKLINE_HOME/coordination/logs/archiver.log
  await 60 grep -sq 'nothing to do' "$log"
  kill "$pid"
  wait "$pid"
  assert_equal "$(<"$log")" 'nothing to do'
}
