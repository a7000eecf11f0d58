#!/usr/bin/env bash
# Usage: on-learning-model-updated.sh EVENT-FILE
# Summary: keeps the registry of models and how they do, and says when one has become much better
# Exit: 0 done, 65 bad data, 75 the registry was locked too long
# on: learning.model_updated
# run: warm   timeout: 30s   envelope: cloudevents
set -uo pipefail
umask 027

# shellcheck source=../lib/state-file.sh
source "${BASH_SOURCE[0]%/*}/../lib/state-file.sh"

SHAPES='[{"total_model_updates": "number", "_models_told": "object"}, {"models": "object"}]'

# A version is a text or a number, as people write it. The registry has the newest update of a
# model, also when an older one comes again.
# shellcheck disable=SC2016 # a jq program
PROGRAM='
def version: $data.version | if type == "number" then tostring else text("version"; 256) end;

(id("model_id") | required("model_id")) as $model
| {timestamp: $at, model_id: $model, model_type: text("model_type"; 256), version: version,
    performance_delta: kind("performance_delta"; "number")} as $update
| (($states[1].models[$model].updated_at? // null | past | moment) <= ($at | moment)) as $news
| append("moe-learning/model-updates.jsonl"; $update),
  if $update.performance_delta then append("moe-learning/performance-tracking.jsonl";
    $update | del(.model_type)) else empty end,
  append("dashboard-events.jsonl"; {id: $identity.event_id, timestamp: $at,
    type: "learning.model_updated", data: $update, source: $identity.event_source}),
  ($states[1] | select($news) | (.models // {}) as $known | .last_updated = $at
    | save(1; .models[$model | among($known)] =
      ($update | del(.model_id, .timestamp) | .updated_at = $at))),
  ($states[0] | .total_model_updates += 1 | .last_model_update = $at
    | ($news and ($update.performance_delta // 0) > 0.1
        and (._models_told[$model] | ago($now)) >= 3600) as $tell
    | save(0; if $tell then ._models_told = (._models_told // {}
        | with_entries(select((.value | ago($now)) < 3600)) | .[$model] = $at)
      else . end),
      if $tell then emit("system.health_alert"; "low"; {alert_type: "learning_improvement",
        model_id: $model, version: $update.version,
        performance_delta: $update.performance_delta}) else empty end)
'

state_apply on-learning-model-updated "${1-}" "$SHAPES" "$PROGRAM" \
  metrics/learning-stats.json model-registry.json
