#!/usr/bin/env bats
# How a daemon is told to end: by whom it is kept, and what is done with one that does not.

load ../test_helper

setup() {
  sandbox
  mkdir -p coordination/daemons/one scripts/events/lib
  printf '[daemon.one]\nscript = "scripts/one.sh"\n' >coordination/config/daemons.toml
  touch coordination/daemons/one/lock
  install -m 750 /dev/null scripts/one.sh
  # shellcheck source=scripts/events/lib/daemon-facts.sh
  source "$HOOKLINE_CHECKOUT/scripts/events/lib/daemon-facts.sh"
  local part
  for part in table state requests actions; do
    # shellcheck source=/dev/null
    source "$HOOKLINE_CHECKOUT/scripts/wizards/lib/daemon-$part.sh"
  done
  daemon_table coordination/config/daemons.toml
}

tell() { printf '%s\n' "$*"; }
progress() { :; }

teardown() {
  local process
  for process in "${held-}" "${other-}"; do
    [[ ! $process ]] || kill -KILL "$process" 2>/dev/null || :
  done
}

# Somebody has the locks, is named in the lock, and does this when told to end.
hold() { # <command on TERM> <folder or file>...
  : >coordination/daemons/one/lock
  # shellcheck disable=SC2016 # the other bash expands it
  setsid --fork bash -c '
    trap "$1" TERM
    for path in "${@:2}"; do exec {fd}<"$path" && flock "$fd" || exit; done
    printf "%s 0\n" "$$" >coordination/daemons/one/lock
    while :; do read -r -t 1 <> <(:) || :; done' bash "$@" 3>&- &
  await 60 grep -q ' 0' coordination/daemons/one/lock
  read -r held _ <coordination/daemons/one/lock
}

has_ended() { # <pid>
  [[ ! -d /proc/$1 || $(<"/proc/$1/stat") == *') Z '* ]]
}

@test "the unit of a supervisor is asked to stop, in the systemd that has it" {
  hold 'exit 0' coordination/daemons/one
  _DAEMON_PROC=$TMPDIR/proc
  mkdir -p "$_DAEMON_PROC/$held"
  # shellcheck disable=SC2329 # daemons_stop calls it
  systemctl() {
    printf '%s\n' "$*" >>"$TMPDIR/asked"
    kill -TERM "$held"
  }
  printf '0::/system.slice/x.slice/hookline-a-daemon@one.service\n' >"$_DAEMON_PROC/$held/cgroup"
  run daemons_stop one
  assert_success
  assert_equal "$(<"$TMPDIR/asked")" '--system stop --no-block hookline-a-daemon@one.service'
  assert_equal "$(daemon_unit_of "$held" two)" ''
  printf '0::/user.slice/user-1.slice/user@1.service/app.slice/hookline-daemon@one.service\n' \
    >"$_DAEMON_PROC/$held/cgroup"
  assert_equal "$(daemon_unit_of "$held" one)" 'user hookline-daemon@one.service'
}

@test "one that does not end is killed, and one that does is not" {
  hold : coordination/daemons/one/lock
  _DAEMON_STOP_S=1
  run daemons_stop one
  assert_success
  assert_output --partial 'one: does not end: killed'
  assert_output --partial 'one: stopped'
  run daemons_stop one
  assert_output 'one: stopped already'
  hold 'exit 0' coordination/daemons/one/lock
  run daemons_stop one
  assert_success
  assert_output 'one: stopped'
}

@test "who does not want to wait does not, and nothing is killed" {
  hold : coordination/daemons/one/lock
  interrupted=1 run daemons_stop one
  assert_failure 75
  assert_output 'not stopped: one'
  # shellcheck disable=SC2034,SC2329 # daemons_stop calls it, and asks for that
  kill() { builtin kill "$@" && interrupted=1; }
  run daemons_stop one
  unset -f kill
  assert_failure 75
  assert_output 'one: told to end, and not waited for'
  [[ -d /proc/$held ]]
}

@test "a process that is not there to be told is named" {
  hold : coordination/daemons/one/lock
  # shellcheck disable=SC2329 # daemons_stop calls it
  kill() { return 1; }
  run daemons_stop one
  assert_failure 77
  assert_output "one: process $held is not ours to end"
  unset -f kill
}

@test "whom the lock only names is never told, nor killed: who has it is" {
  hold : coordination/daemons/one/lock
  setsid sleep 60 3>&- &
  other=$!
  printf '%s 0\n' "$other" >coordination/daemons/one/lock
  # Who has it open has no lock.
  local fd
  exec {fd}<coordination/daemons/one/lock
  _DAEMON_STOP_S=1
  run daemons_stop one
  assert_success
  assert_output --partial 'one: does not end: killed'
  run ! has_ended "$other"
}

@test "a supervisor is told while its daemon has no lock, whatever no file says" {
  hold 'exit 0' coordination/daemons/one
  : >coordination/daemons/one/lock
  assert_equal "$(daemon_states one | jq -c '[.state, .pid, .supervisor]')" \
    "[\"starting\",null,$held]"
  run daemons_stop one
  assert_success
  assert_output 'one: stopped'
}

@test "a supervisor that hangs is killed with what it has started" {
  # shellcheck disable=SC2016 # the other bash expands it
  setsid --fork bash -c 'trap "" TERM && exec 4<coordination/daemons/one && flock 4 || exit
    tail -f /dev/null 4<&- &
    printf "%s %s\n" "$$" "$!" >numbers && wait' 3>&- &
  await 60 test -s numbers
  read -r held other <numbers
  _DAEMON_STOP_S=1
  run daemons_stop one
  assert_success
  assert_output --partial 'one: does not end: killed'
  await 60 has_ended "$other"
}

@test "a script that others could change is not run, and what mends that is said" {
  local path script=$HOOKLINE_HOME/scripts/one.sh
  # shellcheck disable=SC2016 # the other shell expands it
  printf '#!/bin/sh\n: >"$HOOKLINE_HOME/ran"\n' >"$script"
  for path in "$script" "$HOOKLINE_HOME/scripts" "$HOOKLINE_HOME"; do
    chmod g+w "$path"
    run daemons_start --legacy one
    assert_failure 69
    assert_output --partial "one: cannot be started: $path can be written to by others (mode 77"
    assert_output --partial ": chmod go-w $path"
    [[ ! -e ran ]] || fail 'it was run'
    chmod go-w "$path"
  done
  run daemons_start --legacy one
  [[ -e ran ]] || fail "it was not run: $output"
}
