#!/usr/bin/env bats

load handlers

H=on-system-backup-scheduled

setup() {
  sandbox
  cd -- "$HOOKLINE_HOME/coordination" || return
  FILE=backups/backup-20200101T100000Z-$(sha '{"event_id":"one","event_source":"a-test"}').tar.gz
}

sha() { sha256sum <<<"$1" | head -c 16; }

backups() { find backups -type f -printf '%f\n' | sort; }

unpack() { # [<file>]: into $BATS_TEST_TMPDIR/restored
  rm -rf -- "$BATS_TEST_TMPDIR/restored"
  mkdir -p -- "$BATS_TEST_TMPDIR/restored"
  tar -xzf "${1-$FILE}" -C "$BATS_TEST_TMPDIR/restored"
}

wrap() { # <body>: this is done before each tar
  mkdir -p -- "$BATS_TEST_TMPDIR/bin"
  # shellcheck disable=SC2016 # the arguments of the false tar
  printf '#!/bin/bash\ncount=%q\n%s\nexec /usr/bin/tar "$@"\n' \
    "$BATS_TEST_TMPDIR/count" "$1" >"$BATS_TEST_TMPDIR/bin/tar"
  chmod +x -- "$BATS_TEST_TMPDIR/bin/tar"
  PATH=$BATS_TEST_TMPDIR/bin:$PATH
}

furnished() {
  mkdir -p -- metrics events/data state/locks schemas
  printf '{"n":1}\n' >events/a-events.jsonl
  cp events/a-events.jsonl events/segments/a-events.00000001.jsonl
  cp events/a-events.jsonl metrics/m.json
  printf 'journal\n' >deliveries.jsonl
  printf 'x = 1\n' >config/hookline.toml
  printf 'waits\n' >events/queue/q.json
  : >state/dispatch.db
  : >metrics/.m.json.tmp
}

@test "a backup has all that cannot be made again, the journal first" {
  furnished
  handled "$H" one '{}'
  assert_equal "$(tar -tzf "$FILE")" "$(printf './%s\n' deliveries.jsonl config/hookline.toml \
    events/a-events.jsonl events/queue/q.json events/segments/a-events.00000001.jsonl \
    metrics/m.json)"
  unpack
  diff -r "$BATS_TEST_TMPDIR/restored/config" config
  assert_equal "$(<"$BATS_TEST_TMPDIR/restored/metrics/m.json")" '{"n":1}'
}

@test "what was made is told with path, bytes, count and checksum" {
  furnished
  handled "$H" one '{}'
  assert_equal "$(emitted 'select(.id) | [.type, .data]')" "$(printf \
    '["system.backup_completed",{"path":"coordination/%s","bytes":%d,"count":6,"sha256":"%s"}]' \
    "$FILE" "$(stat -c %s "$FILE")" "$(sha256sum <"$FILE" | cut -d' ' -f1)")"
  assert_state metrics/backup-stats.json '[.total_backups, .last_backup.path]' \
    "[1,\"coordination/$FILE\"]"
  assert_equal "$(lines metrics/backups.jsonl '[.count, .event_id]')" '[6,"one"]'
}

@test "only its owner may read it, also where the folder was there before" {
  mkdir -m 755 backups
  handled "$H" one '{}'
  assert_equal "$(stat -c %a "$FILE")" 600
  assert_equal "$(stat -c %a metrics/backups.jsonl)" 640
}

@test "links are not followed, and no link is taken for the folder" {
  mkdir -p -- "$BATS_TEST_TMPDIR/elsewhere"
  printf 'secret\n' >"$BATS_TEST_TMPDIR/elsewhere/secret"
  ln -s "$BATS_TEST_TMPDIR/elsewhere" folder
  ln -s "$BATS_TEST_TMPDIR/elsewhere/secret" link
  printf 'twin\n' >twin1
  ln twin1 twin2
  handled "$H" one '{}'
  unpack
  assert_equal "$(cd "$BATS_TEST_TMPDIR/restored" && find . -type f -printf '%p %n\n' | sort)" \
    $'./twin1 1\n./twin2 1'
  rm -r backups
  ln -s "$BATS_TEST_TMPDIR/elsewhere" backups
  handle "$H" two '{}'
  assert_failure 73
  assert_stderr --partial 'backups is not a folder'
  assert_equal "$(ls "$BATS_TEST_TMPDIR/elsewhere")" secret
}

