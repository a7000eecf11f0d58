#!/usr/bin/env bats
# shellcheck disable=SC2016 # texts for clients
# The logger and the validator, as scripts that were written for Cortex call them.

load cortex

setup_file() { make_base; }

setup() { cortex; }

ID='evt_[0-9]{8}_[0-9]{6}_[0-9a-f]{12}'

@test "--create prints what jq would, and neither stores nor queues it" {
  run --separate-stderr "$LOGGER" --create worker.started me '{"b":{},"a":[1,{"c":[]}]}' job high
  assert_success
  assert_equal "$(jq . <<<"$output")" "$output"
  assert_equal "$(jq -r 'keys_unsorted | join(" ")' <<<"$output")" \
    'event_id event_type timestamp source correlation_id metadata payload'
  assert_equal "$(jq -c '[.event_type, .source, .correlation_id, .metadata, .payload]' \
    <<<"$output")" '["worker.started","me","job",{"priority":"high"},{"b":{},"a":[1,{"c":[]}]}]'
  [[ $(jq -r .event_id <<<"$output") =~ ^$ID$ ]]
  [[ $(jq -r .timestamp <<<"$output") =~ ^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\+0000$ ]]
  assert_equal "$stderr" ''
  assert_equal "$(find "$EVENTS" -type f)" ''
}

@test "without a correlation the key is left out, and the priority is medium" {
  run "$LOGGER" --create worker.started me '[]' ''
  assert_equal "$(jq -c '[has("correlation_id"), .metadata.priority, .payload]' <<<"$output")" \
    '[false,"medium",[]]'
}

@test "any payload is printed as jq would: texts, numbers, nothing" {
  local payload
  for payload in '"a\"b\\"' '"{,[:"' null 5 '{"a":"","":{"x":"y"}}' '[[],{},[{}]]' '"é\u0007"' \
    '{"a":"x\\\"}","b":["\\",","]}'; do
    run "$LOGGER" --create a.b s "$payload"
    assert_success
    assert_equal "$(jq . <<<"$output")" "$(jq -n --argjson e "$output" '$e')"
    [[ $payload == *\\u* ]] || assert_equal "$(jq . <<<"$output")" "$output"
    assert_equal "$(jq .payload <<<"$output")" "$(jq . <<<"$payload")"
  done
}

@test "an event goes in as argument, by a pipe and by a here-document, in their words" {
  local event id
  event=$("$LOGGER" --create worker.heartbeat w-1 '{"worker_id":"w-1"}')
  id=$(jq -r .event_id <<<"$event")
  run "$LOGGER" "$event"
  assert_success
  assert_output "Event validation passed
Event logged: $id -> $EVENTS/worker-events.jsonl"
  "$LOGGER" --create task.created t '{"task_id":"1"}' | "$LOGGER"
  "$LOGGER" <<EVENT
$("$LOGGER" --create task.failed t '{"task_id":"1"}' 1 critical)
EVENT
  assert_equal "$(stored worker .event_id)" "\"$id\""
  assert_equal "$(stored task '[.event_type, .metadata.priority]')" \
    $'["task.created","medium"]\n["task.failed","critical"]'
}

@test "what was logged comes back as it was, whatever else it says" {
  local event='{"event_id":"evt_20251201_120000_test123","event_type":"worker.started",
    "timestamp":"2025-12-01T22:55:11+0000","source":"s","correlation_id":"c",
    "metadata":{"priority":"URGENT","master":"m","tags":["a"]},"payload":{"n":1.50},"worker":"w"}'
  run "$LOGGER" "$event"
  assert_success
  assert_equal "$(hookline log 'worker.*' --format cortex)" "$(tr -d ' \n' <<<"$event")"
}

@test "a bad event is refused with an ERROR, an exit that is not 0, and nothing is stored" {
  local event
  for event in '' '{' '{"event_id":"x"}' "$("$LOGGER" --create a.b s 1 | jq 'del(.source)')" \
    "$("$LOGGER" --create a.b s 1 | jq '.timestamp = "tomorrow"')"; do
    run --separate-stderr "$LOGGER" <<<"$event"
    assert_failure
    assert_stderr --regexp '^ERROR: '
    assert_equal "$output" ''
  done
  run "$LOGGER" --create a.b s
  assert_failure
  run "$LOGGER" --create a.b s '{"a":'
  assert_failure
  assert_equal "$(find "$EVENTS" -type f)" ''
}

@test "types that their validator refused are logged" {
  local type
  for type in system.daemon_start_requested system.observability_check learning.cycle_requested \
    routing.decision; do
    "$LOGGER" --create "$type" me '{}' '' high | "$LOGGER"
  done
  assert_equal "$(jq -r .type "$EVENTS"/*.jsonl)" \
    "learning.cycle_requested
routing.decision
system.daemon_start_requested
system.observability_check"
}

@test "the validator: a new id, an event that is good, one that is not" {
  local validator=${LOGGER%logger.sh}validator.sh
  run "$validator" --generate-id
  assert_output --regexp "^$ID$"
  run "$validator" "$("$LOGGER" --create a.b s 1)"
  assert_success
  assert_output 'Event validation passed'
  run "$validator" '{"event_id":"x"}'
  assert_failure
}

@test "their place says which home is meant, wherever the caller stands" {
  mkdir -p -- "$TMPDIR/other/coordination" "$TMPDIR/named/coordination"
  cd -- "$TMPDIR/other"
  "$LOGGER" --emit here.one s 1
  CORTEX_HOME=$TMPDIR/named "$LOGGER" --emit here.two s 1
  bash -euo pipefail -c 'source "$1"; create_event here.three s 1 | log_event "$(cat)"' - "$LOGGER"
  assert_equal "$(stored here .event_type)" $'"here.one"\n"here.three"'
  assert_exists "$TMPDIR/named/coordination/events/here-events.jsonl"
}

