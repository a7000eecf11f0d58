# shellcheck shell=bash disable=SC2034,SC2154 # see event-logger.sh
# Where a home is, and the append protocol of FORMAT.md section 5.

[[ -z ${_hookline_event_append_loaded-} ]] || return 0
_hookline_event_append_loaded=1

_HOOKLINE_LINE_BYTES_MAX=262144
# Bash hands a longer line to the kernel in pieces, so only a short one may use the builtin: the
# log's one promise is one write per event.
_HOOKLINE_PRINTF_BYTES_MAX=4096

_hookline_find_home() { # sets _hookline_home
  local _folder=$PWD
  _hookline_home=${HOOKLINE_HOME:-${CORTEX_HOME-}}
  if [[ $_hookline_home ]]; then
    [[ $_hookline_home == /* ]] || _hookline_home=${_folder%/}/$_hookline_home
    return
  fi
  # In a home for what was written for Cortex, this file's place says which is meant, as there.
  [[ ${_hookline_own+x} ]] || _hookline_find_own
  if [[ $_hookline_own ]]; then
    _hookline_home=$_hookline_own
    return
  fi
  while [[ $_folder && ! -d $_folder/coordination ]]; do
    _folder=${_folder%/*}
  done
  _hookline_home=$_folder
  [[ $_folder || -d /coordination ]] || _hookline_home=$_hookline_checkout
}

_hookline_find_own() { # sets _hookline_own, once in a shell's life
  _hookline_own=''
  ! _hookline_is_cortex "$_hookline_checkout" || _hookline_own=$_hookline_checkout
}

_hookline_is_cortex() { # <home>: does it say so, before the first table of its configuration?
  local _line='' _config=$1/coordination/config/hookline.toml
  [[ -f $_config && -r $_config ]] || return
  while IFS= read -r _line || [[ $_line ]]; do
    _line=${_line//[$' \t\r']/}
    case $_line in
      '['* | envelope=*) break ;;
    esac
  done <"$_config"
  [[ ${_line%%#*} == envelope=[\"\']cortex[\"\'] ]]
}

_hookline_append() { # <type>: stores _hookline_line in _hookline_log
  local _hookline_home=${HOOKLINE_HOME-}
  HOOKLINE_EVENT_ID=$_hookline_id
  [[ $_hookline_home == /* ]] || _hookline_find_home
  _hookline_log=$_hookline_home/coordination/events/${1%%.*}-events.jsonl
  if [[ ${#_hookline_line} -lt $_HOOKLINE_PRINTF_BYTES_MAX && ! $_hookline_sync &&
    -f $_hookline_log && ! -L $_hookline_log &&
    ! -e $_hookline_home/coordination/config/locked-append ]]; then
    builtin printf '%s\n' "$_hookline_line" >>"$_hookline_log" || _hookline_not_written
  else
    _hookline_append_rare
  fi
}
