#!/usr/bin/env bats
# shellcheck disable=SC2016 # texts for handlers
# Handlers as they were written for Cortex, copied into scripts/events/handlers/ and not changed.

load cortex

setup_file() { make_base; }

setup() { cortex; }

TOP='
HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
ROOT="$(cd "$HERE/../../.." && pwd)"
EVENT_LOGGER="$ROOT/scripts/events/lib/event-logger.sh"
if [ $# -lt 1 ] || [ ! -f "$1" ]; then
  printf "usage: %s EVENT_FILE\n" "$0" >&2
  exit 1
fi
FILE="$1"
note() { printf "[%s] [%s] %s\n" "$(date -u +%FT%TZ)" "$(basename "$0" .sh)" "$*" >&2; }
'

dispatch() {
  run --separate-stderr "$DISPATCHER"
  assert_success
  assert_equal "$output$stderr" ''
}

logged() { # <type> <source> <payload> [<correlation>] [<priority>]
  "$LOGGER" --create "$@" | "$LOGGER" >/dev/null
}

@test "a handler reads its event from \$1, as often as it likes, and keeps state under the root" {
  handler on-worker-complete.sh "$TOP"'
worker=$(jq -r ".payload.worker_id // .source" "$FILE")
priority=$(jq -r ".metadata.priority // \"medium\"" "$FILE")
type=$(cat "$FILE" | jq -r .event_type)
cp "$FILE" "$ROOT/coordination/last.json"
mkdir -p "$ROOT/coordination/metrics"
jq -c --arg w "$worker" --arg p "$priority" --arg t "$type" \
  "{worker: \$w, priority: \$p, type: \$t, tokens: .payload.tokens_used}" "$FILE" \
  >>"$ROOT/coordination/metrics/worker-performance.jsonl"
note "recorded $worker"'
  logged worker.completed w-1 '{"worker_id":"w-1","tokens_used":12345678901234567}' t-1 high
  dispatch
  assert_equal "$(made metrics/worker-performance.jsonl 'del(.tokens)')" \
    '{"worker":"w-1","priority":"high","type":"worker.completed"}'
  assert_equal "$(made last.json '[.correlation_id, has("specversion")]')" '["t-1",false]'
  assert_equal "$(find "$EVENTS/queue" -type f)" ''
}

@test "a follow-up goes out by a pipe, as an argument and by the sourced library" {
  handler on-worker-failed.sh "$TOP"'
task=$(jq -r ".correlation_id // .payload.task_id" "$FILE")
payload=$(jq -c "{task_id: .payload.task_id, reason: \"worker_failure\"}" "$FILE")
"$EVENT_LOGGER" --create "task.failed" "on-worker-failed" "$payload" "$task" "high" \
  | "$EVENT_LOGGER"
event=$("$EVENT_LOGGER" --create "system.health_alert" "on-worker-failed" \
  "{\"alert_type\": \"one\"}" "$task" "critical")
"$EVENT_LOGGER" "$event" >/dev/null
source "$HERE/../lib/event-logger.sh"
log_event "$(create_event learning.pattern_detected on-worker-failed "{\"a\":1}" "$task" medium)"'
  logged worker.failed w-1 '{"worker_id":"w-1","task_id":"t-9"}' t-9
  dispatch
  assert_equal "$(stored task '[.source, .correlation_id, .metadata.priority, .payload]')" \
    '["on-worker-failed","t-9","high",{"task_id":"t-9","reason":"worker_failure"}]'
  assert_equal "$(stored system '[.metadata.priority, .payload.alert_type]')" '["critical","one"]'
  assert_equal "$(stored learning .payload)" '{"a":1}'
  assert_equal "$(jq -c '[.hops, .causationid != null]' "$EVENTS/task-events.jsonl")" '[1,true]'
}

@test "each of their names gets the events that it got there" {
  local type
  local -A names=(
    ['worker.started']=worker-started ['worker.completed']=worker-complete
    ['worker.failed']=worker-failed ['worker.heartbeat']=worker-heartbeat
    ['task.created']=task-created ['task.assigned']=task-assigned
    ['task.completed']=task-complete ['task.failed']=task-failure
    ['security.scan_completed']=security-scan-completed
    ['security.vulnerability_found']=security-alert
    ['routing.decision_made']=routing-decision ['learning.pattern_detected']=learning-pattern
    ['learning.model_updated']=learning-model-updated ['system.cleanup_needed']=cleanup-needed
    ['system.health_alert']=health-alert ['daemon.started']=system-startup
    ['daemon.stopped']=system-shutdown
  )
  for type in "${!names[@]}"; do
    handler "on-${names[$type]}.sh" 'jq -c "[\"'"${names[$type]}"'\", .event_type]" "$1" \
      >>"$CORTEX_HOME/coordination/got.jsonl"'
    "$LOGGER" --emit "$type" test '{}' >/dev/null
  done
  # That is what the papers call it; the code knew the other one.
  "$LOGGER" --emit routing.decision test '{}' >/dev/null
  names['routing.decision']=routing-decision
  dispatch
  for type in "${!names[@]}"; do
    grep -qxF "[\"${names[$type]}\",\"$type\"]" "$HOME_OF/coordination/got.jsonl" || fail "$type"
  done
  assert_equal "$(wc -l <"$HOME_OF/coordination/got.jsonl")" 18
}

@test "beside one of theirs, ours of the same work is refused, and everybody says so" {
  handler on-task-failure.sh 'printf theirs >>"$CORTEX_HOME/coordination/got"'
  handler on-task-failed.sh $'# on: task.failed\nprintf ours >>"$CORTEX_HOME/coordination/got"'
  sed -i '/^set -/d' "$HOME_OF/scripts/events/handlers/on-task-failed.sh"
  logged task.failed t '{}'
  run "$DISPATCHER"
  assert_output --partial 'on-task-failure.sh has the same events: rm '
  assert_equal "$(<"$HOME_OF/coordination/got")" theirs
  run hookline handlers
  assert_failure 65
  assert_output --partial 'refused: '
  run hookline doctor
  assert_output --partial 'on-task-failure.sh has the same events'
  rm -- "$HOME_OF/scripts/events/handlers/on-task-failed.sh"
  run hookline handlers
  assert_success
}

@test "an event of one form reaches handlers of the other, and keeps its id and time" {
  local id event
  handler on-worker-started.sh 'cat "$1" >"$CORTEX_HOME/coordination/theirs.json"'
  handler on-also.sh 'cat >"$HOOKLINE_HOME/coordination/ours.json"'
  sed -i '2i # on: worker.started   envelope: cloudevents' \
    "$HOME_OF/scripts/events/handlers/on-also.sh"
  event=$("$LOGGER" --create worker.started w '{"n":1.50}' c low)
  id=$(jq -r .event_id <<<"$event")
  "$LOGGER" "$event" >/dev/null
  dispatch
  assert_equal "$(<"$HOME_OF/coordination/theirs.json")" "$(jq -rc . <<<"$event" |
    sed 's/"n":1.5}/"n":1.50}/')"
  assert_equal "$(made ours.json '[.specversion, .id, .priority, .correlationid]')" \
    "[\"1.0\",\"$id\",\"low\",\"c\"]"
  "$LOGGER" '{"specversion":"1.0","id":"mine","source":"s","type":"worker.started","data":{"n":2}}'
  dispatch
  assert_equal "$(made theirs.json '[.event_id, .payload, .metadata]')" \
    '["mine",{"n":2},{"priority":"medium"}]'
}

