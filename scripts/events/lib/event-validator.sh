#!/bin/bash -p
# Usage: event-validator.sh EVENT | --generate-id | --json-lines | --help
# Summary: says whether an event (CloudEvents or Cortex, argument or stdin) would be stored
# Exit: 0 it would, 64 usage, 65 it would not: stderr says why
#
#   --generate-id  prints a new id (UUIDv7)
#   --json-lines   reads payloads from stdin, each ended by a NUL byte, and prints a line for each:
#                  ok and its compact text, or bad and the reason
# Sourced, it is the library of event-logger.sh.

_hookline_self=${BASH_SOURCE[0]}
[[ ! -L $_hookline_self ]] || _hookline_self=$(command -p readlink -f -- "$_hookline_self")
[[ $_hookline_self == */* ]] || _hookline_self=./$_hookline_self
# shellcheck source-path=SCRIPTDIR source=event-logger.sh
source "${_hookline_self%/*}/event-logger.sh" || return 70 2>/dev/null || exit 70
unset -v _hookline_self
if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  _hookline_load_parts event-command || _hookline_broken || exit
  case ${1-} in
    --generate-id) generate_event_id ;;
    --json-lines) _hookline_room _hookline_json_lines ;;
    *) _hookline_event_command validate_event "$@" ;;
  esac
fi
