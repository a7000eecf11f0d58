#!/usr/bin/env bats

load handlers

H=on-security-scan-completed

setup() { sandbox; }

told() { emitted '[.type, .priority, .data.alert_type]'; }

@test "a scan is on record, with a report, what to remedy and a score" {
  handled "$H" one "$(<"$BATS_TEST_DIRNAME/samples/$H.json")"
  assert_equal "$(lines security/scan-results.jsonl '[.kind, .scan_id, .findings, .score]')" \
    '["scan","scan-1",3,83]'
  assert_state "$(cd "$HOOKLINE_HOME/coordination" &&
    printf '%s' security/reports/scan-scan-1-20200101T100000Z-????????.json)" \
    '[.scanner, .by_severity.critical, .vulnerabilities[0].id, .event_id]' \
    '["audit",1,"CVE-1","one"]'
  assert_state remediation/remediation-scan-1.json '[.status, .items[0].remedy]' \
    '["open","update x"]'
  assert_state security/posture-score.json '[.score, .scan_id, (.history | length)]' \
    '[83,"scan-1",1]'
  assert_state metrics/security-stats.json '[.total_scans, .total_findings, .by_severity]' \
    '[1,3,{"critical":1,"high":1,"medium":1,"low":0}]'
  assert_equal "$(lines dashboard-events.jsonl '[.id, .type, .data.score]')" \
    '["one","security.scan_completed",83]'
}

@test "the score is 100 less 10, 5, 2 and 1 for each, and never below 0" {
  local data want number=0
  while IFS='|' read -r data want; do
    handled "$H" "e$want" "$data" "$((++number))"
    assert_state security/posture-score.json .score "$want"
  done <<'END'
{}|100
{"severity_breakdown":{"critical":1,"high":2,"medium":3,"low":4}}|70
{"severity_breakdown":{"critical":11}}|0
{"vulnerabilities":[{"severity":"HIGH"},{"severity":"low"},"a text",7]}|94
{"severity":"high","finding_count":3}|85
{"severity":"medium","vulnerabilities_found":2}|96
END
}

@test "findings of no known severity are counted and cost nothing" {
  handled "$H" one '{"finding_count":4,"severity":"info"}'
  assert_state security/posture-score.json '[.score, .findings]' '[100,4]'
}

@test "critical findings make one event, whose handler makes one alert, and that is all" {
  handled "$H" one "$(<"$BATS_TEST_DIRNAME/samples/$H.json")"
  assert_equal "$(told)" '["security.vulnerability_found","critical",null]'
  handled on-security-vulnerability-found two "$(emitted .data)" 1
  assert_equal "$(emitted 'select(.type == "system.health_alert") | [.priority, .data.alert_type,
    .data.finding_count, .data.vulnerabilities[0].id]')" \
    '["critical","security_critical",1,"CVE-1"]'
  assert_equal "$(emitted . | wc -l)" 2
}

@test "findings that are not critical are one alert an hour, others at once; none are none" {
  handled "$H" one '{"severity_breakdown":{"high":1}}' 0
  handled "$H" two '{"severity_breakdown":{"high":1}}' 3599
  assert_equal "$(told)" '["system.health_alert","high","security_vulnerabilities"]'
  handled "$H" three '{"severity_breakdown":{"low":1}}' 3599
  handled "$H" four '{"severity_breakdown":{"high":1}}' 3600
  handled "$H" five '{"severity_breakdown":{"low":0}}' 3600
  assert_equal "$(emitted '[.id, .priority]')" '["one.health_alert","high"]
["three.health_alert","medium"]
["four.health_alert","high"]'
}

@test "an id that is fit for no path names no file" {
  local id number=0
  for id in ../../../escape /etc/escape 'a b' .. . a.b "$(printf 'x%.0s' {1..65})" ''; do
    handled "$H" "e$((++number))" "{\"scan_id\":\"$id\",\"severity_breakdown\":{\"low\":1}}" \
      "$number"
  done
  event e9 '{"severity_breakdown":{"low":1}}'
  sed -i 's/"data":/"correlationid":"..\/..\/escape","data":/' "$BATS_TEST_TMPDIR/events/e9"
  deliver "$H" e9
  assert_equal "$(find "$BATS_TEST_TMPDIR" -name '*escape*')" ''
  assert_equal "$(cd "$HOOKLINE_HOME/coordination" && find remediation security/reports -type f \
    -printf '%f\n' | grep -Ev '^(remediation|scan)-sha256-[0-9a-f]{32}(-2020[^.]+)?\.json$')" ''
  assert_equal "$(find "$HOOKLINE_HOME/coordination/remediation" -type f | wc -l)" 9
  # It is kept as it was said, all the same.
  assert_equal "$(lines security/scan-results.jsonl '.scan_id' | tail -n 1)" '"../../escape"'
}

@test "an older scan changes nothing of what a newer one said" {
  handled "$H" new '{"scan_id":"s","severity_breakdown":{"low":1}}' 10
  handled "$H" old '{"scan_id":"s","severity_breakdown":{"high":9}}' 5
  assert_state security/posture-score.json '[.score, .last_updated]' \
    '[99,"2020-01-01T10:00:10.000000Z"]'
  assert_state remediation/remediation-s.json '[.by_severity.low, .event_id]' '[1,"new"]'
  assert_state metrics/security-stats.json .total_scans 2
}

@test "what people have written into a list of remedies stays when the scan comes again" {
  state_is remediation/remediation-s.json '{"status":"done","note":"mine","items":[]}'
  handled "$H" one '{"scan_id":"s","vulnerabilities":[{"id":"CVE-1","severity":"low"}]}'
  assert_state remediation/remediation-s.json '[.status, .note, .items[0].id]' \
    '["done","mine","CVE-1"]'
}

@test "what it does not understand is refused by its name" {
  refused "$H" one '{"severity_breakdown":{"high":"many"}}'
  assert_stderr "$H: data.severity_breakdown is no map of counts"
  refused "$H" one '{"finding_count":-1}'
  assert_stderr "$H: data.finding_count is no count"
}
