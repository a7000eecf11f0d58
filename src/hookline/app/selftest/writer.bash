# shellcheck shell=bash
# A writer of the storm in bash: appends events until it is killed, and notes each one that was
# acknowledged.
set -u

# Most events go well at once; some fail once or twice, a few always.
readonly FAILS=(0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 1 1 2 9)
readonly LENGTHS=(30 200 600 3000 90 150 400 4096 250 20000)

main() { # <event-logger.sh> <notes> <name> <sourced|process> <seed> <pace-s>
  local logger=$1 notes=$2 name=$3 kind=$4 pace_s=$6 n=0 length text data quiet
  exec {quiet}<> <(:) # never says a word: reading it is a pause without a fork
  # shellcheck source=scripts/events/lib/event-logger.sh
  [[ $kind == process ]] || source "$logger"
  RANDOM=$5
  while :; do
    n=$((n + 1))
    length=${LENGTHS[RANDOM % ${#LENGTHS[@]}]}
    printf -v text '%0*d' "$length" 0
    data="{\"n\":$n,\"k\":\"k$((RANDOM % 4))\",\"fails\":${FAILS[RANDOM % ${#FAILS[@]}]},"
    data+="\"len\":$length,\"text\":\"$text\"}"
    if ((RANDOM % 4)); then append storm.note; else append storm.task; fi
    read -rt "$pace_s" -u "$quiet" || :
  done
}

append() { # <type>
  local id
  case $kind in
    sourced) emit_event "$1" "$name" "$data" && id=$HOOKLINE_EVENT_ID ;;
    process) id=$("$logger" --emit "$1" "$name" "$data") ;;
  esac && printf '%s %s\n' "$id" "$1" >>"$notes"
}

main "$@"
