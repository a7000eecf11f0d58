# shellcheck shell=bash disable=SC2034 # see event-logger.sh
# Times and ids without a fork and without the caller's TZ. Dates are counted as in Howard Hinnant,
# "chrono-Compatible Low-Level Date Algorithms": years begin in March, so the leap day comes last.

[[ -z ${_hookline_event_time_loaded-} ]] || return 0
_hookline_event_time_loaded=1

# Set here, so that no arithmetic ever meets what the environment may hold under these names.
_hookline_second=-1 _hookline_second_text='' _hookline_tick=0

_hookline_stamp() { # sets _hookline_id (UUIDv7, rising within a shell) and _hookline_time
  # The text first: a trap that emits as well may come between any two of these lines.
  local _us=${EPOCHREALTIME/[!0-9]/} _text=$_hookline_second_text _tick _high=$SRANDOM
  ((_us / 1000000 == _hookline_second)) || _hookline_next_second
  _hookline_time=$_text.${_us: -6}Z
  # RFC 9562, method 3: twelve bits below the millisecond. A clock that goes back is overtaken.
  _tick=$((_us / 1000 << 12 | _us % 1000 * 4096 / 1000))
  ((_tick > _hookline_tick)) || _tick=$((_hookline_tick + 1))
  _hookline_tick=$_tick
  builtin printf -v _hookline_id '%08x-%04x-7%03x-%04x-%04x%08x' $((_tick >> 28)) \
    $((_tick >> 12 & 0xffff)) $((_tick & 0xfff)) $((0x8000 | _high >> 18)) \
    $((_high & 0xffff)) "$SRANDOM"
}

_hookline_next_second() { # sets _text of the caller
  local _hookline_utc
  _hookline_utc $((_us / 1000000))
  _text=$_hookline_utc
  _hookline_second_text=$_text _hookline_second=$((_us / 1000000))
}

_hookline_utc() { # <seconds since 1970>: sets _hookline_utc to YYYY-MM-DDThh:mm:ss
  local _days _second _era _day _year _month
  _days=$((($1 + 719468 * 86400) / 86400)) _second=$((($1 + 719468 * 86400) % 86400))
  _era=$((_days / 146097)) _day=$((_days % 146097))
  _year=$(((_day - _day / 1460 + _day / 36524 - _day / 146096) / 365))
  _day=$((_day - (365 * _year + _year / 4 - _year / 100)))
  _month=$(((5 * _day + 2) / 153))
  _day=$((_day - (153 * _month + 2) / 5 + 1)) _month=$((_month < 10 ? _month + 3 : _month - 9))
  _year=$((_year + _era * 400 + (_month <= 2)))
  builtin printf -v _hookline_utc '%04d-%02d-%02dT%02d:%02d:%02d' "$_year" "$_month" "$_day" \
    $((_second / 3600)) $((_second / 60 % 60)) $((_second % 60))
}
