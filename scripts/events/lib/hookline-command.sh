# shellcheck shell=bash
# Finds `hookline`, for the scripts that are a face of one of its commands. Source it from a script
# of a checkout or home; needs nothing else.

[[ -z ${_hookline_command_loaded-} ]] || return 0
_hookline_command_loaded=1

# Prints the root of the checkout or home that a script in scripts/events/ lies in.
_hookline_script_root() { # <script>
  local here
  here=$(dirname -- "$(readlink -f -- "$1")") || return
  printf '%s\n' "${here%/scripts/events*}"
}

# Prints the command: that of the home, then of the checkout, then of the PATH.
_hookline_find_command() { # <root>
  local found
  for found in "${HOOKLINE_HOME:-${CORTEX_HOME:-$1}}"/{.venv/bin,coordination/state}/hookline \
    "$1"/{.venv/bin,coordination/state}/hookline; do
    if [[ -x $found ]]; then
      printf '%s\n' "$found"
      return
    fi
  done
  command -v hookline
}

# Becomes a command of hookline, with the script's own root as the home where none is named.
_hookline_exec() { # <script> <command> [<argument>...]
  local _root _found
  _root=$(_hookline_script_root "$1") || return
  if ! _found=$(_hookline_find_command "$_root"); then
    printf 'ERROR: hookline is not installed: run scripts/setup.sh in the checkout\n' >&2
    return 69
  fi
  if [[ -z ${HOOKLINE_HOME:-${CORTEX_HOME:-}} && -d $_root/coordination ]]; then
    export HOOKLINE_HOME=$_root
  fi
  exec "$_found" "${@:2}"
}
