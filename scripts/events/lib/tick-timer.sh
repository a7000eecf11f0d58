# shellcheck shell=bash disable=SC2034,SC2154 # see event-logger.sh
# What a tick, and its absence, come to: HOOKLINE_TICK, and by when the next one must be here.
# Times are milliseconds since the machine started: no setting of the clock changes them.

[[ -z ${_hookline_tick_timer_loaded-} ]] || return 0
_hookline_tick_timer_loaded=1

_hookline_uptime() { # sets _now
  local _seconds
  read -r _seconds _ </proc/uptime || _hookline_fail 78 'cannot read /proc/uptime' || return
  _now=$((10#${_seconds/./}0))
}

_hookline_span() { # <duration>: sets _hookline_ms
  local _unit _decimals
  [[ $1 =~ ^([0-9]{1,9})(\.([0-9]{1,9}))?(ms|s|m|h|d)$ ]] ||
    _hookline_fail 64 'the interval is not like 200ms, 5s, 1.5m, 1h or 2d' || return
  case ${BASH_REMATCH[4]} in
    ms) _unit=1 ;;
    s) _unit=1000 ;;
    m) _unit=60000 ;;
    h) _unit=3600000 ;;
    d) _unit=86400000 ;;
  esac
  _decimals=${BASH_REMATCH[3]}000000000
  _hookline_ms=$((10#${BASH_REMATCH[1]} * _unit + 10#${_decimals:0:9} * _unit / 1000000000))
  ((_hookline_ms >= 10)) || _hookline_fail 64 'the interval is shorter than 10ms'
}

_hookline_ticked() { # _line is a tick
  local _decimals _factor
  HOOKLINE_TICK='{"specversion"'${_line##*'{"specversion"'}
  if [[ ${HOOKLINE_TICK#*',"data":'} =~ \"factor\":([0-9]{1,6})(\.([0-9]+))?[,\}] ]]; then
    _decimals=${BASH_REMATCH[3]}000
    _factor=$((10#${BASH_REMATCH[1]} * 1000 + 10#${_decimals:0:3}))
    ((_factor == 0)) || _hookline_wait_factor=$_factor
  fi
  [[ ! ${HOOKLINE_TICK#*',"data":'} =~ \"schedule\":\"([a-z0-9_-]{1,64})\" ]] ||
    _hookline_wait_told=${BASH_REMATCH[1]}
  _hookline_wait_pace=$((_hookline_wait_every * 1000 / _hookline_wait_factor))
  _hookline_wait_due=$((_now + 2 * _hookline_wait_pace))
  if [[ $_hookline_wait_alone ]]; then
    _hookline_say schedule.fallback_ended ",\"ticks\":$_hookline_wait_alone"
    _hookline_tell="$_type ticks again after $_waited s, in which its own timer ticked for it: \
$_hookline_wait_alone"
  fi
  _hookline_wait_alone='' _hookline_wait_since=$_now
}

# Nobody is to tick: in maintenance, or while the schedule is paused or at speed 0, as far as its
# scheduler has saved that. Sets _speed, in thousandths, to what it has saved.
_hookline_stands_still() {
  local _name=${_schedule:-$_hookline_wait_told} _saved _decimals
  _speed=$_hookline_wait_factor
  [[ ! -e $_hookline_home/coordination/maintenance ]] || return 0
  [[ $_name && -r $_hookline_home/coordination/state/schedule.json ]] || return
  read -r _saved <"$_hookline_home/coordination/state/schedule.json"
  [[ $_saved =~ \"$_name\":(\{[^{}]*) ]] || return
  _saved=${BASH_REMATCH[1]} _speed=1000
  if [[ $_saved =~ \"speed\":([0-9]{1,4})(\.([0-9]+))?[,\}]? ]]; then
    _decimals=${BASH_REMATCH[3]}000
    _speed=$((10#${BASH_REMATCH[1]} * 1000 + 10#${_decimals:0:3}))
  fi
  ((_speed == 0)) || [[ $_saved == *'"paused":true'* ]]
}

_hookline_tick_alone() { # none came by _hookline_wait_due
  local _late=$((_now - _hookline_wait_due)) _rounds
  if [[ ! $_hookline_wait_alone ]]; then
    _hookline_say schedule.fallback
    _hookline_tell="no tick of $_type for $_waited s: its own timer ticks until one comes; see: \
hookline status"
  fi
  _hookline_wait_alone=$((_hookline_wait_alone + 1))
  # Rounds that are over by now are this one tick.
  _rounds=$((_late / _hookline_wait_pace + 1))
  _hookline_wait_due=$((_hookline_wait_due + _rounds * _hookline_wait_pace))
  HOOKLINE_TICK_LOCAL=1
  _hookline_local_line
}

_hookline_local_line() { # sets HOOKLINE_TICK to what the tick would have been; no log has it
  local _hookline_id _hookline_time _hookline_utc _factor _us
  _us=$((${EPOCHREALTIME/[!0-9]/} - _late * 1000))
  _hookline_utc $((_us / 1000000))
  _hookline_stamp
  builtin printf -v _factor '%d.%03d' $((_hookline_wait_factor / 1000)) \
    $((_hookline_wait_factor % 1000))
  HOOKLINE_TICK='{"specversion":"1.0","id":"'$_hookline_id'","source":"wait-for-tick"'
  HOOKLINE_TICK+=',"type":"'$_type'","time":"'$_hookline_time'","data":{'
  HOOKLINE_TICK+=${_schedule:+'"schedule":"'$_schedule'",'}'"nominal":"'$_hookline_utc.${_us: -6}Z
  HOOKLINE_TICK+='","fired":"'$_hookline_time'","late_ms":'$_late',"factor":'$_factor
  HOOKLINE_TICK+=',"reason":"fallback","coalesced":0,"missed":0}}'
}

_hookline_say() { # <event type> [<more data>]: sets _waited; an event, where that can be
  local HOOKLINE_EVENT_ID
  builtin printf -v _waited '%d.%03d' $(((_now - _hookline_wait_since) / 1000)) \
    $(((_now - _hookline_wait_since) % 1000))
  [[ ! -d $_hookline_home/coordination ]] || emit_event "$1" wait-for-tick \
    "{\"type\":\"$_type\"${_schedule:+,\"schedule\":\"$_schedule\"},\"waited_s\":$_waited${2-}\
,\"pid\":$BASHPID}" || :
}
