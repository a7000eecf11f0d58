# shellcheck shell=bash disable=SC2016,SC2034 # jq programs, used by handlers
# The words of the worker pool (worker-pool.json) and the task queue (task-queue.json), for programs
# of state-file.sh.
#
# The handlers of these files are not in step: one that has fallen behind applies what is older than
# what another one has applied already. So a row tells of when its status is, and nothing older
# changes it; and whoever comes first makes the row, or a late task.created would make a task that
# is done a new one.

[[ -n ${_hookline_worker_pool_loaded-} ]] && return
_hookline_worker_pool_loaded=1

# shellcheck source=state-file.sh
source "${BASH_SOURCE[0]%/*}/state-file.sh"

_HOOKLINE_POOL_SHAPE='{"workers": [{"id": "string?", "worker_id": "string?",
  "worker_type": "string?"}], "stale_alert": "object", "watch": "object"}'
_HOOKLINE_QUEUE_SHAPE='{"tasks": [{"id": "string?", "task_id": "string?", "task_type": "string?",
  "error_type": "string?", "attempts": "number?"}]}'

# Older pools have a list of active workers, where ours is a map by id: that is left as it is.
_HOOKLINE_POOL_WORDS='
def updated($fields): if (.status_at | past // "") > $at then $fields + . else . + $fields
  + if $fields.status then {status_at: $at} else {} end end;
def is_row($id; $key): type == "object" and (.id // .[$key]) == $id;
def place($id; $key): first((range(length) as $n | select(.[$n] | is_row($id; $key)) | $n), null);
def with_row($id; $key; $fields): (. // []) | place($id; $key) as $n
  | if $n == null then . + [{id: $id} | updated($fields)]
    else .[$n] = (.[$n] | updated($fields)) end;
def known: with_entries(select(.value != null));

def with_worker($id; $fields): .workers |= with_row($id; "worker_id"; $fields)
  | if .active_workers | . == null or type == "object"
    then .active_workers[$id] |= ((objects // {}) | updated($fields)) else . end;

# Of what is over, the queue keeps the newest: all of it is in the logs and the metrics.
def is_over: type == "object" and (.status == "completed" or .status == "failed");
def with_task($id; $fields): .tasks |= (with_row($id; "task_id"; $fields)
  | (map(select(is_over)) | length - 200) as $many
  | if $many > 0 then . - (map(select(is_over)) | .[:$many]) else . end);

# Whatever else somebody calls urgent is as urgent as most.
def rank: {critical: 0, high: 1, low: 3}[.priority | strings] // 2;

def worker: id("worker_id") // ($event.source | clean);
def master: $data._metadata | objects // {} | .master | strings // null
  | if . then clean[:256] else . end;
def amount($key): kind($key; "number") | if . == null or . >= 0 then . else
  reject("data." + $key + " is less than nothing") end;
def duration_ms: amount("duration_minutes") as $minutes
  | amount("duration_ms") // ($minutes | values * 60000) // null;
def tallied($key; $name): if $name then .[$key] |= count($name) else . end;
def dashboard($type; $data): append("dashboard-events.jsonl"; {id: $identity.event_id,
  timestamp: $at, type: $type, data: $data, source: $identity.event_source});
'
