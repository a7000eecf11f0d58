#!/usr/bin/env bash
# Usage: on-learning-cycle-requested.sh EVENT-FILE
# Summary: runs the learning cycle that was asked for; `hookline learn report` shows what it found
# Exit: 0 done, 65 bad data, 69 hookline is not installed, 75 another cycle runs
# on: learning.cycle_requested
# timeout: 15m   attempts: 5   backoff: 10s   envelope: cloudevents
#
# A daily cycle runs once for its date, whoever asks; `force` in the data runs it again. The same
# request never runs twice to its end.
set -uo pipefail
umask 027

# shellcheck source=../lib/state-file.sh
source "${BASH_SOURCE[0]%/*}/../lib/state-file.sh"
# shellcheck source=../lib/hookline-command.sh
source "${BASH_SOURCE[0]%/*}/../lib/hookline-command.sh"

# shellcheck disable=SC2016 # a jq program
PROGRAM='
def like($key; $pattern; $sample): id($key) | if . == null or test("\\A(?:" + $pattern + ")\\z")
  then . else reject("data." + $key + " is not like " + $sample) end;

[like("date"; "\\d{4}-\\d\\d-\\d\\d"; "2026-11-21"),
  like("cycle_type"; "[a-z][a-z0-9_-]{0,31}"; "daily"), kind("force"; "boolean")] | empty
'

main() { # <event-file>
  [[ ${1-} != --help ]] || { state_help && return; }
  # No state file: the log knows which cycles were completed.
  state_apply on-learning-cycle-requested "${1-}" '[]' "$PROGRAM" || return
  _hookline_exec "${BASH_SOURCE[0]}" learn --event "$1"
}

main "$@"
