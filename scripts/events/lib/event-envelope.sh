# shellcheck shell=bash disable=SC2034,SC2154 # see event-logger.sh
# A new event from arguments, checked and complete, is handed to append or print.

[[ -z ${_hookline_event_envelope_loaded-} ]] || return 0
_hookline_event_envelope_loaded=1

_hookline_compose() { # <append|print> <type> <source> <data> [<correlation>] [<priority>]
  local _hookline_found='' _hookline_json=${4-} _hookline_line
  local _hookline_id _hookline_time _hookline_log
  local _source=\"${3-}\" _optional='' _cortex=''
  local -a _hookline_parts
  local -A _hookline_keys
  # Under 250 bytes of printable ASCII and nothing optional: no need to look closer.
  [[ $#${5-}${6-}${HOOKLINE_ATTEMPT-} == 4 && $2 == [a-z]*.* && $2 != *[!a-z0-9_.]* &&
    $2 != *..* && $2 != *. && $3 == ?* && $3 != *[!\ !#-[\]-~]* && ${#2} -le 96 && ${#3} -lt 250 &&
    ${#4} -lt $_HOOKLINE_LINE_BYTES_MAX ]] || _hookline_arguments "$@" || return
  _hookline_json_scan "$4" "$_HOOKLINE_LEVELS_MAX" ||
    _hookline_fail 65 "the data is $_hookline_error" || return
  [[ ! $_hookline_found && $4 != *'{"specversion"'* ]] || _hookline_json_compact "$4"
  _hookline_stamp
  _hookline_line='{"specversion":"1.0","id":"'$_hookline_id'","source":'$_source',"type":"'$2
  _hookline_line+='","time":"'$_hookline_time'"'$_optional',"data":'$_hookline_json'}'
  "_hookline_$1" "$2"
}
