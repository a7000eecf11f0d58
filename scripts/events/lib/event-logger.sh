#!/bin/bash -p
# Usage: event-logger.sh [--sync] EVENT | --create ARGUMENTS | --emit ARGUMENTS | --help
# Summary: the way in: makes, checks and stores events
# Exit: 0 done, 64 usage, 65 bad event, 73 cannot open the log, 74 writing failed, 75 try again
#
#   ARGUMENTS  TYPE SOURCE DATA [CORRELATION] [PRIORITY]; DATA is any JSON value
#   EVENT      a CloudEvents or Cortex object, as argument or on stdin, is stored; its id and time
#              are filled in where they are missing
#   --create   prints the event and stores nothing
#   --emit     stores it and prints its id
#   --sync     it is on disk before the command returns
# After exit 74 the event may or may not be stored: log it again with the same id.
#
# Sourced, in bash 5.1 or newer, it gives these functions, and else only names that begin with
# _hookline_ or _HOOKLINE_; no option, trap or variable of the caller changes:
#   emit_event TYPE SOURCE DATA [CORRELATION] [PRIORITY]     its id is in HOOKLINE_EVENT_ID
#   create_and_log_event                                     another name for it
#   create_event TYPE SOURCE DATA [CORRELATION] [PRIORITY]   prints the event
#   log_event EVENT                                          stores it and says so
#   validate_event EVENT, generate_event_id                  as event-validator.sh
# There is no fork for lines up to 4096 bytes, once the log is there.
# In a home with envelope = "cortex", PROJECT_ROOT, EVENTS_DIR and QUEUE_DIR are set where they are
# not, and --create prints what Cortex's does (docs/howto/move-from-cortex.md).

# shellcheck disable=SC2154 # see the next lines
# For whoever reads on. The parts share variables that begin with _hookline_ through bash's dynamic
# scope (SC2034, SC2154), split texts by IFS on purpose (SC2206) and index by text (SC2004). Other
# locals begin with an underscore: a global `readonly id` of the caller would make `local id` fail.
# Bash copies a function whenever it calls it: where each event passes, functions are small, and
# what is seldom needed has functions and parts of its own.

if [ -z "${BASH_VERSION-}" ] || ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 501)); then
  printf 'ERROR: %s\n' 'event-logger.sh needs bash 5.1 or newer; run it with such a bash' >&2
  # shellcheck disable=SC2317 # return works where it is sourced, exit where it is run
  return 78 2>/dev/null || exit 78
fi
if declare -F _hookline_load_parts >/dev/null && [[ ${BASH_SOURCE[0]} != "$0" ]]; then
  declare -F emit_event >/dev/null
  return
fi

# A caller's aliases would be expanded in our functions; allexport would hand those to each child.
_hookline_was=$-:$BASHOPTS
\shopt -u expand_aliases
\set +a

_HOOKLINE_LATE=(event-attributes event-timestamp event-append-rare event-translate event-cortex
  json-rare json-text)
_hookline_sync='' # --sync sets it
# Whatever the environment holds under these names, it is not ours.
unset -v "${!_hookline_event_@}" "${!_hookline_json_@}" _hookline_own

_hookline_load() {
  _hookline_find_lib "${BASH_SOURCE[0]}"
  _hookline_checkout=${_hookline_lib%/scripts/events/lib}
  _hookline_load_parts event-room event-time event-append event-envelope json-grammar || return
  if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
    _hookline_load_parts event-late
  else
    _hookline_load_parts "${_HOOKLINE_LATE[@]}"
  fi
}

