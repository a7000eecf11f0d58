# shellcheck shell=bash disable=SC2034,SC2154 # the parts share variables
# What is wrong with the daemons.
#
#   health_check    shows it; sets health_bad, the names of those that a restart may help; 75: not
#                   to its end
#
# Needs daemon-state.sh and daemon-screen.sh.

[[ -z ${_hookline_daemon_health_loaded-} ]] || return 0
_hookline_daemon_health_loaded=1

health_bad=()
# A daemon that is started again as often within an hour is not well, even if it runs just now.
_HEALTH_RESTARTS_MAX=3
_HEALTH_LOG_LINES=200

# shellcheck disable=SC2016 # a jq program
_HEALTH_ROW='
def wrong($restarts_max): if .state == "failed" then "it has failed: \(.reason)"
  elif .state == "restarting" then "it is started again and again: \(.reason)"
  elif .is_lost then .reason
  elif .restarts >= $restarts_max then "started again \(.restarts) times within an hour"
  else "" end;
'

health_check() {
  local name state how said restarts wrong errors
  local -a lines=()
  health_bad=()
  while IFS=$'\x1f' read -r name state how said restarts wrong; do
    errors=$(_health_errors "$name")
    [[ ! $wrong ]] || { health_bad+=("$name") && lines+=("UNHEALTHY $name: $wrong"); }
    [[ $state != requested ]] || lines+=("WAITING   $name: asked for, and nobody has started it")
    [[ $state != unknown ]] || lines+=("UNKNOWN   $name: $(daemon_hidden "$name")")
    tell "$name: $how; last event ${said:-never}; $restarts restarts," \
      "$errors errors in its log"
  done < <(daemon_fields "$_SCREEN_AGO$_HEALTH_ROW"'[.name, .state,
    if .state != "running" then .state elif .standing_by then "standing by" else "working" end,
    (.said | if . then "\(ago? // "?") ago" else "" end), .restarts,
    wrong('"$_HEALTH_RESTARTS_MAX"')]')
  [[ ! ${interrupted-} ]] || return 75
  ((${#lines[@]})) || lines=('All that runs is healthy.')
  for name in "${lines[@]}"; do tell "$name"; done
}

_health_errors() { # <name>: prints how many of its last lines speak of one
  tail -n "$_HEALTH_LOG_LINES" -- "$HOOKLINE_HOME/coordination/logs/$1.log" 2>/dev/null |
    grep -acE 'ERROR|CRITICAL|FATAL|Traceback|has failed' || :
}
