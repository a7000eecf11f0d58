#!/usr/bin/env bash
# Usage: failure-pattern-daemon.sh start | stop | status | run [--interval SECONDS] [--once]
# Summary: finds failures of tasks that repeat, as long as no handler of task.failed does
# Exit: 0 done, 3 not running, 64 usage, 69 it did not start, 75 it runs already, 78 no home
#
# It reads the task.failed that are in the log, or in the drop box while there is no event logger.
# Of a task that failed without such an event it finds the row in task-queue.json.
set -euo pipefail
umask 027

# shellcheck source=scripts/daemons/daemon-loop.sh
source "${BASH_SOURCE[0]%/*}/daemon-loop.sh"
# shellcheck source=scripts/events/lib/failure-patterns.sh
source "${BASH_SOURCE[0]%/*}/../events/lib/failure-patterns.sh"

# A dispatcher that comes back has all of them to deliver yet, and must not count one again.
_HOOKLINE_REMEMBERED=5000

# What our own parts write has a status_at; a failed row without one was written by somebody else,
# and gets one when it is noted.
# shellcheck disable=SC2016 # a jq program
UNSAID='
[try .tasks[] catch empty | objects | select(.status == "failed" and .status_at == null)][]
  | (.id // .task_id | strings) as $id | (.failed_at // .updated_at // "" | tostring) as $when
  | {specversion: "1.0", id: "failed.\($id[:80]).\($when[:32])", source: "task-queue",
      type: "task.failed", time: (now | todate), data: {task_id: $id,
        error_type: (.error_type // "unknown" | tostring[:256]),
        error_message: (.error_message // .failure_reason | if . then tostring else null end)}}'

daemon_round() {
  local queue=$HOOKLINE_HOME/coordination/task-queue.json file=$_daemon_folder/unsaid.jsonl
  daemon_each_new failures_noted task.failed || return
  [[ -f $queue ]] && daemon_has_news queue "$queue" || return 0
  jq -c "$UNSAID" <"$queue" >|"$file" || return
  [[ ! -s $file ]] || failures_noted "$file"
}

daemon_main pattern 60 on-task-failed.sh -- "$@"
