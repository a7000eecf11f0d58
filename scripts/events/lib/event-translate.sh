# shellcheck shell=bash disable=SC2004,SC2015,SC2034,SC2154 # see event-logger.sh
# Events from outside: a CloudEvents or a Cortex object becomes a line.
# The text of a value is kept as it came: no number passes through a program that could round it.

[[ -z ${_hookline_event_translate_loaded-} ]] || return 0
_hookline_event_translate_loaded=1

# Sets _hookline_line, _hookline_id, _hookline_time and _hookline_type.
_hookline_read_event() { # <text of one event>
  local _source='' _optional _given_id='' _given_time=''
  local -a _in_order
  local -A _members=() _hookline_event=()
  _hookline_type=''
  _hookline_fits "$1" || return
  [[ $1 == *[!$' \t\n\r']* ]] || _hookline_fail 65 'no event: the input is empty' || return
  _hookline_json_scan "$1" $((_HOOKLINE_LEVELS_MAX + 1)) ||
    _hookline_fail 65 "the event is $_hookline_error" || return
  [[ ${_hookline_parts[0]} == '{'* ]] || _hookline_fail 65 'the event is no JSON object' || return
  _hookline_members
  if [[ ${_members[_specversion]+x} ]]; then
    _hookline_from_cloudevents
  elif [[ ${_members[_event_type]+x} || ${_members[_event_id]+x} ]]; then
    _hookline_from_cortex
  else
    _hookline_fail 65 'the event has neither specversion (CloudEvents) nor event_type (Cortex)'
  fi
}

