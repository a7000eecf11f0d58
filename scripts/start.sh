#!/usr/bin/env bash
# Usage: start.sh [--quiet]
# Summary: set up what is missing, then run the bus in the foreground on this machine's own events
# Exit: 0 stopped by Ctrl-C or TERM, 64 usage, 73 cannot be set up, 75 a dispatcher runs already
set -euo pipefail

main() {
  local scripts
  scripts=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
  case ${1-} in
    --help | -h)
      sed -n '2,4s/^# //p' -- "${BASH_SOURCE[0]}"
      return 0
      ;;
    '' | --quiet)
      if (($# > 1)); then
        printf 'start: no option %q; see --help\n' "$2" >&2
        return 64
      fi
      ;;
    *)
      printf 'start: no option %q; see --help\n' "$1" >&2
      return 64
      ;;
  esac
  "$scripts/setup.sh" "$@"
  exec "${scripts%/scripts}/.venv/bin/hookline" up --home "${scripts%/scripts}" "$@"
}

main "$@"
