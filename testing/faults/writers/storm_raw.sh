#!/usr/bin/env bash
# Usage: storm_raw.sh HOME NOTES NAME SEED
# Summary: appends numbered events with printf and dd alone, and notes each, until it is killed
# Exit: never by itself
set -euo pipefail

exec {quiet}<> <(:) # never says a word: reading it is a pause without a fork
readonly SIZES=(30 200 600 3000 90 3900 150 30000 400 4096 250 180000)

main() { # <home> <notes> <name> <seed>
  local log=$1/coordination/events/storm-events.jsonl notes=$2 name=$3
  local count=0 size text line
  RANDOM=$4
  while :; do
    ((RANDOM % 10)) || read -rt 0.02 -u "$quiet" || :
    size=${SIZES[RANDOM % ${#SIZES[@]}]}
    printf -v text '%0*d' "$size" 0
    count=$((count + 1))
    line='{"specversion":"1.0","id":"'$name-$count'","source":"'$name'","type":"storm.raw",'
    line+='"time":"2026-11-21T01:35:31.123456Z","data":{"n":'$count',"len":'$size',"text":"'
    line+=$text'"}}'
    if ((${#line} < 4096)); then
      printf '%s\n' "$line" >>"$log"
    else
      dd bs=262144 iflag=fullblock oflag=append conv=notrunc status=none of="$log" <<<"$line"
    fi
    printf '%s storm.raw\n' "$name-$count" >>"$notes"
  done
}

main "$@"