# The underscore before each name lets a name be empty, @ or *.
_hookline_members() { # sets _members: the outermost object's keys and their texts; _in_order: keys
  local _key _place
  local -a _names=() _places
  # An escaped key stands there twice, as it is and decoded; the decoded name counts.
  for _key in "${!_hookline_keys[@]}"; do
    case $_key in
      d1/*) _names[${_hookline_keys[$_key]}]=${_key#d1/} ;;
      1/*\\*) ;;
      1/*) _names[${_hookline_keys[$_key]}]=${_key#1/} ;;
    esac
  done
  _in_order=("${_names[@]}")
  _places=("${!_names[@]}" "${#_hookline_parts[@]}")
  for ((_place = 0; _place < ${#_places[@]} - 1; _place++)); do
    _key=${_places[_place]}
    _hookline_json_text $((_key + 1)) $((_places[_place + 1] - _key - 1))
    _members[_${_names[_key]}]=${_hookline_json:1:${#_hookline_json}-2}
  done
}

_hookline_member() { # <name>: sets _text to the text of a member that must be a string
  local _json=${_members[_$1]} _hookline_decoded
  [[ $_json == \"* ]] || _hookline_fail 65 "the event's $1 is not a string" || return
  _hookline_json_decode "${_json:1:${#_json}-2}"
  _text=$_hookline_decoded
}

_hookline_from_cloudevents() {
  local _name _text
  for _name in "${!_members[@]}"; do
    _name=${_name#_}
    case $_name in
      data) ;;
      hops | intensity) _hookline_number "$_name" "${_members[_$_name]}" || return ;;
      specversion | id | source | type | time | subject | priority | correlationid | \
        causationid | traceparent | dataschema | dataref | ecosystem | incident_id | replayof)
        _hookline_member "$_name" && _hookline_attribute "$_name" "$_text" || return
        ;;
      *) _hookline_foreign "$_name" data || return ;;
    esac
  done
  _hookline_complete "${_members[_data]-}"
}

_hookline_attribute() { # <name> <text>
  case $1 in
    specversion) [[ $2 == 1.0 ]] || _hookline_fail 65 'the specversion is not "1.0"' ;;
    id) _hookline_check_id "$2" && _given_id=$2 ;;
    source) _hookline_text source "$2" && _source=$_hookline_json ;;
    type) _hookline_check_type "$2" && _hookline_type=$2 ;;
    time) _hookline_given_time "$2" '' ;;
    priority) _hookline_check_priority "$2" && _hookline_event[priority]=\"$2\" ;;
    traceparent)
      _hookline_is_traceparent "$2" ||
        _hookline_fail 65 'the traceparent is not W3C Trace Context, version 00' || return
      _hookline_event[traceparent]=\"$2\"
      ;;
    *) _hookline_text "$1" "$2" && _hookline_event[$1]=$_hookline_json ;;
  esac
}

_hookline_from_cortex() {
  local _name _text _payload=${_members[_payload]-} _metadata='' _others='' _kept=''
  for _name in "${_in_order[@]}"; do
    case $_name:${_members[_$_name]} in
      payload:* | correlation_id:null | correlation_id:'""' | metadata:null) ;;
      metadata:'{'*) _metadata=${_members[_metadata]} ;;
      metadata:*) _hookline_fail 65 "the event's metadata is no object" || return ;;
      event_id:* | event_type:* | timestamp:* | source:* | correlation_id:*)
        _hookline_member "$_name" || return
        ;;&
      event_id:*) _hookline_attribute id "$_text" || return ;;
      event_type:*) _hookline_attribute type "$_text" || return ;;
      timestamp:*) _hookline_given_time "$_text" cortex || return ;;
      source:*) _hookline_attribute source "$_text" || return ;;
      correlation_id:*) _hookline_attribute correlationid "$_text" || return ;;
      *) _hookline_other "$_name" "${_members[_$_name]}" || return ;;
    esac
  done
  [[ ! $_metadata ]] || _hookline_metadata || return
  [[ ! $_others ]] || _kept+=',"_event":{'${_others#,}'}'
  [[ ! $_kept || ${_payload:-'{'} != '{'* ]] || _hookline_keep || return
  _hookline_complete "$_payload"
}

# A key that Cortex does not know: its logger took any, and a handler may look for it.
_hookline_other() { # <name> <JSON text>
  [[ ${_payload:-'{'} == '{'* && $1 == [A-Za-z]* && $1 != *[!A-Za-z0-9_]* && ${#1} -le 64 ]] ||
    _hookline_foreign "$1" payload || return
  _others+=',"'$1'":'$2
}

# A priority that we know is the event's; whatever else _metadata says is to be kept.
_hookline_metadata() {
  local -a _in_order
  local -A _members=()
  local _text
  _hookline_keys=() _hookline_found=''
  _hookline_json_scan "$_metadata" "$_HOOKLINE_LEVELS_MAX" || return
  _hookline_members
  _text=''
  [[ ${_members[_priority]-} != \"* ]] || _hookline_member priority
  case $_text in
    low | medium | high | critical) _hookline_event[priority]=\"$_text\" ;;
    *) [[ ${_members[_priority]-null} == null ]] ;;
  esac && unset -v '_members[_priority]'
  [[ ${#_members[@]} -eq 0 || ! $_payload$_others ]] || _kept=',"_metadata":'$_metadata
}

_hookline_keep() { # puts _kept into _payload
  _payload=${_payload:-'{}'}
  _payload=${_payload%\}}$_kept'}'
  _payload=${_payload/#'{,'/'{'}
  _hookline_keys=() _hookline_found=''
  _hookline_json_scan "$_payload" "$_HOOKLINE_LEVELS_MAX" ||
    _hookline_fail 65 "the payload with what is kept in it is $_hookline_error"
}

_hookline_foreign() { # <name> <where it belongs>
  _hookline_excerpt "$1"
  _hookline_fail 65 "the event has the key $_hookline_excerpt, which its form has not; \
move it into $2"
}

_hookline_given_time() { # <text> <cortex, or nothing>
  if _hookline_time_of "$@"; then
    _given_time=$_hookline_time
  else
    _hookline_excerpt "$1"
    _hookline_fail 65 "the time $_hookline_excerpt is not like 2026-11-21T01:35:31Z (RFC 3339)"
  fi
}

_hookline_number() { # <hops|intensity> <JSON text>
  case $1:$2 in
    hops:[1-9] | hops:[1-9][0-9] | hops:[1-9][0-9][0-9] | hops:1000 | intensity:[-0-9]*)
      _hookline_event[$1]=$2
      ;;
    hops:*) _hookline_fail 65 "the event's hops are no integer from 1 to 1000" ;;
    *) _hookline_fail 65 "the event's $1 is not a number" ;;
  esac
}

_hookline_complete() { # <data as JSON, or nothing>
  [[ $_hookline_type ]] || _hookline_fail 65 'the event has no type' || return
  [[ $_source ]] || _hookline_fail 65 'the event has no source: say who emits it' || return
  _hookline_stamp
  _hookline_id=${_given_id:-$_hookline_id} _hookline_time=${_given_time:-$_hookline_time}
  if [[ ${_hookline_event[dataref]+x} ]]; then
    [[ ! $1 ]] || _hookline_fail 65 'the event has both data and a dataref' || return
    [[ ${_hookline_event[dataref]} == \"data/$_given_id.json\" ]] ||
      _hookline_fail 65 "the dataref is not data/ID.json with the event's id" || return
  fi
  [[ ! ${HOOKLINE_ATTEMPT-} ]] || _hookline_causation
  _hookline_order
  _hookline_line='{"specversion":"1.0","id":"'$_hookline_id'","source":'$_source',"type":"'
  _hookline_line+=$_hookline_type'","time":"'$_hookline_time'"'$_optional
  [[ ! $1 ]] || _hookline_line+=',"data":'$1
  _hookline_line+='}'
}
