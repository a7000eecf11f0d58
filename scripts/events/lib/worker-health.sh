# shellcheck shell=bash
# Who is alive: the worker pool, fed by heartbeats, watched for silence.
#
#   workers_heartbeat <handler> <event-file>    notes heartbeats, then looks for silent workers; at
#                                               a worker.watch_due it only looks
#   workers_check <handler> <event-file>        only looks: for a program that polls, with an event
#                                               of its own making
#
# A worker is silent when its last heartbeat, or its start, is further back than `stale_after` of
# [workers] in config/policies.toml (300s), or than the `stale_after_s` of its own heartbeats. The
# clock is that of the log: both kinds of events lie in one log and go through one handler in their
# order, so that a dispatcher that works off a backlog takes nobody for dead.
#
# Nobody is left to send when all have fallen silent: so the first moment at which somebody may be
# silent is asked for as worker.watch_planned, of which the schedule worker_watch makes the tick
# worker.watch_due. That is one pair of events in each `stale_after`, and none where nobody works.

[[ -n ${_hookline_worker_health_loaded-} ]] && return
_hookline_worker_health_loaded=1

# shellcheck source=worker-pool.sh
source "${BASH_SOURCE[0]%/*}/worker-pool.sh"
# shellcheck source=policies.sh
source "${BASH_SOURCE[0]%/*}/policies.sh"

# A set of silent workers is told once in 5 minutes, a new one among them at once.
# shellcheck disable=SC2016 # a jq program
_HOOKLINE_POOL_WATCH='
def quiet_s: 300;
def stale_after_s: [$policies.workers.stale_after | span][0] // 300;

def is_watched: .last_heartbeat
  and (.status | . != "completed" and . != "failed" and . != "stopped")
  and (.status != "available" or (.last_heartbeat | moment) > (.completed_at | past | moment));
def deadlines: stale_after_s as $home | [.workers // [] | .[] | objects | select(is_watched)
  | {id: (.id // .worker_id), for: ((.stale_after_s | numbers) // $home),
      until: ([.last_heartbeat, .started_at | past | moment] | max | values)}
  | select(.id | type == "string")
  | .until += .for];

# What must be remembered, and what has changed, is saved.
def in_time: if .last_heartbeat and (.last_heartbeat | past) == null
  then .last_heartbeat = $at else . end;
def watch($always): now_s as $now | .workers |= [.[]? | (objects |= in_time)] | deadlines as $all
  | ([$all[] | select(.until < $now).id] | unique) as $stale
  | ([$all[].until | select(. >= $now)] | min) as $first
  | [.stale_alert.workers | arrays | .[]] as $told
  | ($stale - $told != [] or ($stale != []
      and (.stale_alert.at | ago($now)) >= quiet_s)) as $tell
  | ([$stale[] | {(.): {status: "stale"}}] | add) as $marks
  | .workers |= [.[]? | if type == "object" then . + $marks[.id // .worker_id // ""] else . end]
  | if .active_workers | type == "object"
    then .active_workers |= with_entries((.value | objects) += $marks[.key]) else . end
  | .stale_alert = if $tell then {at: $at, workers: $stale}
      else {at: .stale_alert.at, workers: ($told - ($told - $stale))} end
  | .watch.due as $before | planned("watch"; $first; $now)
  | (select($always or . != $states[0]) | save(0; .)),
    if $tell then emit("system.health_alert"; "high"; {alert_type: "stale_workers",
      workers: $stale[:100], worker_count: ($stale | length),
      threshold_minutes: (stale_after_s / 60), checked_at: $at}) else empty end,
    if .watch.due != $before then emit("worker.watch_planned"; "low"; .watch) else empty end;
'

# shellcheck disable=SC2016 # a jq program
_HOOKLINE_POOL_BEAT='
def year_s: 31536000;
def beat($id; $fields): (first(.workers // [] | .[] | select(is_row($id; "worker_id"))) // {})
    as $known
  | ($known.status | . == null or . == "stale") as $is_back
  | with_worker($id; {last_heartbeat: ([($known.last_heartbeat | past), $at]
        | max_by(epoch_or(0)))}
      + (if $is_back then {status: "running"} else {} end) + $fields);

if $event.type == "worker.watch_due" then $states[0] | watch(true) else
  worker as $id
  | append("worker-health-metrics.jsonl"; {timestamp: $at, worker_id: $id,
      heartbeat_time: (text("heartbeat_time"; 64) // $at), status: "healthy"}),
    ({status: text("status"; 64), worker_type: text("worker_type"; 256), task_id: id("task_id"),
        stale_after_s: (amount("stale_after_s") | if . == 0 then null elif . > year_s
          then reject("data.stale_after_s is more than a year (\(year_s))") else . end)} | known
      | . as $fields | $states[0] | beat($id; $fields)
      | if $more then save(0; .) else watch(true) end)
end
'

workers_heartbeat() { # <handler> <event-file>
  _workers_apply "$1" "${2-}" "$_HOOKLINE_POOL_BEAT"
}

workers_check() { # <handler> <event-file>
  # shellcheck disable=SC2016 # a jq program
  _workers_apply "$1" "${2-}" '$states[0] | watch(false)'
}

_workers_apply() { # <handler> <event-file> <jq-program>
  # Where the policies cannot be read, workers are watched all the same.
  policies_read || _hookline_policies='{}'
  state_apply "$1" "$2" "[$_HOOKLINE_POOL_SHAPE]" "$_HOOKLINE_POLICY_WORDS$_HOOKLINE_POOL_WORDS
    $_HOOKLINE_POOL_WATCH$3" worker-pool.json -- --argjson policies "$_hookline_policies"
}
