#!/usr/bin/env bash
# Usage: on-task-failed.sh EVENT-FILE
# Summary: records a task's failure and alerts when one kind of failure keeps coming back
# Exit: 0 done, 65 bad data, 75 the figures were locked too long
# on: task.failed
# run: warm   timeout: 30s   envelope: cloudevents
set -uo pipefail
umask 027

# shellcheck source=../lib/failure-patterns.sh
source "${BASH_SOURCE[0]%/*}/../lib/failure-patterns.sh"

failures_noted "$@"
