#!/usr/bin/env bash
# Usage: auto-learning-daemon.sh start | stop | status | run [--interval SECONDS] [--once]
# Summary: has the learning cycle run when there is something new to learn from
# Exit: 0 done, 3 not running, 64 usage, 69 it did not start, 75 it runs already, 78 no home
#
# New are lines of moe-learning/patterns.jsonl and metrics/worker-performance.jsonl, but not those
# that the cycle itself has caused. While handlers serve, it asks them for the cycle.
set -euo pipefail
umask 027

# shellcheck source=scripts/daemons/daemon-loop.sh
source "${BASH_SOURCE[0]%/*}/daemon-loop.sh"
# shellcheck source=scripts/daemons/daemon-learning.sh
source "${BASH_SOURCE[0]%/*}/daemon-learning.sh"

something_is_new() { # sets lines: how many there are now
  local folder=$HOOKLINE_HOME/coordination known=0
  local -a files=("$folder/moe-learning/patterns.jsonl" "$folder/metrics/worker-performance.jsonl")
  daemon_has_news lessons "${files[@]}" || return
  lines=$(cat -- "${files[@]}" 2>/dev/null | grep -cv '"event_source":"hookline.learn"') || :
  [[ ! -f $_daemon_folder/lines ]] || read -r known <"$_daemon_folder/lines" || :
  [[ $lines != "$known" ]]
}

daemon_round() {
  local lines
  something_is_new || return 0
  learning_run auto "auto-learning.$lines" || return
  printf '%d\n' "$lines" >|"$_daemon_folder/lines"
}

daemon_ask() {
  local lines
  something_is_new || return 0
  learning_ask auto "auto-learning.$lines" || return
  printf '%d\n' "$lines" >|"$_daemon_folder/lines"
}

daemon_main auto-learning 300 on-learning-cycle-requested.sh -- "$@"
