# shellcheck shell=bash disable=SC2034,SC2154,SC2206 # see event-logger.sh
# What the attributes of an event may be (FORMAT.md section 4). Optional ones wait in
# _hookline_event, name to JSON text, until they are put in order.

[[ -z ${_hookline_event_attributes_loaded-} ]] || return 0
_hookline_event_attributes_loaded=1

_hookline_check_type() { # <type>; the shape also keeps a type from naming a file outside its folder
  if [[ $1 != [a-z]*.* || $1 == *[!a-z0-9_.]* || $1 == *..* || $1 == *. || ${#1} -gt 96 ]]; then
    _hookline_excerpt "$1"
    _hookline_fail 65 "the type $_hookline_excerpt is not like worker.started: lower-case letters, \
digits and _, joined by dots, at most 96 bytes"
  fi
}

_hookline_check_id() { # <id>
  if [[ $1 != [A-Za-z0-9]* || $1 == *[!A-Za-z0-9._:-]* || ${#1} -gt 128 ]]; then
    _hookline_excerpt "$1"
    _hookline_fail 65 "the id $_hookline_excerpt is not 1 to 128 letters, digits and . _ : - that \
begin with a letter or digit"
  fi
}

_hookline_check_priority() { # <priority>
  case $1 in
    low | medium | high | critical) ;;
    *)
      _hookline_excerpt "$1"
      _hookline_fail 65 "the priority $_hookline_excerpt is none of low, medium, high, critical"
      ;;
  esac
}

_hookline_text() { # <attribute> <text>: sets _hookline_json to it as JSON
  if [[ $2 == '' || ${#2} -gt 256 ]]; then
    _hookline_fail 65 "the $1 has ${#2} bytes; it must have 1 to 256" || return
  fi
  if [[ $2 == *[$'\x01'-$'\x1f\x7f']* ]]; then
    _hookline_fail 65 "the $1 has a control character; take it out" || return
  fi
  _hookline_utf8 "$2" || _hookline_fail 65 "the $1 is $_hookline_error" || return
  _hookline_json_encode "$2"
}

_hookline_is_traceparent() { # <text>: W3C Trace Context, version 00
  local _hex=${1//[!0-9a-f]/} _q8='????????'
  [[ $1 == 00-$_q8$_q8$_q8$_q8-$_q8$_q8-?? && ${#_hex} -eq 52 && ${1:3:32} == *[!0]* &&
    ${1:36:16} == *[!0]* ]]
}

# What a handler emits says which event it answers; the dispatcher tells it in the environment.
_hookline_causation() {
  local _hops=1 _given=${_hookline_event[hops]:-0}
  _hookline_check_id "${EVENT_ID-}" || return 0
  [[ ${_hookline_event[causationid]+x} ]] || _hookline_event[causationid]=\"$EVENT_ID\"
  if [[ ! ${_hookline_event[correlationid]+x} ]]; then
    _hookline_text correlationid "${EVENT_CORRELATION:-$EVENT_ID}" || _hookline_json=\"$EVENT_ID\"
    _hookline_event[correlationid]=$_hookline_json
  fi
  case ${EVENT_HOPS-} in
    '' | *[!0-9]*) ;;
    ????*) _hops=1000 ;;
    *) _hops=$((10#$EVENT_HOPS + 1)) ;;
  esac
  _hookline_event[hops]=$((_given > _hops ? _given : _hops))
  if [[ ! ${_hookline_event[traceparent]+x} ]] && _hookline_is_traceparent "${TRACEPARENT-}"; then
    _hookline_event[traceparent]=\"$TRACEPARENT\"
  fi
}

_hookline_order() { # sets _optional to the optional attributes in their order
  local _name
  _optional=''
  for _name in subject priority correlationid causationid hops traceparent dataschema dataref \
    ecosystem intensity incident_id replayof; do
    [[ ! ${_hookline_event[$_name]+x} ]] || _optional+=',"'$_name'":'${_hookline_event[$_name]}
  done
}

# The arguments of a new event, where they are not of the plain kind that _hookline_compose knows.
_hookline_arguments() { # <append|print> <type> <source> <data> [<correlation>] [<priority>]
  local _hookline_home _to=$1 _given=''
  local -A _hookline_event=()
  shift
  (($# >= 3 && $# <= 5)) || _hookline_fail 64 \
    'expected TYPE SOURCE DATA [CORRELATION] [PRIORITY]; see event-logger.sh --help' || return
  _hookline_check_type "$1" || return
  if [[ ${4-} ]]; then
    _hookline_text correlation "$4" && _hookline_event[correlationid]=$_hookline_json || return
  fi
  if [[ ${5-} ]]; then
    if _hookline_check_priority "$5"; then
      _hookline_event[priority]=\"$5\"
    else
      # Their --create prints any, and who logs that keeps it.
      [[ $_to == print ]] || return 65
      _hookline_find_home
      _hookline_is_cortex "$_hookline_home" || return 65
      _hookline_text priority "$5" && _given=$_hookline_json || return
    fi
  fi
  [[ ! ${HOOKLINE_ATTEMPT-} ]] || _hookline_causation
  _hookline_order
  _cortex=${_hookline_event[correlationid]:+,\"correlation_id\":${_hookline_event[correlationid]}}
  _cortex+=',"metadata":{"priority":'${_given:-${_hookline_event[priority]:-'"medium"'}}'}'
  _hookline_text source "$2" && _source=$_hookline_json || return
  _hookline_fits "$3" && _hookline_json=$3
}

# A text cannot become shorter than what it has besides whitespace.
_hookline_fits() { # <text>
  local _bytes
  local -a _words
  ((${#1} >= _HOOKLINE_LINE_BYTES_MAX)) || return 0
  IFS=$' \t\n\r'
  _words=($1)
  IFS=
  _bytes="${_words[*]}"
  ((${#_bytes} < _HOOKLINE_LINE_BYTES_MAX)) || _hookline_too_long "more than ${#_bytes}"
}
