# shellcheck shell=bash disable=SC2034,SC2154 # see event-logger.sh
# What the commands event-logger.sh and event-validator.sh share: stdin, help, usage errors.

[[ -z ${_hookline_event_command_loaded-} ]] || return 0
_hookline_event_command_loaded=1

_HOOKLINE_STDIN_BYTES_MAX=16777216
_HOOKLINE_STDIN_CHUNK_BYTES=1048576

_hookline_event_command() { # <function> [<event>], or an option that is not known so far
  case ${2-} in
    --help | -h) _hookline_help ;;
    -*) _hookline_usage "unknown option $2" ;;
    *) _hookline_given_or_stdin "$@" ;;
  esac
}

_hookline_given_or_stdin() { # <function> [<event>]
  local _stdin
  case $# in
    2) "$1" "$2" ;;
    1)
      # Bash asks fstat about /dev/fd/0 itself: a closed stdin is no stdin.
      if [[ -t 0 || ! -e /dev/fd/0 ]]; then
        _hookline_usage 'no event given' || return
      fi
      local _hookline_error=''
      _hookline_room _hookline_read_stdin 2>/dev/null || _hookline_report "$?" || return
      "$1" "$_stdin"
      ;;
    *) _hookline_usage 'more than one event given: quote the event' ;;
  esac
}

_hookline_usage() { # <what is wrong>
  local _hookline_error="${1//[!\ -~]/?}; see ${0##*/} --help"
  _hookline_report 64
}

_hookline_help() { # the header of a command is its help
  local _line
  while IFS= read -r _line; do
    case $_line in
      '#!'*) ;;
      '#'*)
        _line=${_line#'#'}
        printf '%s\n' "${_line# }"
        ;;
      *) break ;;
    esac
  done <"$0"
}

# Bash drops NUL bytes without a word, unless they are the delimiter: one ends the read early.
_hookline_read_stdin() { # sets _stdin
  local _chunk _status _hookline_home _timeout_s=${HOOKLINE_STDIN_TIMEOUT_S-}
  if [[ $_timeout_s != [1-9]* || $_timeout_s == *[!0-9]* || ${#_timeout_s} -gt 6 ]]; then
    _timeout_s=60
    _hookline_find_home
    # Cortex's logger waits for whatever its caller has still to do.
    ! _hookline_is_cortex "$_hookline_home" || _timeout_s=86400
  fi
  _stdin=''
  while :; do
    IFS= read -r -d '' -n "$_HOOKLINE_STDIN_CHUNK_BYTES" -t "$_timeout_s" _chunk
    _status=$?
    _stdin+=$_chunk
    if ((_status > 128)); then
      _hookline_fail 75 "stdin did not end within $_timeout_s s; close it, or wait longer with \
HOOKLINE_STDIN_TIMEOUT_S" || return
    elif ((_status == 0 && ${#_chunk} < _HOOKLINE_STDIN_CHUNK_BYTES)); then
      _hookline_fail 65 'no event: a NUL byte on stdin; take it out' || return
    elif ((_status)); then
      return 0
    fi
    ((${#_stdin} <= _HOOKLINE_STDIN_BYTES_MAX)) ||
      _hookline_fail 65 "no event: stdin goes on after $_HOOKLINE_STDIN_BYTES_MAX bytes" || return
    _hookline_fits "$_stdin" || return
  done
}

_hookline_json_lines() { # payloads on stdin, each ended by NUL: a line for each
  local _payload
  while IFS= read -r -d '' _payload; do
    _hookline_json_verdict "$_payload"
  done
}

_hookline_json_verdict() { # <payload>: prints ok and the compact text, or bad and the reason
  local _hookline_found='' _hookline_json
  local -a _hookline_parts
  local -A _hookline_keys=()
  if _hookline_json_scan "$1" "$_HOOKLINE_LEVELS_MAX"; then
    _hookline_json_compact "$1"
    printf 'ok %s\n' "$_hookline_json"
  else
    printf 'bad %s\n' "$_hookline_error"
  fi
}
