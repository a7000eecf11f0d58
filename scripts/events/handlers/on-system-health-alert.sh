#!/usr/bin/env bash
# Usage: on-system-health-alert.sh EVENT-FILE
# Summary: keeps the newest alerts at hand, all of them on record, and counts them; emits nothing
# Exit: 0 done, 65 bad data, 75 the figures were locked too long
# on: system.health_alert
# run: warm   timeout: 30s   envelope: cloudevents
set -uo pipefail
umask 027

# shellcheck source=../lib/state-file.sh
source "${BASH_SOURCE[0]%/*}/../lib/state-file.sh"

SHAPES='[{"total_alerts": "number", "by_type": {"*": "number"}, "by_severity": {"*": "number"}},
  {"alerts": "array"}]'

# An alert without a description is described by what else its data says. jq 1.6 rounds what a
# double cannot hold, and a wrong number is worse than none.
# shellcheck disable=SC2016 # a jq program
PROGRAM='
def shown: if type == "number" and (. > 9007199254740991 or . < -9007199254740991)
  then "(too large to show)" elif type == "object" then "{...}" else tojson[:200] end;
def described: del(.alert_type, .description, ._metadata)
  | [keys_unsorted[] as $key | $key + ": " + (.[$key] | shown)] | join(", ") | .[:500] | clean;

{timestamp: $at, alert_type: (id("alert_type") | required("alert_type")),
  severity: ($event.priority // "medium"),
  description: (text("description"; 500) // ($data | described)),
  source: $identity.event_source} as $alert
| append("health-reports.jsonl"; $alert),
  append("dashboard-events.jsonl"; {id: $identity.event_id, timestamp: $at,
    type: "system.health_alert", data: $alert, source: $alert.source}),
  ($states[0] | .total_alerts += 1 | .last_alert = $at
    | .by_type |= count($alert.alert_type) | .by_severity |= count($alert.severity)
    | save(0; .)),
  ($states[1] | .last_updated = $at | ($alert + $identity) as $new
    | .alerts = ((.alerts // [])
        | map(select(type != "object" or {event_id, event_source} != $identity)) + [$new] | .[-50:])
    | save(1; .))
'

state_apply on-system-health-alert "${1-}" "$SHAPES" "$PROGRAM" \
  metrics/health-alert-stats.json health-alerts.json
