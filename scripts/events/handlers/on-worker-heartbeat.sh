#!/usr/bin/env bash
# Usage: on-worker-heartbeat.sh EVENT-FILE
# Summary: notes a worker's heartbeat in the pool and alerts when others have fallen silent
# Exit: 0 done, 65 bad data, 75 the pool was locked too long
# on: worker.heartbeat
# key: data.worker_id
# run: warm   timeout: 30s
set -uo pipefail
umask 027

# shellcheck source=../lib/worker-health.sh
source "${BASH_SOURCE[0]%/*}/../lib/worker-health.sh"

workers_heartbeat on-worker-heartbeat "$@"
