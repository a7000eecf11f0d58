#!/usr/bin/env bash
# Usage: on-system-observability-check.sh EVENT-FILE
# Summary: looks whether events are logged and delivered as they should be, and says what it found
# Exit: 0 done (also when something is wrong: that is an alert), 65 bad data, 75 a state file locked
# on: system.observability_check
# run: warm   timeout: 2m   attempts: 3   envelope: cloudevents
set -uo pipefail
umask 027

# shellcheck source=../lib/observability.sh
source "${BASH_SOURCE[0]%/*}/../lib/observability.sh"

main() { # <event-file>
  if [[ ${1-} == --help ]]; then state_help; else observability_check "$@"; fi
}

main "$@"
