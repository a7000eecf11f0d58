#!/bin/bash -p
# Usage: wait-for-tick.sh TYPE INTERVAL [--schedule NAME] [-- COMMAND...] | --normal-mode | --help
# Summary: waits for the tick of a schedule, with a timer of its own when none comes
# Exit: 0 a tick, 64 usage, 65 no type, 75 try again, 78 bash is too old; with COMMAND: its exit
#
#   TYPE        the event type of the ticks, such as trigger.introspection
#   INTERVAL    how long from tick to tick: 200ms, 5s, 1.5m, 1h, 2d; at least 10ms
#   --schedule  only ticks of this schedule; without it any event of the type is one
#   COMMAND     runs for each tick, which it gets on stdin, until it fails; without it, the next
#               tick is printed
#   --normal-mode  waits until the home is not in maintenance (coordination/maintenance is gone)
#
# After 2 x INTERVAL of silence (longer, when the last tick's factor said that its schedule is slow)
# a timer of its own ticks, once each INTERVAL; the first tick that comes ends that. Both are said
# on stderr and, where a home can be written to, as events schedule.fallback and
# schedule.fallback_ended. In maintenance, and while the schedule is paused or stands still, the
# timer does so, too.
#
# Sourced, it gives what event-logger.sh gives, and these functions; a daemon's loop is
#   while wait_for_tick trigger.introspection 5s; do scan; done
#   wait_for_tick TYPE INTERVAL [--schedule NAME]   the tick is in HOOKLINE_TICK, one line of JSON;
#                                       HOOKLINE_TICK_LOCAL is 1 for one of its own timer, else ''
#   wait_for_normal_mode                at once, when the home is in no maintenance
# Ticks that came while the loop was busy are one: the latest, at once. A shell waits for one TYPE;
# another one begins anew. When the caller has a trap for TERM or INT and that came, they return
# 143 or 130. There is no fork from tick to tick; a tail and a grep read the log, which end with the
# shell.

# shellcheck disable=SC2034,SC2154 # see event-logger.sh

if declare -F wait_for_tick >/dev/null && [[ ${BASH_SOURCE[0]} != "$0" ]]; then
  return 0
fi

