#!/usr/bin/env bash
# Usage: auto-fix-daemon.sh start | stop | status | run [--interval SECONDS] [--once]
# Summary: mends what the policies say how to mend, as long as no handler of task.failed does
# Exit: 0 done, 3 not running, 64 usage, 69 it did not start, 75 it runs already, 78 no home
#
# It looks at the failed tasks of task-queue.json; what it may do is [autofix] of
# coordination/config/policies.toml.
set -euo pipefail
umask 027

# shellcheck source=scripts/daemons/daemon-loop.sh
source "${BASH_SOURCE[0]%/*}/daemon-loop.sh"
# shellcheck source=scripts/events/lib/autofix.sh
source "${BASH_SOURCE[0]%/*}/../events/lib/autofix.sh"

daemon_round() {
  local event
  [[ -f $HOOKLINE_HOME/coordination/task-queue.json ]] || return 0
  event=$(daemon_event) || return
  autofix_check auto-fix-daemon "$event"
}

daemon_main autofix 30 on-task-auto-fix.sh -- "$@"
