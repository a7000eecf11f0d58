#!/usr/bin/env bats

load handlers

H=on-learning-model-updated

setup() { sandbox; }

@test "an update is on record, in the registry, on the dashboard and counted" {
  handled "$H" one "$(<"$BATS_TEST_DIRNAME/samples/$H.json")"
  assert_equal "$(lines moe-learning/model-updates.jsonl '[.model_id, .model_type, .version]')" \
    '["router","classifier","2.1"]'
  assert_equal "$(lines moe-learning/performance-tracking.jsonl .performance_delta)" 0.2
  assert_state model-registry.json .models.router \
    '{"model_type":"classifier","version":"2.1","performance_delta":0.2,
      "updated_at":"2020-01-01T10:00:00.000000Z"}'
  assert_equal "$(lines dashboard-events.jsonl '[.type, .data.version]')" \
    '["learning.model_updated","2.1"]'
  assert_state metrics/learning-stats.json .total_model_updates 1
}

@test "an older update does not come back into the registry, nor is it told" {
  handled "$H" new '{"model_id":"m","version":2}' 10
  handled "$H" old '{"model_id":"m","version":"1","performance_delta":0.9}' 5
  assert_state model-registry.json .models.m.version '"2"'
  assert_equal "$(lines moe-learning/model-updates.jsonl .version | tr '\n' ' ')" '"2" "1" '
  assert_equal "$(emitted .)" ''
}

@test "one that does much better is told, once an hour; another model at once" {
  handled "$H" one '{"model_id":"m","performance_delta":0.11}' 0
  handled "$H" two '{"model_id":"m","performance_delta":0.5}' 3599
  handled "$H" three '{"model_id":"n","performance_delta":0.5}' 3599
  handled "$H" four '{"model_id":"m","performance_delta":0.1}' 3600
  handled "$H" five '{"model_id":"m","performance_delta":0.2}' 3600
  assert_equal "$(emitted '[.data.alert_type, .data.model_id, .data.performance_delta]')" \
    '["learning_improvement","m",0.11]
["learning_improvement","n",0.5]
["learning_improvement","m",0.2]'
}

@test "patterns and models share their figures, and nothing is lost" {
  handled "$H" one '{"model_id":"m","performance_delta":0.2}' 0
  handled on-learning-pattern two '{"worker_id":"w","outcome":"success"}' 1
  handled "$H" three '{"model_id":"m","performance_delta":0.2}' 2
  assert_state metrics/learning-stats.json '[.total_model_updates, .total_patterns]' '[2,1]'
  assert_equal "$(emitted . | wc -l)" 1
}

@test "an update of no model is refused" {
  refused "$H" one '{"version":"1"}'
  assert_stderr "$H: data.model_id is missing"
}
