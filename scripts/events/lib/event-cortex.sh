# shellcheck shell=bash disable=SC2034,SC2154,SC2206 # see event-logger.sh
# What a home for scripts that were written for Cortex does as they know it: ids, `--create`.

[[ -z ${_hookline_event_cortex_loaded-} ]] || return 0
_hookline_event_cortex_loaded=1

_hookline_cortex_id() { # sets _hookline_id to one of their form, from _hookline_time
  local _t=${_hookline_time//[!0-9T]/}
  builtin printf -v _hookline_id 'evt_%s_%s_%08x%04x' "${_t:0:8}" "${_t:9:6}" "$SRANDOM" \
    $((SRANDOM & 0xffff))
}

# The event that _hookline_compose made, in their form; printed as jq does it.
_hookline_to_cortex() { # <type>: sets _hookline_line
  local _payload=$_hookline_json _hookline_found='' _hookline_json
  local -a _hookline_parts
  local -A _hookline_keys=()
  _hookline_cortex_id
  _hookline_json='{"event_id":"'$_hookline_id'","event_type":"'$1'","timestamp":"'
  _hookline_json+=${_hookline_time:0:19}'+0000","source":'$_source
  _hookline_json+=${_cortex:-',"metadata":{"priority":"medium"}'}',"payload":'$_payload'}'
  _hookline_json_scan "$_hookline_json" $((_HOOKLINE_LEVELS_MAX + 1)) || return
  _hookline_json_indent
  [[ $_hookline_found != *q* ]] || _hookline_json_unmask
  _hookline_line=$_hookline_json
}

_hookline_json_indent() { # sets _hookline_json to what was scanned, over many lines
  local _outside _c _i _j _in=$'\n' _parts_max=${#_hookline_parts[@]}
  _hookline_json=''
  for ((_i = 0; _i < _parts_max; _i += 2)); do
    _outside=${_hookline_parts[_i]%,\~}
    for ((_j = 0; _j < ${#_outside}; _j++)); do
      _c=${_outside:_j:1}
      case ${_outside:_j:2} in
        '{}' | '[]') _hookline_json+=${_outside:_j:2} _j=$((_j + 1)) ;;
        '{'* | '['*) _in+='  ' _hookline_json+=$_c$_in ;;
        '}'* | ']'*) _in=${_in%  } _hookline_json+=$_in$_c ;;
        ,*) _hookline_json+=,$_in ;;
        :*) _hookline_json+=': ' ;;
        *) _hookline_json+=$_c ;;
      esac
    done
    ((_i + 1 == _parts_max)) || _hookline_json+='"'${_hookline_parts[_i + 1]}'"'
  done
}

# Their library left these behind, whatever the caller had in them. Who has none gets them.
_hookline_name_places() {
  local _hookline_home
  _hookline_find_home
  _hookline_is_cortex "$_hookline_home" || return 0
  [[ -v PROJECT_ROOT ]] || PROJECT_ROOT=$_hookline_home
  [[ -v EVENTS_DIR ]] || EVENTS_DIR=$_hookline_home/coordination/events
  [[ -v QUEUE_DIR ]] || QUEUE_DIR=$_hookline_home/coordination/events/queue
}
