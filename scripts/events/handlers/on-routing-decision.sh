#!/usr/bin/env bash
# Usage: on-routing-decision.sh EVENT-FILE
# Summary: keeps the routing record; says when confidence or balance is lost, or somebody is better
# Exit: 0 done, 65 bad data, 75 the figures were locked too long
# on: routing.decision_made routing.decision
# run: warm   timeout: 30s   envelope: cloudevents
set -uo pipefail
umask 027

# shellcheck source=../lib/state-file.sh
source "${BASH_SOURCE[0]%/*}/../lib/state-file.sh"

SHAPES='[{"masters": {"*": {"confidence_count": "number?", "avg_confidence": "number?",
  "decision_count": "number?"}}, "total_decisions": "number", "_recent": ["array"],
  "_alerted": {"*": "string"}}]'

# An assignment is a decision too: it names the kind of worker for its master and has no confidence.
# An imbalance makes a learning event, which may well make routing decisions: hence once an hour.
# What the learning cycle believes of the experts (docs/howto/learning.md) is held against each
# decision. Of a type of task it counts from five outcomes on, else what is believed of all tasks.
# shellcheck disable=SC2016 # a jq program
PROGRAM='
def master: $data._metadata | if type == "object" and (.master | type) == "string"
  then .master | clean[:256] else null end;

def rated($confidence): (.confidence_count // (if .avg_confidence then .decision_count else 0 end))
    as $count
  | if $confidence == null then . else .confidence_count = $count + 1
    | .avg_confidence = ((.avg_confidence // 0) * $count + $confidence) / ($count + 1) end;
def decided($master; $confidence): .total_decisions += 1
  | (.masters // {}) as $known | ($master | among($known)) as $name
  | .masters[$name] |= (rated($confidence) | .decision_count += 1 | .last_updated = $at)
  | ._recent = ((._recent // []) + [[$name, $confidence]] | .[-50:]);

def quiet($what): (._alerted[$what] | ago($now)) >= 3600;
def average: [._recent[][1] | numbers] | if length < 10 then 1 else add / length end;
def favourite: ._recent | length as $all | group_by(.[0]) | max_by(length)
  | {pattern_type: "routing_imbalance", master: .[0][0], share: (length / $all), decisions: $all};

def rating: objects | select([.mean, .low, .high | numbers] | length == 3);
def believed: [$learned | parsed | objects | .experts | objects][0] // {};
def scope($master; $type): [.[$master] | objects | .task_types | objects | .[$type // ""] | rating
  | select(.outcomes | numbers >= 5) | $type][0];
def within($scope): if $scope then objects | .task_types | objects | .[$scope] else . end | rating;
def better_than($rating; $scope): [to_entries[] | .key as $name | .value | within($scope)
    | select(.low > $rating.high) | {$name, low, high}] | max_by(.low);

(master // id("master") // id("worker_type") | required("master")) as $master
| (kind("confidence"; "number") | if . == null or (. >= 0 and . <= 1) then .
    else reject("data.confidence is not from 0 to 1") end) as $confidence
| id("task_type") as $type | believed as $experts | ($experts | scope($master; $type)) as $scope
| [$experts[$master] | within($scope)][0] as $rating
| (if $rating then $experts | better_than($rating; $scope) else null end) as $better
| append("routing/routing-decisions.jsonl"; {timestamp: $at, master: $master,
    confidence: $confidence, routing_reason: text("routing_reason"; 2000),
    task_id: id("task_id"), task_type: $type, worker_id: id("worker_id"),
    decision: text("decision"; 256)} + if $rating then {learned_confidence: $rating.mean,
    learned_from: $rating.low, learned_to: $rating.high} else {} end),
  ($states[0] | decided($master; $confidence) | average as $average | favourite as $favourite
    | ($average < 0.5 and quiet("low_confidence")) as $low
    | ($favourite.decisions >= 20 and $favourite.share > 0.8 and (.masters | length) > 1
        and quiet("imbalance")) as $tilted
    | ($better and quiet("misplaced")) as $misplaced
    | if $low then ._alerted.low_confidence = $at else . end
    | if $tilted then ._alerted.imbalance = $at else . end
    | if $misplaced then ._alerted.misplaced = $at else . end
    | save(0; .),
      if $low then emit("system.health_alert"; "high"; {alert_type: "low_routing_confidence",
        avg_confidence: ($average * 1e4 | round / 1e4), threshold: 0.5,
        decisions: $favourite.decisions}) else empty end,
      if $tilted then emit("learning.pattern_detected"; "medium"; $favourite) else empty end,
      if $misplaced then emit_as("-misplaced"; "learning.pattern_detected"; "medium"; {
        pattern_type: "routing_misplaced", master: $master, task_type: $scope,
        learned: [$rating.low, $rating.high], better: $better.name,
        better_learned: [$better.low, $better.high], task_id: id("task_id"),
        optimization: "give \($better.name) what \($master) was given"}) else empty end)
'

LEARNED=${HOOKLINE_HOME:-${BASH_SOURCE[0]%/*}/../../..}/coordination
LEARNED+=/moe-learning/expert-confidence.json
[[ -f $LEARNED && -r $LEARNED ]] || LEARNED=/dev/null

state_apply on-routing-decision "${1-}" "$SHAPES" "$PROGRAM" metrics/routing-stats.json \
  -- --rawfile learned "$LEARNED"
