#!/usr/bin/env bash
# Usage: worker-restart-daemon.sh start | stop | status | run [--interval SECONDS] [--once]
# Summary: starts workers again that failed or fell silent, as long as no handlers do
# Exit: 0 done, 3 not running, 64 usage, 69 it did not start, 75 it runs already, 78 no home
#
# It looks at worker-pool.json; which workers it may start, and how, is [restart] of
# coordination/config/policies.toml. Who is silent is for heartbeat-monitor-daemon.sh to say.
set -euo pipefail
umask 027

# shellcheck source=scripts/daemons/daemon-loop.sh
source "${BASH_SOURCE[0]%/*}/daemon-loop.sh"
# shellcheck source=scripts/events/lib/worker-restart.sh
source "${BASH_SOURCE[0]%/*}/../events/lib/worker-restart.sh"

daemon_round() {
  local event
  [[ -f $HOOKLINE_HOME/coordination/worker-pool.json ]] || return 0
  event=$(daemon_event) || return
  # What it starts outlives it, and keeps nothing of ours open.
  restart_check worker-restart-daemon "$event"
}

daemon_main restart 30 on-worker-restart.sh on-worker-restart-stale.sh -- "$@"
