#!/usr/bin/env bash
# Usage: integration-validator-daemon.sh start | stop | status | run [--interval SECONDS] [--once]
# Summary: checks that what the parts of the home rely on is there and sound, and says what changed
# Exit: 0 done, 3 not running, 64 usage, 69 it did not start, 75 it runs already, 78 no home
#
# What it found is in coordination/integration-report.json. A problem that is new is
# system.health_alert integration, and so is that all are gone.
set -euo pipefail
umask 027

# shellcheck source=scripts/daemons/daemon-loop.sh
source "${BASH_SOURCE[0]%/*}/daemon-loop.sh"
# shellcheck source=scripts/events/lib/state-file.sh
source "${BASH_SOURCE[0]%/*}/../events/lib/state-file.sh"
# shellcheck source=scripts/events/lib/hookline-command.sh
source "${BASH_SOURCE[0]%/*}/../events/lib/hookline-command.sh"

readonly WAITS_MIN=5

# shellcheck disable=SC2016 # a jq program
REPORT='
($found | split("\n") | map(select(. != "") | clean[:300]) | unique) as $problems
| $states[0] | (.problems // []) as $known
| save(0; . + {last_check: $at, checks: $checks, problems: $problems}
    | if $problems != $known then .changed_at = $at else . end),
  if $problems - $known != [] then emit("system.health_alert"; "high"; {alert_type: "integration",
    description: ($problems | join("; ") | .[:500]), problems: $problems[:50]})
  elif $known != [] and $problems == [] then emit("system.health_alert"; "low";
    {alert_type: "integration", description: "all problems are gone", problems: []})
  else empty end
'

# All of a kind are read at once; which one it is is asked only when one of them is bad.
json_is_sound() { # <file>...
  (($#)) && ! jq empty -- "$@" >/dev/null 2>&1 || return 0
  local file
  for file; do
    [[ ! -s $file ]] || jq empty -- "$file" >/dev/null 2>&1 ||
      printf '%s is no JSON\n' "${file#"$home/"}"
  done
}

check_json() {
  local -a files=()
  mapfile -d '' -t files < <(find "$home/coordination" -maxdepth 3 \( -path '*/events' -o \
    -path '*/daemons' -o -name .\* \) -prune -o -name '*.json' -type f -print0)
  json_is_sound "${files[@]}"
}

check_programs() {
  local file script
  for file in "$home"/scripts/events/handlers/on-*.sh; do
    [[ ! -e $file || -x $file ]] || printf '%s cannot be executed\n' "${file#"$home/"}"
  done
  while IFS='"' read -r _ script _; do
    [[ -x $home/$script ]] || printf '%s, a daemon, is not there or cannot be executed\n' "$script"
  done < <(grep -s '^script = "' "$home/coordination/config/daemons.toml")
}

check_logger() { # that it makes an event; nothing is stored
  local logger=$home/scripts/events/lib/event-logger.sh said
  if [[ ! -x $logger ]]; then
    printf 'there is no event logger: what is said waits in the drop box\n'
  elif ! said=$("$logger" --create integration.checked integration-validator '{}' 2>&1); then
    printf 'the event logger does not work: %s\n' "${said%%$'\n'*}"
  fi
}

check_drop_box() {
  local waiting
  waiting=$(find "$home/coordination/events/queue" -maxdepth 1 -name '*.json' -type f \
    -mmin "+$WAITS_MIN" -printf x 2>/dev/null) || :
  [[ ! $waiting ]] || printf 'files have waited in the drop box for more than %d minutes\n' \
    "$WAITS_MIN"
}

check_locks() { # a lock ends with its holder; what a dead daemon has started may hold it still
  local folder
  for folder in "$home"/coordination/daemons/*; do
    if daemon_runs "$folder" && [[ $daemon_pid && ! -e /proc/$daemon_pid ]]; then
      printf 'the daemon %s is dead, and what it has started goes on\n' "${folder##*/}"
    fi
  done
}

check_hookline() { # configuration, schemas and file system, as far as hookline is installed
  local command said
  command=$(_hookline_find_command "$(_hookline_script_root "${BASH_SOURCE[0]%/*}/../events/x")") ||
    return 0
  said=$(HOOKLINE_HOME=$home "$command" doctor --json </dev/null 2>/dev/null) || :
  jq -r 'select(.well == false) | "hookline doctor: \(.check): \(.found); \(.next)"' <<<"$said" || :
}

daemon_round() {
  local home=$HOOKLINE_HOME event found
  local -a checks=(json programs logger drop_box locks hookline)
  event=$(daemon_event) || return
  found=$(for check in "${checks[@]}"; do "check_$check" || :; done)
  state_apply integration-validator "$event" '[{"problems": "array"}]' "$REPORT" \
    integration-report.json -- --arg found "$found" --argjson checks "${#checks[@]}"
}

daemon_main integration 300 -- "$@"