@test "only the newest ones are kept, and what others keep there stays" {
  local n
  mkdir -p -- backups
  : >backups/mine.tar.gz
  : >backups/.backup-x.tar.gz.tmp
  for n in 1 2 3 4; do handled "$H" "e$n" '{"keep":2}' "$n"; done
  assert_equal "$(backups | cut -d- -f1,2)" \
    $'backup-20200101T100003Z\nbackup-20200101T100004Z\nmine.tar.gz'
  # One that is asked for late is not the one that goes.
  handled "$H" late '{"keep":2}' 0
  assert_equal "$(backups | cut -d- -f1,2)" \
    $'backup-20200101T100000Z\nbackup-20200101T100004Z\nmine.tar.gz'
}

@test "it is whole while writers go on appending" {
  local writer log=events/a-events.jsonl
  # Bash's printf hands a line on in pieces beyond 4096 bytes, so the lines are short.
  bash -c 'for ((n = 0; ; n++)); do printf "{\"n\":%d}\n" "$n"; done >>"$1"' - "$log" 3>&- &
  writer=$!
  await 60 test -s "$log"
  handled "$H" one '{}'
  kill "$writer"
  wait "$writer" || :
  unpack
  cmp -n "$(stat -c %s "$BATS_TEST_TMPDIR/restored/$log")" "$BATS_TEST_TMPDIR/restored/$log" "$log"
  [[ -s $BATS_TEST_TMPDIR/restored/$log ]]
}

@test "when a log is closed meanwhile, all is copied again" {
  furnished
  # shellcheck disable=SC2016 # the false tar's own variables
  wrap 'if [[ $1 == --create && ! -e $count ]]; then
    : >"$count"
    mv events/a-events.jsonl events/segments/a-events.00000002.jsonl
    printf "{\"n\":2}\n" >events/a-events.jsonl
  fi'
  handle "$H" one '{}'
  assert_success
  unpack
  assert_equal "$(cat "$BATS_TEST_TMPDIR"/restored/events/segments/*2.jsonl \
    "$BATS_TEST_TMPDIR/restored/events/a-events.jsonl")" $'{"n":1}\n{"n":2}'
}

@test "where files come and go all the time it says so, and leaves nothing" {
  # shellcheck disable=SC2016 # the false tar's own variables
  wrap '[[ $1 != --create ]] || mktemp ./come.XXXXXX >/dev/null'
  handle "$H" one '{}'
  assert_failure 75
  assert_stderr "$H: files came and went all the time; it is tried again"
  assert_equal "$(backups)" ''
  assert_equal "$(emitted .)" ''
}

@test "what the drop box does is no reason to begin again" {
  furnished
  # shellcheck disable=SC2016 # the false tar's own variables
  wrap '[[ $1 != --create ]] || { printf x >>"$count"; rm -f events/queue/*; }'
  handle "$H" one '{}'
  assert_success
  assert_equal "$(<"$BATS_TEST_TMPDIR/count")" x
}

@test "a backup that cannot be read back is none" {
  furnished
  # shellcheck disable=SC2016 # the false tar's own variables
  wrap 'if [[ $1 == --list ]]; then
    printf x | dd of="$(printf %s backups/.*.tmp)" bs=1 seek=40 conv=notrunc 2>/dev/null
  fi'
  handle "$H" one '{}'
  assert_failure 74
  assert_equal "$(backups)" ''
  assert_equal "$(emitted 'select(.id)')" ''
}

@test "the same request twice makes one backup" {
  handled "$H" one '{}'
  handled "$H" one '{}'
  assert_equal "$(backups | wc -l)" 1
  assert_equal "$(emitted . | wc -l)" 1
}

@test "keep is a whole number from 1 to 1000" {
  local keep
  for keep in 0 1.5 1001 -1; do
    refused "$H" one "{\"keep\":$keep}"
    assert_stderr "$H: data.keep is no whole number from 1 to 1000"
  done
}
