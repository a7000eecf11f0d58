#!/usr/bin/env bats

load handlers

H=on-routing-decision

setup() { sandbox; }

decide() { # <number> <master> <confidence> [<seconds>]
  handled "$H" "d$1" "{\"master\":\"$2\",\"confidence\":$3}" "${4-$1}"
}

stats_after() { # <decisions> <of them for "a"> <confidence>: as if they had been made
  state_is metrics/routing-stats.json "$(jq -n --argjson all "$1" --argjson a "$2" \
    --argjson c "$3" '{total_decisions: $all, masters: {
      a: {decision_count: $a, avg_confidence: $c, confidence_count: $a},
      b: {decision_count: ($all - $a), avg_confidence: $c, confidence_count: ($all - $a)}},
      _recent: ([range($all - $a) | ["b", $c]] + [range($a) | ["a", $c]] | .[-50:])}')"
}

@test "a decision is recorded and counted for its master" {
  handled "$H" one "$(<"$BATS_TEST_DIRNAME/samples/$H.json")"
  assert_state metrics/routing-stats.json '[.total_decisions, .masters]' \
    '[1,{"development":{"confidence_count":1,"avg_confidence":0.9,"decision_count":1,
      "last_updated":"2020-01-01T10:00:00.000000Z"}}]'
  assert_equal "$(lines routing/routing-decisions.jsonl \
    '[.master, .confidence, .routing_reason, .decision, .event_id]')" \
    '["development",0.9,"keywords","assigned","one"]'
}

@test "the average is that of all decisions with a confidence" {
  decide 1 a 0.5
  decide 2 a 1
  handled "$H" d3 '{"master":"a"}'
  decide 4 b 0.25
  assert_state metrics/routing-stats.json '[.masters.a | .decision_count, .avg_confidence]' \
    '[3,0.75]'
  assert_state metrics/routing-stats.json '.masters.b.avg_confidence' 0.25
}

@test "figures of the original, without counts of confidences, go on" {
  state_is metrics/routing-stats.json \
    '{"masters":{"a":{"decision_count":3,"avg_confidence":0.5}},"total_decisions":3}'
  decide 1 a 0.9
  assert_state metrics/routing-stats.json '[.masters.a.avg_confidence, .total_decisions]' '[0.6,4]'
}

@test "the master of a Cortex event is in its metadata" {
  handled "$H" one '{"master":"b","confidence":0.5,"_metadata":{"master":"a"}}'
  assert_state metrics/routing-stats.json '.masters | keys' '["a"]'
}

@test "an assignment counts for the kind of worker that it names" {
  handled "$H" one \
    '{"task_id":"t1","worker_id":"w1","worker_type":"implementer","decision":"assigned"}'
  assert_state metrics/routing-stats.json '.masters | keys' '["implementer"]'
}

@test "a decision for nobody, or with a confidence that is none, is refused" {
  refused "$H" one '{"confidence":0.5}'
  assert_stderr "$H: data.master is missing"
  refused "$H" one '{"master":"a","confidence":"0.5"}'
  refused "$H" one '{"master":"a","confidence":1.5}'
  refused "$H" one '{"master":"a","confidence":-1}'
  refused "$H" one '{"master":7,"confidence":0.5}'
}

@test "low confidence over the newest decisions is told once an hour" {
  stats_after 12 6 0.3
  decide 1 a 0.3 0
  decide 2 b 0.3 1
  decide 3 a 0.3 3599
  assert_equal "$(emitted \
    '[.type, .priority, .data.alert_type, .data.avg_confidence, .data.threshold]')" \
    '["system.health_alert","high","low_routing_confidence",0.3,0.5]'
  decide 4 a 0.3 3600
  assert_equal "$(emitted . | wc -l)" 2
}

@test "too few decisions say nothing about confidence" {
  local n
  for n in 1 2 3 4 5; do decide "$n" a 0.1; done
  assert_equal "$(emitted .)" ''
}

@test "an imbalance is told once an hour, not at each decision" {
  stats_after 30 25 0.9
  decide 1 a 0.9 0
  decide 2 a 0.9 1
  decide 3 a 0.9 3599
  assert_equal "$(emitted '[.type, .data.pattern_type, .data.master]')" \
    '["learning.pattern_detected","routing_imbalance","a"]'
  decide 4 a 0.9 3600
  assert_equal "$(emitted . | wc -l)" 2
}

@test "who has one master only has no imbalance" {
  stats_after 30 30 0.9
  state_is metrics/routing-stats.json "$(state metrics/routing-stats.json 'del(.masters.b)')"
  decide 1 a 0.9
  assert_equal "$(emitted .)" ''
}

@test "an imbalance that is over is not told" {
  stats_after 200 160 0.9
  state_is metrics/routing-stats.json "$(state metrics/routing-stats.json \
    '._recent = ([range(25) | ["a", 0.9], ["b", 0.9]])')"
  decide 1 a 0.9
  assert_equal "$(emitted .)" ''
  assert_state metrics/routing-stats.json '._recent | length' 50
}

@test "endlessly many masters do not make the figures endless" {
  state_is metrics/routing-stats.json "$(jq -n \
    '{total_decisions: 1000, masters: ([range(1000) | {"m\(.)": {decision_count: 1}}] | add)}')"
  decide 1 new 0.5
  decide 2 newer 0.5
  decide 3 m5 0.5
  assert_state metrics/routing-stats.json \
    '[(.masters | length), .masters["(other)"].decision_count, .masters.m5.decision_count]' \
    '[1001,2,2]'
}
