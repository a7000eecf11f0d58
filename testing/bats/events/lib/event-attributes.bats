#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2030,SC2031 # texts for other shells; each test is a subshell
# Attributes in their order, and what an event owes to the event that its handler was given.

load ../../test_helper

LIB=$HOOKLINE_CHECKOUT/scripts/events/lib
TRACE=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01

setup() { sandbox; }

attributes() { # of the newest event in the log of a
  tail -n 1 "$(log_of a)" | jq -c '[.priority, .correlationid, .causationid, .hops, .traceparent]'
}

emit() { # [<correlation>] [<priority>]
  "$LIB/event-logger.sh" --emit a.b s 1 "$@"
}

in_handler() { # <variable=value...> -- <command...>
  local -a variables=()
  while [[ $1 != -- ]]; do variables+=("$1") && shift; done
  env HOOKLINE_ATTEMPT=1 "${variables[@]}" "${@:2}"
}

@test "attributes stand in the order of the format" {
  in_handler EVENT_ID=parent TRACEPARENT="$TRACE" -- \
    "$LIB/event-logger.sh" --emit a.b s 1 corr high
  assert_equal "$(jq -r 'keys_unsorted | join(" ")' "$(log_of a)")" \
    'specversion id source type time priority correlationid causationid hops traceparent data'
}

@test "outside of a handler the environment does not matter" {
  EVENT_ID=parent EVENT_HOPS=3 EVENT_CORRELATION=c TRACEPARENT=$TRACE emit '' ''
  assert_equal "$(attributes)" '[null,null,null,null,null]'
}

@test "inside of a handler an event carries its cause" {
  export -f emit
  export LIB
  in_handler EVENT_ID=parent -- bash -c emit
  assert_equal "$(attributes)" '[null,"parent","parent",1,null]'
  in_handler EVENT_ID=parent EVENT_CORRELATION=flow EVENT_HOPS=3 TRACEPARENT="$TRACE" -- \
    bash -c emit
  assert_equal "$(attributes)" "[null,\"flow\",\"parent\",4,\"$TRACE\"]"
  in_handler EVENT_ID=parent EVENT_CORRELATION=flow EVENT_HOPS=0 -- bash -c 'emit mine low'
  assert_equal "$(attributes)" '["low","mine","parent",1,null]'
  in_handler EVENT_ID=parent EVENT_CORRELATION='' EVENT_HOPS='' TRACEPARENT='' -- bash -c emit
  assert_equal "$(attributes)" '[null,"parent","parent",1,null]'
}

@test "what the environment says about the cause is checked like any input" {
  export -f emit
  export LIB
  local hops
  for hops in x -1 1.5 'a[$(touch ran)]' 08; do
    in_handler EVENT_ID=parent EVENT_HOPS="$hops" -- bash -c emit
  done
  assert_equal "$(jq -c .hops "$(log_of a)" | paste -sd' ')" '1 1 1 1 9'
  for hops in 999 1000 99999999999999999999; do
    in_handler EVENT_ID=parent EVENT_HOPS="$hops" -- bash -c emit
    assert_equal "$(attributes)" '[null,"parent","parent",1000,null]'
  done
  in_handler EVENT_ID=$'p\n"' EVENT_HOPS=1 -- bash -c emit
  assert_equal "$(attributes)" '[null,null,null,null,null]'
  in_handler EVENT_ID=parent EVENT_CORRELATION=$'c\e' TRACEPARENT="${TRACE/00-/01-}" -- bash -c emit
  assert_equal "$(attributes)" '[null,"parent","parent",1,null]'
  refute_exists ran
}

@test "an event that is logged as it is gets its cause too, and cannot reset its hops" {
  local head='{"specversion":"1.0","source":"s","type":"a.b"'
  in_handler EVENT_ID=parent EVENT_HOPS=4 -- "$LIB/event-logger.sh" "$head}"
  assert_equal "$(attributes)" '[null,"parent","parent",5,null]'
  in_handler EVENT_ID=parent EVENT_HOPS=4 -- "$LIB/event-logger.sh" \
    "$head,\"causationid\":\"other\",\"correlationid\":\"c\",\"hops\":1}"
  assert_equal "$(attributes)" '[null,"c","other",5,null]'
  in_handler EVENT_ID=parent EVENT_HOPS=4 -- "$LIB/event-logger.sh" "$head,\"hops\":20}"
  assert_equal "$(attributes)" '[null,"parent","parent",20,null]'
}

@test "a Cortex event that a handler creates names its correlation" {
  printf 'envelope = "cortex"\n' >"$HOOKLINE_HOME/coordination/config/hookline.toml"
  run in_handler EVENT_ID=parent EVENT_CORRELATION=flow -- "$LIB/event-logger.sh" --create a.b s 1
  assert_equal "$(jq -c '[.correlation_id, .metadata, .payload]' <<<"$output")" \
    '["flow",{"priority":"medium"},1]'
}
