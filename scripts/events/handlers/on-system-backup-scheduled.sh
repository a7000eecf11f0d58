#!/usr/bin/env bash
# Usage: on-system-backup-scheduled.sh EVENT-FILE
# Summary: makes a backup of coordination/ in coordination/backups/, verifies it, keeps the newest
# Exit: 0 done, 65 bad data, 73 or 74 it cannot be written, 75 too busy: try again
# on: system.backup_scheduled
# run: warm   timeout: 1h   attempts: 3   backoff: 30s   envelope: cloudevents
#
# Logs only grow and state files are replaced whole: a copy of each is good while all goes on. But
# where a log is closed meanwhile, its events may be missing under both names: then all is copied
# again. The journal comes first: what it does not know of is delivered once more.
set -uo pipefail
umask 027

# shellcheck source=../lib/state-file.sh
source "${BASH_SOURCE[0]%/*}/../lib/state-file.sh"

HOOKLINE_HOME=${HOOKLINE_HOME:-${BASH_SOURCE[0]%/*}/../../..}
HANDLER=on-system-backup-scheduled
STATE=metrics/backup-stats.json
SHAPES='[{"total_backups": "number", "last_backup": "object"}]'
TRIES=5

# shellcheck disable=SC2016 # a jq program
REQUEST='(kind("keep"; "number") // 7 | if . >= 1 and . <= 1000 and . == floor then .
    else reject("data.keep is no whole number from 1 to 1000") end) as $keep | '
# shellcheck disable=SC2016 # a jq program
ASKED='print("\($keep) " + ($now | strftime("%Y%m%dT%H%M%SZ")) + " " + ($identity | tojson))'
# shellcheck disable=SC2016 # a jq program
MADE='($made | fromjson) as $made
| append("metrics/backups.jsonl"; {timestamp: $at} + $made),
  ($states[0] | save(0; .total_backups += 1 | .last_backup = {timestamp: $at} + $made)),
  emit("system.backup_completed"; "low"; $made)'

fail() { # <exit> <message>
  printf '%s: %s\n' "$HANDLER" "$2" >&2
  return "$1"
}

# NUL after each. What is left out: what is made again, older backups, what is just being written.
names() {
  find . -ignore_readdir_race \( -path ./state -o -path ./backups \) -prune -o \
    -type f ! -name '*.tmp' ! -path ./deliveries.jsonl -print0 | LC_ALL=C sort -z
}

# Files come into the drop box and go as they like: they are no sign that a log was closed.
settled() { tr '\0' '\n' | sed '\|^\./events/queue/|d; \|^\./deliveries\.jsonl$|d'; }

write_once() { # <file>: 75 when files have come or gone meanwhile
  local before after inside
  local -a status
  before=$(names | settled) || return 74
  { [[ ! -f deliveries.jsonl ]] || printf './deliveries.jsonl\0' && names; } |
    tar --create --format=gnu --numeric-owner --hard-dereference --no-recursion --null \
      --verbatim-files-from --files-from=- --ignore-failed-read --warning=no-file-changed |
    gzip -n >"$1"
  status=("${PIPESTATUS[@]}")
  # tar ends with 1 when a file has grown.
  ((status[0] == 0 && status[1] <= 1 && status[2] == 0)) || return 74
  after=$(names | settled) || return 74
  [[ $after == "$before" ]] || return 75
  # Reads all of it back, against the checksum of gzip.
  inside=$(tar --list --quoting-style=literal --gzip --file "$1" |
    settled) || return 74
  [[ $inside == "$before" ]] || return 75
}

write_backup() { # <file>
  local temporary=backups/.${1##*/}.tmp status number
  rm -f -- backups/.backup-*.tmp
  for ((number = 1; number <= TRIES; number++)); do
    status=0
    write_once "$temporary" || status=$?
    ((status == 75)) || break
  done
  if ((status == 0)) && sync -- "$temporary" && mv -T -- "$temporary" "$1" && sync -- backups; then
    return
  fi
  rm -f -- "$temporary"
  ((status == 75)) || fail 74 "the backup cannot be written; is there room?" || return
  fail 75 'files came and went all the time; it is tried again'
}

forget_old() { # <keep> <file>: all but this one and the newest others; names begin with the time
  local file ours='^backups/backup-[0-9]{8}T[0-9]{6}Z-[0-9a-f]{16}\.tar\.gz$'
  local -a others=()
  for file in backups/backup-*.tar.gz; do
    [[ ! $file =~ $ours || $file == "$2" ]] || others+=("$file")
  done
  ((${#others[@]} < $1)) || rm -f -- "${others[@]:0:${#others[@]}-$1+1}"
}

describe() { # <file>: prints what it is
  local sum count bytes
  count=$(tar --list --gzip --file "$1" | wc -l) && bytes=$(stat --format=%s -- "$1") &&
    sum=$(sha256sum <"$1") || fail 74 "${1@Q} cannot be read; delete it" || return
  printf '{"path":"coordination/%s","bytes":%d,"count":%d,"sha256":"%s"}\n' \
    "$1" "$bytes" "$count" "${sum%% *}"
}

make_backup() { # <keep> <time> <identity>: prints what there is then
  local hash file lock
  hash=$(sha256sum <<<"$3") || return 70
  file=backups/backup-$2-${hash:0:16}.tar.gz
  cd -P -- "$HOOKLINE_HOME/coordination" && umask 077 || return 73
  if [[ -L backups ]] || ! mkdir -p -- backups; then
    fail 73 'backups is not a folder; move it away' || return
  fi
  exec {lock}<backups && flock "$lock" || return 73
  # A run that was killed may have finished it.
  [[ -f $file && ! -L $file ]] || write_backup "$file" || return
  describe "$file" && forget_old "$1" "$file"
}

main() { # <event-file>
  local asked made keep time identity
  [[ ${1-} != --help ]] || { state_help && return; }
  asked=$(state_apply "$HANDLER" "${1-}" "$SHAPES" "$REQUEST$ASKED" "$STATE") || return
  [[ $asked ]] || return 0
  read -r keep time identity <<<"$asked"
  made=$(make_backup "$keep" "$time" "$identity") || return
  state_apply "$HANDLER" "$1" "$SHAPES" "$REQUEST$MADE" "$STATE" -- --arg made "$made"
}

main "$@"
