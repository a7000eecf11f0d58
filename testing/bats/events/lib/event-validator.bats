#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2030,SC2031 # texts for other shells; each test is a subshell
# The command that says whether an event would be stored.

load ../../test_helper

LIB=$HOOKLINE_CHECKOUT/scripts/events/lib
EVENT='{"specversion":"1.0","id":"x-1","source":"s","type":"worker.started"}'

setup() { sandbox; }

validator() { "$LIB/event-validator.sh" "$@"; }

@test "a good event passes, as argument or on stdin, and nothing is stored" {
  run validator "$EVENT"
  assert_success
  assert_output 'Event validation passed'
  run validator <<<"$EVENT"
  assert_success
  assert_output 'Event validation passed'
  assert_nothing_stored
}

@test "a bad event exits 65 with the reason on stderr" {
  run --separate-stderr validator "${EVENT/worker.started/..\/..\/x}"
  assert_failure 65
  refute_output
  assert_stderr --partial "ERROR: the type '../../x' is not like worker.started"
}

@test "an event too long for a line exits 65" {
  printf '%s,"data":"%0262144d"}' "${EVENT%\}}" 0 >"$TMPDIR/event"
  run validator <"$TMPDIR/event"
  assert_failure 65
  assert_output --partial 'a line holds 262144'
}

@test "usage errors exit 64" {
  local -a arguments
  local words
  for words in --bogus '{} {}' '-n'; do
    read -ra arguments <<<"$words"
    run validator "${arguments[@]}" </dev/null
    assert_failure 64
    assert_output --partial 'event-validator.sh --help'
  done
}

@test "it is run through a link and from its own folder, like the logger" {
  ln -s "$LIB/event-validator.sh" "$TMPDIR/validate"
  run "$TMPDIR/validate" "$EVENT"
  assert_success
  cd "$LIB"
  run bash event-validator.sh "$EVENT"
  assert_success
}

@test "--json-lines judges payload after payload while they come" {
  local answer
  coproc { "$LIB/event-validator.sh" --json-lines; }
  printf '{"a" : 1}\0' >&"${COPROC[1]}"
  read -r -t 10 answer <&"${COPROC[0]}"
  assert_equal "$answer" 'ok {"a":1}'
  printf '[1 2]\0' >&"${COPROC[1]}"
  read -r -t 10 answer <&"${COPROC[0]}"
  assert_equal "${answer%% *}" bad
}
