#!/usr/bin/env bash
# Usage: on-system-freshness-check.sh EVENT-FILE
# Summary: alerts when a file of coordination/ was not written for longer than it should be
# Exit: 0 done (also when one is stale: that is an alert), 65 bad data, 75 a state file was locked
# on: system.freshness_check
# run: warm   timeout: 30s   envelope: cloudevents
set -uo pipefail
umask 027

# shellcheck source=../lib/state-file.sh
source "${BASH_SOURCE[0]%/*}/../lib/state-file.sh"

HOOKLINE_HOME=${HOOKLINE_HOME:-${BASH_SOURCE[0]%/*}/../../..}
HANDLER=on-system-freshness-check
STATE=metrics/freshness.json
SHAPES='[{"total_checks": "number", "_alerted": "object"}]'

# A name between slashes begins with a letter or a digit: so none is `..`, and no file is hidden.
# shellcheck disable=SC2016 # a jq program
REQUEST='
def is_path: type == "string" and length < 256
  and test("\\A[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*\\z");
(kind("files"; "array") | required("files") | if length > 0 and length <= 100 and all(is_path)
  then . else reject("data.files is no list of up to 100 paths below coordination/") end) as $files
| (kind("max_age_s"; "number") // 3600) as $max_age_s | '

# shellcheck disable=SC2016 # a jq program
FINDINGS='
($times | split("\n") | map(split(" ") | select(length == 2) | {(.[0]): (.[1] | tonumber)}) | add
  // {}) as $times
| [$files[] | $times[.] as $time | select($time == null or now - $time > $max_age_s)
    | {file: ., written: ($time | if . then todate else null end)}] as $stale
| $states[0]
| (._alerted // {} | with_entries(select(.key as $key | any($stale[]; .file == $key)))) as $told
| [$stale[].file | select(($told[.] | ago($now)) >= 3600)] as $news
| save(0; .total_checks += 1 | .last_check = $at | .stale = $stale
    | ._alerted = $told + ([$news[] | {(.): $at}] | add // {})),
  if $news != [] then emit("system.health_alert"; "high"; {alert_type: "stale_files",
    files: $stale, max_age_s: $max_age_s}) else empty end
'

written() { # <file>...: prints each that is there with the second it was written in
  local file base
  base=$(realpath -- "$HOOKLINE_HOME/coordination") || return 73
  for file in "$@"; do
    # By a link it would be another place that is looked at.
    [[ $(realpath -e -- "$base/$file" 2>/dev/null) != "$base/$file" ]] ||
      stat --format="$file %Y" -- "$base/$file"
  done
}

main() { # <event-file>
  local asked times
  local -a files
  [[ ${1-} != --help ]] || { state_help && return; }
  asked=$(state_apply "$HANDLER" "${1-}" "$SHAPES" "$REQUEST print(\$files | join(\" \"))" \
    "$STATE") || return
  [[ $asked ]] || return 0
  read -ra files <<<"$asked"
  times=$(written "${files[@]}") || return
  state_apply "$HANDLER" "$1" "$SHAPES" "$REQUEST$FINDINGS" "$STATE" -- --arg times "$times"
}

main "$@"
