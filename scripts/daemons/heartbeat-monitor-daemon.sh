#!/usr/bin/env bash
# Usage: heartbeat-monitor-daemon.sh start | stop | status | run [--interval SECONDS] [--once]
# Summary: notices workers that have fallen silent, as long as no handler of worker.heartbeat does
# Exit: 0 done, 3 not running, 64 usage, 69 it did not start, 75 it runs already, 78 no home
set -euo pipefail
umask 027

# shellcheck source=scripts/daemons/daemon-loop.sh
source "${BASH_SOURCE[0]%/*}/daemon-loop.sh"
# shellcheck source=scripts/events/lib/worker-health.sh
source "${BASH_SOURCE[0]%/*}/../events/lib/worker-health.sh"

# A dispatcher that comes back has all the heartbeats to deliver yet.
_HOOKLINE_REMEMBERED=2000

asked_for=''

daemon_round() {
  local event
  # Those that nobody has delivered: else all would be silent who are not.
  daemon_each_new workers_beat worker.heartbeat || return
  [[ -f $HOOKLINE_HOME/coordination/worker-pool.json ]] || return 0
  event=$(daemon_event) || return
  workers_check heartbeat-monitor-daemon "$event"
}

workers_beat() { workers_heartbeat on-worker-heartbeat "$1"; } # <event-file>

# The handler asks the scheduler to be told when somebody may have fallen silent. Where no scheduler
# runs, it is told here.
daemon_ask() {
  local due now pool=$HOOKLINE_HOME/coordination/worker-pool.json
  ! scheduler_comes "$HOOKLINE_HOME" && [[ -f $pool ]] || return 0
  due=$(jq -r '.watch.due // ""' <"$pool") || return
  printf -v now '%(%Y-%m-%dT%H:%M:%S)T' -1
  [[ $due && $due < $now && $due != "$asked_for" ]] || return 0
  daemon_asks worker.watch_due "{\"due\":\"$due\"}" "watch.$due" || return
  asked_for=$due
}

daemon_main health 30 on-worker-heartbeat.sh -- "$@"
