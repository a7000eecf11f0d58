#!/usr/bin/env bash
# Usage: on-daemon-failed.sh EVENT-FILE
# Summary: notes that a daemon has failed, and alerts, at once when nobody starts it again
# Exit: 0 done, 65 bad data, 75 a state file was locked too long
# on: daemon.failed
# run: warm   timeout: 30s   envelope: cloudevents
set -uo pipefail
umask 027

# shellcheck source=../lib/daemon-status.sh
source "${BASH_SOURCE[0]%/*}/../lib/daemon-status.sh"

daemon_failed on-daemon-failed "$@"
