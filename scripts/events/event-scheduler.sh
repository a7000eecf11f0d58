#!/usr/bin/env bash
# Usage: event-scheduler.sh [--once] [--verbose]
# Summary: append each tick of coordination/config/schedules.toml when it is due; --once for cron
# Exit: 0 done, 64 usage, 69 hookline is not installed, 75 another one runs, 78 bad configuration
#
#   --once      append what is due now and exit
#   --verbose   show each tick on stderr
set -euo pipefail

# shellcheck source=lib/hookline-command.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib/hookline-command.sh"

readonly USAGE_LINES=7

main() {
  local action=run
  if [[ ${1-} == --help || ${1-} == -h ]]; then
    sed -n "2,${USAGE_LINES}s/^# \{0,1\}//p" -- "${BASH_SOURCE[0]}"
    return 0
  fi
  if [[ ${1-} == --once ]]; then
    action=run-due
    shift
  fi
  _hookline_exec "${BASH_SOURCE[0]}" schedule "$action" "$@"
}

main "$@"
