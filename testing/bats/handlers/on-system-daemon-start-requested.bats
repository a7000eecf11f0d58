#!/usr/bin/env bats

load handlers

H=on-system-daemon-start-requested

setup() {
  sandbox
  furnish "$H"
}

teardown() {
  local daemon supervisor
  [[ -f $HOOKLINE_HOME/coordination/daemons/x/lock ]] || return 0
  read -r daemon supervisor <"$HOOKLINE_HOME/coordination/daemons/x/lock" || return 0
  ! kill -TERM "$supervisor" 2>/dev/null || await 60 ended
}

ended() {
  flock --shared --nonblock "$HOOKLINE_HOME/coordination/daemons/x" true
}

daemon() { # <body>
  printf '#!/bin/bash\n%s\n' "$1" >"$HOOKLINE_HOME/coordination/config/x-daemon.sh"
}

# shellcheck disable=SC2016 # for the daemon
STAYS='trap "exit 0" TERM
printf "%s\n" "${!EVENT_@}" "${!HOOKLINE_@}" >"$HOOKLINE_HOME/coordination/env"
printf "\n" >&"$HOOKLINE_READY_FD"
tail -f /dev/null & wait "$!"'

@test "the daemon runs when the handler is done, and says who asked" {
  daemon "$STAYS"
  handled "$H" one '{"daemon_type":"x"}'
  assert_equal "$(emitted '[.type, .source, .causationid, .data.daemon_type, .data.starts]')" \
    '["daemon.started","x","one","x",1]'
  run ! ended
}

@test "what it is given says nothing of the attempt that has started it" {
  daemon "$STAYS"
  handled "$H" one '{"daemon_type":"x"}'
  assert_equal "$(sort "$HOOKLINE_HOME/coordination/env" | tr '\n' ' ')" \
    'HOOKLINE_DAEMON HOOKLINE_HOME HOOKLINE_LOCK_FD HOOKLINE_READY_FD '
}

@test "asked again it goes on as it is" {
  local daemon again
  daemon "$STAYS"
  handled "$H" one '{"daemon_type":"x"}'
  read -r daemon _ <"$HOOKLINE_HOME/coordination/daemons/x/lock"
  handled "$H" one '{"daemon_type":"x"}'
  handled "$H" two '{"daemon_type":"x"}'
  read -r again _ <"$HOOKLINE_HOME/coordination/daemons/x/lock"
  assert_equal "$again" "$daemon"
  assert_equal "$(emitted 'select(.type == "daemon.started") | .causationid')" '"one"'
  assert_equal "$(emitted 'select(.causationid == "two") | [.type, .data.daemon_type]')" \
    '["system.daemon_start_refused","x"]'
}

@test "a path in an event is never started" {
  daemon "$STAYS"
  # shellcheck disable=SC2016 # as above
  printf '#!/bin/sh\n: >"$HOOKLINE_HOME/taken"\n' >"$HOOKLINE_HOME/evil.sh"
  chmod 755 "$HOOKLINE_HOME/evil.sh"
  handled "$H" one '{"daemon_type":"x","daemon_script":"evil.sh"}'
  assert_equal "$(emitted .data.daemon_script)" '"coordination/config/x-daemon.sh"'
  refute_exists "$HOOKLINE_HOME/taken"
  handle "$H" two '{"daemon_type":"../../evil.sh"}'
  assert_failure 65
}

@test "a daemon that nobody knows is refused, and whoever waits is told" {
  handle "$H" one '{"daemon_type":"y"}'
  assert_failure 65
  assert_stderr --partial "hookline daemon: no daemon 'y' in "
  assert_equal "$(emitted '[.type, .causationid, .data.daemon_type]')" \
    '["system.daemon_start_refused","one","y"]'
}

@test "one that fails at once is done: its failure is an event" {
  daemon 'exit 78'
  handled "$H" one '{"daemon_type":"x"}'
  assert_equal "$(emitted '[.type, .data.reason]')" \
    '["daemon.failed","exit 78: its configuration is wrong"]'
}

@test "a request that was withdrawn is done without a start, which is said, and another is not" {
  daemon "$STAYS"
  printf '{"specversion":"1.0","id":"w","source":"me","type":"%s","time":"%s","data":%s}\n' \
    system.daemon_start_withdrawn 2020-01-01T10:00:30.000000Z \
    '{"daemon_type":"x","requests":["one"]}' \
    >"$HOOKLINE_HOME/coordination/events/system-events.jsonl"
  handled "$H" one '{"daemon_type":"x"}'
  refute_exists "$HOOKLINE_HOME/coordination/daemons"
  assert_equal "$(emitted 'select(.causationid) | [.type, .causationid, .data]')" \
    '["system.daemon_start_refused","one",{"daemon_type":"x","reason":"it was withdrawn"}]'
  handled "$H" two '{"daemon_type":"x"}'
  run ! ended
}
