#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2030,SC2031 # texts for other shells; each test is a subshell
# The command: what it prints, what it stores, how it exits.

load ../../test_helper

LIB=$HOOKLINE_CHECKOUT/scripts/events/lib
EVENT='{"specversion":"1.0","id":"x-1","source":"s","type":"worker.started",'
EVENT+='"time":"2026-11-21T01:35:31.123456Z","data":{"n":1}}'

setup() { sandbox; }

logger() { "$LIB/event-logger.sh" "$@"; }

@test "--create prints the event and stores nothing" {
  run --separate-stderr logger --create worker.started me '{"a" : 1}' corr high
  assert_success
  assert_output --regexp '^\{"specversion":"1.0","id":"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab]'
  assert_output --regexp '"time":"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{6}Z"'
  assert_output --partial ',"source":"me","type":"worker.started",'
  assert_output --partial ',"priority":"high","correlationid":"corr","data":{"a":1}}'
  assert_equal "$stderr" ''
  assert_nothing_stored
}

@test "--emit stores the event and prints its id" {
  run --separate-stderr logger --emit worker.started me '[1,2]'
  assert_success
  assert_equal "$(jq -r .id "$(log_of worker)")" "$output"
  assert_equal "$(jq -c .data "$(log_of worker)")" '[1,2]'
}

@test "an event given as argument is stored, in the words of the original" {
  run logger "$EVENT"
  assert_success
  assert_output "Event validation passed
Event logged: x-1 -> $(log_of worker)"
  assert_equal "$(<"$(log_of worker)")" "$EVENT"
}

@test "an event on stdin is stored: from --create, pretty-printed, without an end of line" {
  logger --create worker.started me 1 | logger
  jq . <<<"$EVENT" | logger
  printf '%s' "$EVENT" | logger
  assert_equal "$(log_lines worker)" 3
  assert_equal "$(tail -n 2 "$(log_of worker)")" "$EVENT"$'\n'"$EVENT"
}

@test "an event without id or time gets them" {
  run logger '{"specversion":"1.0","source":"s","type":"a.b"}'
  assert_success
  assert_equal "$(jq -r 'keys_unsorted | join(" ")' "$(log_of a)")" \
    'specversion id source type time'
}

@test "any JSON value is data" {
  local value
  for value in null false 0 '""' '"x"' '[]' '{}' -1.5e-3; do
    logger --emit a.b s "$value"
    assert_equal "$(tail -n 1 "$(log_of a)")" \
      "$(tail -n 1 "$(log_of a)" | sed 's/,"data":.*//'),\"data\":$value}"
  done
}

@test "usage errors exit 64 and say where to look" {
  local -a arguments
  local words
  for words in '--create' '--create a.b' '--create a.b s' '--create a.b s 1 c high more' '--emit' \
    '--emit a.b s' '--bogus' '-x' '{} {}'; do
    read -ra arguments <<<"$words"
    run --separate-stderr logger "${arguments[@]}" </dev/null
    assert_failure 64
    [[ $stderr == 'ERROR: '*--help && $stderr != *$'\n'* ]] || fail "stderr: $stderr"
    assert_equal "$output" ''
  done
  assert_nothing_stored
}

@test "no event is a usage error on a terminal or a closed stdin, a bad event on an empty one" {
  run script -qec "$LIB/event-logger.sh" /dev/null </dev/null
  assert_failure 64
  run logger </dev/null
  assert_failure 65
  run bash -c '"$1" <&-' - "$LIB/event-logger.sh"
  assert_failure 64
}

@test "bad events exit 65 with one clear line, and nothing is stored" {
  local -a cases=('' ' ' '{' '[]' '{}' '"x"' 'x' "{'a':1}" "$EVENT$EVENT" "${EVENT/1.0/2.0}")
  local each
  for each in "${cases[@]}"; do
    run --separate-stderr logger "$each"
    assert_failure 65
    [[ $stderr == 'ERROR: '* && $stderr != *$'\n'* ]] || fail "stderr: $stderr"
    assert_equal "$output" ''
  done
  assert_nothing_stored
}

