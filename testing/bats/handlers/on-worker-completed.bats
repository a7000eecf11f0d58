#!/usr/bin/env bats

load handlers

H=on-worker-completed

setup() { sandbox; }

@test "the work is on record and the worker free again" {
  handled on-worker-started begun '{"worker_id":"w1","worker_type":"implementer"}'
  handled "$H" one \
    '{"worker_id":"w1","task_id":"t1","status":"completed","duration_ms":1500,"tokens_used":800}' 60
  assert_equal "$(lines metrics/worker-performance.jsonl \
    '[.timestamp, .worker_id, .task_id, .duration_ms, .tokens_used, .status]')" \
    '["2020-01-01T10:01:00.000000Z","w1","t1",1500,800,"completed"]'
  assert_state worker-pool.json '[.workers[0].status, .active_workers.w1.status]' \
    '["available","available"]'
  assert_state metrics/worker-stats.json '[.total_started, .total_completed, .total_tokens]' \
    '[1,1,800]'
}

@test "what it took is learned, with no loop behind it" {
  handled "$H" one \
    '{"worker_id":"w1","task_id":"t1","status":"completed","duration_ms":1500,"tokens_used":800}'
  assert_equal "$(emitted '[.type, .priority, .data]')" \
    "$(jq -c . <<<'["learning.pattern_detected","medium",{"worker_id":"w1","task_id":"t1",
      "tokens_used":800,"duration_ms":1500,"outcome":"success"}]')"
}

@test "minutes are as good as milliseconds" {
  handled "$H" one '{"worker_id":"w1","worker_type":"x","task_id":"t1","tokens_used":5,
    "duration_minutes":1.5,"status":"completed"}'
  assert_equal "$(lines metrics/worker-performance.jsonl .duration_ms)" 90000
  assert_equal "$(emitted .data.duration_ms)" 90000
}

@test "without tokens, or with another end, nothing is learned" {
  handled "$H" one '{"worker_id":"w1","status":"completed","tokens_used":0}'
  handled "$H" two '{"worker_id":"w1","status":"completed"}'
  handled "$H" three '{"worker_id":"w1","status":"aborted","tokens_used":9}'
  assert_equal "$(emitted .)" ''
  assert_state metrics/worker-stats.json .by_outcome '{"completed":2,"aborted":1}'
}

@test "less than nothing is refused" {
  refused "$H" one '{"worker_id":"w1","duration_ms":-1}'
  assert_stderr "$H: data.duration_ms is less than nothing"
}
@test "who has done its work is not missed, until it sends heartbeats again" {
  handled on-worker-heartbeat b1 '{"worker_id":"w1"}' 0
  handled "$H" over '{"worker_id":"w1"}' 10
  handled on-worker-heartbeat b2 '{"worker_id":"w2"}' 400
  assert_equal "$(emitted .data.workers)" $'null\nnull'
  handled on-worker-heartbeat b3 '{"worker_id":"w1"}' 410
  handled on-worker-heartbeat b4 '{"worker_id":"w2"}' 800
  assert_equal "$(emitted 'select(.type == "system.health_alert") | .data.workers')" '["w1"]'
}
