#!/usr/bin/env bash
# Usage: on-learning-pattern.sh EVENT-FILE
# Summary: records a learned pattern, rates the worker that it is about, renders the insights
# Exit: 0 done, 65 bad data, 75 the figures were locked too long
# on: learning.pattern_detected
# run: warm   timeout: 30s   envelope: cloudevents
set -uo pipefail
umask 027

# shellcheck source=../lib/state-file.sh
source "${BASH_SOURCE[0]%/*}/../lib/state-file.sh"

SHAPES='[{"total_patterns": "number", "by_type": {"*": "number"}, "by_outcome": {"*": "number"},
  "optimizations": [{"timestamp": "string", "pattern_type": "string", "optimization": "string"}],
  "_recent": ["array"], "_alerted": {"*": "string"}}, {"workers": "object"}]'

# shellcheck disable=SC2016 # a jq program
PROGRAM='
def noted($pattern): .total_patterns += 1 | .last_updated = $at
  | .by_type |= count($pattern.pattern_type)
  | if $pattern.outcome then .by_outcome |= count($pattern.outcome) else . end
  | if $pattern.optimization then .optimizations = ((.optimizations // [])
      + [$pattern | {timestamp, pattern_type, optimization}] | .[-20:]) else . end
  | if $pattern.worker_id and $pattern.outcome
    then ._recent = ((._recent // []) + [[$pattern.worker_id, $pattern.outcome]] | .[-100:])
    else . end
  | [(._recent // [])[][0]] as $known
  | ._alerted = (._alerted // {} | with_entries(select(.key as $id | $known | index([$id]))));
def outcomes($worker; $outcome): [._recent // [] | .[] | select(. == [$worker, $outcome])] | length;

def rated($worker; $successes): (.workers // {}) as $known
  | .workers[$worker | among($known)] |=
    ((objects // {}) + {confidence: 0.95, successes: $successes, last_updated: $at});

def cell: explode | [.[] as $c | if [92, 96, 42, 95, 60, 62, 124, 91, 93] | index([$c])
  then 92, $c else $c end] | implode;
def table($title; $counts): "\n## " + $title + "\n\n| what | times |\n|---|---|\n" +
  ([$counts // {} | to_entries | map(select(.value | numbers)) | sort_by(-.value) | .[:20][]
    | "| " + (.key | cell) + " | \(.value) |\n"] | add // "");
def insights: "# Insights\n\n\(.total_patterns) patterns, the newest at \(.last_updated).\n"
  + table("Patterns"; .by_type) + table("Outcomes"; .by_outcome) + "\n## Optimizations\n\n"
  + ([.optimizations // [] | reverse | .[] | "- " + .timestamp + " " + (.pattern_type | cell) + ": "
    + (.optimization | cell)] | join("\n"));

{timestamp: $at, pattern_type: (id("pattern_type") // "performance"), outcome: id("outcome"),
  optimization: text("optimization"; 2000), worker_id: id("worker_id"), task_id: id("task_id"),
  master: id("master")} as $pattern
| $pattern.worker_id as $worker
| append("moe-learning/patterns.jsonl"; $pattern),
  ($states[0] | noted($pattern)
    | outcomes($worker; "success") as $successes | outcomes($worker; "failure") as $failures
    | ($pattern.outcome == "failure" and $failures > 5
        and (._alerted[$worker // ""] | ago($now)) >= 3600) as $tell
    | if $tell then ._alerted[$worker] = $at else . end
    | save(0; .),
      write("text"; "moe-insights.md"; insights),
      if $pattern.outcome == "success" and $successes > 10
      then $states[1] | save(1; rated($worker; $successes)) else empty end,
      if $tell then emit("system.health_alert"; "high"; {alert_type: "repeated_worker_failures",
        worker_id: $worker, failure_count: $failures}) else empty end)
'

state_apply on-learning-pattern "${1-}" "$SHAPES" "$PROGRAM" \
  metrics/learning-stats.json metrics/worker-confidence.json
