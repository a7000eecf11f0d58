#!/usr/bin/env bats
# Parts of the library that are missing or broken, as a copy that was cut short leaves them: said in
# a line, and nothing is stored or refused by the rest.

load ../../test_helper

setup() {
  sandbox
  cp -R -- "$HOOKLINE_CHECKOUT/scripts/events/lib" "$BATS_TEST_TMPDIR/lib"
  LIB=$BATS_TEST_TMPDIR/lib
}

breaks() { # <part>: behind its guard
  sed -i '/^_hookline_.*_loaded=1$/a if ((' "$LIB/$1.sh"
}

says_so() { # of a command
  assert_failure 70
  assert_equal "${stderr_lines[-1]}" \
    "ERROR: parts are missing or broken in $LIB; install Hookline again"
  assert_nothing_stored
}

@test "a broken part that is needed from the start stops a command" {
  local part
  for part in event-{append,envelope,late,room,time} json-grammar; do
    cp -- "$LIB/$part.sh" good
    breaks "$part"
    run --separate-stderr "$LIB/event-logger.sh" --emit a.b s 1
    says_so
    mv -- good "$LIB/$part.sh"
  done
  breaks event-room
  run --separate-stderr "$LIB/event-validator.sh" --generate-id
  says_so
}

@test "a broken part that is seldom needed stops the command that needs it, once" {
  local part
  for part in event-{attributes,timestamp,append-rare,translate,cortex} json-{rare,text}; do
    cp -- "$LIB/$part.sh" good
    breaks "$part"
    # What a function that calls itself would take is more than that.
    run --separate-stderr bash -c 'ulimit -v 500000; exec timeout 20 "$@"' - \
      "$LIB/event-logger.sh" --emit a.b s '"\u0041"' correlation high
    says_so
    run --separate-stderr timeout 20 "$LIB/event-logger.sh" \
      '{"specversion":"1.0","type":"a.b","source":"s"}'
    says_so
    mv -- good "$LIB/$part.sh"
  done
  breaks event-command
  run --separate-stderr "$LIB/event-logger.sh" '{"specversion":"1.0","type":"a.b","source":"s"}'
  says_so
}

@test "a part that was cut short between two functions is broken too" {
  : >"$LIB/json-rare.sh"
  run --separate-stderr timeout 20 "$LIB/event-logger.sh" --emit a.b s '"\u0041"'
  says_so
}

@test "sourced, a library with a broken part fails and gives no functions, however often" {
  breaks json-rare
  # shellcheck disable=SC2016 # for that shell
  run -127 --separate-stderr bash -c '
    source "$1"; printf "%d " $?; source "$1"; printf "%d " $?; emit_event a.b s 1' - \
    "$LIB/event-logger.sh"
  assert_output '70 1 '
  assert_nothing_stored
}
