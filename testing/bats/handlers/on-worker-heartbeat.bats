#!/usr/bin/env bats
# shellcheck disable=SC2016 # what looks like a command is data

load handlers

H=on-worker-heartbeat

setup() { sandbox; }

beat() { # <worker> <seconds> [<data>]
  local data=${3-}
  [[ $data ]] || data='{"worker_id":"'$1'"}'
  handled "$H" "$1-$2" "$data" "$2" "$1"
}

alerts() { # <jq filter>: what it says of each alert
  emitted "select(.type == \"system.health_alert\") | $1"
}

planned() { # the moments at which somebody may be silent, as they were asked for
  emitted 'select(.type == "worker.watch_planned") | .data.due[11:]'
}

tick() { # <id> <seconds> [<what is said>]: the schedule has come to such a moment
  event "$1" '{"schedule":"worker_watch","reason":"time"}' "$2" hookline.schedule
  sed -i 's/"a.test"/"worker.watch_due"/' "$BATS_TEST_TMPDIR/events/$1"
  run --separate-stderr deliver "$H" "$1"
  assert_success
  assert_equal "$output$stderr" "${3-}"
}

@test "a heartbeat puts the worker into the pool and on record" {
  handled "$H" one "$(<"$BATS_TEST_DIRNAME/samples/$H.json")" 5
  assert_state worker-pool.json '.workers' \
    '[{"id":"w1","last_heartbeat":"2020-01-01T10:00:05.000000Z","status":"busy",
      "worker_type":"implementer","task_id":"t1","stale_after_s":60,
      "status_at":"2020-01-01T10:00:05.000000Z"}]'
  assert_state worker-pool.json '.active_workers.w1 | .status, .last_heartbeat' \
    $'"busy"\n"2020-01-01T10:00:05.000000Z"'
  assert_equal "$(lines worker-health-metrics.jsonl \
    '[.timestamp, .worker_id, .heartbeat_time, .status, .event_id, .event_source]')" \
    '["2020-01-01T10:00:05.000000Z","w1","2020-01-01T10:00:00Z","healthy","one","a-test"]'
}

@test "without a worker_id the source is the worker" {
  handled "$H" one '{}' 0 worker-7
  handled "$H" two null 0 worker-8
  handled "$H" three '{"worker_id":null}' 0 worker-9
  handled "$H" four '{"worker_id":""}' 0 worker-10
  assert_state worker-pool.json '[.workers[].id]' '["worker-7","worker-8","worker-9","worker-10"]'
}

@test "a number is no worker_id: it would come out rounded" {
  refused "$H" one '{"worker_id":1763700009000000123}'
  assert_stderr "$H: data.worker_id is of type number, not string"
}

@test "a worker that lives long is not reported" {
  local s
  for s in 0 120 240 360 480 600; do beat w1 "$s"; done
  assert_equal "$(alerts .)" ''
  assert_state worker-pool.json '.workers | length' 1
}

@test "all the silent workers are named in one alert, as a JSON array" {
  beat w1 0
  beat w2 30
  beat w3 200
  beat w4 340
  assert_equal "$(alerts \
    '[.type, .priority, .source, (.data | .alert_type, .workers, .worker_count,
      .threshold_minutes)]')" \
    '["system.health_alert","high","on-worker-heartbeat","stale_workers",["w1","w2"],2,5]'
  assert_state worker-pool.json '[.workers[].status]' '["stale","stale","running","running"]'
  assert_state worker-pool.json '[.active_workers[].status]' '["stale","stale","running","running"]'
}

@test "silence counts from five minutes on, not before" {
  beat w1 0
  beat w2 300
  assert_equal "$(alerts .)" ''
  beat w2 301
  assert_equal "$(alerts .data.workers)" '["w1"]'
}

@test "the same silent workers are told once in five minutes, a new one at once" {
  beat w1 0
  beat w2 10
  local s
  for s in 305 306 307; do beat w3 "$s"; done
  assert_equal "$(alerts .data.workers)" '["w1"]'
  beat w3 311
  assert_equal "$(alerts .data.workers)" $'["w1"]\n["w1","w2"]'
  beat w3 610
  assert_equal "$(alerts . | wc -l)" 2
  beat w3 611
  assert_equal "$(alerts .data.workers)" $'["w1"]\n["w1","w2"]\n["w1","w2"]'
}

@test "who comes back is running again, and may fall silent again" {
  beat w1 0
  beat w2 400
  beat w1 410
  assert_state worker-pool.json '[.workers[].status]' '["running","running"]'
  beat w2 800
  assert_equal "$(alerts .data.workers)" $'["w1"]\n["w1"]'
}

