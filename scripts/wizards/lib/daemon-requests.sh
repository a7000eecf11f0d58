# shellcheck shell=bash disable=SC2154 # the parts share variables
# What the wizard asks others for, as events.
#
#   daemon_ask_for NAME    to start it; fails where only the legacy start is left
#   daemon_withdraw NAME REQUESTS   not to start it any more, although these (a JSON array of ids)
#                          have asked for it; 75: nobody was told
#
# Needs daemon-table.sh, $HOOKLINE_HOME, and tell TEXT, a line for people.

[[ -z ${_hookline_daemon_requests_loaded-} ]] || return 0
_hookline_daemon_requests_loaded=1

daemon_ask_for() { # <name>
  local why
  why=$(_daemon_emit system.daemon_start_requested "$1" start) || {
    tell "$1: $why: the legacy start"
    return 1
  }
}

daemon_withdraw() { # <name> <requests>
  local why
  if why=$(_daemon_emit system.daemon_start_withdrawn "$1" stop ",\"requests\":$2"); then
    tell "$1: what asked for it is withdrawn"
  else
    tell "$1: what asked for it stays, and the next dispatcher starts it: $why"
    return 75
  fi
}

# In a process of its own: a logger that was loaded would go on when it is taken away.
_daemon_emit() { # <type> <name> <action> [<more JSON>]: or prints why not
  local name=$2 logger=$HOOKLINE_HOME/scripts/events/lib/event-logger.sh said status=0
  [[ -x $logger ]] || { printf 'no event logger\n' && return 1; }
  said=$("$logger" --emit "$1" daemon-control-wizard \
    "{\"daemon_type\":\"$name\",\"daemon_name\":\"${daemon_of["$name.label"]}\",\
\"daemon_script\":\"${daemon_of["$name.script"]}\",\"action\":\"$3\"${4-}}" '' high 2>&1) ||
    status=$?
  ((status == 0)) || printf 'the event logger refuses (exit %d: %s)\n' "$status" "$said"
  return "$status"
}
