# shellcheck shell=bash disable=SC2034,SC2154 # the parts share variables
# Starts and stops daemons, and waits for what becomes of it: a daemon runs when its lock and its
# events say so, not when somebody was asked to start it.
#
#   daemons_start [--legacy] NAME...    69: one has failed, 75: one has not answered yet, 77: how it
#                                       is is not ours to see
#   daemons_stop NAME...                75: one does not end, or is still to be started by a request
#                                       of before, 77: it is not ours to see or to end
#   daemons_restart [--legacy] NAME...
#
# Needs daemon-state.sh, daemon-requests.sh, and from whoever calls: tell TEXT, a line for people;
# progress TEXT, one that the next one replaces; interrupted is set when somebody will not wait any
# longer. For those whom nobody has started although they were asked for, daemons_unserved is set.

[[ -z ${_hookline_daemon_actions_loaded-} ]] || return 0
_hookline_daemon_actions_loaded=1

_DAEMON_LOOK_S=0.2
_DAEMON_LOOKS_MAX=5
# A script that does not know what start means would stay.
_DAEMON_START_S=40
# A supervisor gives its daemon 10 s, and is not to be killed before.
_DAEMON_STOP_S=15
_DAEMON_KILL_S=5
_DAEMON_SAID_S=3
daemons_unserved=()
# How long an answer is waited for: a crash loop is told from a start within half a minute.
daemons_wait_s=45