# As event-logger.sh does: nothing of a caller's aliases or allexport gets into our functions.
_hookline_waiter_was=$-:$BASHOPTS
\shopt -u expand_aliases
\set +a
_hookline_self=${BASH_SOURCE[0]}
[[ ! -L $_hookline_self ]] || _hookline_self=$(command -p readlink -f -- "$_hookline_self")
[[ $_hookline_self == */* ]] || _hookline_self=./$_hookline_self
# shellcheck source-path=SCRIPTDIR source=event-logger.sh
source "${_hookline_self%/*}/event-logger.sh" || return 78 2>/dev/null || exit 78
unset -v _hookline_self
_hookline_load_parts tick-ears tick-timer maintenance || _hookline_broken

# What this shell waits for, by which time of the machine's clock (milliseconds since it started)
# the next tick must be here, how long a round is, and how many ticks of its own there were since
# the last real one: empty while the schedule's are not missed.
_hookline_wait_of='' _hookline_wait_due=0 _hookline_wait_pace=0 _hookline_wait_alone=''

wait_for_tick() { # <type> <interval> [--schedule <name>]: sets HOOKLINE_TICK, HOOKLINE_TICK_LOCAL
  local _hookline_error='' _hookline_tell='' _hookline_status=0
  HOOKLINE_TICK='' HOOKLINE_TICK_LOCAL=''
  _hookline_room _hookline_wait "$@" 2>/dev/null || _hookline_status=$?
  _hookline_wait_end
}

wait_for_normal_mode() { # takes nothing
  local _hookline_error='' _hookline_tell='' _hookline_status=0
  _hookline_room _hookline_wait_normal 2>/dev/null || _hookline_status=$?
  _hookline_wait_end
}

_hookline_wait_end() {
  [[ ! $_hookline_tell ]] || builtin printf 'wait-for-tick: %s\n' "$_hookline_tell" >&2 || :
  ((_hookline_status > 0)) || return 0
  ((_hookline_status > 128)) || _hookline_report "$_hookline_status" || :
  return "$_hookline_status"
}

_hookline_wait() { # <type> <interval> [--schedule <name>]
  local _hookline_home _type=${1-} _schedule=${4-} _now _line _waited _speed
  _hookline_find_home
  _hookline_uptime || return
  [[ $_hookline_wait_of == "$BASHPID $_hookline_home $*" ]] || _hookline_wait_begin "$@" || return
  while :; do
    _hookline_hear $((_hookline_wait_due - _now))
    case $? in
      0)
        _hookline_latest || return
        _hookline_uptime
        _hookline_ticked
        return
        ;;
      1 | 2) _hookline_uptime ;;
      *) return ;;
    esac
    ((_now >= _hookline_wait_due)) || continue
    if _hookline_stands_still; then
      _hookline_wait_due=$((_now + _hookline_wait_pace))
    elif ((_speed < _hookline_wait_factor)); then
      # Slowed down since its last tick: the silence is to be that of longer rounds.
      _hookline_wait_factor=$_speed
      _hookline_wait_pace=$((_hookline_wait_every * 1000 / _speed))
      _hookline_wait_due=$((_hookline_wait_since + 2 * _hookline_wait_pace))
    else
      _hookline_tick_alone
      return
    fi
  done
}

_hookline_wait_begin() { # <type> <interval> [--schedule <name>]
  local _hookline_ms
  [[ $# == 2 || ($# == 4 && $3 == --schedule) ]] ||
    _hookline_fail 64 'expected TYPE INTERVAL [--schedule NAME]; see wait-for-tick.sh --help' ||
    return
  _hookline_check_type "$1" || return
  _hookline_span "$2" || return
  [[ $# == 2 || ($4 == [a-z0-9]* && $4 != *[!a-z0-9_-]* && ${#4} -le 64) ]] ||
    _hookline_fail 64 'the name of a schedule is made of lower-case letters, digits, - and _' ||
    return
  # A subshell leaves to its parent what listens for that one.
  [[ $_hookline_wait_of == "$BASHPID "* ]] || _hookline_ears_pid=''
  _hookline_wait_of='' _hookline_wait_every=$_hookline_ms
  _hookline_listen || return
  _hookline_wait_of="$BASHPID $_hookline_home $*"
  _hookline_wait_alone='' _hookline_wait_told=''
  _hookline_wait_factor=1000 _hookline_wait_pace=$_hookline_ms
  _hookline_wait_due=$((_now + 2 * _hookline_ms)) _hookline_wait_since=$_now
}

_hookline_latest() { # sets _line: the last tick of those that are there
  local _last=$_line _status=0
  while ((_status != 1)); do
    _status=0
    _hookline_hear 0 || _status=$?
    ((_status != 0)) || _last=$_line
    ((_status <= 2)) || return "$_status"
  done
  _line=$_last
}

_hookline_wait_command() { # <arguments...>
  local -a _of=()
  case ${1-} in
    --help | -h)
      _hookline_load_parts event-command
      _hookline_help
      return
      ;;
    --normal-mode)
      wait_for_normal_mode
      return
      ;;
  esac
  while (($#)) && [[ $1 != -- ]]; do
    _of+=("$1")
    shift
  done
  if (($# < 2)); then
    wait_for_tick "${_of[@]}" || return
    printf '%s\n' "$HOOKLINE_TICK"
    return
  fi
  while wait_for_tick "${_of[@]}"; do
    "${@:2}" <<<"$HOOKLINE_TICK" || return
  done
}

[[ ${_hookline_waiter_was%%:*} != *a* ]] || set -a
[[ :${_hookline_waiter_was#*:}: != *:expand_aliases:* ]] || shopt -s expand_aliases
unset -v _hookline_waiter_was

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  _hookline_wait_command "$@"
  _hookline_status=$?
  _hookline_deafen 2>/dev/null
  exit "$_hookline_status"
fi
