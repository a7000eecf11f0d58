#!/usr/bin/env bats
# shellcheck disable=SC2016 # scripts

load restarts

setup() { restarts_begin; }

teardown() { restarts_end; }

@test "silent ones are found by the alert, and their kind in the pool" {
  policies
  state_is worker-pool.json '{"workers":[{"id":"w1","worker_type":"x"},{"id":"w2"},null]}'
  handled on-worker-restart-stale one '{"alert_type":"stale_workers","workers":["w1","w2",7]}'
  handled on-worker-restart-stale two '{"alert_type":"overload","workers":["w1"]}'
  assert_equal "$(said worker.restarted '[.worker_id, .reason]')" '["w1","stale"]'
}

@test "a silent one that hangs is ended first, if the policy says so" {
  policies
  worker 'trap "" TERM; while :; do sleep 0.1; done' # the pace of a loop that TERM does not end
  fails w1
  state_is worker-pool.json '{"workers":[{"id":"w1","worker_type":"x"}]}'
  handled on-worker-restart-stale one '{"alert_type":"stale_workers","workers":["w1"]}' 10
  assert_equal "$(begun)" 1
  policies 'replace = true'
  worker 'exec tail -f /dev/null'
  _HOOKLINE_RESTART_END_S=1 handled on-worker-restart-stale two \
    '{"alert_type":"stale_workers","workers":["w1"]}' 20
  assert_equal "$(begun)" 2
  run lives "$(head -n 1 "$BEGUN")"
  assert_failure
  lives "$(tail -n 1 "$BEGUN")"
}
