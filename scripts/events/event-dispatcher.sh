#!/usr/bin/env bash
# Usage: event-dispatcher.sh [--once] [--verbose] | FILE...
# Summary: give each event to the handlers that asked for it; --once drains and exits, for cron
# Exit: 0 done, 64 usage, 69 hookline is not installed, 75 another dispatcher runs
#
#   FILE        something has changed, as fswatch and the like say it: the same as --once
#   --once      a retry that is not due yet stays for a later run. Silent when all is well;
#               otherwise stderr says how many retries wait and until when, which handlers were
#               paused or cannot be run, and how many dead letters there are more
#   --verbose   show each attempt on stderr
# In a home with envelope = "cortex", the same without options: so it was run there, by cron.
set -euo pipefail

# shellcheck source=lib/hookline-command.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib/hookline-command.sh"

readonly USAGE_LINES=11

is_cortex() {
  local root
  root=$(_hookline_script_root "${BASH_SOURCE[0]}") || return
  # shellcheck source=lib/event-append.sh
  source "$root/scripts/events/lib/event-append.sh" || return
  _hookline_is_cortex "${HOOKLINE_HOME:-${CORTEX_HOME:-$root}}"
}

main() {
  if [[ ${1-} == --help || ${1-} == -h ]]; then
    sed -n "2,${USAGE_LINES}s/^# \{0,1\}//p" -- "${BASH_SOURCE[0]}"
    return 0
  fi
  if [[ ${1-} == [!-]* ]] || { (($# == 0)) && is_cortex; }; then
    set -- --once
  fi
  _hookline_exec "${BASH_SOURCE[0]}" dispatch "$@"
}

main "$@"
