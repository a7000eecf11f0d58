# shellcheck shell=bash disable=SC2154 # see event-logger.sh
# A command loads the seldom needed parts when it needs the first of them. A shell that sources the
# library has them all from the start: an update of the files must not mix two versions in one life.

[[ -z ${_hookline_event_late_loaded-} ]] || return 0
_hookline_event_late_loaded=1

# Who is asked for again after that was in none of the parts.
_hookline_late() { # <function> <arguments...>
  if [[ ${_hookline_event_late-} ]] || ! _hookline_load_parts "${_HOOKLINE_LATE[@]}"; then
    _hookline_event_late=broken
    return 70
  fi
  _hookline_event_late=loaded
  "$@"
}

# Each stands for a function of the same name in one of those parts, which replaces it.
_hookline_append_rare() { _hookline_late _hookline_append_rare; }
_hookline_arguments() { _hookline_late _hookline_arguments "$@"; }
_hookline_cortex_id() { _hookline_late _hookline_cortex_id; }
_hookline_fits() { _hookline_late _hookline_fits "$@"; }
_hookline_json_bad() { _hookline_late _hookline_json_bad "$@"; }
_hookline_json_bytes() { _hookline_late _hookline_json_bytes; }
_hookline_json_check() { _hookline_late _hookline_json_check; }
_hookline_json_deep() { _hookline_late _hookline_json_deep; }
_hookline_json_guard() { _hookline_late _hookline_json_guard; }
_hookline_json_rare() { _hookline_late _hookline_json_rare "$@"; }
_hookline_not_written() { _hookline_late _hookline_not_written; }
_hookline_read_event() { _hookline_late _hookline_read_event "$@"; }
_hookline_to_cortex() { _hookline_late _hookline_to_cortex "$@"; }