@test "a backlog makes nobody stale: the clock is that of the log" {
  beat w1 0
  beat w2 1
  beat w1 200
  assert_equal "$(alerts .)" ''
}

@test "an old heartbeat that comes late takes nothing back" {
  beat w1 100
  beat w1 50
  assert_state worker-pool.json '.workers[0].last_heartbeat' '"2020-01-01T10:01:40.000000Z"'
}

@test "a clock that is ahead makes nobody stale for ever" {
  local now
  printf -v now '%(%s)T' -1
  handled "$H" one '{"worker_id":"w1"}' "$((now - T0_S))"
  handled "$H" two '{"worker_id":"w2"}' "$((now - T0_S + 864000))"
  assert_equal "$(alerts .)" ''
  assert_state worker-pool.json '.workers[1].last_heartbeat < "'"$(TZ=UTC printf \
    '%(%Y-%m-%dT%H:%M:%S)T' "$((now + 60))")"'"' true
}

@test "who has ended is not missed, and a late heartbeat does not revive him" {
  state_is worker-pool.json \
    '{"workers":[{"id":"w1","status":"completed","last_heartbeat":"2020-01-01T09:00:00Z"},
    {"id":"w2","status":"failed","last_heartbeat":"2020-01-01T09:00:00Z"}]}'
  beat w3 0
  assert_equal "$(alerts .)" ''
  beat w1 1
  assert_state worker-pool.json '[.workers[].status]' '["completed","failed","running"]'
}

@test "workers without a heartbeat, null and foreign entries in the pool are left alone" {
  state_is worker-pool.json \
    '{"version":7,"workers":[null,"x",{"id":"w1"},{"id":null,"status":"running"},
    {"worker_id":"w2","status":"running","last_heartbeat":"2020-01-01T09:00:00+0000","extra":[1]},
    {"id":"w3","last_heartbeat":"yesterday"}],"active_workers":["w1"]}'
  beat w9 0
  assert_equal "$(alerts .data.workers)" '["w2"]'
  assert_state worker-pool.json \
    '[.version, .active_workers, .workers[:2], .workers[2].extra, .workers[3].last_heartbeat,
      .workers[5:]]' \
    '[7,["w1"],[{"id":"w1"},{"id":null,"status":"running"}],[1],"yesterday",[null,"x"]]'
}

@test "a worker's name may be anything that is text" {
  local name='..\/..\/etc $(id) *'
  handled "$H" one "{\"worker_id\":\"$name\"}"
  assert_state worker-pool.json '.workers[0].id' '"../../etc $(id) *"'
  assert_equal "$(stored | grep -v events/)" $'./worker-health-metrics.jsonl\n./worker-pool.json'
}

@test "the alert says which heartbeat it answers" {
  beat w1 0
  beat w2 400
  assert_equal "$(alerts '[.id, .causationid, .hops]')" '["w2-400.health_alert","w2-400",1]'
}

@test "killed anywhere with an alert to tell, it tells that one once" {
  beat w1 0
  beat w2 1
  event one '{"worker_id":"w2"}' 400
  killed_everywhere "$H" one
  assert_equal "$(snapshot | grep -c '"alert_type":"stale_workers"')" 1
}

@test "a schedule finds the silent workers when nobody is left to send" {
  beat w1 0
  beat w2 10
  event tick '{"schedule":"worker-check"}' 400
  check() {
    HOOKLINE_HOME=$HOOKLINE_HOME bash -c '
      source "$0/scripts/events/lib/worker-health.sh" && workers_check on-schedule-tick "$1"' \
      "$HOOKLINE_CHECKOUT" "$BATS_TEST_TMPDIR/events/tick"
  }
  run --separate-stderr check
  assert_success
  assert_equal "$(alerts '[.source, .data.workers]')" '["on-schedule-tick",["w1","w2"]]'
  run --separate-stderr check
  assert_equal "$(alerts . | wc -l)" 1
  # The heartbeats know what the schedule has told.
  beat w3 410
  assert_equal "$(alerts . | wc -l)" 1
}

@test "when somebody may be silent is asked for once, and again when that moment has come" {
  beat w1 0
  beat w2 10
  beat w1 20
  assert_equal "$(planned)" '"10:05:00.001Z"'
  tick t1 301
  assert_equal "$(planned)" $'"10:05:00.001Z"\n"10:05:10.001Z"'
  assert_equal "$(alerts .)" "$(emitted 'select(.data.workers)')"
}

@test "a fleet that has fallen silent is told at the tick, once, and no other tick is asked for" {
  beat w1 0
  beat w2 0
  tick t1 301
  assert_equal "$(alerts '[.data.workers, .causationid]')" '[["w1","w2"],"t1"]'
  assert_equal "$(planned | wc -l)" 1
  assert_state worker-pool.json '[.workers[].status]' '["stale","stale"]'
}