_hookline_find_lib() { # <this file>: its folder, whatever link or relative path led here
  local _self=$1 _target
  while [[ -L $_self ]]; do
    _target=$(command -p readlink -- "$_self")
    [[ $_target == /* ]] || _target=${_self%"${_self##*/}"}$_target
    _self=$_target
  done
  [[ $_self == /* ]] || _self=$PWD/$_self
  _hookline_lib=${_self%/*}
  [[ $_hookline_lib/ != */./* && $_hookline_lib/ != */../* ]] ||
    _hookline_lib=$(CDPATH='' cd -- "$_hookline_lib" && pwd -P)
}

_hookline_load_parts() { # <name...>
  local _part
  for _part; do
    # In posix mode a `source` that finds nothing would end the caller's shell.
    [[ -r $_hookline_lib/$_part.sh ]] || return
    # shellcheck source=/dev/null
    source "$_hookline_lib/$_part.sh" || return
  done
}

_hookline_broken() { # half of the parts would store what is bad and refuse what is good
  builtin printf 'ERROR: %s\n' \
    "parts are missing or broken in $_hookline_lib; install Hookline again" >&2 || :
  return 70
}

emit_event() { # <type> <source> <json-data> [<correlation>] [<priority>]
  local _hookline_error=''
  HOOKLINE_EVENT_ID=''
  _hookline_room _hookline_compose append "$@" 2>/dev/null || _hookline_report "$?"
}

create_and_log_event() { # <type> <source> <json-data> [<correlation>] [<priority>]
  emit_event "$@"
}

create_event() { # <type> <source> <json-data> [<correlation>] [<priority>]
  local _hookline_error=''
  _hookline_room _hookline_compose print "$@" 2>/dev/null || _hookline_report "$?"
}

log_event() { # <event>
  local _hookline_error=''
  HOOKLINE_EVENT_ID=''
  _hookline_room _hookline_given append "$@" 2>/dev/null || _hookline_report "$?"
}

validate_event() { # <event>
  local _hookline_error=''
  _hookline_room _hookline_given approve "$@" 2>/dev/null || _hookline_report "$?"
}

generate_event_id() { # prints one
  _hookline_room _hookline_print_id 2>/dev/null
}

_hookline_given() { # <append|approve> <event>
  local _hookline_found='' _hookline_json _hookline_line
  local _hookline_id _hookline_time _hookline_type _hookline_log=''
  local -a _hookline_parts
  local -A _hookline_keys=()
  (($# == 2)) || _hookline_fail 64 'expected one event; quote it' || return
  _hookline_read_event "$2" && "_hookline_$1" "$_hookline_type" || return
  # The event is checked or stored, whether anybody reads this or not.
  builtin printf 'Event validation passed\n%s' \
    "${_hookline_log:+Event logged: $_hookline_id -> $_hookline_log$'\n'}" || :
}

_hookline_approve() { # in place of append: would the line be accepted?
  ((${#_hookline_line} < _HOOKLINE_LINE_BYTES_MAX)) ||
    _hookline_too_long $((${#_hookline_line} + 1))
}

_hookline_print() { # <type>: in place of append
  local _hookline_home
  _hookline_find_home
  ! _hookline_is_cortex "$_hookline_home" || _hookline_to_cortex "$1" || return
  builtin printf '%s\n' "$_hookline_line" ||
    _hookline_fail 74 'cannot write the event to stdout; give it a place to go'
}

_hookline_print_id() {
  local _hookline_home _hookline_id _hookline_time
  _hookline_stamp
  _hookline_find_home
  ! _hookline_is_cortex "$_hookline_home" || _hookline_cortex_id
  builtin printf '%s\n' "$_hookline_id"
}

_hookline_logger_command() { # <arguments...>
  # A log at its size limit is an error to report, and a reader that has gone is none at all.
  trap '' XFSZ PIPE
  case ${1-} in
    --sync)
      _hookline_sync=1
      shift
      _hookline_logger_command "$@"
      ;;
    --create) create_event "${@:2}" ;;
    --emit)
      emit_event "${@:2}" || return
      # The event is stored, whether anybody reads its id or not.
      printf '%s\n' "$HOOKLINE_EVENT_ID" 2>/dev/null || :
      ;;
    *)
      _hookline_load_parts event-command || _hookline_broken || return
      _hookline_event_command log_event "$@"
      ;;
  esac
}

if _hookline_load; then
  [[ ${BASH_SOURCE[0]} == "$0" ]] || _hookline_name_places
else
  _hookline_broken
  [[ ${BASH_SOURCE[0]} != "$0" ]] || exit 70
  unset -f emit_event create_event create_and_log_event log_event validate_event generate_event_id
fi
[[ ${_hookline_was%%:*} != *a* ]] || set -a
[[ :${_hookline_was#*:}: != *:expand_aliases:* ]] || shopt -s expand_aliases
unset -v _hookline_was

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  _hookline_logger_command "$@"
else
  declare -F emit_event >/dev/null || return 70
fi
