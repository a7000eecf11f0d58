#!/usr/bin/env bash
# Usage: cleanup-daemon.sh start | stop | status | run [--interval SECONDS] [--once]
# Summary: clears away what is old, each Sunday at 2:00 UTC; while handlers serve, it asks for that
# Exit: 0 done, 3 not running, 64 usage, 69 it did not start, 75 it runs already, 78 no home
#
# --interval says how often it looks whether a cleanup is due. One that was missed is made up for.
# Whoever has cleaned since the last Sunday, by whatever event: there is nothing to do then.
set -euo pipefail
umask 027

# shellcheck source=scripts/daemons/daemon-loop.sh
source "${BASH_SOURCE[0]%/*}/daemon-loop.sh"
# shellcheck source=scripts/events/lib/cleanup.sh
source "${BASH_SOURCE[0]%/*}/../events/lib/cleanup.sh"

readonly STATS=coordination/metrics/maintenance-stats.json WEEK_S=604800
# The first Sunday of 1970, at 2:00.
readonly FIRST_S=266400

done_for=''

cleanup_is_due() { # sets due: the Sunday that it is due for
  local since=$((EPOCHSECONDS - (EPOCHSECONDS - FIRST_S) % WEEK_S)) cleaned=''
  printf -v due '%(%Y-%m-%d)T' "$since"
  [[ $done_for != "$due" ]] || return
  [[ ! -f $HOOKLINE_HOME/$STATS ]] ||
    cleaned=$(jq -r '.last_general // ""' <"$HOOKLINE_HOME/$STATS" 2>/dev/null) || cleaned=''
  [[ ! $cleaned > ${due}T02 ]] || {
    done_for=$due
    return 1
  }
}

daemon_round() {
  local due event
  cleanup_is_due || return 0
  event=$(daemon_event system.cleanup_needed '{"cleanup_type":"general"}' "cleanup.$due") || return
  cleanup_run "$event" || return
  done_for=$due
}

daemon_ask() {
  local due
  cleanup_is_due || return 0
  daemon_asks system.cleanup_needed '{"cleanup_type":"general"}' "cleanup.$due" || return
  done_for=$due
}

daemon_main cleanup 60 on-cleanup-needed.sh -- "$@"
