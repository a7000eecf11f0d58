#!/usr/bin/env bash
# Usage: event-archiver.sh [--dry-run] [--compress-only|--cleanup-only|--rotate-only] [-v] [--json]
# Summary: close logs that are large or old, compress closed segments, delete old ones nobody needs
# Exit: 0 done, 64 usage, 65 damaged, 69 hookline is not installed, 74 cannot write, 75 another runs
set -euo pipefail

# shellcheck source=lib/hookline-command.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib/hookline-command.sh"

readonly USAGE_LINES=4

main() {
  if [[ ${1-} == --help || ${1-} == -h ]]; then
    sed -n "2,${USAGE_LINES}s/^# //p" -- "${BASH_SOURCE[0]}"
    return 0
  fi
  _hookline_exec "${BASH_SOURCE[0]}" archive "$@"
}

main "$@"
