#!/usr/bin/env bats

load handlers

H=on-worker-started

setup() { sandbox; }

@test "a worker that begins is in the pool, on record, counted and on the dashboard" {
  handled "$H" one '{"worker_id":"w1","worker_type":"implementer","task_id":"t1",
    "_metadata":{"master":"development"}}'
  assert_state worker-pool.json '.workers' \
    '[{"id":"w1","status":"running","started_at":"2020-01-01T10:00:00.000000Z",
      "worker_type":"implementer","task_id":"t1","status_at":"2020-01-01T10:00:00.000000Z"}]'
  assert_state worker-pool.json '.active_workers.w1.status' '"running"'
  assert_equal "$(lines metrics/worker-startups.jsonl \
    '[.timestamp, .worker_id, .worker_type, .task_id, .master]')" \
    '["2020-01-01T10:00:00.000000Z","w1","implementer","t1","development"]'
  assert_state metrics/worker-stats.json '[.total_started, .by_type, .by_master]' \
    '[1,{"implementer":1},{"development":1}]'
  assert_equal "$(lines dashboard-events.jsonl '[.id, .type, .data.worker_id, .source]')" \
    '["one","worker.started","w1","a-test"]'
  assert_equal "$(emitted .)" ''
}

@test "without a worker_id the source is the worker" {
  handled "$H" one null 0 worker-7
  assert_state worker-pool.json '[.workers[].id]' '["worker-7"]'
}

@test "one that is known is updated, and what else the pool says of it stays" {
  state_is worker-pool.json '{"workers":[{"worker_id":"w1","status":"failed","host":"h"},null],
    "active_workers":["w1"]}'
  handled "$H" one '{"worker_id":"w1"}'
  assert_state worker-pool.json \
    '[.workers[0].status, .workers[0].host, .workers[1:], .active_workers]' \
    '["running","h",[null],["w1"]]'
}

@test "a start that is handled late changes nothing of what came after it" {
  handled on-worker-completed over '{"worker_id":"w1"}' 60
  handled "$H" started '{"worker_id":"w1","worker_type":"implementer"}' 0
  assert_state worker-pool.json '.workers[0] | [.status, .worker_type, .started_at]' \
    '["available","implementer","2020-01-01T10:00:00.000000Z"]'
}