@test "bad data exits 65, and nothing is stored" {
  local each
  for each in '' ' ' '{"a":' '{"a":1}{"b":2}' "{'a':1}" 01 NaN 1e400 '{"a":1,"a":2}' $'"\xff"' \
    '"\ud800"' '"\u0000"' $'"a\nb"' '$(touch p)' 'a[$(touch p)]'; do
    run logger --emit a.b s "$each"
    assert_failure 65
    assert_output --partial 'the data is not'
  done
  refute_exists p
  assert_nothing_stored
}

@test "a bad priority, source or correlation exits 65" {
  run logger --emit a.b s 1 '' URGENT
  assert_failure 65
  assert_output "ERROR: the priority 'URGENT' is none of low, medium, high, critical"
  run logger --emit a.b '' 1
  assert_failure 65
  run logger --emit a.b $'a\e[2Jb' 1
  assert_failure 65
  run logger --emit a.b s 1 "$(printf 'c%.0s' {1..257})"
  assert_failure 65
  assert_nothing_stored
}

@test "an error never echoes control bytes" {
  run logger --emit $'a.\e]0;title\a\x9b\u202e' s 1
  assert_failure 65
  [[ $output != *[!\ -~]* ]] || fail "raw bytes: $(printf %q "$output")"
}

@test "--sync stores the event, on disk before it returns" {
  require_tool strace
  strace -f -y -e trace=write,fdatasync,fsync -o "$TMPDIR/trace" \
    "$LIB/event-logger.sh" --sync --emit a.b s '{"a":1}'
  run grep -cE 'fdatasync\([0-9]+<[^>]*/a-events.jsonl>\) += 0' "$TMPDIR/trace"
  assert_output 1
  run grep -cE 'fsync\([0-9]+<[^>]*/events>\) += 0' "$TMPDIR/trace"
  assert_output 1
  assert_equal "$(log_lines a)" 1
  run logger --sync "$EVENT"
  assert_success
  assert_equal "$(<"$(log_of worker)")" "$EVENT"
}

@test "--sync on a disk that cannot sync exits 74: stored or not, nobody knows" {
  require_tool strace
  logger --emit a.b s 1
  run strace -f -qq -o /dev/null -e inject=fdatasync:error=EIO \
    "$LIB/event-logger.sh" --sync --emit a.b s 2
  assert_failure 74
  assert_output --partial 'may or may not be stored'
}

@test "stdin that never ends is given up: by bytes, by time, at a NUL" {
  run timeout 60 bash -c 'yes | "$1"' - "$LIB/event-logger.sh"
  assert_failure 65
  assert_output --partial 'a line holds 262144'
  run timeout 60 bash -c '"$1" </dev/zero' - "$LIB/event-logger.sh"
  assert_failure 65
  assert_output --partial NUL
  mkfifo "$TMPDIR/fifo"
  HOOKLINE_STDIN_TIMEOUT_S=1 run timeout 60 bash -c '"$1" <>"$2"' - "$LIB/event-logger.sh" \
    "$TMPDIR/fifo"
  assert_failure 75
  assert_output --partial HOOKLINE_STDIN_TIMEOUT_S
  assert_nothing_stored
}

@test "a little more whitespace than a line may have does not matter" {
  printf '%s\n%300000s\n' "$EVENT" '' | logger
  assert_equal "$(<"$(log_of worker)")" "$EVENT"
}

@test "what the caller's environment holds does not reach the command" {
  local variable
  printf 'touch "%s"\n' "$TMPDIR/ran" >"$TMPDIR/rc"
  for variable in x=x POSIXLY_CORRECT=1; do
    run --separate-stderr env "$variable" BASH_ENV="$TMPDIR/rc" ENV="$TMPDIR/rc" \
      SHELLOPTS=xtrace BASHOPTS=nocasematch IFS=x PATH=. TZ=Asia/Tokyo LC_ALL=xx_YY CDPATH=/ \
      GLOBIGNORE='*' 'BASH_FUNC_printf%%=() { touch ran; }' _hookline_event_room_loaded=1 \
      _hookline_tick='a[$(touch ran)]' "$LIB/event-logger.sh" --emit a.b s '{"a":1}'
    assert_success
    [[ $stderr != *emit* ]] || fail "a trace: $stderr"
  done
  refute_exists "$TMPDIR/ran"
  refute_exists ran
  assert_equal "$(jq -r '.time[:10]' "$(log_of a)" | sort -u)" "$(date -u +%F)"
  run env LC_ALL=xx_YY "$LIB/event-logger.sh" --emit Worker.started s 1
  assert_failure 65
}

