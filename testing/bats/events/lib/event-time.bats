#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2030,SC2031 # texts for other shells; each test is a subshell
# Ids and times without a fork; the times that others wrote are in event-translate.bats.

load ../../test_helper

LIB=$HOOKLINE_CHECKOUT/scripts/events/lib

setup() {
  sandbox
  export LIB
}

@test "ids are UUIDv7 of now, and rise within a shell" {
  local first now
  now=$(date +%s%3N)
  run bash -c 'source "$LIB/event-logger.sh"
    for i in {1..500}; do emit_event a.b s 1; printf "%s\n" "$HOOKLINE_EVENT_ID"; done'
  assert_success
  assert_equal "${#lines[@]}" 500
  [[ $(sort -u <<<"$output") == "$output" ]] || fail 'not rising, or twice'
  refute_line_unlike '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$'
  first=$((16#${lines[0]:0:8}${lines[0]:9:4}))
  ((first >= now && first < now + 60000)) || fail "not of now: $first, $now"
}

refute_line_unlike() { # <extended regexp>
  ! grep -vE "$1" <<<"$output" || fail "not like $1"
}

@test "a clock that goes back does not make ids fall" {
  run bash -c 'source "$LIB/event-logger.sh"
    emit_event a.b s 1; printf "%s\n" "$HOOKLINE_EVENT_ID"
    unset EPOCHREALTIME; EPOCHREALTIME=1700000000.000001
    for i in {1..3}; do emit_event a.b s 1; printf "%s\n" "$HOOKLINE_EVENT_ID"; done'
  [[ $(sort -u <<<"$output") == "$output" && ${#lines[@]} -eq 4 ]] || fail "$output"
  assert_equal "$(tail -n 1 "$(log_of a)" | jq -r .time)" 2023-11-14T22:13:20.000001Z
}

@test "times are UTC with microseconds, right to the day" {
  local seconds
  for seconds in 1 86399 86400 951782399 951782400 951868800 1709164800 1709251199 1735689599 \
    2147483648 4107542399 4107542400 253402300799; do
    run bash -c 'unset EPOCHREALTIME; EPOCHREALTIME=$1.000009; source "$LIB/event-logger.sh"
      create_event a.b s 1' - "$seconds"
    assert_equal "$(jq -r .time <<<"$output")" \
      "$(date -u -d "@$seconds" +%Y-%m-%dT%H:%M:%S).000009Z"
  done
}

@test "the decimal point of the caller's language does no harm" {
  run bash -c 'source "$LIB/event-logger.sh"; unset EPOCHREALTIME; EPOCHREALTIME=1700000000,123456
    create_event a.b s 1'
  assert_equal "$(jq -r .time <<<"$output")" 2023-11-14T22:13:20.123456Z
}

@test "generate_event_id and --generate-id print one id" {
  run bash -c 'source "$LIB/event-logger.sh"; generate_event_id'
  assert_output --regexp '^[0-9a-f-]{36}$'
  run "$LIB/event-validator.sh" --generate-id
  assert_output --regexp '^[0-9a-f-]{36}$'
}
