#!/usr/bin/env bats
# Without an event logger the newest heartbeat of each worker lies in the drop box: the monitor
# reads it there.

load daemons

setup() { furnish_home; }
teardown() { end_daemons; }

heartbeat() { # <worker> <id> <time>: as say_newest leaves it
  printf '{"specversion":"1.0","id":"%s","source":"%s","type":"%s","time":"%s","data":{}}\n' \
    "$2" "$1" worker.heartbeat "$3" \
    >"$HOOKLINE_HOME/coordination/events/queue/worker.heartbeat.$1.json"
}

now() { printf '%(%Y-%m-%dT%H:%M:%S.000000Z)T\n' -1; }

@test "who has a new heartbeat in the drop box is alive, whose is old is told of" {
  without_logger
  heartbeat a-worker one "$(now)"
  heartbeat another two 2026-01-01T00:00:00.000000Z
  a_round heartbeat-monitor
  assert_equal "$(state worker-pool.json '[.workers[] | [.id, .status]]')" \
    '[["a-worker","running"],["another","stale"]]'
  assert_equal "$(said 'select(.data.alert_type) | .data.workers')" '["another"]'
  # They are still there for a dispatcher.
  assert_exists "$HOOKLINE_HOME/coordination/events/queue/worker.heartbeat.another.json"
}

@test "a heartbeat is noted once, and a later one takes its place" {
  without_logger
  heartbeat a-worker one 2026-01-01T00:00:00.000000Z
  a_round heartbeat-monitor
  a_round heartbeat-monitor
  assert_equal "$(wc -l <"$HOOKLINE_HOME/coordination/worker-health-metrics.jsonl")" 1
  heartbeat a-worker two "$(now)"
  a_round heartbeat-monitor
  assert_equal "$(state worker-pool.json '[.workers[] | [.id, .status]]')" \
    '[["a-worker","running"]]'
}

@test "where nobody has ever worked there is nothing to tell of" {
  a_round heartbeat-monitor
  assert_equal "$(said .data.alert_type)" ''
}

@test "something else under such a name keeps it from none of the others" {
  without_logger
  heartbeat a-worker one "$(now)"
  printf 'no json' >"$HOOKLINE_HOME/coordination/events/queue/worker.heartbeat.b.json"
  printf '{"half' >"$HOOKLINE_HOME/coordination/events/queue/worker.heartbeat.c.json"
  printf '{"type":"worker.heartbeat"}' \
    >"$HOOKLINE_HOME/coordination/events/queue/worker.heartbeat.d.json"
  heartbeat e-worker two "$(now)"
  a_round heartbeat-monitor
  assert_equal "$(state worker-pool.json '[.workers[].id] | sort')" '["a-worker","e-worker"]'
}

beat() { # <worker>
  "$HOOKLINE_HOME/scripts/events/lib/event-logger.sh" --emit worker.heartbeat "$1" \
    "{\"worker_id\":\"$1\"}" >/dev/null
}

silent() { said 'select(.type == "system.health_alert") | .data.workers'; }

@test "nobody works: nothing is said, and nothing written" {
  a_round heartbeat-monitor
  assert_equal "$stderr" ''
  assert_equal "$(said .)" ''
  state_is worker-pool.json '{}'
  a_round heartbeat-monitor
  assert_equal "$(said .)" ''
}

@test "who has fallen silent is told once, though nobody is left to send a heartbeat" {
  state_is worker-pool.json "$(jq -nc --arg long "$(ago 600)" --arg now "$(ago 1)" '{workers: [
    {id: "w1", status: "running", last_heartbeat: $long},
    {id: "w2", status: "running", last_heartbeat: $long},
    {id: "w3", status: "running", last_heartbeat: $now}]}')"
  a_round heartbeat-monitor
  a_round heartbeat-monitor
  assert_equal "$(silent)" '["w1","w2"]'
  assert_equal "$(state worker-pool.json '[.workers[].status]')" '["stale","stale","running"]'
}

@test "heartbeats that nobody delivers are heard, in the log and in the drop box" {
  state_is worker-pool.json "$(jq -nc --arg long "$(ago 600)" '{workers: [
    {id: "w1", status: "running", last_heartbeat: $long},
    {id: "w2", status: "running", last_heartbeat: $long}]}')"
  beat w1
  source scripts/events/lib/event-fallback.sh
  drop_event '{"specversion":"1.0","id":"b","source":"w2","type":"worker.heartbeat","data":{}}'
  a_round heartbeat-monitor
  assert_equal "$(silent)" ''
  cp -- "$HOOKLINE_CHECKOUT/scripts/events/handlers/on-worker-heartbeat.sh" scripts/events/handlers/
  grep -F '"type":"worker.heartbeat"' "$(log_of worker)" >beats
  scripts/events/handlers/on-worker-heartbeat.sh beats
  assert_equal "$(wc -l <coordination/worker-health-metrics.jsonl)" 2
}

@test "without a logger its alert lies in the drop box" {
  without_logger
  state_is worker-pool.json "{\"workers\":[{\"id\":\"w1\",\"last_heartbeat\":\"$(ago 600)\"}]}"
  a_round heartbeat-monitor
  assert_equal "$(find coordination/events/queue -name '*.json' | wc -l)" 1
  assert_equal "$(silent)" '["w1"]'
}

@test "where a dispatcher runs and no scheduler does, it tells the handler when to look" {
  handlers_are on-worker-heartbeat.sh
  dispatcher_serves
  state_is worker-pool.json "{\"watch\":{\"due\":\"$(date -u -d '1 hour' +%FT%TZ)\"}}"
  a_round heartbeat-monitor
  assert_equal "$(said .)" ''
  state_is worker-pool.json '{"watch":{"due":"2026-01-01T00:00:00.123Z"}}'
  a_round heartbeat-monitor
  assert_equal "$(said '[.type, .source, .id]')" \
    '["worker.watch_due","health","watch.2026-01-01T00:00:00.123Z"]'
  exec {scheduler}<coordination/config
  flock "$scheduler"
  state_is worker-pool.json '{"watch":{"due":"2026-01-02T00:00:00.123Z"}}'
  a_round heartbeat-monitor
  exec {scheduler}<&-
  assert_equal "$(said .type)" '"worker.watch_due"'
}

@test "rows that nobody understands, or what was told, do not keep who is silent from being told" {
  state_is worker-pool.json '{"workers":[5,{"id":7,"last_heartbeat":"2026-01-01T00:00:00Z"},
    {"id":"w1","status":"running","worker_type":[],"last_heartbeat":"2026-01-01T00:00:00Z"},
    {"id":"w2","status":"running","last_heartbeat":"2026-01-01T00:00:00Z"}],
    "active_workers":{"w2":"x","w3":5},"stale_alert":{"workers":"w2"},"watch":{"due":5}}'
  a_round heartbeat-monitor
  assert_equal "$(said 'select(.data.alert_type) | .data.workers')" '["w2"]'
  assert_equal "$(state worker-pool.json '[.workers[] | objects | [.id, .status]]')" \
    '[["w2","stale"],[7,null],["w1","running"]]'
  assert_equal "$(state worker-pool.json .active_workers)" '{"w2":"x","w3":5}'
}
