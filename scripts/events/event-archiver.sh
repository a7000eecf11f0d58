#!/usr/bin/env bash
# Usage: event-archiver.sh [--dry-run] [--compress-only|--cleanup-only|--rotate-only] [-v] [--json]
# Summary: close logs that are large or old, compress closed segments, delete old ones nobody needs
# Exit: 0 done, 64 usage, 65 damaged, 69 hookline is not installed, 74 cannot write, 75 another runs
#
#   --dry-run         say what would be done
#   --rotate-only     only close live logs
#   --compress-only   only compress closed segments
#   --cleanup-only    only delete what is old
#   -v, --verbose     show each step, not only what was in the way
#   --json            one JSON object a step, then one for all of them
#   --home DIR        the home; else $HOOKLINE_HOME, $CORTEX_HOME, the one of this script
#
# [archive] in coordination/config/hookline.toml says what is large and old.
set -euo pipefail

# shellcheck source=lib/hookline-command.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib/hookline-command.sh"

readonly USAGE_LINES=14

main() {
  if [[ ${1-} == --help || ${1-} == -h ]]; then
    sed -n "2,${USAGE_LINES}s/^# \{0,1\}//p" -- "${BASH_SOURCE[0]}"
    return 0
  fi
  _hookline_exec "${BASH_SOURCE[0]}" archive "$@"
}

main "$@"
