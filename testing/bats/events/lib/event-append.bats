#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2030,SC2031 # texts for other shells; each test is a subshell
# The append protocol of FORMAT.md section 5, seen from the kernel.

load ../../test_helper

LIB=$HOOKLINE_CHECKOUT/scripts/events/lib

setup() {
  sandbox
  export LIB
}

emit() { # <arguments of --emit>
  "$LIB/event-logger.sh" --emit "$@"
}

# What a sourcing shell asks of the kernel between two marks: forks, and writes by what they go to.
traced() { # <shell text between the marks>
  require_tool strace
  emit a.b s 1 >/dev/null
  strace -f -y -s 64 -e trace=clone,clone3,fork,vfork,execve,openat,write,writev,pwrite64 \
    -o "$TMPDIR/trace" bash -c 'source "$LIB/event-logger.sh"
      '"${2-}"'
      : </dev/zero
      '"$1"'
      : </dev/zero' || fail "exit $?"
  sed -n '/"\/dev\/zero"/,/"\/dev\/zero"/p' "$TMPDIR/trace" >"$TMPDIR/between"
}

calls() { # <extended regexp>: how often between the marks
  grep -cE "$1" "$TMPDIR/between" || :
}

# Data that makes a line of so many bytes, newline and all.
data_for() { # <bytes>
  local empty
  empty=$("$LIB/event-logger.sh" --create a.b s '""')
  printf '"%s"' "$(printf "%0$(($1 - ${#empty} - 1))d" 7)"
}

@test "an event of up to 4096 bytes is one write and no fork" {
  local bytes data
  for bytes in 250 4095 4096; do
    data=$(data_for "$bytes")
    traced "emit_event a.b s '$data'"
    assert_equal "$(calls 'clone|fork|execve')" 0
    assert_equal "$(calls 'write[a-z0-9]*\(')" 1
    assert_equal "$(calls "write\([0-9]+<[^>]*/a-events.jsonl>, .* = $bytes\$")" 1
  done
}

@test "of 4097 bytes and more it is still one write" {
  local bytes data
  for bytes in 4097 8192 65537 200000 262144; do
    data_for "$bytes" >"$TMPDIR/data"
    traced 'emit_event a.b s "$data"' "read -r data <'$TMPDIR/data'"
    assert_equal "$(calls 'write\([0-9]+<[^>]*/a-events.jsonl>')" 1
    assert_equal "$(calls "write\([0-9]+<[^>]*/a-events.jsonl>, .* = $bytes\$")" 1
  done
}

@test "hard data takes no fork either: escapes, beyond ASCII, whitespace, numbers, a refusal" {
  local data='{"\u0061\"" : [1e5, -0.5E-3, {}], "é" : "\ud83d\ude00"}'
  local cortex='{"event_type":"a.b","source":"s","timestamp":"2026-11-21T01:35:31+0100"}'
  traced "emit_event a.b 'sé\"' '$data' c high
    emit_event a.b s '{\"a\":1,\"a\":2}' 2>/dev/null || :
    HOOKLINE_ATTEMPT=1 EVENT_ID=x EVENT_HOPS=2 emit_event a.b s 1
    log_event '$cortex' >/dev/null"
  assert_equal "$(calls 'clone|fork|execve')" 0
  assert_equal "$(calls 'write\([0-9]+<[^>]*/a-events.jsonl>')" 3
}

@test "the lines on both sides of the page are whole and the same but for their length" {
  local bytes
  for bytes in 4094 4095 4096 4097 4098; do
    emit a.b s "$(data_for "$bytes")"
    assert_equal "$(tail -n 1 "$(log_of a)" | wc -c)" "$bytes"
  done
  assert_equal "$(jq -r '.data | sub("^0+"; "")' "$(log_of a)" | sort -u)" 7
}

@test "a line of 262144 bytes is stored, one byte more is refused with the way out" {
  local data
  data=$(data_for 262144)
  printf '{"specversion":"1.0","id":"%036d","source":"s","type":"a.b","data":%s}' 0 "$data" |
    "$LIB/event-logger.sh"
  assert_equal "$(wc -c <"$(log_of a)")" 262144
  run "$LIB/event-logger.sh" < <(
    printf '{"specversion":"1.0","id":"%036d","source":"s","type":"a.b","data":%s}' 0 "${data/0/00}"
  )
  assert_failure 65
  assert_output --partial 'hookline emit TYPE --data @FILE'
  assert_equal "$(log_lines a)" 1
}

@test "a log is made with mode 0640 and its folder with 0750, whatever the umask" {
  local mask
  for mask in 000 022 777; do
    rm -rf "$HOOKLINE_HOME/coordination/events"
    (umask "$mask" && emit a.b s 1 && emit b.c s "$(data_for 5000)")
    assert_equal "$(stat -c %a "$(log_of a)" "$(log_of b)" "$HOOKLINE_HOME/coordination/events" |
      paste -sd' ')" '640 640 750'
  done
}

@test "whatever stands in the log's place and is no file is refused, without waiting for it" {
  local log kind outside=$TMPDIR/outside
  log=$(log_of a)
  printf 'mine\n' >"$outside"
  for kind in 'ln -s' 'ln -s' mkfifo mkdir 'ln -s /dev/null'; do
    case $kind in
      'ln -s') ln -s "$outside" "$log" ;;
      *) $kind "$log" ;;
    esac
    for data in 1 "$(data_for 5000)"; do
      run timeout 60 "$LIB/event-logger.sh" --emit a.b s "$data"
      assert_failure 73
      assert_output --partial "move it away"
    done
    rm -r -- "$log"
    outside=$TMPDIR/dangling
  done
  assert_equal "$(<"$TMPDIR/outside")" mine
  refute_exists "$TMPDIR/dangling"
}

@test "a log that cannot be opened exits 73, and nothing is stored" {
  require_tool strace
  emit a.b s 1
  run strace -f -qq -o /dev/null -P "$(log_of a)" -e inject=openat:error=EACCES \
    "$LIB/event-logger.sh" --emit a.b s 2
  assert_failure 73
  assert_output --partial 'cannot open'
  rm -r "$HOOKLINE_HOME/coordination/events"
  printf x >"$HOOKLINE_HOME/coordination/events"
  run emit a.b s 1
  assert_failure 73
}

@test "a write that fails exits 74 and says with which id to try again" {
  require_tool strace
  local fault data
  emit a.b s 1
  for fault in ENOSPC EDQUOT EIO; do
    for data in 2 "$(data_for 5000)"; do
      run strace -f -qq -o /dev/null -P "$(log_of a)" -e inject=write:error="$fault" \
        "$LIB/event-logger.sh" --emit a.b s "$data"
      assert_failure 74
      assert_output --regexp 'with the id [0-9a-f-]{36}$'
    done
  done
  assert_equal "$(log_lines a)" 1
}

@test "a short write is closed off by a newline, and the next event is whole" {
  # strace cannot shorten a write, only forge its result: so a limit on the file's size does it.
  local size
  emit a.b s "$(data_for 900)"
  run bash -c 'ulimit -f 1; exec "$LIB/event-logger.sh" --emit a.b s "$1"' - "$(data_for 500)"
  assert_failure 74
  size=$(stat -c %s "$(log_of a)")
  assert_equal "$size" 1024
  run emit a.b s 3
  assert_success
  assert_equal "$(tail -c +1025 "$(log_of a)" | jq -c .data)" 3
}

@test "a torn tail that can be closed off is closed off" {
  require_tool strace
  emit a.b s 1
  printf 'torn' >>"$(log_of a)"
  run strace -f -qq -o /dev/null -P "$(log_of a)" -e inject=write:error=EIO:when=1 \
    "$LIB/event-logger.sh" --emit a.b s 2
  assert_failure 74
  assert_equal "$(tail -n 1 "$(log_of a)")" torn
  assert_equal "$(tail -c 1 "$(log_of a)" | od -An -c | tr -d ' ')" '\n'
}

@test "a full file system or a failed write leaves nothing behind for the caller's own output" {
  run bash -c 'source "$LIB/event-logger.sh"; trap "" XFSZ
    emit_event a.b s "\"$(printf %0900d 1)\""
    ulimit -f 1; emit_event a.b s "\"$(printf %0500d 2)\"" 2>/dev/null; printf "mine\n"'
  assert_output mine
}

@test "where the home says so, the append takes the lock of the log" {
  require_tool flock
  touch "$HOOKLINE_HOME/coordination/config/locked-append"
  emit a.b s 1
  emit a.b s "$(data_for 5000)"
  assert_equal "$(log_lines a)" 2
  flock --exclusive "$(log_of a)" tail -f /dev/null 3>&- &
  holder=$!
  await 60 lock_of a
  emit a.b s 3 3>&- &
  emitter=$!
  await 60 lock_of a '-> '
  assert_equal "$(log_lines a)" 2
  pkill -P "$holder"
  wait "$emitter"
  assert_equal "$(log_lines a)" 3
}

lock_of() { # <domain> ['-> ']: somebody holds the lock of its log, or waits for it
  grep -qE -- ": ${2-}FLOCK .*:$(stat -c %i "$(log_of "$1")") " /proc/locks
}

@test "writers at once, short and long, leave whole lines and all of them" {
  local writer
  for writer in 1 2 3 4; do
    bash -c 'source "$LIB/event-logger.sh"
      for i in {1..60}; do
        ((i % 10)) && size=100 || size=20000
        printf -v data "{\"w\":%d,\"i\":%d,\"x\":\"%0${size}d\"}" "$1" "$i" 0
        emit_event a.b s "$data"
      done' - "$writer" &
  done
  wait
  assert_equal "$(jq -c '[.data.w, .data.i]' "$(log_of a)" | sort -u | wc -l)" 240
  assert_equal "$(log_lines a)" 240
}
