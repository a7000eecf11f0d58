# shellcheck shell=bash
# What is known of the daemons: coordination/status.json, a view of daemon.started, daemon.stopped
# and daemon.failed, and system-health.json, which sums it up.
#
#   daemon_started <handler> <event-file>
#   daemon_stopped <handler> <event-file>
#   daemon_failed  <handler> <event-file>
#
# Three handlers write the view, each at its own pace, and events may be replayed. What counts is
# the time of the event: one that is older than what is known of its daemon goes on record, and
# changes nothing of the view.

[[ -n ${_hookline_daemon_status_loaded-} ]] && return
_hookline_daemon_status_loaded=1

# shellcheck source=state-file.sh
source "${BASH_SOURCE[0]%/*}/state-file.sh"

_HOOKLINE_REPORTS_MAX=50
_HOOKLINE_DAEMON_SHAPES='[{"by_daemon": {"*": "number"}, "_alerted": "object"},
  {"daemons": "object"}, {}]'
_HOOKLINE_DAEMON_VIEW=(status.json system-health.json)

# An event without a daemon_type is as old as the original: there the source is the component. It
# had no daemons, only the system as a whole; that it stops is told apart by the name.
# shellcheck disable=SC2016 # a jq program
_HOOKLINE_DAEMON_WORDS='
def name: id("daemon_type") // ($identity.event_source | .[:256]);
def about: {pid: kind("pid"; "number"), name: text("daemon_name"; 256),
  script: text("daemon_script"; 1024), version: text("version"; 256), reason: text("reason"; 500),
  startup_mode: text("startup_mode"; 64), graceful: kind("graceful"; "boolean"),
  attempts: (kind("attempts"; "number") // kind("ends"; "number")),
  retry_in_s: kind("retry_in_s"; "number")};
def told: with_entries(select(.value != null));

name as $name | about as $about
| (($at | moment) >= ($states[1].daemons[$name].since? // null | past | moment)) as $news |

def seen($entry): if $news then (.daemons // {}) as $known
    | .daemons[$name | among($known)] = ($entry | told)
    | .last_updated = ([(.last_updated | past), $at] | max_by(moment)) else . end;
def named($state): [.daemons | to_entries[] | select(.value.state? == $state) | .key];
def view($status): ($status | named("failed")) as $failed
  | save(1; $status),
    save(2; $states[2] | .status = (if $failed == [] then "healthy" else "degraded" end)
      | .last_updated = $status.last_updated | .failed_daemons = $failed
      | .running_daemons = ($status | named("running"))
      | .stopped_daemons = ($status | named("stopped")));

# Of one thing, `quiet_s` long no second alert; what is longer past is forgotten.
def quiet($what; $quiet_s): (._alerted[$what] | ago($now)) < $quiet_s;
def alerted($what): ._alerted = (._alerted // {}
  | with_entries(select((.value | ago($now)) < 86400))
  | . as $known | .[$what | among($known)] = $at);
def counted: .by_daemon |= count($name) | .last_updated = $at;
'

# A start while others have failed is worth a word: not each hour, not for each start.
# shellcheck disable=SC2016 # a jq program
_HOOKLINE_DAEMON_STARTED='
($about.startup_mode // "normal") as $mode
| ($states[1] | seen({state: "running", since: $at}
    + ($about | {pid, name, script, version, startup_mode}))) as $status
| ($status | named("failed") - [$name]) as $failed
| append("metrics/system-startups.jsonl"; {timestamp: $at, component: $name, startup_mode: $mode}
    + ($about | {version, pid} | told)),
  ($states[0] | counted | .total_startups += 1 | .by_mode |= count($mode)
    | ($news and $failed != [] and (quiet($failed | tojson; 3600) | not)) as $tell
    | save(0; if $tell then alerted($failed | tojson) else . end),
      if $tell then emit("system.health_alert"; "high"; {alert_type: "startup_health_check",
        component: $name, failed_daemons: $failed[:100], status: "degraded"}) else empty end),
  view($status)
'

# A daemon that is started again has failed all the same; that it is given up is news of its own.
# shellcheck disable=SC2016 # a jq program
_HOOKLINE_DAEMON_FAILED='
($about.retry_in_s == null) as $over
| ($name + if $over then " given up" else "" end) as $what
| append("metrics/daemon-failures.jsonl"; {timestamp: $at, daemon: $name, given_up: $over}
    + ($about | {reason, attempts, retry_in_s} | told)),
  ($states[0] | counted | .total_failures += 1
    | ($news and (quiet($what; 300) | not)) as $tell
    | save(0; if $tell then alerted($what) else . end),
      if $tell then emit("system.health_alert"; "high"; {alert_type: "daemon_failed",
        daemon: $name, given_up: $over} + ($about | {reason, attempts, retry_in_s} | told))
      else empty end),
  view($states[1] | seen({state: "failed", since: $at, given_up: $over}
    + ($about | {name, script, reason, attempts, retry_in_s})))
'

# That the whole system stops is an event without a daemon_type, or of the daemon "system": then a
# report is kept with what was at work.
# shellcheck disable=SC2016 # a jq program
_HOOKLINE_DAEMON_STOPPED='
def active: [.workers // [] | .[] | objects
  | select(.status | . == "running" or . == "busy" or . == "in_progress") | .id // .worker_id
  | strings];
def in_work: [.tasks // [] | .[] | objects
  | select(.status | . == "in_progress" or . == "assigned" or . == "running") | .id // .task_id
  | strings];

(id("daemon_type") | . == null or . == "system") as $whole
| ($states[3] | active) as $active | ($states[4] | in_work) as $tasks
| ($states[1] | seen({state: "stopped", since: $at}
    + ($about | {name, script, reason, graceful}))) as $status
| append("metrics/system-shutdowns.jsonl"; {timestamp: $at, component: $name}
    + ($about | {reason, graceful} | told)),
  ($states[0] | counted | .total_shutdowns += 1
    | ($news and ($whole or $name == "worker") and $active != []
        and (quiet($name; 300) | not)) as $tell
    | save(0; if $tell then alerted($name) else . end),
      if $tell then emit("system.health_alert"; "high";
        {alert_type: "shutdown_with_active_workers", component: $name, workers: $active[:100],
          worker_count: ($active | length)}) else empty end),
  view($status),
  if $whole then write("text"; "history/shutdown-" + ($now | strftime("%Y%m%dT%H%M%SZ")) + ".json";
    {timestamp: $at, component: $name, active_workers: $active, tasks_in_work: $tasks,
      daemons: $status.daemons} + ($about | {reason, graceful} | told) + $identity | document)
  else empty end
'

daemon_started() { # <handler> <event-file>
  state_apply "$1" "${2-}" "$_HOOKLINE_DAEMON_SHAPES" \
    "$_HOOKLINE_DAEMON_WORDS$_HOOKLINE_DAEMON_STARTED" \
    metrics/startup-stats.json "${_HOOKLINE_DAEMON_VIEW[@]}"
}

daemon_failed() { # <handler> <event-file>
  state_apply "$1" "${2-}" "$_HOOKLINE_DAEMON_SHAPES" \
    "$_HOOKLINE_DAEMON_WORDS$_HOOKLINE_DAEMON_FAILED" \
    metrics/daemon-failure-stats.json "${_HOOKLINE_DAEMON_VIEW[@]}"
}

daemon_stopped() { # <handler> <event-file>
  state_apply "$1" "${2-}" '[{"by_daemon": {"*": "number"}, "_alerted": "object"},
    {"daemons": "object"}, {}, {"workers": "array"}, {"tasks": "array"}]' \
    "$_HOOKLINE_DAEMON_WORDS$_HOOKLINE_DAEMON_STOPPED" \
    metrics/shutdown-stats.json "${_HOOKLINE_DAEMON_VIEW[@]}" worker-pool.json task-queue.json ||
    return
  _daemon_forget_reports "${HOOKLINE_HOME:-${BASH_SOURCE[0]%/*}/../../..}/coordination/history"
}

# Their names begin with the time: the last ones are the newest.
_daemon_forget_reports() { # <folder>
  local -a reports=("$1"/shutdown-*.json)
  ((${#reports[@]} <= _HOOKLINE_REPORTS_MAX)) ||
    rm -f -- "${reports[@]:0:${#reports[@]}-_HOOKLINE_REPORTS_MAX}"
}
