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
  for handler in "$HANDLERS"/on-*.sh; do
    handler=${handler##*/} handler=${handler%.sh}
    # The types of one handler are the same to it: the first is tried in full.
    read -r type _ < <(types "$handler")
    variants "$(<"$BATS_TEST_DIRNAME/samples/$handler.json")" >"$all"
    fits "$type" <"$all" >"$all.verdicts"
    while IFS=$'\t' read -r verdict data; do
      printf '%s %s %s\n' "$type" "$verdict" "$data"
      handle "$handler" "e$((++number))" "$data"
      if [[ $verdict == yes ]]; then assert_success; else assert_failure 65; fi
    done < <(paste "$all.verdicts" "$all")
  done
  ((number > 100))
}

@test "each type that is handled has a schema, and several of one handler the same" {
  local handler type
  for handler in "$HANDLERS"/on-*.sh; do
    handler=${handler##*/} handler=${handler%.sh}
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
  handled on-cleanup-needed c1 '{}'
  assert_equal "$(emitted '.data.alert_type // .type' | sort | tr '\n' ' ')" \
    '"learning.pattern_detected" "low_routing_confidence" "repeated_failure" '"\
\"repeated_worker_failures\" \"stale_workers\" \"system.cleanup_completed\" "
  for n in learning.pattern_detected system.health_alert system.cleanup_completed; do
    assert_equal "$(emitted "select(.type == \"$n\") | .data" | fits "$n" | sort -u)" yes
  done
}
