#!/usr/bin/env bats

load handlers

H=on-system-observability-check

setup() {
  sandbox
  cd -- "$HOOKLINE_HOME/coordination" || return
}

says() { # <needs>: what `hookline status` says
  mkdir -p -- state
  # shellcheck disable=SC2016 # the script's own argument
  printf '#!/bin/sh\ncat "$0.says"\nexit 75\n' >state/hookline
  printf '{"handlers":[{"waiting":2,"behind_bytes":7},{"waiting":1,"behind_bytes":0}],
    "drop_box":3,"dead_letters":4,"needs":%s}' "$1" >state/hookline.says
  chmod +x state/hookline
}

alerts() { emitted 'select(.type == "system.health_alert") | .data.problems'; }

@test "what waits, what failed and how long handlers take is found and told" {
  says '[]'
  : >events/a-events.jsonl
  printf '%s\n' '{"action":"cursor","ms":1}' '{"torn' \
    '{"action":"attempt","verdict":"done","ms":1}' \
    '{"action":"attempt","verdict":"done","ms":3}' \
    '{"action":"attempt","verdict":"failed"}' \
    >deliveries.jsonl
  handled "$H" one '{"action":"ensure_active","reason":"load_test_starting"}'
  assert_state observability.json 'del(._applied, ._alerted)' \
    '{"total_checks":1,"last_check":"2020-01-01T10:00:00.000000Z","active":true,"problems":[],
      "action":"ensure_active","reason":"load_test_starting","logs":1,
      "delivery":{"attempts":3,"by_verdict":{"done":2,"failed":1},"ms_p50":3,"ms_p99":3},
      "handlers":2,"waiting":3,"behind_bytes":7,"drop_box":3,"dead_letters":4}'
  assert_equal "$(emitted '[.type, .data.active, .data.waiting, .data.checked_at]')" \
    '["system.observability_checked",true,3,"2020-01-01T10:00:00.000000Z"]'
}

@test "what is wrong is an alert, once in a quarter of an hour; what is new, at once" {
  says '["1 dead letters: list them"]'
  handled "$H" one '{}' 0
  says '["2 dead letters: list them"]'
  handled "$H" two '{}' 899
  assert_equal "$(alerts)" '["1 dead letters: list them"]'
  says '["2 dead letters: list them","a handler is paused"]'
  handled "$H" three '{}' 899
  handled "$H" four '{}' 900
  assert_equal "$(emitted 'select(.type == "system.health_alert").id')" \
    $'"one.health_alert"\n"three.health_alert"\n"four.health_alert"'
  assert_equal "$(emitted 'select(.type == "system.observability_checked")' | wc -l)" 4
}

@test "what was well meanwhile is new when it is wrong again" {
  says '["x"]'
  handled "$H" one '{}' 0
  says '[]'
  handled "$H" two '{}' 1
  says '["x"]'
  handled "$H" three '{}' 2
  assert_equal "$(alerts | wc -l)" 2
}

@test "a log that cannot be written makes the bus inactive" {
  says '[]'
  ln -s "$BATS_TEST_TMPDIR/elsewhere" events/a-events.jsonl
  mkdir events/b-events.jsonl
  handle "$H" one '{}'
  assert_success
  assert_state observability.json '[.active, .problems]' '[false,
    ["a-events.jsonl is no plain file that can be written",
      "b-events.jsonl is no plain file that can be written"]]'
}

@test "a daemon that looks is no proof that somebody dispatches" {
  says '[]'
  event one '{}'
  HOOKLINE_ATTEMPT='' "$HANDLERS/$H.sh" "$BATS_TEST_TMPDIR/events/one"
  assert_state observability.json .active false
}

@test "where the status cannot be had, that is said" {
  mkdir -p -- state
  printf '#!/bin/sh\nexit 70\n' >state/hookline
  chmod +x state/hookline
  handled "$H" one '{}'
  assert_equal "$(alerts)" '["hookline status does not answer: what waits is not known"]'
}

@test "it understands what hookline status really says" {
  ln -s "$HOOKLINE_CHECKOUT/.venv" "$HOOKLINE_HOME/.venv"
  handled "$H" one '{}'
  assert_state observability.json '[.active, .problems, .handlers, .dead_letters]' '[true,[],0,0]'
  printf '{"specversion":"1.0","id":"x","source":"x","type":"a.x","time":"%s","data":{}}\n' \
    2020-01-01T10:00:00.000000Z >events/queue/q.json
  touch -d '1 hour ago' events/queue/q.json
  handled "$H" two '{}'
  assert_state observability.json '[.drop_box, (.problems | length)]' '[1,1]'
}

@test "an action that there is not is refused" {
  refused "$H" one '{"action":"restart"}'
  assert_stderr "$H: data.action is not: ensure_active"
}
