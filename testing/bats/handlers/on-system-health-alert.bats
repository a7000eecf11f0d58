#!/usr/bin/env bats

load handlers

H=on-system-health-alert

setup() { sandbox; }

@test "an alert is kept at hand, on record, on the dashboard, and counted" {
  handled "$H" one "$(<"$BATS_TEST_DIRNAME/samples/$H.json")" 0 on-worker-heartbeat
  assert_state health-alerts.json '.alerts' \
    '[{"timestamp":"2020-01-01T10:00:00.000000Z","alert_type":"stale_workers",
      "severity":"medium",
      "description":"two are silent","source":"on-worker-heartbeat",
      "event_id":"one","event_source":"on-worker-heartbeat"}]'
  assert_equal "$(lines health-reports.jsonl '[.alert_type, .severity, .event_id]')" \
    '["stale_workers","medium","one"]'
  assert_equal "$(lines dashboard-events.jsonl '[.id, .type, .data.alert_type, .source]')" \
    '["one","system.health_alert","stale_workers","on-worker-heartbeat"]'
  assert_state metrics/health-alert-stats.json '[.total_alerts, .by_type, .by_severity]' \
    '[1,{"stale_workers":1},{"medium":1}]'
}

@test "an alert makes no event: there is no loop" {
  local n
  for n in 1 2 3; do handled "$H" "a$n" '{"alert_type":"repeated_failure"}'; done
  assert_equal "$(emitted .)" ''
}

@test "the severity is the priority of the event" {
  event one '{"alert_type":"x"}'
  sed -i 's/"data":/"priority":"critical","data":/' "$BATS_TEST_TMPDIR/events/one"
  deliver "$H" one
  assert_state health-alerts.json '.alerts[0].severity' '"critical"'
}

@test "only the newest fifty are at hand" {
  state_is health-alerts.json "$(jq -n \
    '{alerts: [range(60) | {alert_type: "old", event_id: "o\(.)", event_source: "x"}]}')"
  handled "$H" one '{"alert_type":"new"}'
  assert_state health-alerts.json \
    '[(.alerts | length), .alerts[0].event_id, .alerts[49].event_id]' '[50,"o11","one"]'
}

@test "alerts that others keep there stay" {
  state_is health-alerts.json '{"alerts":["x",null,{"alert_type":"hand-made"}],"note":"mine"}'
  handled "$H" one '{"alert_type":"new"}'
  assert_state health-alerts.json '[.note, (.alerts[:3])]' \
    '["mine",["x",null,{"alert_type":"hand-made"}]]'
}

@test "an alert that describes nothing is described by its data, without wrong numbers" {
  handled "$H" one \
    '{"alert_type":"x","workers":["w1","w2"],"id":1763700009000000123,"n":3,"more":{"a":1}}'
  assert_state health-alerts.json '.alerts[0].description' \
    '"workers: [\"w1\",\"w2\"], id: (too large to show), n: 3, more: {...}"'
}

@test "an alert of no type is refused" {
  refused "$H" one '{"description":"something"}'
  assert_stderr "$H: data.alert_type is missing"
}
