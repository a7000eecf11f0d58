#!/usr/bin/env bash
# Usage: load-keeper.sh PID RUN FOLDER [--keep]
# Summary: waits for a load test to end; what it leaves when it is killed is ended here
# Exit: 0 done, 64 usage
#
# Its workers, also those that are stopped, the bus and the hub that it has started, who counts for
# it, its rows in the pool, and its notes (not with --keep).
set -euo pipefail

readonly SCRIPTS=${BASH_SOURCE[0]%/*}

# shellcheck source=scripts/workers/load-crew.sh
source "$SCRIPTS/load-crew.sh"
# shellcheck source=scripts/workers/load-progress.sh
source "$SCRIPTS/load-progress.sh"

# The number of a process is given to another one in time, and one whose end nobody has asked for is
# still listed. Sets began: when it began.
is_there() { # <pid> [<when it began>]
  local line words
  { read -r line <"/proc/$1/stat"; } 2>/dev/null || return
  read -r -a words <<<"${line##*) }"
  began=${words[19]}
  [[ ${words[0]} != [ZX] && $began == "${2-$began}" ]]
}

end_helper() { # <name> <text of its command line>
  local pid gives_up_s=$((SECONDS + 15))
  [[ -r $folder/$1 ]] && read -r pid <"$folder/$1" && runs_as "$pid" "$2" || return 0
  kill -TERM "$pid" 2>/dev/null || return 0
  while runs_as "$pid" "$2" && ((SECONDS < gives_up_s)); do
    rest 50
  done
}

main() {
  local began
  if [[ ${1-} == --help || ${1-} == -h ]]; then
    sed -n '2,7s/^# \{0,1\}//p' -- "${BASH_SOURCE[0]}"
    return
  elif [[ ! ${1-} =~ ^[1-9][0-9]*$ || ! ${2-} || ! -d ${3-} ]]; then
    printf 'ERROR: whose load test, and where are its notes? see --help\n' >&2
    return 64
  fi
  folder=$3
  trap '' INT HUP
  ! is_there "$1" || while is_there "$1" "$began"; do
    rest 500
  done
  crew_adopt "$folder"
  crew_end "$folder"
  end_helper watch load-test
  end_helper bus 'up --quiet'
  [[ ! -e $folder/hub ]] || "$SCRIPTS/../daemons/observability-hub-daemon.sh" stop || :
  crew_forget "$2"
  [[ ${4-} == --keep ]] || rm -rf -- "$folder"
}

main "$@"
