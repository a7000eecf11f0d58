# shellcheck shell=bash disable=SC2154 # see daemon-loop.sh
# The learning cycle, for daemons: run as its handler runs it, or asked of that one. Of the same
# identity a cycle is run once to its end, whoever runs it.

[[ -z ${_daemon_learning_loaded-} ]] || return 0
_daemon_learning_loaded=1

# shellcheck source=scripts/events/lib/hookline-command.sh
source "${BASH_SOURCE[0]%/*}/../events/lib/hookline-command.sh"

learning_run() { # <cycle-type> <id>
  local event
  event=$(daemon_event learning.cycle_requested "{\"cycle_type\":\"$1\"}" "$2") || return
  (_hookline_exec "$_hookline_fallback_lib/event-logger.sh" learn --event "$event")
}

learning_ask() { # <cycle-type> <id>
  daemon_asks learning.cycle_requested "{\"cycle_type\":\"$1\"}" "$2"
}
