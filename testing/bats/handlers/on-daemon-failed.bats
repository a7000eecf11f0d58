#!/usr/bin/env bats

load handlers

H=on-daemon-failed

setup() { sandbox; }

alerts() { emitted '[.data.daemon, .data.given_up]'; }

@test "a failure is shown, on record, counted and told" {
  handled "$H" one "$(<"$BATS_TEST_DIRNAME/samples/$H.json")"
  assert_state status.json .daemons.health \
    '{"state":"failed","since":"2020-01-01T10:00:00.000000Z","given_up":false,
      "name":"Health Monitor","script":"scripts/daemons/heartbeat-monitor-daemon.sh",
      "reason":"exit 1","attempts":2,"retry_in_s":2.5}'
  assert_state system-health.json '[.status, .failed_daemons]' '["degraded",["health"]]'
  assert_equal "$(lines metrics/daemon-failures.jsonl '[.daemon, .reason, .attempts, .given_up]')" \
    '["health","exit 1",2,false]'
  assert_equal \
    "$(emitted '[.type, .priority, (.data | .alert_type, .daemon, .given_up, .reason)]')" \
    '["system.health_alert","high","daemon_failed","health",false,"exit 1"]'
}

@test "a daemon that keeps failing is told once in five minutes, another one at once" {
  handled "$H" a '{"daemon_type":"x","ends":1,"retry_in_s":1}' 0
  handled "$H" b '{"daemon_type":"x","ends":2,"retry_in_s":2}' 299
  handled "$H" c '{"daemon_type":"y","ends":1,"retry_in_s":1}' 299
  assert_equal "$(alerts)" $'["x",false]\n["y",false]'
  handled "$H" d '{"daemon_type":"x","ends":3,"retry_in_s":2}' 300
  assert_equal "$(alerts | wc -l)" 3
  assert_state status.json .daemons.x.attempts 3
}

@test "that it is given up is told at once" {
  handled "$H" a '{"daemon_type":"x","retry_in_s":1}' 0
  handled "$H" b '{"daemon_type":"x","reason":"crash loop","retry_in_s":null}' 1
  assert_equal "$(alerts)" $'["x",false]\n["x",true]'
}

@test "a failure of the past is on record and told to nobody" {
  handled on-daemon-started s '{"daemon_type":"x"}' 10
  handled "$H" a '{"daemon_type":"x"}' 5
  assert_equal "$(emitted .)" ''
  assert_state status.json .daemons.x.state '"running"'
  assert_equal "$(lines metrics/daemon-failures.jsonl .daemon)" '"x"'
}
