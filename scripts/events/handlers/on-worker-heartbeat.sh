#!/usr/bin/env bash
# Usage: on-worker-heartbeat.sh EVENT-FILE
# Summary: notes heartbeats in the pool and alerts when a worker has fallen silent
# Exit: 0 done, 65 bad data, 75 the pool was locked too long
# on: worker.heartbeat worker.watch_due
# run: warm   timeout: 30s   batch: 100   envelope: cloudevents
#
# One handler for both, and in the order of the log: a silence is none before the heartbeats that
# came in time have been noted. Hence no key; a batch takes many workers' heartbeats at once.
set -uo pipefail
umask 027

# shellcheck source=../lib/worker-health.sh
source "${BASH_SOURCE[0]%/*}/../lib/worker-health.sh"

workers_heartbeat on-worker-heartbeat "$@"
