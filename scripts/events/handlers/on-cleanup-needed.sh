#!/usr/bin/env bash
# Usage: on-cleanup-needed.sh EVENT-FILE
# Summary: clears away what is old, below coordination/ only, and says what was really done
# Exit: 0 done, 65 bad data, 75 a state file was locked too long
# on: system.cleanup_needed
# run: warm   timeout: 15m   attempts: 3   envelope: cloudevents
set -uo pipefail
umask 027

# shellcheck source=../lib/cleanup.sh
source "${BASH_SOURCE[0]%/*}/../lib/cleanup.sh"

main() { # <event-file>
  if [[ ${1-} == --help ]]; then state_help; else cleanup_run "$@"; fi
}

main "$@"
