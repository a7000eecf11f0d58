#!/usr/bin/env bash
# Usage: on-daemon-started.sh EVENT-FILE
# Summary: notes that a daemon runs, and alerts when it does so while others have failed
# Exit: 0 done, 65 bad data, 75 a state file was locked too long
# on: daemon.started
# run: warm   timeout: 30s   envelope: cloudevents
set -uo pipefail
umask 027

# shellcheck source=../lib/daemon-status.sh
source "${BASH_SOURCE[0]%/*}/../lib/daemon-status.sh"

daemon_started on-daemon-started "$@"
