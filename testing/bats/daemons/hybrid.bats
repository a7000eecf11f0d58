#!/usr/bin/env bats
# Daemons beside a dispatcher that comes and goes: nothing is missed, and nothing done twice.

load daemons

HOOKLINE=$HOOKLINE_CHECKOUT/.venv/bin/hookline

setup() {
  furnish_home
  DISPATCHER=''
}

teardown() {
  [[ ! $DISPATCHER ]] || kill -KILL "$DISPATCHER" || :
  end_daemons
}

handler_is_ours() { # <name>
  cp -- "$HOOKLINE_CHECKOUT/scripts/events/handlers/$1" scripts/events/handlers/
  # Not what others may write to is run.
  chmod 0755 "scripts/events/handlers/$1"
}

dispatcher_starts() {
  "$HOOKLINE" dispatch --home "$HOOKLINE_HOME" >>dispatcher.log 2>&1 &
  DISPATCHER=$!
  is_up() { ! flock --shared --nonblock coordination true; }
  await 60 is_up
}

dispatcher_dies() { # long ago, as far as its last run counts
  kill "-$1" "$DISPATCHER"
  wait "$DISPATCHER" || :
  DISPATCHER=''
  touch -d '5 minutes ago' coordination/state/dispatcher.pid
}

emit() { "$HOOKLINE_HOME/scripts/events/lib/event-logger.sh" --emit "$@" >/dev/null; }

tasks_fail() { # <error_type> <count>
  local n
  for ((n = 0; n < $2; n++)); do emit task.failed a-test "{\"error_type\":\"$1\"}"; done
}

counted() { # <number>
  [[ -f coordination/metrics/failure-stats.json ]] &&
    (($(state metrics/failure-stats.json .total_failures) == $1))
}

told() { said 'select(.data.alert_type == "repeated_failure") | .data.error_type' | sort; }

stands_by() { [[ $(tail -n 1 coordination/logs/pattern.log) == *'stands by'* ]]; }

@test "failures are counted once and told once, whoever serves" {
  handler_is_ours on-task-failed.sh
  dispatcher_starts
  daemon failure-pattern start --interval 1
  await 60 stands_by
  tasks_fail with-dispatcher 6
  await 60 counted 6
  dispatcher_dies KILL
  tasks_fail with-daemon 6
  await 60 counted 12
  dispatcher_starts
  await 60 stands_by
  tasks_fail with-both 6
  await 60 counted 18
  delivered() { (($(grep -c '"verdict":"done"' coordination/deliveries.jsonl) >= 18)); }
  await 60 delivered
  counted 18
  assert_equal "$(told)" $'"with-both"\n"with-daemon"\n"with-dispatcher"'
  assert_equal \
    "$(jq -r .event_id coordination/patterns/failure-patterns.jsonl | sort -u | wc -l)" 18
  assert_equal "$(wc -l <coordination/patterns/failure-patterns.jsonl)" 18
}

@test "what was said without a logger becomes events when a dispatcher comes" {
  without_logger
  state_is worker-pool.json "{\"workers\":[{\"id\":\"w1\",\"last_heartbeat\":\"$(ago 600)\"}]}"
  daemon heartbeat-monitor start --interval 1
  is_told() { grep -rqs stale_workers coordination/events/queue; }
  await 60 is_told
  daemon heartbeat-monitor stop
  cp -- "$HOOKLINE_CHECKOUT/scripts/events/lib/event-logger.sh" scripts/events/lib/
  "$HOOKLINE" dispatch --once --home "$HOOKLINE_HOME"
  assert_equal "$(find coordination/events/queue -name '*.json')" ''
  assert_equal "$(said '[.type, .source] | join(" ")' | sort -u)" '"daemon.started health"
"daemon.stopped health"
"system.health_alert heartbeat-monitor-daemon"'
}

in_an_empty_home() { # where hookline answers, and has nothing to say
  cp -- "$HOOKLINE_CHECKOUT"/coordination/config/*.toml coordination/config/
  mkdir -p coordination/state && ln -s /bin/true coordination/state/hookline
}

all_start() {
  local script name
  for script in scripts/daemons/*-daemon.sh; do
    name=${script##*/} name=${name%-daemon.sh}
    daemon "$name" start
    run daemon "$name" status
    assert_success
  done
}

all_stop() {
  local script name
  for script in scripts/daemons/*-daemon.sh; do
    name=${script##*/}
    run daemon "${name%-daemon.sh}" stop
    assert_success
    assert_output --partial ': stopped'
  done
  run grep -rhi 'failed with exit\|error' coordination/logs
  refute_output
}

heard() { # of which daemon what was said, and how often
  said '[.type, .data.daemon_type]' | grep '"daemon' | sort | uniq -c | tr -d '[]"' |
    sed 's/,.*//' | sort | uniq -c | xargs
}

@test "each daemon is started, runs a round in an empty home, and is stopped" {
  in_an_empty_home
  all_start
  all_stop
  assert_equal "$(heard)" '13 1 daemon.started 13 1 daemon.stopped'
}

@test "each goes on when the event logger is taken away, and is started without it" {
  in_an_empty_home
  all_start
  without_logger
  all_stop
  all_start
  all_stop
  assert_equal "$(heard)" '13 2 daemon.started 13 2 daemon.stopped'
}

@test "each daemon of daemons.toml is there, under its name, and stands by for what replaces it" {
  local daemon line
  local -A script=() handlers=()
  while read -r line; do
    case $line in
      '[daemon.'*) daemon=${line#'[daemon.'} daemon=${daemon%']'} ;;
      'script = '*) script[$daemon]=$(cut -d '"' -f 2 <<<"$line") ;;
      'replaces = '*) handlers[$daemon]=$(grep -o 'on-[a-z-]*.sh' <<<"$line" | xargs) ;;
    esac
  done <"$HOOKLINE_CHECKOUT/coordination/config/daemons.toml"
  assert_equal "${#script[@]}" 13
  for daemon in "${!script[@]}"; do
    run "$HOOKLINE_HOME/${script[$daemon]}" status
    assert_output "$daemon: STOPPED"
    assert_equal "$(grep '^daemon_main' "${script[$daemon]}" | grep -o 'on-[a-z-]*.sh' | xargs)" \
      "${handlers[$daemon]-}"
  done
}

@test "under a supervisor it is spoken for, and ends with it" {
  cp -- "$HOOKLINE_CHECKOUT/coordination/config/daemons.toml" coordination/config/
  # As it is launched: a number is free as soon as it is ready.
  HOOKLINE_READY_FD=3 "$HOOKLINE" daemon run pattern --home "$HOOKLINE_HOME" \
    >supervisor.log 2>&1 3>ready &
  local supervisor=$!
  started() { grep -qs daemon.started "$(log_of daemon)"; }
  await 60 started
  run daemon failure-pattern status
  assert_success
  local pid
  read -r pid _ <coordination/daemons/pattern/lock
  kill -KILL "$pid"
  started_again() { (($(grep -c daemon.started "$(log_of daemon)") == 2)); }
  await 60 started_again
  run ! flock --nonblock coordination/daemons/pattern/lock true
  run daemon failure-pattern stop
  assert_success
  wait "$supervisor"
  assert_equal "$(jq -r .type "$(log_of daemon)" | tr '\n' ' ')" \
    'daemon.started daemon.failed daemon.started daemon.stopped '
}
