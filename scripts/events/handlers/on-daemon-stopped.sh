#!/usr/bin/env bash
# Usage: on-daemon-stopped.sh EVENT-FILE
# Summary: notes that a daemon has stopped; when the whole system has, keeps what was at work
# Exit: 0 done, 65 bad data, 75 a state file was locked too long
# on: daemon.stopped
# run: warm   timeout: 30s   envelope: cloudevents
set -uo pipefail
umask 027

# shellcheck source=../lib/daemon-status.sh
source "${BASH_SOURCE[0]%/*}/../lib/daemon-status.sh"

daemon_stopped on-daemon-stopped "$@"