@test "it is found through a link, a relative path and a path with spaces" {
  local folder="$TMPDIR/a b/c"
  mkdir -p "$folder/scripts/events" && cp -r "$LIB" "$folder/scripts/events/lib"
  ln -s "$folder/scripts/events/lib/event-logger.sh" "$TMPDIR/link"
  ln -s link "$TMPDIR/link-to-link"
  "$TMPDIR/link-to-link" --emit a.b s 1
  cd "$folder/scripts/events" && ./lib/event-logger.sh --emit a.b s 2
  cd lib && bash event-logger.sh --emit a.b s 3
  bash -c 'source ../lib/event-logger.sh && cd / && emit_event a.b s 4'
  assert_equal "$(log_lines a)" 4
}

@test "the home is HOOKLINE_HOME, else CORTEX_HOME, else a folder above, else the checkout" {
  local checkout=$TMPDIR/checkout other=$TMPDIR/other
  mkdir -p "$checkout/scripts/events" "$other/coordination" "$other/deep/er" "$TMPDIR/none"
  cp -r "$LIB" "$checkout/scripts/events/lib"
  cd "$other/deep/er"
  CORTEX_HOME=$other run "$checkout/scripts/events/lib/event-logger.sh" --emit home.one s 1
  assert_equal "$(log_lines home)" 1
  unset -v HOOKLINE_HOME
  CORTEX_HOME=$other/.. run "$checkout/scripts/events/lib/event-logger.sh" --emit home.two s 1
  assert_success
  assert_exists "$TMPDIR/coordination/events/home-events.jsonl"
  rm -r "$TMPDIR/coordination"
  run "$checkout/scripts/events/lib/event-logger.sh" --emit home.three s 1
  assert_exists "$other/coordination/events/home-events.jsonl"
  cd "$TMPDIR/none"
  rm -r -- "${BATS_TEST_TMPDIR:?}/home"
  run "$checkout/scripts/events/lib/event-logger.sh" --emit home.four s 1
  assert_exists "$checkout/coordination/events/home-events.jsonl"
}

@test "homes with odd names work, and one that is not there is a clear error" {
  local name
  for name in 'a b' $'a\nb' '-n' '*' 'a"b' '$(id)'; do
    mkdir -p "$TMPDIR/$name/coordination"
    cd "$TMPDIR"
    HOOKLINE_HOME=$name run logger --emit a.b s 1
    assert_success
    assert_exists "$TMPDIR/$name/coordination/events/a-events.jsonl"
  done
  HOOKLINE_HOME=$TMPDIR/nowhere run logger --emit a.b s 1
  assert_failure 73
  assert_output --partial 'hookline init'
}

@test "--help is the header of the file; both commands have one" {
  run logger --help
  assert_success
  assert_output --partial 'Usage: event-logger.sh'
  assert_output --partial '--sync'
  run "$LIB/event-validator.sh" --help
  assert_success
  assert_output --partial '--generate-id'
}

@test "a reader that has gone does not undo what is stored" {
  bash -c '"$1" "$2"' - "$LIB/event-logger.sh" "$EVENT" > >(exec <&-) || fail "exit $?"
  "$LIB/event-logger.sh" "$EVENT" >&-
  "$LIB/event-logger.sh" --emit a.b s 1 >&-
  assert_equal "$(log_lines worker)" 2
  assert_equal "$(log_lines a)" 1
  run bash -c '"$1" --create a.b s 1 >&-' - "$LIB/event-logger.sh"
  assert_failure 74
}
