# shellcheck shell=bash disable=SC2034 # see event-logger.sh
# A room of our own inside somebody else's shell: whatever options, locale or separators the caller
# has, our functions run with the same ones, and the caller gets all of them back.

[[ -z ${_hookline_event_room_loaded-} ]] || return 0
_hookline_event_room_loaded=1

# Call it as `_hookline_room … 2>/dev/null || _hookline_report "$?"`: bash warns on stderr each time
# it goes back to a locale that is not installed, so our own error waits until that is over.
_hookline_room() { # <function> <arguments...>
  local - IFS=' ' LC_ALL=C || _hookline_fail 78 'IFS or LC_ALL is readonly in this shell' || return
  set -fB +aeuxvCET
  case $BASHOPTS in
    *nocasematch* | *localvar_inherit*) _hookline_room_shopt "$@" ;;
    *) "$@" ;;
  esac
}

# `local -` covers only what `set` sets.
_hookline_room_shopt() { # <function> <arguments...>
  local _status _options=:$BASHOPTS:
  shopt -u nocasematch localvar_inherit
  "$@"
  _status=$?
  [[ $_options != *:nocasematch:* ]] || shopt -s nocasematch
  [[ $_options != *:localvar_inherit:* ]] || shopt -s localvar_inherit
  return "$_status"
}

_hookline_fail() { # <exit> <message>: one line, never with raw bytes of an input
  _hookline_error=$2
  return "$1"
}

_hookline_report() { # <exit>
  local _status=$1
  # Whatever was found to be wrong meanwhile, it was not the event.
  [[ ${_hookline_event_late-} != broken ]] || { _hookline_broken || return; }
  # Only a redirection that found no descriptor ends with 1, and says nothing.
  [[ $_status != 1 || $_hookline_error ]] || _hookline_no_descriptor || _status=$?
  builtin printf 'ERROR: %s\n' "${_hookline_error:-something unforeseen happened}" >&2 || :
  return "$_status"
}

_hookline_no_descriptor() {
  _hookline_fail 75 'there is no free file descriptor; close some, then try again'
}

_hookline_excerpt() { # <text>: sets _hookline_excerpt to a quoted piece of it, safe to print
  local _text=${1:0:40}
  _hookline_excerpt="'${_text//[!\ -~]/?}'"
  ((${#1} <= 40)) || _hookline_excerpt+='...'
}
