#!/usr/bin/env bats

load handlers

H=on-daemon-started

setup() { sandbox; }

@test "what was said while the clock was ahead is older than what is said now" {
  handled on-daemon-stopped one '{"daemon_type":"x"}' 2592000
  clock "$T0_S"
  handled "$H" two '{"daemon_type":"x","pid":3}' 0
  assert_state status.json '[.last_updated, .daemons.x.state]' \
    '["2020-01-01T10:00:00.000000Z","running"]'
}

@test "a daemon that has started runs: in the view, on record, and counted" {
  handled "$H" one "$(<"$BATS_TEST_DIRNAME/samples/$H.json")"
  assert_state status.json .daemons.health \
    '{"state":"running","since":"2020-01-01T10:00:00.000000Z","pid":7,"name":"Health Monitor",
      "script":"scripts/daemons/heartbeat-monitor-daemon.sh","version":"1.0",
      "startup_mode":"normal"}'
  assert_state system-health.json '[.status, .running_daemons, .failed_daemons]' \
    '["healthy",["health"],[]]'
  assert_equal "$(lines metrics/system-startups.jsonl '[.component, .startup_mode, .pid]')" \
    '["health","normal",7]'
  assert_state metrics/startup-stats.json '[.total_startups, .by_daemon, .by_mode]' \
    '[1,{"health":1},{"normal":1}]'
  assert_equal "$(emitted .)" ''
}

@test "an event of the original names no daemon: its source is the component" {
  handled "$H" one '{"version":"2.0","startup_mode":"restart"}' 0 cortex
  assert_state status.json '.daemons.cortex | [.state, .version]' '["running","2.0"]'
}

# Whatever the order in which three handlers get to them, and whatever comes again.
@test "an older event changes nothing of what a newer one said" {
  local order number
  for order in '1 2 3' '2 3 1' '3 2 1'; do
    rm -rf -- "${HOOKLINE_HOME:?}/coordination"
    mkdir -p -- "$HOOKLINE_HOME/coordination/events"
    for number in $order; do
      case $number in
        1) handled on-daemon-started one '{"daemon_type":"x","pid":1}' 1 ;;
        2) handled on-daemon-failed two '{"daemon_type":"x","reason":"exit 1"}' 2 ;;
        3) handled on-daemon-started three '{"daemon_type":"x","pid":3}' 3 ;;
      esac
    done
    # A replay whose identity has been forgotten.
    handled on-daemon-stopped again '{"daemon_type":"x"}' 0
    assert_state status.json '[.last_updated, .daemons.x]' '["2020-01-01T10:00:03.000000Z",
      {"state":"running","since":"2020-01-01T10:00:03.000000Z","pid":3}]'
    assert_state system-health.json '[.status, .last_updated]' \
      '["healthy","2020-01-01T10:00:03.000000Z"]'
    assert_equal "$(lines metrics/system-startups.jsonl .pid | sort | tr '\n' ' ')" '1 3 '
  done
}

@test "within a second, microseconds decide" {
  event old '{"daemon_type":"x","pid":1}'
  event new '{"daemon_type":"x","reason":"SIGTERM"}'
  sed -i 's/\.000000Z/.000001Z/' "$BATS_TEST_TMPDIR/events/old"
  sed -i 's/\.000000Z/.000002Z/' "$BATS_TEST_TMPDIR/events/new"
  deliver on-daemon-stopped new
  deliver "$H" old
  assert_state status.json .daemons.x.state '"stopped"'
}

@test "a clock that is ahead does not silence what comes later" {
  event far '{"daemon_type":"x","pid":1}'
  sed -i 's/"time":"2020/"time":"2099/' "$BATS_TEST_TMPDIR/events/far"
  event now '{"daemon_type":"x","pid":2}'
  sed -i "s/\"time\":\"[^\"]*/\"time\":\"$(date -u +%FT%T.999999Z)/" "$BATS_TEST_TMPDIR/events/now"
  deliver "$H" far
  deliver "$H" now
  assert_state status.json .daemons.x.pid 2
}

@test "a start while others have failed is told, once an hour" {
  handled on-daemon-failed f '{"daemon_type":"x","retry_in_s":1}' 0
  handled "$H" one '{"daemon_type":"y"}' 1
  handled "$H" two '{"daemon_type":"y"}' 3600
  assert_equal "$(emitted 'select(.source == "on-daemon-started") | .data | [.alert_type,
    .component, .failed_daemons]')" '["startup_health_check","y",["x"]]'
  handled "$H" three '{"daemon_type":"y"}' 3601
  assert_equal "$(emitted 'select(.source == "on-daemon-started")' | wc -l)" 2
}

@test "a daemon that comes back is well again" {
  handled on-daemon-failed f '{"daemon_type":"x","retry_in_s":1}' 0
  assert_state system-health.json '[.status, .failed_daemons]' '["degraded",["x"]]'
  handled "$H" one '{"daemon_type":"x","startup_mode":"restart"}' 1
  assert_state system-health.json '[.status, .failed_daemons]' '["healthy",[]]'
  assert_equal "$(emitted 'select(.source == "on-daemon-started")')" ''
}
