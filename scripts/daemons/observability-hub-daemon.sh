#!/usr/bin/env bash
# Usage: observability-hub-daemon.sh start | stop | status | run [--interval SECONDS] [--once]
# Summary: looks whether events are logged and delivered; while handlers serve, it asks for that
# Exit: 0 done, 3 not running, 64 usage, 69 it did not start, 75 it runs already, 78 no home
#
# What it finds is in coordination/observability.json. --interval says how often it looks.
set -euo pipefail
umask 027

# shellcheck source=scripts/daemons/daemon-loop.sh
source "${BASH_SOURCE[0]%/*}/daemon-loop.sh"
# shellcheck source=scripts/events/lib/observability.sh
source "${BASH_SOURCE[0]%/*}/../events/lib/observability.sh"

readonly DATA='{"action":"ensure_active","reason":"observability-hub"}'

# One look for each interval of the clock, whether it is a handler's or ours.
slot() { printf 'observability.%d\n' "$((EPOCHSECONDS / _daemon_interval_s))"; }

daemon_round() {
  local event
  event=$(daemon_event system.observability_check "$DATA" "$(slot)") || return
  observability_check "$event"
}

daemon_ask() { daemon_asks system.observability_check "$DATA" "$(slot)"; }

daemon_main observability 300 on-system-observability-check.sh -- "$@"
