# shellcheck shell=bash disable=SC2034,SC2154 # see event-logger.sh
# Times that others wrote: RFC 3339 with any offset becomes UTC with six decimals, more are cut off.

[[ -z ${_hookline_event_timestamp_loaded-} ]] || return 0
_hookline_event_timestamp_loaded=1

_hookline_time_of() { # <text> [<cortex>: +0000 without a colon will do too]: sets _hookline_time
  local _t=$1 _rest _fraction='' _offset=0 _d='[0-9]' _hookline_days _hookline_utc
  [[ $_t == $_d$_d$_d$_d-@(0[1-9]|1[0-2])-@(0[1-9]|[12][0-9]|3[01])[Tt]* ]] || return
  [[ ${_t:11} == @([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]* && ${_t:0:4} != 0000 ]] || return
  _rest=${_t:19}
  if [[ $_rest == .$_d* ]]; then
    _fraction=${_rest:1}
    _fraction=${_fraction%%[!0-9]*}
    _rest=${_rest:${#_fraction}+1}
  fi
  [[ ! ${2-} || $_rest != [-+]$_d$_d$_d$_d ]] || _rest=${_rest:0:3}:${_rest:3}
  case $_rest in
    [Zz]) ;;
    [-+][01]$_d:[0-5]$_d | [-+]2[0-3]:[0-5]$_d)
      _offset=$((${_rest:0:1}1 * (10#${_rest:1:2} * 60 + 10#${_rest:4:2})))
      ;;
    *) return 1 ;;
  esac
  _hookline_days "$((10#${_t:0:4}))" "$((10#${_t:5:2}))" "$((10#${_t:8:2}))"
  _hookline_utc $((_hookline_days * 86400))
  # A day that its month does not have comes back as one of the next month.
  [[ ${_hookline_utc:0:10} == "${_t:0:10}" ]] || return
  _offset=$((10#${_t:11:2} * 3600 + 10#${_t:14:2} * 60 + 10#${_t:17:2} - _offset * 60))
  _hookline_utc $((_hookline_days * 86400 + _offset))
  [[ $_hookline_utc == $_d$_d$_d$_d-* && $_hookline_utc != 0000* ]] || return
  _fraction=${_fraction}000000
  _hookline_time=$_hookline_utc.${_fraction:0:6}Z
}

_hookline_days() { # <year> <month> <day>: sets _hookline_days to the days since 1970
  local _year=$(($1 - ($2 <= 2))) _month=$((($2 + 9) % 12)) _era
  _era=$((_year / 400)) _year=$((_year % 400))
  _hookline_days=$((_era * 146097 + _year * 365 + _year / 4 - _year / 100))
  _hookline_days=$((_hookline_days + (153 * _month + 2) / 5 + $3 - 1 - 719468))
}