@test "a worker may say after how long it is to be missed" {
  handled "$H" a '{"worker_id":"w1","stale_after_s":2.5}'
  beat w2 0
  assert_equal "$(planned)" '"10:00:02.501Z"'
  tick t1 2
  assert_equal "$(alerts .)" ''
  tick t2 3
  assert_equal "$(alerts .data.workers)" '["w1"]'
  # It need not say it again.
  beat w1 10
  tick t3 13
  assert_equal "$(alerts .data.workers)" $'["w1"]\n["w1"]'
}

@test "the home says after how long everybody is missed" {
  state_is config/policies.toml $'[workers]\nstale_after = "1m"  # not five'
  beat w1 0
  beat w2 59
  assert_equal "$(alerts .)" ''
  beat w2 61
  assert_equal "$(alerts '.data | [.workers, .threshold_minutes]')" '[["w1"],1]'
}

@test "a worker that wants to be silent for more than a year is refused, with the field" {
  local n
  for n in 31536001 1e12 1e308; do
    refused "$H" one '{"worker_id":"w1","stale_after_s":'"$n"'}'
    assert_equal "$stderr" "$H: data.stale_after_s is more than a year (31536000)"
  done
}

@test "a pool that says nonsense of a worker keeps no other from being watched" {
  state_is worker-pool.json '{"stale_alert":{"workers":"w0","at":7},"watch":{"due":5},"workers":[
    {"id":"w1","status":"running","last_heartbeat":"2020-01-01T10:00:00Z","stale_after_s":1e308},
    {"id":"w2","status":5,"last_heartbeat":5,"started_at":"2020-01-01T10:00:00+00:00"},
    {"id":"w3","last_heartbeat":"2020-01-01T10:00:001e99999+00:00"}]}'
  beat w4 0
  tick t1 301
  tick t2 302
  assert_equal "$(alerts .data.workers | head -n 1 | jq -c 'index("w4") != null')" true
  assert_equal "$(planned | grep -cv '^"[0-9:.]*Z"$')" 0
}

@test "who was seen while the clock was ahead is watched all the same" {
  beat w1 2592000
  clock "$T0_S"
  beat w2 0
  beat w2 200
  tick t1 301
  assert_equal "$(alerts .data.workers)" '["w1"]'
}

@test "what was told while the clock was ahead is told again" {
  beat w1 2592000
  tick t1 2592301
  clock "$T0_S"
  beat w2 0
  tick t2 301
  assert_equal "$(alerts .data.workers)" $'["w1"]\n["w1","w2"]'
}

@test "policies that cannot be read keep nobody from being watched" {
  local said="$HOOKLINE_HOME/coordination/config/policies.toml, line 1: not understood"
  said+='; docs/SHIPPED.md says what it may hold'
  state_is config/policies.toml 'stale_after = 1m'
  handle "$H" one '{"worker_id":"w1"}'
  assert_success
  assert_equal "$stderr" "$said"
  tick t1 300 "$said"
  assert_equal "$(alerts .)" ''
  tick t2 301 "$said"
  assert_equal "$(alerts .data.workers)" '["w1"]'
}

@test "a batch is what its heartbeats are one by one, and looks for the silent once" {
  local n
  beat old 0
  for n in {1..40}; do
    event "b$n" "{\"worker_id\":\"w$((n % 4))\"}" "$((n * 10))"
    cat -- "$BATS_TEST_TMPDIR/events/b$n"
  done >"$BATS_TEST_TMPDIR/batch"
  mv -- "$BATS_TEST_TMPDIR/batch" "$BATS_TEST_TMPDIR/events/batch"
  run --separate-stderr deliver "$H" batch
  assert_success
  assert_equal "$(alerts '[.id, .data.workers]')" '["b40.health_alert",["old"]]'
  assert_equal "$(lines worker-health-metrics.jsonl .event_id | wc -l)" 41
  assert_state worker-pool.json '[.workers[1:][].last_heartbeat[14:19]]' \
    '["06:10","06:20","06:30","06:40"]'
}

@test "a start after the last heartbeat is a sign of life" {
  beat w1 0
  handled on-worker-started again '{"worker_id":"w1"}' 250
  beat w2 400
  assert_equal "$(alerts .)" ''
  beat w2 551
  assert_equal "$(alerts .data.workers)" '["w1"]'
}

@test "killed anywhere with a moment to ask for, it asks for that one once" {
  event one '{"worker_id":"w1"}'
  killed_everywhere "$H" one
  assert_equal "$(planned)" '"10:05:00.001Z"'
}
