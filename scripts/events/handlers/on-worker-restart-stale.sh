#!/usr/bin/env bash
# Usage: on-worker-restart-stale.sh EVENT-FILE
# Summary: starts workers that fell silent again, as config/policies.toml allows it
# Exit: 0 done, 65 bad data, 75 the state was locked too long, 78 policies that cannot be read
# on: system.health_alert
# run: warm   timeout: 2m   envelope: cloudevents
set -uo pipefail
umask 027

# shellcheck source=../lib/worker-restart.sh
source "${BASH_SOURCE[0]%/*}/../lib/worker-restart.sh"

restart_worker on-worker-restart-stale "$@"
