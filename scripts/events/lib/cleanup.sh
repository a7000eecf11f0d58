# shellcheck shell=bash
# Clears away what is old, below coordination/ only.
#
#   cleanup_run <event-file>    for the handler of system.cleanup_needed, and for whoever asks the
#                               clock while nobody delivers. An event is done once for both.

[[ -n ${_hookline_cleanup_loaded-} ]] && return
_hookline_cleanup_loaded=1

# shellcheck source=state-file.sh
source "${BASH_SOURCE[0]%/*}/state-file.sh"

_HOOKLINE_CLEANUP_SHAPES='[{"total_cleanups": "number", "by_type": {"*": "number"}},
  {"tasks": "array"}, {"workers": "array"}]'
_HOOKLINE_CLEANUP_STATES=(metrics/maintenance-stats.json task-queue.json worker-pool.json)
_HOOKLINE_TEMP_AGE_MIN=1440

# The target is only ever compared with ids: it is foreign text and names no path.
# shellcheck disable=SC2016 # a jq program
_HOOKLINE_CLEANUP_REQUEST='
def kinds: ["old_events", "failed_workers", "stale_tasks", "temp_files", "general"];
def type_asked: text("cleanup_type"; 64) // "general" | if . as $type | kinds | index([$type])
  then . else reject("data.cleanup_type is none of: " + (kinds | join(", "))) end;
'

# Failed workers are on record elsewhere and go at once, who is silent or has ended after a day. A
# task that has been in work for a day is marked: what becomes of it is for others to decide.
# shellcheck disable=SC2016 # a jq program
_HOOKLINE_CLEANUP_WORK='
def day_s: 86400;
def is_meant($target): type == "object"
  and ($target == null or (.id // .worker_id // .task_id) == $target);
def is_gone: .status == "failed"
  or (.status | . == "stale" or . == "available" or . == "completed" or . == "stopped")
    and $now - ([.last_heartbeat, .status_at | past | epoch_or(null) | values]
      | max // $now) > day_s;
def is_stuck: (.status | . == "in_progress" or . == "assigned" or . == "running")
  and ([.updated_at, .started_at, .assigned_at, .created_at | past | epoch_or(null)
    | values]
    | length > 0 and $now - max > day_s);

def dismissed($target): [(.workers // [])[] | select(is_meant($target) and is_gone)] as $gone
  | [$gone[] | .id // .worker_id | strings] as $ids
  | {result: {workers: ($gone | length), worker_ids: $ids[:100]},
      state: (.workers |= ((. // []) - $gone) | if .active_workers | type == "object"
        then .active_workers |= delpaths($ids | map([.])) else . end)};
def abandoned($target): [(.tasks // [])[] | is_meant($target) and is_stuck] as $stuck
  | {result: {tasks: ($stuck | map(select(.)) | length)}, state: (.tasks |= [[. // [], $stuck]
      | transpose[] | .[0] + if .[1] then {status: "stale", stale_since: $at} else null end])};

# Killed between two state files, the next run finds one of them cleaned and must not say "nothing".
def once(work): if ._cleaned.event == $identity then {result: ._cleaned.result} else
  work | .state._cleaned = {event: $identity, result} end;

type_asked as $type | id("target") as $target |
def part($name; work): if $type == $name or $type == "general" then {($name): work} else {} end;
(part("old_events"; {result: ($archive | fromjson)})
  + part("temp_files"; {result: ($temp | fromjson)})
  + part("failed_workers"; $states[2] | once(dismissed($target)))
  + part("stale_tasks"; $states[1] | once(abandoned($target)))) as $parts
| ($parts | map_values(.result)) as $results
| {cleanup_type: $type, target: $target,
    status: (if any($results[]; .status == "failed") then "partial" else "completed" end),
    items: ([$results[] | .files, .workers, .tasks | numbers] | add // 0),
    bytes: ([$results[].bytes | numbers] | add // 0)} as $done
| append("system-maintenance.jsonl"; {timestamp: $at, action: "cleanup"} + $done),
  ($states[0] | save(0; .total_cleanups += 1 | .last_cleanup = $at | .by_type |= count($type)
    | .total_items += $done.items | .total_bytes += $done.bytes
    | if $type == "general" then .last_general = $at else . end)),
  ($parts.stale_tasks | select(.state and .result.tasks > 0) | save(1; .state)),
  ($parts.failed_workers | select(.state and .result.workers > 0) | save(2; .state)),
  emit("system.cleanup_completed"; "medium"; $done + {results: $results})
'

# A file may be what another program has just begun: a day old and still called .tmp is litter.
# Links are not followed, file systems not left; what `find` could not do it has not counted.
_cleanup_temp_files() { # prints the result
  local sizes size bytes=0 status='"done"' count=0
  sizes=$(cd -P -- "$home/coordination" &&
    find . -xdev -type f -name '*.tmp' -mmin "+$_HOOKLINE_TEMP_AGE_MIN" -delete -printf '%s\n') ||
    status='"failed"'
  while read -r size; do
    [[ -n $size ]] || continue
    count=$((count + 1)) bytes=$((bytes + size))
  done <<<"$sizes"
  printf '{"status":%s,"files":%d,"bytes":%d}\n' "$status" "$count" "$bytes"
}

# A segment may be deleted only when no cursor needs it, and only the archiver asks the cursors.
_cleanup_old_events() { # prints the result
  local archiver=$home/scripts/events/event-archiver.sh status=0 said
  if [[ ! -x $archiver ]]; then
    printf '{"status":"skipped","note":"there is no event-archiver.sh: nothing was touched"}\n'
    return
  fi
  said=$("$archiver" --json </dev/null) || status=$?
  printf '%s\n' "$said" >&2
  if ((status == 0)); then
    # Its last line sums up the others.
    tail -n 1 <<<"$said" | jq -c '{status: "done", bytes: .freed} + if .held == 0 then {} else
      {note: "\(.held) old segments stay: handlers need them"} end'
  else
    printf '{"status":"failed","note":"event-archiver.sh failed with exit %d"}\n' "$status"
  fi
}

cleanup_run() { # <event-file>
  local home=${HOOKLINE_HOME:-${BASH_SOURCE[0]%/*}/../../..} type archive='{}' temp='{}'
  type=$(state_apply on-cleanup-needed "${1-}" "$_HOOKLINE_CLEANUP_SHAPES" \
    "$_HOOKLINE_CLEANUP_REQUEST print(type_asked)" "${_HOOKLINE_CLEANUP_STATES[@]}") || return
  [[ $type != old_events && $type != general ]] || archive=$(_cleanup_old_events)
  [[ $type != temp_files && $type != general ]] || temp=$(_cleanup_temp_files)
  [[ -z $type ]] || state_apply on-cleanup-needed "$1" "$_HOOKLINE_CLEANUP_SHAPES" \
    "$_HOOKLINE_CLEANUP_REQUEST$_HOOKLINE_CLEANUP_WORK" "${_HOOKLINE_CLEANUP_STATES[@]}" -- \
    --arg archive "$archive" --arg temp "$temp"
}
