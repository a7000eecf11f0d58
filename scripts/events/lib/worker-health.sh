# shellcheck shell=bash
# Who is alive: the worker pool, fed by heartbeats, watched for silence.
#
#   workers_heartbeat <handler> <event-file>    notes the heartbeat, then looks for silent workers
#   workers_check <handler> <event-file>        only looks: for a schedule, which also runs when
#                                               nobody is left to send a heartbeat
#
# The clock is that of the log: a worker is silent when the newest event is 5 minutes past the
# worker's own last heartbeat. A dispatcher that works off a backlog takes nobody for dead.

[[ -n ${_hookline_worker_health_loaded-} ]] && return
_hookline_worker_health_loaded=1

# shellcheck source=state-file.sh
source "${BASH_SOURCE[0]%/*}/state-file.sh"

_HOOKLINE_POOL_SHAPE='[{"workers": "array", "stale_alert": "object"}]'

# A set of silent workers is told once in 5 minutes, a new one among them at once.
# shellcheck disable=SC2016 # a jq program
_HOOKLINE_POOL_WATCH='
def threshold_s: 300;
def stale: [.workers // [] | .[] | objects
  | select(.status | . != "completed" and . != "failed" and . != "stopped")
  | select($now - (.last_heartbeat | epoch_or($now)) > threshold_s) | .id // .worker_id | strings]
  | unique;
def watch: stale as $stale
  | (.stale_alert.workers // []) as $told
  | ($stale - $told != [] or ($stale != []
      and $now - (.stale_alert.at | epoch_or(0)) >= threshold_s)) as $tell
  | ([$stale[] | {(.): {status: "stale"}}] | add) as $marks
  | .workers |= map(if type == "object" then . + $marks[.id // .worker_id // ""] else . end)
  | if .active_workers | type == "object"
    then .active_workers |= with_entries(.value += $marks[.key]) else . end
  | .stale_alert = if $tell then {at: $at, workers: $stale}
      else {at: .stale_alert.at, workers: ($told - ($told - $stale))} end
  | save(0; .),
    if $tell then emit("system.health_alert"; "high"; {alert_type: "stale_workers",
      workers: $stale[:100], worker_count: ($stale | length),
      threshold_minutes: (threshold_s / 60), checked_at: $at}) else empty end;
'

# Older pools have a list of active workers, where ours is a map by id: that is left as it is.
# shellcheck disable=SC2016 # a jq program
_HOOKLINE_POOL_BEAT='
def is($id): type == "object" and (.id // .worker_id) == $id;
def beat($id; $fields): (first(.workers // [] | .[] | select(is($id))) // {}) as $known
  | ($fields + {
      status: ($fields.status // ($known.status | select(. != "stale")) // "running"),
      last_heartbeat: ([$known.last_heartbeat, $at] | max_by(epoch_or(0)))}) as $fields
  | .workers = if $known == {} then (.workers // []) + [{id: $id} + $fields]
      else [.workers[] | if is($id) then . + $fields else . end] end
  | if .active_workers | . == null or type == "object" then .active_workers[$id] += $fields
    else . end;

(id("worker_id") // ($event.source | clean)) as $id
| append("worker-health-metrics.jsonl"; {timestamp: $at, worker_id: $id,
    heartbeat_time: (text("heartbeat_time"; 64) // $at), status: "healthy"}),
  ({status: text("status"; 64), worker_type: text("worker_type"; 256), task_id: id("task_id")}
    | with_entries(select(.value != null)) as $fields | $states[0] | beat($id; $fields) | watch)
'

workers_heartbeat() { # <handler> <event-file>
  state_apply "$1" "${2-}" "$_HOOKLINE_POOL_SHAPE" \
    "$_HOOKLINE_POOL_WATCH$_HOOKLINE_POOL_BEAT" worker-pool.json
}

workers_check() { # <handler> <event-file>
  # shellcheck disable=SC2016 # a jq program
  state_apply "$1" "${2-}" "$_HOOKLINE_POOL_SHAPE" \
    "$_HOOKLINE_POOL_WATCH"' $states[0] | watch' worker-pool.json
}
