#!/usr/bin/env bash
# Usage: archive-utils.sh stats|search|list|size|decompress|restore|cleanup-temp|verify|help
# Summary: look into closed segments, and into the archive that Cortex's archiver has left
# Exit: 0 done, 1 nothing found, 64 usage, 65 damaged, 69 hookline is not installed, 78 no home
#
#   stats               how many closed segments there are, and how large they are
#   search PATTERN      each event that the extended regular expression matches, in Cortex's form
#   list [YYYY-MM-DD]   the archived files; of a day (local time): its events
#   size                how much room all of it takes
#   decompress DAY      copies the events of a day to coordination/events/archive/copies/DAY/
#   restore DAY TYPE    says how many events of a domain there are: none has to be brought back,
#                       logs and closed segments are read as one
#   cleanup-temp        deletes those copies
#   verify              checks every line (hookline verify), and each .gz of the old archive
#
# The home is $HOOKLINE_HOME, else $CORTEX_HOME, else the one of this script.
set -euo pipefail

# shellcheck source=lib/hookline-command.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib/hookline-command.sh"

readonly USAGE_LINES=17

usage() { # <what is wrong>
  printf 'ERROR: %s; see archive-utils.sh help\n' "$1" >&2
  exit 64
}

events_of() { # <day>: those of the local day, oldest first
  local begin end
  [[ $1 == [0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9] ]] || usage 'a day is like 2026-11-21'
  begin=$(date -d "$1" +%s 2>/dev/null) || usage 'a day is like 2026-11-21'
  end=$(date -d "$1 + 1 day" +%s)
  TZ=UTC printf -v begin '%(%FT%TZ)T' "$begin"
  TZ=UTC printf -v end '%(%FT%TZ)T' "$end"
  hookline log --since "$begin" --until "$end" --format cortex --json
}

hookline() { "$hookline_command" "$@" --home "$home"; }

old_archive() { # [<find option>...]: the files that Cortex's archiver has made
  [[ -d $events/archive ]] || return 0
  find "$events/archive" -path "$events/archive/copies" -prune -o -type f "$@" -print0
}

closed() { find "$events/segments" -name '*-events.*' -type f -printf "$1" | sort; }

stats() {
  local count bytes old
  read -r count bytes < <(closed '%s\n' | awk '{ bytes += $1 } END { print NR, bytes + 0 }')
  old=$(old_archive | tr -dc '\0' | wc -c)
  printf 'Closed segments: %s, %s bytes\nFiles of the old archive: %s\n' "$count" "$bytes" "$old"
}

search() { # <pattern>
  local found=1
  { hookline log --format cortex --json && old_archive -name '*.jsonl*' | xargs -0r zcat -f --; } |
    grep -aE -- "$1" && found=0
  return "$found"
}

list() { # [<day>]
  if (($#)); then
    events_of "$1"
    return
  fi
  closed '%f\t%s\n'
  old_archive | xargs -0r ls -1 --
}

decompress() { # <day>
  local copies=$events/archive/copies/$1 day
  day=$(events_of "$1")
  [[ $day ]] || return 1
  mkdir -p -- "$copies"
  jq -r '.event_type | split(".")[0]' <<<"$day" | sort -u | while IFS= read -r domain; do
    jq -c --arg domain "$domain." 'select(.event_type | startswith($domain))' <<<"$day" \
      >"$copies/$domain-events.jsonl"
    printf '%s\n' "$copies/$domain-events.jsonl"
  done
}

restore() { # <day> <domain>
  local domain=${2%-events} day count
  day=$(events_of "$1")
  count=$(jq --arg domain "$domain." -s \
    'map(select(.event_type | startswith($domain))) | length' <<<"$day")
  printf '%s: %s events of %s, all of them readable as they lie\n' "${domain//[!\ -~]/?}" \
    "$count" "$1"
  ((count > 0))
}

verify() {
  local status=0
  hookline verify || status=$?
  old_archive -name '*.gz' | xargs -0r gzip -t -- || status=65
  return "$status"
}

main() {
  local root home events hookline_command wanted=0
  case ${1-} in
    '' | help | --help | -h)
      sed -n "2,${USAGE_LINES}s/^# \{0,1\}//p" -- "${BASH_SOURCE[0]}"
      return 0
      ;;
    stats | size | cleanup-temp | verify) ;;
    search | decompress) wanted=1 ;;
    list) (($# > 2)) || wanted=$(($# - 1)) ;;
    restore) wanted=2 ;;
    *) usage "unknown command ${1//[!\ -~]/?}" ;;
  esac
  (($# == wanted + 1)) || usage "$1 takes another number of arguments"
  root=$(_hookline_script_root "${BASH_SOURCE[0]}")
  home=${HOOKLINE_HOME:-${CORTEX_HOME:-$root}}
  events=$home/coordination/events
  if ! hookline_command=$(_hookline_find_command "$root"); then
    printf 'ERROR: hookline is not installed: run scripts/setup.sh in the checkout\n' >&2
    return 69
  fi
  if [[ ! -d $events/segments ]]; then
    printf 'ERROR: no home at %s: make one with hookline init\n' "${home//[!\ -~]/?}" >&2
    return 78
  fi
  case $1 in
    size) du -sh -- "$events" ;;
    cleanup-temp) rm -rf -- "$events/archive/copies" ;;
    *) "$@" ;;
  esac
}

main "$@"
