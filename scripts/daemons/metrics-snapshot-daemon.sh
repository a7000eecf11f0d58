#!/usr/bin/env bash
# Usage: metrics-snapshot-daemon.sh start | stop | status | run [--interval SECONDS] [--once]
# Summary: appends a line of figures to coordination/metrics/snapshots.jsonl, every five minutes
# Exit: 0 done, 3 not running, 64 usage, 69 it did not start, 75 it runs already, 78 no home
#
# It stands by when there is a handler on-system-metrics-due.sh, which does not come with Hookline:
# docs/howto/daemon-to-handler.md writes it.
set -euo pipefail
umask 027

# shellcheck source=scripts/daemons/daemon-loop.sh
source "${BASH_SOURCE[0]%/*}/daemon-loop.sh"
# shellcheck source=scripts/events/lib/metrics-snapshot.sh
source "${BASH_SOURCE[0]%/*}/../events/lib/metrics-snapshot.sh"

daemon_round() {
  local event
  event=$(daemon_event) || return
  metrics_snapshot metrics-snapshot-daemon "$event"
}

daemon_main metrics 300 on-system-metrics-due.sh -- "$@"
