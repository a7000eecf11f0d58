#!/usr/bin/env bats
# A schema and the handler of its type are of one opinion, and what a handler emits fits too.

load handlers

setup() { sandbox; }

fits() { # <type>: for each line of data on stdin, whether the schema takes it
  # shellcheck disable=SC2016 # Python
  "$HOOKLINE_CHECKOUT/.venv/bin/python" -c '
import json, pathlib, sys
import jsonschema_rs
schema = json.loads(pathlib.Path(sys.argv[1]).read_text())
jsonschema_rs.meta.validate(schema)
assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
validator = jsonschema_rs.validator_for(schema)
for line in sys.stdin:
    print("yes" if validator.is_valid(json.loads(line)) else "no")
' "$HOOKLINE_CHECKOUT/coordination/schemas/$1.json"
}

types() { # <handler>: what it says that it is on
  sed -n 's/^# on: //p' "$HANDLERS/$1.sh"
}

variants() { # <data>: the sample, and each field of it in turn missing, null and of other types
  jq -c '., (keys[] as $key | del(.[$key]), (null, {}, 7, "", "x") as $value
    | .[$key] = $value), {}, {unknown: 1}, null, [], "x"' <<<"$1"
}

@test "a schema refuses what the handler refuses, and nothing else" {
  local handler type data verdict number=0 all=$BATS_TEST_TMPDIR/data
  for handler in $(handlers_to_try 5); do
    # The types of one handler are the same to it: the first is tried in full.
    read -r type _ < <(types "$handler")
    furnish "$handler"
    variants "$(<"$BATS_TEST_DIRNAME/samples/$handler.json")" | drawn 12 "$handler" >"$all"
    fits "$type" <"$all" >"$all.verdicts"
    while IFS=$'\t' read -r verdict data; do
      printf '%s %s %s\n' "$type" "$verdict" "$data"
      handle "$handler" "e$((++number))" "$data"
      if [[ $verdict == yes ]]; then assert_success; else assert_failure 65; fi
    done < <(paste "$all.verdicts" "$all")
  done
  ((number > 15))
}

@test "each type that is handled has a schema, and several of one handler the same" {
  local handler type
  for handler in $(handlers_to_try); do
    for type in $(types "$handler"); do
      assert_equal "$(fits "$type" <"$BATS_TEST_DIRNAME/samples/$handler.json")" yes
    done
  done
  diff <(jq 'del(.title)' "$HOOKLINE_CHECKOUT/coordination/schemas/routing.decision.json") \
    <(jq 'del(.title)' "$HOOKLINE_CHECKOUT/coordination/schemas/routing.decision_made.json")
}

@test "what the handlers emit fits the schemas" {
  local n
  handled on-worker-heartbeat h1 '{"worker_id":"w1"}' 0
  handled on-worker-heartbeat h2 '{"worker_id":"w2"}' 400
  for n in 1 2 3 4; do handled on-task-failed "f$n" '{"error_type":"disk"}'; done
  for n in {1..6}; do
    handled on-learning-pattern "p$n" '{"worker_id":"w","outcome":"failure"}'
  done
  for n in {1..20}; do
    handled on-routing-decision "r$n" "{\"master\":\"m$((n == 1))\",\"confidence\":0.2}"
  done
  handled on-worker-failed w1 '{"task_id":"t1","failure_reason":"x"}'
  handled on-worker-completed w2 '{"task_id":"t1","tokens_used":3}'
  handled on-task-assigned a1 '{"task_id":"t1","worker_id":"w1"}'
  handled on-cleanup-needed c1 '{}'
  handled on-learning-cycle-requested y1 '{}'
  furnish on-layer-due
  handled on-layer-due l1 '{"layer":"x","schedule":"night"}'
  assert_equal "$(emitted '.data.alert_type // .type' | sort | tr '\n' ' ')" \
    '"layer.completed" "layer.started" "learning.cycle_completed" "learning.pattern_detected" '"\
\"learning.pattern_detected\" \"low_routing_confidence\" \"repeated_failure\" \
\"repeated_worker_failures\" \"routing.decision_made\" \"stale_workers\" \
\"system.cleanup_completed\" \"task.failed\" \"worker.watch_planned\" \"worker.watch_planned\" "
  for n in learning.pattern_detected learning.cycle_completed system.health_alert \
    system.cleanup_completed task.failed routing.decision_made worker.watch_planned layer.started \
    layer.completed; do
    assert_equal "$(emitted "select(.type == \"$n\") | .data" | fits "$n" | sort -u)" yes
  done
}

@test "what scans, checks and backups emit fits the schemas" {
  local type types='security.vulnerability_found system.backup_completed system.health_alert '
  types+='system.observability_checked'
  furnish on-system-observability-check
  handled on-security-scan-completed s1 '{"severity_breakdown":{"critical":1}}'
  handled on-system-observability-check o1 '{}'
  handled on-system-backup-scheduled b1 '{}'
  handled on-daemon-failed d1 '{}'
  assert_equal "$(emitted .type | sort | tr -d '"' | paste -sd ' ')" "$types"
  for type in $types; do
    assert_equal "$(emitted "select(.type == \"$type\") | .data" | fits "$type")" yes
  done
}
