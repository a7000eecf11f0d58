#!/usr/bin/env bash
# Usage: event-dispatcher.sh [--once] [--verbose]
# Summary: give each event to the handlers that asked for it; --once drains and exits, for cron
# Exit: 0 done, 64 usage, 69 hookline is not installed, 75 another dispatcher runs
set -euo pipefail

readonly USAGE_LINES=4

# Prints the folder that this script's checkout or home has as its root.
own_root() {
  local here
  here=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
  printf '%s\n' "${here%/scripts/events}"
}

# Prints the command to run: that of the home, then of this checkout, then of the PATH.
find_hookline() { # <root>
  local root=$1 home=${HOOKLINE_HOME:-${CORTEX_HOME:-$1}} found
  for found in "$home"/{.venv/bin,coordination/state}/hookline \
    "$root"/{.venv/bin,coordination/state}/hookline; do
    if [[ -x $found ]]; then
      printf '%s\n' "$found"
      return
    fi
  done
  command -v hookline
}

main() {
  local root hookline
  if [[ ${1-} == --help || ${1-} == -h ]]; then
    sed -n "2,${USAGE_LINES}s/^# //p" -- "${BASH_SOURCE[0]}"
    return 0
  fi
  root=$(own_root)
  if ! hookline=$(find_hookline "$root"); then
    printf 'ERROR: hookline is not installed: run scripts/setup.sh in the checkout\n' >&2
    return 69
  fi
  if [[ -z ${HOOKLINE_HOME:-${CORTEX_HOME:-}} && -d $root/coordination ]]; then
    export HOOKLINE_HOME=$root
  fi
  exec "$hookline" dispatch "$@"
}

main "$@"