@test "one handler alone may want that form, in a home of the other" {
  sed -i 's/^envelope = .*/envelope = "cloudevents"/' "$HOME_OF/coordination/config/hookline.toml"
  handler on-task-failure.sh 'cat "$1" >"$HOOKLINE_HOME/coordination/theirs.json"'
  sed -i '2i # envelope: cortex' "$HOME_OF/scripts/events/handlers/on-task-failure.sh"
  "$LOGGER" --emit task.failed t '{"a":1}' >/dev/null
  "$DISPATCHER" --once
  assert_equal "$(made theirs.json '[.event_type, .payload]')" '["task.failed",{"a":1}]'
}

@test "a line that their logger left in a log goes to handlers of either form" {
  handler on-worker-started.sh 'cat "$1" >"$CORTEX_HOME/coordination/theirs.json"'
  handler on-also.sh 'cat >"$HOOKLINE_HOME/coordination/ours.json"'
  sed -i '2i # on: worker.started   envelope: cloudevents' \
    "$HOME_OF/scripts/events/handlers/on-also.sh"
  printf '{"event_id":"evt_1","event_type":"worker.started","timestamp":"%(%FT%T)T+0000",%s}\n' \
    -1 '"source":"w","metadata":{"master":"m"},"payload":{"a":1}' >"$EVENTS/worker-events.jsonl"
  dispatch
  assert_equal "$(made theirs.json '[.event_id, .metadata, .payload]')" \
    '["evt_1",{"priority":"medium","master":"m"},{"a":1}]'
  assert_equal "$(made ours.json '[.id, .type, .data.a]')" '["evt_1","worker.started",1]'
}
