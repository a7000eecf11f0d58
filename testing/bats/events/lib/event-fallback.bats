#!/usr/bin/env bats
# What is said without an event logger is not lost.

load ../../test_helper

setup() {
  sandbox
  # A library without its logger, and one with it.
  cp -R -- "$HOOKLINE_CHECKOUT/scripts/events/lib" "$BATS_TEST_TMPDIR/lib"
  LIB=$BATS_TEST_TMPDIR/lib
  mkdir -p -- "$HOOKLINE_HOME/coordination/events"
}

taken_away() {
  mv -- "$LIB/event-logger.sh" "$LIB/event-logger.sh.bak"
}

say() { # <argument>...
  # shellcheck disable=SC2016 # for the shell that says it
  run --separate-stderr bash -c \
    'set -euo pipefail; source "$1/event-fallback.sh"; say_event "${@:2}"' - "$LIB" "$@"
}

dropped() { # <jq filter>
  cat "$HOOKLINE_HOME/coordination/events/queue/"*.json | jq -c "$1"
}

@test "with a logger it is an event at once" {
  say a.said me '{"n":1}' high
  assert_success
  assert_equal "$(jq -c '[.type, .source, .priority, .data]' "$(log_of a)")" \
    '["a.said","me","high",{"n":1}]'
  assert_equal "$(find "$HOOKLINE_HOME/coordination/events/queue" -type f)" ''
}

@test "without one it is a file in the drop box, which becomes that event" {
  taken_away
  say a.said 'm"e' '{"n": 12345678901234567890,
    "text": "two\nlines"}'
  assert_success
  assert_equal "$(dropped '[.specversion, .type, .source, .priority, .data.text]')" \
    '["1.0","a.said","m\"e","medium","two\nlines"]'
  assert_equal "$(find "$HOOKLINE_HOME/coordination/events/queue" -name '.*' -type f)" ''
  local said
  said=$(dropped '[.id, .time]')
  "$HOOKLINE_CHECKOUT/.venv/bin/hookline" dispatch --once
  assert_equal "$(jq -c '[.id, .time]' "$(log_of a)")" "$said"
  grep -qF '"n":12345678901234567890' "$(log_of a)"
}

@test "a logger that cannot write is as good as none" {
  mkdir -- "$(log_of a)"
  say a.said me '{}'
  assert_success
  assert_stderr --partial 'ERROR: '
  assert_equal "$(dropped .type)" '"a.said"'
}

@test "so is one with a broken part, and no event is refused for it" {
  sed -i '2i if ((' "$LIB/json-rare.sh"
  say a.said me '"\u0041"' high
  assert_success
  assert_stderr --partial 'install Hookline again'
  assert_equal "$(dropped '[.type, .priority, .data]')" '["a.said","high","A"]'
}

@test "what is no event is refused, with a logger and without one" {
  local -a bad
  for gone in '' 1; do
    [[ ! $gone ]] || taken_away
    while IFS=' ' read -ra bad; do
      say "${bad[@]}"
      assert_failure 65
      assert_stderr --partial 'ERROR: '
    done <<'BAD'
nodot me {}
a.said me {
a.said me {}{}
a.said me {} urgent
BAD
  done
  assert_equal "$(find "$HOOKLINE_HOME/coordination/events/queue" -type f)" ''
  refute_exists "$(log_of a)"
}

@test "taken away in the middle, and back again, nothing is lost" {
  # shellcheck disable=SC2016 # for the shell that says it
  run --separate-stderr bash -c 'set -euo pipefail
    say() { bash -c '\''source "$1/event-fallback.sh"; say_event a.said me "$2"'\'' - "$1" "$2"; }
    source "$1/event-fallback.sh"
    for n in {1..9}; do
      ((n != 4)) || mv -- "$1/event-logger.sh" "$1/gone"
      ((n != 7)) || mv -- "$1/gone" "$1/event-logger.sh"
      say_event a.loaded me "$n"
      say "$1" "$n"
    done' - "$LIB"
  assert_success
  "$HOOKLINE_CHECKOUT/.venv/bin/hookline" dispatch --once
  assert_equal "$(jq -cs 'map(select(.type == "a.said").data) | sort' "$(log_of a)")" \
    '[1,2,3,4,5,6,7,8,9]'
  assert_equal "$(jq -cs 'map(select(.type == "a.loaded").data)' "$(log_of a)")" \
    '[1,2,3,4,5,6,7,8,9]'
}

@test "where nothing can be put down it says so" {
  taken_away
  rm -r -- "$HOOKLINE_HOME/coordination/events"
  : >"$HOOKLINE_HOME/coordination/events"
  say a.said me '{}'
  assert_failure 74
  assert_stderr --partial 'nothing can be put into '
}
