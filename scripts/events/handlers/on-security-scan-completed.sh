#!/usr/bin/env bash
# Usage: on-security-scan-completed.sh EVENT-FILE
# Summary: keeps a scan's report, what to remedy and the security posture; says what it is to know
# Exit: 0 done, 65 bad data, 75 a state file was locked too long
# on: security.scan_completed
# run: warm   timeout: 30s   envelope: cloudevents
set -uo pipefail
umask 027

# shellcheck source=../lib/security.sh
source "${BASH_SOURCE[0]%/*}/../lib/security.sh"

security_scanned on-security-scan-completed "$@"
