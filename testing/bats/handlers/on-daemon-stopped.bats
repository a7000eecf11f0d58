#!/usr/bin/env bats

load handlers

H=on-daemon-stopped

setup() { sandbox; }

busy_pool() {
  state_is worker-pool.json '{"workers":[{"id":"w1","status":"busy"},{"id":"w2","status":"failed"},
    {"worker_id":"w3","status":"running"},null]}'
  state_is task-queue.json '{"tasks":[{"id":"t1","status":"in_progress"},{"id":"t2"}]}'
}

reports() { find "$HOOKLINE_HOME/coordination/history" -type f 2>/dev/null | wc -l; }

@test "a daemon that was stopped is shown as stopped, with the reason" {
  handled "$H" one "$(<"$BATS_TEST_DIRNAME/samples/$H.json")"
  assert_state status.json '.daemons.health | [.state, .reason, .graceful]' \
    '["stopped","SIGTERM",true]'
  assert_state system-health.json '[.status, .stopped_daemons]' '["healthy",["health"]]'
  assert_equal "$(lines metrics/system-shutdowns.jsonl '[.component, .reason, .graceful]')" \
    '["health","SIGTERM",true]'
  assert_state metrics/shutdown-stats.json '[.total_shutdowns, .by_daemon]' '[1,{"health":1}]'
}

@test "one daemon that stops is not the system: no report, no word about the workers" {
  busy_pool
  handled "$H" one '{"daemon_type":"health"}'
  assert_equal "$(reports)" 0
  assert_equal "$(emitted .)" ''
}

@test "when the whole system stops, what was at work is kept and told" {
  local pool
  busy_pool
  pool=$(<"$HOOKLINE_HOME/coordination/worker-pool.json")
  handled "$H" one '{"reason":"an upgrade","graceful":true}' 0 system
  assert_state history/shutdown-20200101T100000Z.json \
    '[.component, .reason, .active_workers, .tasks_in_work, (.daemons | keys), .event_id]' \
    '["system","an upgrade",["w1","w3"],["t1"],["system"],"one"]'
  assert_equal "$(emitted '[.priority, .data]')" \
    '["high",{"alert_type":"shutdown_with_active_workers","component":"system",'"\
\"workers\":[\"w1\",\"w3\"],\"worker_count\":2}]"
  # Whose files they are, they are left as they were.
  assert_equal "$(<"$HOOKLINE_HOME/coordination/worker-pool.json")" "$pool"
}

@test "the alert about active workers comes once in five minutes" {
  busy_pool
  handled "$H" one '{}' 0 system
  handled "$H" two '{}' 299 system
  assert_equal "$(emitted .id)" '"one.health_alert"'
  handled "$H" three '{}' 300 system
  assert_equal "$(emitted .id | wc -l)" 2
}

@test "only the newest reports are kept, and nothing else is deleted" {
  local n history=$HOOKLINE_HOME/coordination/history
  mkdir -p -- "$history"
  for n in {10..69}; do : >"$history/shutdown-20190101T1000${n}Z.json"; done
  : >"$history/mine.json"
  handled "$H" one '{}' 0 system
  assert_equal "$(reports)" 51
  assert_exists "$history/mine.json"
  assert_exists "$history/shutdown-20200101T100000Z.json"
  refute_exists "$history/shutdown-20190101T100020Z.json"
  assert_exists "$history/shutdown-20190101T100021Z.json"
}

@test "no name gets into a path" {
  handled "$H" one '{"reason":"../../x"}' 0 ../../../escape
  assert_equal "$(find "$BATS_TEST_TMPDIR" -name '*escape*')" ''
  assert_state status.json '.daemons | keys' '["../../../escape"]'
}
