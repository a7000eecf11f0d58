#!/usr/bin/env bash
# Usage: on-task-auto-fix.sh EVENT-FILE
# Summary: has tasks that failed tried again, or mended, as config/policies.toml allows it
# Exit: 0 done, 65 bad data, 75 the state was locked too long, 78 policies that cannot be read
# on: task.failed task.retry_due
# run: warm   timeout: 30s   envelope: cloudevents
set -uo pipefail
umask 027

# shellcheck source=../lib/autofix.sh
source "${BASH_SOURCE[0]%/*}/../lib/autofix.sh"

autofix_task on-task-auto-fix "$@"
