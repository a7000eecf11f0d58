#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2030,SC2031 # texts for other shells; each test is a subshell
# Sourced into somebody's shell: it works whatever that shell is like, and leaves no trace in it.

load ../../test_helper

LIB=$HOOKLINE_CHECKOUT/scripts/events/lib

setup() {
  sandbox
  export LIB
}

shell() { # <text>: run by a bash of its own
  run --separate-stderr bash -c "$1"
}

# Everything that a shell has and a library could change, but what bash itself counts and what is
# the library's by its name.
SNAPSHOT='
  counted="_|BASH_(ARG.|COMMAND|LINENO|SOURCE)|BASHPID|EPOCH.*|FUNCNAME|LINENO|PIPESTATUS"
  counted+="|S?RANDOM|SECONDS|HOOKLINE_EVENT_ID|_(hookline|HOOKLINE)_.*"
  public="(create|emit|log|create_and_log|validate)_event|generate_event_id"
  snapshot() {
    declare -p | grep -vE "^declare -[-a-zA-Z]+ ($counted)(=|\$)"
    declare -F | grep -vE " (_hookline_.*|$public)\$"
    alias; trap -p; shopt -p; set -o; umask; ulimit -a; pwd; printf "%q\n" "$IFS" "$-" "$@"
    ls -l "/proc/$$/fd" >"$TMPDIR/fd" # no pipe: the shell itself would have its ends for a moment
    grep -oE "[02-9]+ -> .*" "$TMPDIR/fd"
  }
'

@test "sourcing it and using all of it leaves no trace in the caller" {
  shell "$SNAPSHOT"'
    alias ll="ls -l"; trap "exit 3" USR1; trap ":" DEBUG; set -u +B; shopt -s nullglob
    SCRIPT_DIR=/mine PROJECT_ROOT=/mine EVENTS_DIR=/mine IFS=:; i=1 id=x line=y REPLY=z MAPFILE=(m)
    [[ abc =~ b(c) ]]
    snapshot one two >"$TMPDIR/before"
    source "$LIB/event-logger.sh"
    emit_event a.b s "{\"a\" : \"\\u00e9\\\"\"}" c high
    emit_event a.b s "\"$(printf "%05000d" 1)\""
    emit_event a.b s "{" 2>/dev/null
    create_event a.b s 1 >"$TMPDIR/event"
    read -r event <"$TMPDIR/event"
    log_event "$event" >/dev/null
    validate_event "$event" >/dev/null
    generate_event_id >/dev/null
    unset -v event
    snapshot one two >"$TMPDIR/after"'
  assert_success
  run diff "$TMPDIR/before" "$TMPDIR/after"
  refute_output
  assert_equal "$(log_lines a)" 3
  (($(wc -l <"$TMPDIR/before") > 150)) || fail 'the snapshot is empty'
}

@test "of its own names it leaves only where it is, how it was asked and what time it was" {
  shell 'source "$LIB/event-logger.sh"
    emit_event a.b s "{\"a\" : 1}" c high; emit_event a.b s "{" 2>/dev/null
    log_event "{\"specversion\":\"1.0\",\"source\":\"s\",\"type\":\"a.b\"}" >/dev/null
    compgen -v _hookline_ | grep -v _loaded | sed s/_hookline_//'
  assert_success
  assert_equal "${lines[*]}" 'checkout lib second second_text sync tick'
}

@test "with allexport on, children inherit none of it" {
  shell 'set -a; source "$LIB/event-logger.sh"; emit_event a.b s 1; mine=1
    env | grep -E "^(BASH_FUNC_.*(hookline|event)|_hookline|_HOOKLINE|mine)"'
  assert_output mine=1
}

