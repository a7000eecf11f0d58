#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2030,SC2031 # texts for other shells; each test is a subshell
# What comes from outside, CloudEvents or Cortex, becomes the line that testing/vectors/ says.

load ../../test_helper
load vectors

LIB=$HOOKLINE_CHECKOUT/scripts/events/lib

setup() { sandbox; }

# Each event on stdin of a command of its own, in one home: what is refused must leave no line.
check_envelopes() { # <vector file>
  local name base64 verdict expected filled file=$TMPDIR/event logs
  logs=$HOOKLINE_HOME/coordination/events
  while IFS=$'\t' read -r base64 verdict expected filled name; do
    decoded "$base64" "$file"
    rm -f -- "$logs"/*.jsonl
    run "$LIB/event-logger.sh" <"$file"
    if [[ $verdict == bad ]]; then
      [[ $status -eq 65 ]] || fail "$name: exit $status, expected 65: $output"
      [[ $output == 'ERROR: '* && $output != *$'\n'* ]] || fail "$name: no one clear line: $output"
      assert_nothing_stored
    else
      [[ $status -eq 0 ]] || fail "$name: $output"
      assert_equal "$name: $(as_filled "$(cat "$logs"/*.jsonl)" "$filled")" \
        "$name: $(base64 -d <<<"$expected")"
    fi
  done < <(vectors "$1" \
    '[".\(.base64)", .verdict, .line_base64 // "-", "-\(.filled // "")", .name] | @tsv')
}

@test "every CloudEvents vector is stored as it says, or refused with exit 65" {
  check_envelopes envelopes.jsonl
}

@test "every Cortex vector is stored as it says, or refused with exit 65" {
  check_envelopes cortex.jsonl
}

@test "the validator says of each vector what the logger does, and stores nothing" {
  local base64 verdict name file=$TMPDIR/event
  while IFS=$'\t' read -r base64 verdict name; do
    decoded "$base64" "$file"
    run "$LIB/event-validator.sh" <"$file"
    if [[ $verdict == ok ]]; then
      assert_output 'Event validation passed'
    else
      [[ $status -eq 65 ]] || fail "$name: exit $status"
    fi
  done < <(vectors cortex.jsonl '[".\(.base64)", .verdict, .name] | @tsv')
  assert_nothing_stored
}

@test "every type vector names its log file, or names none" {
  local base64 verdict domain type logs=$HOOKLINE_HOME/coordination/events
  while read -r base64 verdict domain; do
    decoded "$base64" "$TMPDIR/type"
    IFS= read -r -d '' type <"$TMPDIR/type" || :
    rm -f -- "$logs"/*.jsonl
    run "$LIB/event-logger.sh" --emit "$type" s 1
    if [[ $verdict == ok ]]; then
      assert_success
      assert_equal "$(printf '%s' "$logs"/*.jsonl)" "$(log_of "$domain")"
    else
      assert_failure 65
      assert_nothing_stored
    fi
  done < <(vectors types.jsonl 'select(has_nul | not) | ".\(.base64) \(.verdict) \(.domain)"')
  refute_exists p
}

@test "every id vector is accepted or refused as it says" {
  local base64 verdict id
  while read -r base64 verdict; do
    decoded "$base64" "$TMPDIR/id"
    IFS= read -r -d '' id <"$TMPDIR/id" || :
    id=${id//\\/\\\\} id=${id//\"/\\\"} id=${id//$'\n'/\\n}
    run "$LIB/event-validator.sh" \
      "{\"specversion\":\"1.0\",\"id\":\"$id\",\"source\":\"s\",\"type\":\"a.b\"}"
    if [[ $verdict == ok ]]; then assert_success; else assert_failure 65; fi
  done < <(vectors ids.jsonl 'select(has_nul | not) | ".\(.base64) \(.verdict)"')
}

@test "every string vector is a source that is stored as it says, or refused" {
  local base64 verdict json source
  while read -r base64 verdict json; do
    decoded "$base64" "$TMPDIR/source"
    IFS= read -r -d '' source <"$TMPDIR/source" || :
    run "$LIB/event-logger.sh" --create a.b "$source" 1
    if [[ $verdict == ok ]]; then
      assert_success
      assert_output --partial ",\"source\":$(base64 -d <<<"$json"),\"type\""
    else
      assert_failure 65
    fi
  done < <(vectors strings.jsonl \
    'select(has_nul | not) | ".\(.base64) \(.verdict) \(.json_base64)"')
}

@test "every time vector is stored as it says, or refused" {
  local verdict expected only time
  while read -r verdict expected only time; do
    [[ $only == cortex ]] || check_time "$verdict" "$expected" \
      "{\"specversion\":\"1.0\",\"source\":\"s\",\"type\":\"a.b\",\"time\":$time}"
    [[ $only == cloudevents ]] || check_time "$verdict" "$expected" \
      "{\"event_type\":\"a.b\",\"source\":\"s\",\"timestamp\":$time}"
  done < <(vectors times.jsonl \
    '"\(.verdict) \(.time // "-") \(.only // "-") \(.base64 | @base64d | tojson)"')
}

check_time() { # <verdict> <stored time> <event>
  run "$LIB/event-logger.sh" "$3"
  if [[ $1 == ok ]]; then
    assert_success
    run tail -n 1 "$(log_of a)"
    assert_output --partial "\"type\":\"a.b\",\"time\":\"$2\""
  else
    [[ $status -eq 65 ]] || fail "exit $status, expected 65: $3"
  fi
}

@test "an event of Cortex may go through the logger and back with its numbers whole" {
  local data='{"n":1763700009000000123,"m":1.10}' head
  printf 'envelope = "cortex" # as before\n' >"$HOOKLINE_HOME/coordination/config/hookline.toml"
  run "$LIB/event-logger.sh" --create worker.started s "$data" c high
  assert_success
  head='^\{
  "event_id": "evt_[0-9]{8}_[0-9]{6}_[0-9a-f]{12}",
  "event_type": "worker.started",
  "timestamp": "[0-9T:-]{19}\+0000",
  "source": "s",
  "correlation_id": "c",
  "metadata": \{'
  assert_output --regexp "$head"
  assert_output --partial $'    "n": 1763700009000000123,\n    "m": 1.10\n  }\n}'
  run "$LIB/event-logger.sh" <<<"$output"
  assert_success
  run cat "$(log_of worker)"
  assert_output --partial ',"priority":"high","correlationid":"c","data":'"$data}"
}

@test "an event without correlation or priority goes back to Cortex as a medium one" {
  printf "envelope='cortex'\n[handlers]\n" >"$HOOKLINE_HOME/coordination/config/hookline.toml"
  run "$LIB/event-logger.sh" --create system.health_alert 'a"b' '{"workers":["w-2"]}'
  assert_equal "$(jq -c 'del(.event_id, .timestamp)' <<<"$output")" "$(jq -c . <<<'{
    "event_type": "system.health_alert", "source": "a\"b", "metadata": {"priority": "medium"},
    "payload": {"workers": ["w-2"]}}')"
}

@test "only the top of the configuration chooses the envelope" {
  local config=$HOOKLINE_HOME/coordination/config/hookline.toml text
  for text in '' '# envelope = "cortex"' $'[handlers]\nenvelope = "cortex"' \
    'envelope = "cloudevents"' 'envelopes = "cortex"' 'envelope = "cortexx"'; do
    printf '%s\n' "$text" >"$config"
    run "$LIB/event-logger.sh" --create a.b s 1
    assert_output --partial '{"specversion":"1.0"'
  done
  for text in 'envelope="cortex"' $'a = 1\nenvelope = "cortex"\n[a]' $'envelope\t=\t"cortex"\r'; do
    printf '%s' "$text" >"$config"
    run "$LIB/event-logger.sh" --create a.b s 1
    assert_output --partial '  "event_id": "evt_'
  done
}
