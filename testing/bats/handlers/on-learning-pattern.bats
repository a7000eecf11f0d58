#!/usr/bin/env bats
# shellcheck disable=SC2016 # what looks like a command is data

load handlers

H=on-learning-pattern

setup() { sandbox; }

learn() { # <number> <worker> <outcome> [<seconds>]
  handled "$H" "p$1" "{\"worker_id\":\"$2\",\"outcome\":\"$3\"}" "${4-$1}"
}

seen() { # <worker> <outcome> <times>: as if they had been learned
  state_is metrics/learning-stats.json "$(jq -n --arg w "$1" --arg o "$2" --argjson n "$3" \
    '{total_patterns: $n, _recent: [range($n) | [$w, $o]]}')"
}

@test "a pattern is recorded and counted" {
  handled "$H" one "$(<"$BATS_TEST_DIRNAME/samples/$H.json")"
  assert_equal "$(lines moe-learning/patterns.jsonl \
    '[.pattern_type, .outcome, .optimization, .worker_id, .event_id]')" \
    '["performance","success","cache it","w1","one"]'
  assert_state metrics/learning-stats.json '[.total_patterns, .by_type, .by_outcome]' \
    '[1,{"performance":1},{"success":1}]'
}

@test "the type is performance where none is given" {
  handled "$H" one '{}'
  assert_state metrics/learning-stats.json .by_type '{"performance":1}'
}

@test "more than ten successes rate a worker" {
  seen w1 success 9
  learn 1 w1 success
  refute_exists "$HOOKLINE_HOME/coordination/metrics/worker-confidence.json"
  learn 2 w1 success
  assert_state metrics/worker-confidence.json '.workers.w1' \
    '{"confidence":0.95,"successes":11,"last_updated":"2020-01-01T10:00:02.000000Z"}'
}

@test "other workers' rates, and what else is kept with them, stay" {
  seen w1 success 10
  state_is metrics/worker-confidence.json \
    '{"model":"x","workers":{"w2":{"confidence":0.4},"w1":{"note":1}}}'
  learn 1 w1 success
  assert_state metrics/worker-confidence.json \
    '[.model, .workers.w2, .workers.w1.note, .workers.w1.confidence]' \
    '["x",{"confidence":0.4},1,0.95]'
}

@test "more than five failures of a worker are told, once an hour" {
  local n
  for n in 1 2 3 4 5; do learn "$n" w1 failure; done
  assert_equal "$(emitted .)" ''
  learn 6 w1 failure
  learn 7 w1 failure
  learn 8 w1 failure 3605
  assert_equal "$(emitted '[.type, (.data | .alert_type, .worker_id, .failure_count)]')" \
    '["system.health_alert","repeated_worker_failures","w1",6]'
  learn 9 w1 failure 3606
  assert_equal "$(emitted . | wc -l)" 2
}

@test "failures of several workers are not added up, nor told at a success" {
  seen w1 failure 5
  learn 1 w2 failure
  learn 2 w1 success
  assert_equal "$(emitted .)" ''
}

@test "only the newest hundred outcomes count" {
  seen w1 failure 100
  learn 1 w2 success
  assert_state metrics/learning-stats.json '[(._recent | length), ._recent[0], ._recent[99]]' \
    '[100,["w1","failure"],["w2","success"]]'
}

@test "the insights are a page of Markdown in which no data is markup" {
  handled "$H" one \
    '{"pattern_type":"a|b","outcome":"success","optimization":"use <b>`x`</b> [y](z)"}' 7
  run cat "$HOOKLINE_HOME/coordination/moe-insights.md"
  assert_output --partial $'# Insights\n\n1 patterns, the newest at 2020-01-01T10:00:07.000000Z.'
  assert_output --partial '| a\|b | 1 |'
  assert_output --partial '- 2020-01-01T10:00:07.000000Z a\|b: use \<b\>\`x\`\</b\> \[y\](z)'
}

@test "an imbalance of the routing is a pattern like others and makes no event" {
  handled "$H" one '{"pattern_type":"routing_imbalance","master":"a","share":0.9,"decisions":50}'
  assert_state metrics/learning-stats.json .by_type '{"routing_imbalance":1}'
  assert_equal "$(emitted .)" ''
}
