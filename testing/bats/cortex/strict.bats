#!/usr/bin/env bats
# shellcheck disable=SC2016 # texts for other shells
# Every script and library in the strictest of shells: errexit, nounset, pipefail, no globbing, an
# IFS of the caller's, and no HOME.

load ../test_helper

setup() { sandbox; }

strictly() { # <text> [<argument>...]
  run --separate-stderr env -i PATH="$PATH" HOOKLINE_HOME="$HOOKLINE_HOME" bash -euf -o pipefail \
    -c "IFS=,; $1" - "${@:2}"
}

executables() {
  find "$HOOKLINE_CHECKOUT/scripts" -name '*.sh' -perm -u+x ! -path '*/handlers/*' | sort
}

libraries() {
  find "$HOOKLINE_CHECKOUT/scripts" -name '*.sh' ! -perm -u+x | sort
}

@test "every command says how it is used" {
  local script
  while IFS= read -r script; do
    run env -i PATH="$PATH" bash -euf -o pipefail "$script" --help </dev/null
    [[ $status -eq 0 && $output == *Usage:* ]] || fail "$script: exit $status" "$output"
  done < <(executables)
}

@test "every library can be sourced, twice, and leaves options, IFS and arguments as they were" {
  local library
  while IFS= read -r library; do
    strictly 'before=$-$IFS$*:$SHELLOPTS:$BASHOPTS; source "$1"; source "$1"
      [[ $before == "$-$IFS$*:$SHELLOPTS:$BASHOPTS" ]] || printf changed' "$library" two
    [[ $status -eq 0 && ! $output$stderr ]] || fail "$library: exit $status" "$output" "$stderr"
  done < <(libraries)
}

@test "events are said by every way in" {
  local lib=$HOOKLINE_CHECKOUT/scripts/events/lib
  strictly 'source "$1/event-logger.sh"; emit_event a.b s "{\"a\":[1, 2]}" "" high' "$lib"
  assert_success
  strictly 'source "$1/event-fallback.sh"; say_event a.b s "{\"a\":[1, 2]}"' "$lib"
  assert_success
  strictly 'source "$1/event-validator.sh"; validate_event "$(create_event a.b s "{}")"' "$lib"
  assert_success
  strictly '"$1/event-logger.sh" --create a.b s 1 | "$1/event-logger.sh"' "$lib"
  assert_success
  assert_equal "$(jq -c .data "$(log_of a)")" $'{"a":[1,2]}\n{"a":[1,2]}\n1'
}

@test "an error is the caller's to handle: its status, one line, and no other harm" {
  strictly 'source "$1/event-logger.sh"
    emit_event a.b s "{" || status=$?
    log_event "{}" 2>/dev/null || status+=,$?
    printf "%s\n" "$status$-"' "$HOOKLINE_CHECKOUT/scripts/events/lib"
  assert_success
  assert_output --regexp '^65,65.*e.*f.*u'
  assert_stderr --regexp '^ERROR: [^
]*$'
  strictly 'source "$1/event-logger.sh"; emit_event a.b s "{"; printf "not here"' \
    "$HOOKLINE_CHECKOUT/scripts/events/lib"
  assert_failure 65
  refute_output
}
