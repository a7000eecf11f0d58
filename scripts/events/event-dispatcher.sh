#!/usr/bin/env bash
# Usage: event-dispatcher.sh [--once] [--verbose]
# Summary: give each event to the handlers that asked for it; --once drains and exits, for cron
# Exit: 0 done, 64 usage, 69 hookline is not installed, 75 another dispatcher runs
set -euo pipefail

# shellcheck source=lib/hookline-command.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib/hookline-command.sh"

readonly USAGE_LINES=4

main() {
  if [[ ${1-} == --help || ${1-} == -h ]]; then
    sed -n "2,${USAGE_LINES}s/^# //p" -- "${BASH_SOURCE[0]}"
    return 0
  fi
  _hookline_exec "${BASH_SOURCE[0]}" dispatch "$@"
}

main "$@"
