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

rating() { # <mean> <low> <high> [<outcomes>]
  printf '{"mean":%s,"low":%s,"high":%s,"outcomes":%s' "$1" "$2" "$3" "${4-20}"
}

learned() { # <expert> <rating> [<expert> <rating>...]: as a learning cycle has left it
  local text=''
  while (($#)); do
    text+=${text:+,}"\"$1\":$2,\"task_types\":{}}"
    shift 2
  done
  state_is moe-learning/expert-confidence.json "{\"experts\":{$text}}"
}

recorded() { lines routing/routing-decisions.jsonl "$1" | tail -n 1; }

@test "what was learned of the expert is recorded beside what was claimed" {
  learned a "$(rating 0.6 0.4 0.8)"
  decide 1 a 0.9
  assert_equal "$(recorded '[.confidence, .learned_confidence, .learned_from, .learned_to]')" \
    '[0.9,0.6,0.4,0.8]'
  decide 2 b 0.9
  assert_equal "$(recorded 'has("learned_confidence")')" false
}

@test "what was learned of the type of task counts from five outcomes on" {
  local all few enough
  all=$(rating 0.6 0.4 0.8)
  few="$(rating 0.1 0.05 0.2 4)}"
  enough="$(rating 0.3 0.2 0.4 5)}"
  state_is moe-learning/expert-confidence.json \
    "{\"experts\":{\"a\":$all,\"task_types\":{\"scan\":$few,\"code\":$enough}}}}"
  handled "$H" one '{"master":"a","task_type":"scan"}'
  assert_equal "$(recorded .learned_confidence)" 0.6
  handled "$H" two '{"master":"a","task_type":"code"}'
  assert_equal "$(recorded '[.task_type, .learned_confidence]')" '["code",0.3]'
}

@test "who is chosen although another one is better beyond doubt is told, once an hour" {
  learned a "$(rating 0.3 0.2 0.5)" b "$(rating 0.8 0.6 0.9)" c "$(rating 0.9 0.7 0.95)"
  handled "$H" d0 '{"master":"a","task_id":"t"}' 0
  assert_equal "$(emitted '[.type, .data.pattern_type, .data.master, .data.better,
    .data.learned, .data.better_learned, .data.task_id]')" \
    '["learning.pattern_detected","routing_misplaced","a","c",[0.2,0.5],[0.7,0.95],"t"]'
  decide 1 a 0.9 3599
  assert_equal "$(emitted . | wc -l)" 1
  decide 2 a 0.9 3600
  assert_equal "$(emitted . | wc -l)" 2
}

@test "whose intervals touch are not told apart" {
  learned a "$(rating 0.3 0.2 0.6)" b "$(rating 0.8 0.6 0.9)"
  decide 1 a 0.9
  decide 2 b 0.9
  assert_equal "$(emitted .)" ''
}

@test "of a type of task only what is known of that type is compared" {
  local all good bad
  all=$(rating 0.5 0.4 0.6)
  good="$(rating 0.9 0.8 0.95)}"
  bad="$(rating 0.2 0.1 0.3)}"
  state_is moe-learning/expert-confidence.json "{\"experts\":{
    \"a\":$all,\"task_types\":{\"scan\":$bad,\"code\":$good}},
    \"b\":$all,\"task_types\":{\"scan\":$good,\"code\":$bad}},
    \"c\":$(rating 0.99 0.98 1),\"task_types\":{}}}}"
  handled "$H" one '{"master":"a","task_type":"code"}'
  assert_equal "$(emitted .)" ''
  handled "$H" two '{"master":"a","task_type":"scan"}'
  assert_equal "$(emitted '[.data.task_type, .data.better]')" '["scan","b"]'
}

@test "an imbalance and a better expert in one decision are two patterns" {
  stats_after 30 25 0.9
  learned a "$(rating 0.3 0.2 0.5)" b "$(rating 0.8 0.6 0.9)"
  decide 1 a 0.9
  assert_equal "$(emitted .data.pattern_type | sort)" \
    $'"routing_imbalance"\n"routing_misplaced"'
  assert_equal "$(emitted .id | sort -u | wc -l)" 2
}

@test "what was learned may be absent, damaged or strange, and nothing changes" {
  local text number=0 file=$HOOKLINE_HOME/coordination/moe-learning/expert-confidence.json
  for text in '' '{"experts":' '[]' 'null' '{"experts":[1]}' '{"experts":{"a":7,"b":null}}' \
    '{"experts":{"a":{"mean":"x","low":0,"high":1},"b":{"mean":1,"low":[]}}}' \
    '{"experts":{"a":{"mean":1,"low":0,"high":1,"task_types":[1]}}}' \
    "{\"experts\":{\"a\":$(rating 0.3 0.2 0.5),\"task_types\":{\"x\":7}}}}"; do
    state_is moe-learning/expert-confidence.json "$text"
    handled "$H" "d$((++number))" '{"master":"a","confidence":0.9,"task_type":"x"}'
    assert_equal "$(<"$file")" "$text"
  done
  rm -- "$file" && mkdir -- "$file"
  handled "$H" last '{"master":"a","confidence":0.9,"task_type":"x"}'
  assert_equal "$(emitted .)" ''
  assert_state metrics/routing-stats.json .total_decisions "$((number + 1))"
}