@test "it works under every option that a caller may have set" {
  local options
  for options in 'set -euo pipefail' 'set -f' 'set -C' 'set -o posix' 'set -a' 'set -E -T' \
    'set +B' 'shopt -s nocasematch nocaseglob' 'shopt -s localvar_inherit' 'shopt -s nullglob' \
    'shopt -s failglob' 'shopt -s extglob' 'shopt -s lastpipe' 'IFS=:' 'IFS=' 'unset IFS' \
    'IFS=0a1' \
    'LC_ALL=C' 'LC_ALL=C.UTF-8' 'LC_ALL=xx_YY' 'LANG=C.UTF-8; unset LC_ALL' 'TZ=Asia/Tokyo' \
    'PATH=' 'unset PATH' 'umask 777' 'umask 000' 'readonly id=1 line=2 i=3 name=4 type=5 source=6' \
    'declare -u text=x; declare -i n=1' 'trap "exit 9" ERR' 'trap : DEBUG RETURN' \
    'unset HOME TMPDIR PWD OLDPWD' 'unset EPOCHSECONDS' 'BASH_COMPAT=4.2' 'set -- -n'; do
    shell "$options"' 2>/dev/null
      source "$LIB/event-logger.sh"
      emit_event option.used s "{\"a\" : [1.50, \"x\"]}"
      printf "%s\n" "$HOOKLINE_EVENT_ID"'
    [[ $status -eq 0 && ${stderr//*setlocale*/} == '' ]] || fail "$options: exit $status: $stderr"
    assert_equal "$options: $(tail -n 1 "$(log_of option)" | jq -r .id)" "$options: $output"
    assert_equal "$(tail -n 1 "$(log_of option)" | sed 's/.*,"data"://')" '{"a":[1.50,"x"]}}'
  done
  assert_equal "$(stat -c %a "$(log_of option)")" 640
}

@test "a refusal returns its exit and does not end the caller, unless the caller asked for that" {
  shell 'source "$LIB/event-logger.sh"
    emit_event a.b s "{"; printf "%s:%s\n" "$?" "$HOOKLINE_EVENT_ID"'
  assert_success
  assert_output 65:
  assert_stderr --partial 'ERROR: the data is not JSON'
  shell 'set -e; source "$LIB/event-logger.sh"; emit_event a.b s "{"; printf "went on\n"'
  assert_failure 65
  refute_output
  shell 'set -e; source "$LIB/event-logger.sh"; emit_event a.b s "{" || printf "rescued %s\n" "$?"'
  assert_output 'rescued 65'
  assert_nothing_stored
}

@test "an event type is not taken for another because the caller ignores case" {
  shell 'shopt -s nocasematch; source "$LIB/event-logger.sh"; emit_event A.b s 1'
  assert_failure 65
  shell 'shopt -s nocasematch; source "$LIB/event-logger.sh"; emit_event a.b s 1; shopt nocasematch'
  assert_output --partial on
}

@test "aliases and functions of the caller stay the caller's" {
  shell 'shopt -s expand_aliases
printf() { touch ran; }; jq() { touch ran; }; dd() { touch ran; }; mkdir() { touch ran; }
alias printf="touch ran;printf" local="touch ran;local" shopt="touch ran;shopt" set="touch ran;set"
. "$LIB/event-logger.sh"
\emit_event a.b s "{\"a\": 1}"
\emit_event a.b s "$(builtin printf "\"%05000d\"" 1)"'
  assert_success
  refute_exists ran
  assert_equal "$(log_lines a)" 2
}

@test "sourced twice, in a function, with a relative path: it is there once" {
  shell 'f() { source "$LIB/event-logger.sh"; }; f; f; emit_event a.b s 1'
  assert_success
  cd "$LIB/.."
  shell 'source lib/event-logger.sh; cd /; source "$LIB/event-validator.sh"; emit_event a.b s 1'
  assert_success
  assert_equal "$(log_lines a)" 2
}

@test "it works from a trap, a subshell, a pipeline, the background and a coprocess" {
  shell 'source "$LIB/event-logger.sh"
    trap "emit_event a.trap s 1" USR1 EXIT
    kill -USR1 $$
    (emit_event a.subshell s 1)
    printf x | emit_event a.pipe s 1
    emit_event a.background s 1 & wait
    coproc { emit_event a.coprocess s 1; }; wait "$!"'
  assert_success
  assert_equal "$(jq -r .type "$(log_of a)" | sort | uniq -c | tr -s ' \n' ' ')" \
    ' 1 a.background 1 a.coprocess 1 a.pipe 1 a.subshell 2 a.trap '
}

@test "a trap that emits in the middle of another emit harms neither" {
  shell 'source "$LIB/event-logger.sh"
    trap "emit_event trap.fired t \"{\\\"deep\\\" : [[1]]}\"" USR1
    pid=$BASHPID
    { for i in {1..200}; do kill -USR1 "$pid"; done; } &
    for i in {1..100}; do emit_event a.b s "{\"n\":$i,\"o\":{\"p\":[\"q\",$i]}}"; done; wait'
  assert_success
  assert_equal "$(jq -c '[.data.n, .data.o.p[1]]' "$(log_of a)" | sort -u | wc -l)" 100
  assert_equal "$(jq -c .data "$(log_of trap)" | sort -u)" '{"deep":[[1]]}'
}

@test "with stdin, stdout, stderr closed the log gets the event and nothing else" {
  local closed
  for closed in '<&-' '>&-' '2>&-' '<&- >&-' '<&- 2>&-' '>&- 2>&-' '<&- >&- 2>&-'; do
    bash -c "source \"\$LIB/event-logger.sh\"; exec $closed
      emit_event a.b s '{\"a\":\"é\"}'; emit_event a.b s '{'
      emit_event a.b s \"\$(printf '\"%05000d\"' 1)\"
      exit 0"
  done
  assert_equal "$(log_lines a)" 14
  run jq -e .id "$(log_of a)"
  assert_success
}

@test "with a deleted working folder it works, by HOOKLINE_HOME" {
  mkdir "$TMPDIR/gone"
  shell 'cd "$TMPDIR/gone" && rmdir "$TMPDIR/gone" && source "$LIB/event-logger.sh" &&
    emit_event a.b s 1'
  assert_success
  assert_equal "$(log_lines a)" 1
}

@test "what is large in the data does not stay in the shell" {
  shell 'source "$LIB/event-logger.sh"; emit_event a.b s "{\"k\":\"$(printf "%09000d" 7)\"}"
    : and forget the last argument
    declare -p | wc -c'
  assert_success
  ((output < 9000)) || fail "$output bytes of variables"
}

@test "a shell that is too old, or none of bash, is told so" {
  sed 's/BASH_VERSINFO\[0\] \* 100/400 + 0 * 100/' "$LIB/event-logger.sh" >"$TMPDIR/old.sh"
  run bash "$TMPDIR/old.sh"
  assert_failure 78
  assert_output 'ERROR: event-logger.sh needs bash 5.1 or newer; run it with such a bash'
  run sh -c '. "$LIB/event-logger.sh"; printf "%s\n" "$?"'
  assert_output --partial 'needs bash 5.1'
}

@test "create_and_log_event is emit_event, log_event says what the original said" {
  shell 'source "$LIB/event-logger.sh"
    create_and_log_event a.b s 1 c low; log_event "$(create_event a.b s 2)"'
  assert_success
  assert_equal "${lines[0]}" 'Event validation passed'
  assert_output --partial " -> $(log_of a)"
  assert_equal "$(jq -c '[.correlationid,.priority,.data]' "$(log_of a)" | paste -sd' ')" \
    '["c","low",1] [null,null,2]'
}
