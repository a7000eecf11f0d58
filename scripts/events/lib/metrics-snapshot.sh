# shellcheck shell=bash
# A line of figures: how much there is of everything that waits, works and grows.
#
#   metrics_snapshot <handler> <event-file>    appended to metrics/snapshots.jsonl, once an event

[[ -n ${_hookline_metrics_snapshot_loaded-} ]] && return
_hookline_metrics_snapshot_loaded=1

# shellcheck source=state-file.sh
source "${BASH_SOURCE[0]%/*}/state-file.sh"

# Of a log that is rotated, only what is in the live one is counted.
# shellcheck disable=SC2016 # a jq program
_HOOKLINE_SNAPSHOT='
def by_status: [.[]? | objects | .status // "unknown" | tostring | clean[:64]] | group_by(.)
  | map({(.[0]): length}) | add // {};
($logs | split("\n") | map(select(. != "") | split("\t") | {(.[1]): (.[0] | tonumber)})
  | add // {}) as $lines
| append("metrics/snapshots.jsonl"; {timestamp: $at, tasks: ($states[1].tasks // [] | by_status),
    workers: ($states[2].workers // [] | by_status), events: $lines, drop_box: $drop_box,
    dead_letters: $dead_letters, log_bytes: $log_bytes, free_kib: $free_kib}),
  ($states[0] | save(0; .total_snapshots += 1 | .last_snapshot = $at))
'

metrics_snapshot() { # <handler> <event-file>
  local folder=${HOOKLINE_HOME:-${BASH_SOURCE[0]%/*}/../../..}/coordination
  local logs='' log log_bytes=0 size free_kib drop_box dead_letters=0 lines
  for log in "$folder"/events/*-events.jsonl; do
    [[ -f $log ]] || continue
    read -r lines size < <(wc -lc <"$log") || return 74
    log_bytes=$((log_bytes + size)) log=${log##*/}
    logs+=$lines$'\t'${log%-events.jsonl}$'\n'
  done
  [[ ! -f $folder/dead-letters.jsonl ]] ||
    read -r dead_letters < <(wc -l <"$folder/dead-letters.jsonl") || return 74
  drop_box=$(find "$folder/events/queue" -maxdepth 1 -name '*.json' -printf x 2>/dev/null) || :
  free_kib=$(df -Pk -- "$folder") || return 74
  read -r _ _ _ free_kib _ <<<"${free_kib##*$'\n'}"
  state_apply "$1" "${2-}" '[{"total_snapshots": "number"}, {"tasks": "array"},
    {"workers": "array"}]' "$_HOOKLINE_SNAPSHOT" metrics/snapshot-stats.json task-queue.json \
    worker-pool.json -- --arg logs "$logs" --argjson drop_box "${#drop_box}" \
    --argjson dead_letters "$dead_letters" --argjson log_bytes "$log_bytes" \
    --argjson free_kib "$free_kib"
}