daemons_start() { # [--legacy] <name>...
  local legacy='' name state status=0
  local -a asked=()
  [[ $1 != --legacy ]] || { legacy=1 && shift; }
  daemons_unserved=()
  while (($#)); do
    name=$1
    state=$(daemon_states "$name" | jq -r .state)
    # Then Ctrl-C may have ended what looks, too.
    [[ ! ${interrupted-} ]] || { tell "not started: $*" && status=75 && break; }
    shift
    if [[ $state == running ]]; then
      tell "$name: running already"
    elif [[ $state == unknown ]]; then
      tell "$name: unknown: $(daemon_hidden "$name")"
      status=77
    elif [[ $state == @(starting|restarting) ]]; then
      asked+=("$name")
    elif [[ ! -x $HOOKLINE_HOME/${daemon_of["$name.script"]} ]]; then
      tell "$name: cannot be started: no program ${daemon_of["$name.script"]} in $HOOKLINE_HOME"
      status=69
    elif [[ $legacy || ${daemon_of["$name.start"]} == direct ]]; then
      _daemon_start_itself "$name" || status=$?
    elif daemon_ask_for "$name"; then
      asked+=("$name")
    else
      _daemon_start_itself "$name" || status=$?
    fi
  done
  ((${#asked[@]} == 0)) || _daemons_await "${asked[@]}" || status=$?
  return "$status"
}

_daemon_start_itself() { # <name>
  local name=$1 said
  if said=$(daemon_distrust "$HOOKLINE_HOME/${daemon_of["$name.script"]}"); then
    tell "$name: cannot be started: $said"
    return 69
  fi
  progress "$name: starting"
  said=$(cd -- "$HOOKLINE_HOME" && timeout --foreground "$_DAEMON_START_S" \
    "./${daemon_of["$name.script"]}" start 2>&1 </dev/null) || :
  if daemon_runs "$HOOKLINE_HOME/coordination/daemons/$name"; then
    tell "$name: running (process ${daemon_pid:-unknown}); nobody starts it again when it ends"
  elif [[ ${interrupted-} ]]; then
    tell "$name: told to start, and not waited for"
    return 75
  else
    tell "$name: failed: it has not started${said:+ ($said)}: see coordination/logs/$name.log"
    return 69
  fi
}

_daemons_await() { # <name>...: tells each state that they come to; all have an end
  local name state reason pid status=0 began_s=$SECONDS
  local -a waiting
  local -A pending=() told=()
  for name; do pending[$name]=1; done
  while :; do
    while IFS=$'\x1f' read -r name state pid reason; do
      [[ ${told[$name]-} == "$state$reason" ]] || tell "$name: $state$pid${reason:+: $reason}"
      told[$name]=$state$reason
      case $state in
        running) unset -v "pending[$name]" ;;
        failed | stopped | unknown) status=69 && unset -v "pending[$name]" ;;
        requested) _daemon_is_awaited "$name" || { status=75 && unset -v "pending[$name]"; } ;;
      esac
    done < <(daemon_fields '[.name, .state, if .state != "running" then ""
      else " (process \(.pid // "unknown"))" + if .standing_by then ", standing by" else "" end end,
      .reason]' "$@")
    waiting=()
    for name; do [[ ! ${pending[$name]-} ]] || waiting+=("$name"); done
    ((${#waiting[@]})) || return "$status"
    if [[ ${interrupted-} ]] || ((SECONDS - began_s >= daemons_wait_s)); then
      _daemons_leave "${waiting[@]}"
      return 75
    fi
    set -- "${waiting[@]}"
    _daemons_look_out
  done
}

_daemon_is_awaited() { # <name>, of _daemons_await: whether somebody will take up the request
  local handler=on-system-daemon-start-requested.sh
  if [[ ! -f $HOOKLINE_HOME/scripts/events/handlers/$handler ]]; then
    tell "$1: nobody starts it: there is no handler $handler"
  elif ! dispatcher_comes "$HOOKLINE_HOME"; then
    tell "$1: nobody starts it now: no dispatcher runs"
    tell '  the next one starts it: scripts/start.sh, or event-dispatcher.sh --once'
  elif ! handler_listens "$HOOKLINE_HOME" "$handler"; then
    tell "$1: nobody starts it now: the handler $handler is paused or refused"
    tell "  why: hookline handlers; to have it go on: hookline handlers resume $handler"
  else
    dispatcher_runs "$HOOKLINE_HOME" || [[ ${told["its dispatcher"]-} ]] ||
      tell 'no dispatcher runs just now; one did minutes ago, as from cron: it may come again'
    # A name that no daemon has.
    told["its dispatcher"]=1
    return 0
  fi
  daemons_unserved+=("$1")
  return 1
}

_daemons_leave() { # <name>...
  local name
  for name; do
    tell "$name: no word of its end so far; see: hookline handlers, hookline dead-letters"
    daemons_unserved+=("$name")
  done
}

# Until the logs grow, or it is time to ask the kernel again.
_daemons_look_out() { # of _daemons_await
  local looks sizes now
  sizes=$(_daemon_log_sizes)
  for ((looks = 0; looks < _DAEMON_LOOKS_MAX; looks++)); do
    progress "waiting for ${waiting[*]}, $((SECONDS - began_s)) s; Ctrl-C: do not wait"
    sleep "$_DAEMON_LOOK_S"
    now=$(_daemon_log_sizes)
    [[ $now == "$sizes" && ! ${interrupted-} ]] || return 0
  done
}

_daemon_log_sizes() {
  stat --format='%i %s' -- "$HOOKLINE_HOME"/coordination/events/{daemon,system}-events.jsonl \
    2>/dev/null || :
}

daemons_stop() { # <name>...
  local name said requests status=0
  local -a ending=() asked
  # What nobody has answered would have it started later. First: whoever takes it up meanwhile is
  # told to end like all.
  mapfile -t asked < <(daemon_states "$@" | jq -r 'select(.asked) | "\(.name) \(.requests)"')
  [[ ! ${interrupted-} ]] || { tell "not stopped: $*" && return 75; }
  for name in "${asked[@]}"; do
    read -r name requests <<<"$name"
    daemon_withdraw "$name" "$requests" || status=$?
  done
  for name; do
    if said=$(daemon_hidden "$name"); then
      tell "$name: unknown: $said"
      status=77
    elif _daemon_is_over "$name"; then
      tell "$name: stopped already"
    elif _daemon_end "$name"; then
      ending+=("$name")
    else
      status=77
    fi
  done
  for name in "${ending[@]}"; do
    _daemon_await_end "$name" || status=$?
  done
  return "$status"
}

_daemon_is_over() { # <name>
  local folder=$HOOKLINE_HOME/coordination/daemons/$1
  ! daemon_runs "$folder" && ! daemon_has_supervisor "$folder"
}

_daemon_end() { # <name>: asks it to
  local name=$1 folder=$HOOKLINE_HOME/coordination/daemons/$1 process
  local -a heads unit
  progress "$name: stopping"
  daemon_runs "$folder" || :
  mapfile -t heads < <(daemon_heads "$folder")
  process=${heads[0]-${daemon_supervisor:-$daemon_pid}}
  read -r -a unit <<<"$(daemon_unit_of "$process" "$name")"
  ((${#unit[@]} == 0)) || ! systemctl "--${unit[0]}" stop --no-block "${unit[1]}" || return 0
  ((${#heads[@]} == 0)) || ! kill -TERM "${heads[@]}" 2>/dev/null || return 0
  # It may have ended by itself just now.
  _daemon_is_over "$name" ||
    { tell "$name: process ${process:-of an unknown number} is not ours to end" && return 1; }
}

_daemon_await_end() { # <name>
  local name=$1
  local -a members
  if ! _daemon_is_over_within "$_DAEMON_STOP_S" "$name"; then
    [[ ! ${interrupted-} ]] || { tell "$name: told to end, and not waited for" && return 75; }
    tell "$name: does not end: killed"
    mapfile -t members < <(daemon_members "$HOOKLINE_HOME/coordination/daemons/$name")
    ((${#members[@]} == 0)) || kill -KILL "${members[@]}" 2>/dev/null || :
    _daemon_is_over_within "$_DAEMON_KILL_S" "$name" ||
      { tell "$name: process ${members[0]-unknown} does not end" && return 75; }
  fi
  _daemon_tell_end "$name"
}

_daemon_is_over_within() { # <seconds> <name>
  local end_s=$((SECONDS + $1))
  until _daemon_is_over "$2"; do
    ((SECONDS < end_s)) && [[ ! ${interrupted-} ]] || return
    sleep "$_DAEMON_LOOK_S"
  done
}

# Its last event is written before its supervisor ends; one without, or that was killed, says none.
_daemon_tell_end() { # <name>
  local state reason lost end_s=$((SECONDS + _DAEMON_SAID_S))
  while :; do
    IFS=$'\x1f' read -r state reason lost < <(daemon_fields '[.state, .reason, .is_lost]' "$1")
    [[ $lost == true && $SECONDS -lt $end_s ]] || break
    sleep "$_DAEMON_LOOK_S"
  done
  [[ $state == stopped ]] || reason="${state:-unknown}${reason:+: $reason}"
  tell "$1: stopped${reason:+ ($reason)}"
  [[ ${daemon_of["$1.run"]} != always ]] ||
    tell "  where hookline up runs it is started again: run = \"always\""
}

daemons_restart() { # [--legacy] <name>...
  local -a option=()
  [[ $1 != --legacy ]] || { option=(--legacy) && shift; }
  daemons_stop "$@" || return
  daemons_start "${option[@]}" "$@"
}
