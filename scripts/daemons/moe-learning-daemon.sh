#!/usr/bin/env bash
# Usage: moe-learning-daemon.sh start | stop | status | run [--interval SECONDS] [--once]
# Summary: has the learning cycle run each hour; while handlers serve, it asks them for that
# Exit: 0 done, 3 not running, 64 usage, 69 it did not start, 75 it runs already, 78 no home
set -euo pipefail
umask 027

# shellcheck source=scripts/daemons/daemon-loop.sh
source "${BASH_SOURCE[0]%/*}/daemon-loop.sh"
# shellcheck source=scripts/daemons/daemon-learning.sh
source "${BASH_SOURCE[0]%/*}/daemon-learning.sh"

# One cycle for each interval of the clock; which of them were completed is in the log.
slot() { printf 'moe-learning.%d\n' "$((EPOCHSECONDS / _daemon_interval_s))"; }

daemon_round() { learning_run moe "$(slot)"; }
daemon_ask() { learning_ask moe "$(slot)"; }

daemon_main moe-learning 3600 on-learning-cycle-requested.sh -- "$@"