@test "a client that sources it keeps its own variables and options, and has all functions" {
  client report.sh '
SCRIPT_DIR="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
EVENTS_DIR=/mine IFS=$'"'\\\\t'"' before=$-
source "$SCRIPT_DIR/events/lib/event-logger.sh"
id=$(generate_event_id)
event=$(create_event "task.created" "report" "{\"task_id\":\"7\"}" "job-7" "low")
validate_event "$event" >/dev/null
log_event "$event"
create_and_log_event task.completed report "{\"task_id\":\"7\"}" job-7 medium
printf "%s\n" "$SCRIPT_DIR" "$EVENTS_DIR" "$PROJECT_ROOT" "$QUEUE_DIR" "$before$-" "$id"'
  run "$HOME_OF/scripts/report.sh"
  assert_success
  assert_equal "${lines[0]}" 'Event validation passed'
  assert_equal "${lines[1]%% evt*}" 'Event logged:'
  assert_equal "${lines[2]}" "$HOME_OF/scripts"
  assert_equal "${lines[3]}" /mine
  assert_equal "${lines[4]}" "$HOME_OF"
  assert_equal "${lines[5]}" "$EVENTS/queue"
  assert_equal "${lines[6]:0:${#lines[6]}/2}" "${lines[6]:${#lines[6]}/2}"
  [[ ${lines[7]} =~ ^$ID$ ]]
  assert_equal "$(stored task '[.event_type, .correlation_id, .metadata.priority]')" \
    $'["task.created","job-7","low"]\n["task.completed","job-7","medium"]'
}

@test "in another home sourcing it leaves no name behind" {
  sed -i 's/^envelope = .*/envelope = "cloudevents"/' "$HOME_OF/coordination/config/hookline.toml"
  run bash -c 'source "$1"; printf "%s" "${PROJECT_ROOT-no} ${EVENTS_DIR-no} ${QUEUE_DIR-no}"' \
    - "$LOGGER"
  assert_output 'no no no'
}

@test "clients under every strictness, without HOME, with an IFS of their own" {
  client strict.sh '
unset -v HOME
set -f; IFS=,; LOGGER=$1
source "$LOGGER"
log_event "$(create_event a.b s "{\"sourced\":[1, 2]}" "" low)" >/dev/null
"$LOGGER" "$("$LOGGER" --create a.b s "{\"argument\":1}")" >/dev/null
"$LOGGER" --create a.b s "{\"piped\":1}" "" critical | "$LOGGER" >/dev/null
printf "%s\n" "$-$IFS"'
  run "$HOME_OF/scripts/strict.sh" "$LOGGER"
  assert_success
  assert_output --regexp '^.*e.*f.*u.*,$'
  assert_equal "$(stored a .payload)" $'{"sourced":[1,2]}\n{"argument":1}\n{"piped":1}'
}

@test "a payload that no command line could carry goes in by the pipe" {
  printf '%0200000d' 0 | jq -R '{event_id: "evt_20251201_120000_big", source: "s",
    event_type: "worker.completed", timestamp: "2025-12-01T12:00:00+0000", payload: {text: .}}' |
    "$LOGGER"
  assert_equal "$(stored worker '.payload.text | length')" 200000
}

@test "who pipes into it may take its time" {
  require_tool strace
  "$LOGGER" --create a.b s 1 | strace -qq -e trace=pselect6 -o "$TMPDIR/trace" "$LOGGER" >/dev/null
  run grep -c 'tv_sec=8639' "$TMPDIR/trace"
  assert_success
}

@test "what there was before the bus: an event, and a line for the dashboards" {
  run "$HOME_OF/scripts/emit-event.sh" Worker-Started '{"a": [1, 2]}' master
  assert_success
  refute_output
  "$HOME_OF/scripts/emit-event.sh" task.done '"x"'
  assert_equal "$(stored dashboard '[.event_type, .source, .payload]')" \
    '["dashboard.worker_started","master",{"a":[1,2]}]'
  assert_equal "$(stored task '[.source, .payload]')" '["emit-event","x"]'
  assert_equal "$(made dashboard-events.jsonl '[(.id | test("^evt-[0-9]+-[0-9]+$")),
    (.timestamp | test("^[0-9T:-]{19}Z$")), .type, .data, .source]')" \
    $'[true,true,"Worker-Started",{"a":[1,2]},"master"]\n[true,true,"task.done","x","emit-event"]'
  run -64 "$HOME_OF/scripts/emit-event.sh" only
  run -65 "$HOME_OF/scripts/emit-event.sh" a.b '{'
  assert_equal "$(wc -l <"$HOME_OF/coordination/dashboard-events.jsonl")" 2
}

@test "so it is where there is no logger: the event is in the drop box, or refused" {
  rm -- "$LOGGER"
  run --separate-stderr "$HOME_OF/scripts/emit-event.sh" Worker-Started '{"a": [1, 2]}' master
  assert_success
  assert_equal "$(cat -- "$EVENTS"/queue/*.json | jq -c '[.type, .source, .data]')" \
    '["dashboard.worker_started","master",{"a":[1,2]}]'
  run -65 "$HOME_OF/scripts/emit-event.sh" a.b '{'
  assert_equal "$(made dashboard-events.jsonl .source)" '"master"'
}
