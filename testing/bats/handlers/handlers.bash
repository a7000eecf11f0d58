# shellcheck shell=bash disable=SC2154 # bats sets status, output and stderr
# Runs a handler as a dispatcher does: the event on stdin and as a file, a clean environment, a
# scratch folder of its own. The events are of 2020, so that no clock can be behind them, and so is
# the clock: bash's own, which it reads before a script begins.

[[ -n ${_hookline_handlers_loaded-} ]] && return
_hookline_handlers_loaded=1

load ../test_helper

HANDLERS=$HOOKLINE_CHECKOUT/scripts/events/handlers
T0_S=1577872800
CLOCK=$BATS_TEST_TMPDIR/clock

# The names of the handlers to try, all or so many. Where there is much to do with each, a few of
# them are drawn, or those that HOOKLINE_TEST_HANDLERS='on-task-*' names.
handlers_to_try() { # [<how many>]
  local path
  for path in "$HANDLERS"/${HOOKLINE_TEST_HANDLERS-on-*}.sh; do
    path=${path##*/}
    printf '%s\n' "${path%.sh}"
  done | drawn "${1:-1000}"
}

# So many of the lines on stdin, by the seed, the test and what they are for; all in a long run, or
# when handlers are named.
drawn() { # <how many> [<what for>]
  local most=$1 seed
  [[ ! ${HOOKLINE_SOAK-}${HOOKLINE_TEST_HANDLERS-} ]] || most=1000
  seed=$(cksum <<<"${HOOKLINE_SEED:=$SRANDOM} $BATS_TEST_NAME ${2-}")
  awk -v seed="${seed%% *}" -v most="$most" '
    BEGIN { srand(seed) }
    { printf "%.9f %s\n", rand(), $0 | "sort | head -n " most }' | cut -d ' ' -f 2-
}

event() { # <id> <data> [<seconds> [<source>]]: writes an event to $EVENTS/<id>
  local time
  mkdir -p -- "$BATS_TEST_TMPDIR/events"
  TZ=UTC printf -v time '%(%Y-%m-%dT%H:%M:%S)T.000000Z' "$((T0_S + ${3-0}))"
  printf '{"specversion":"1.0","id":"%s","source":"%s","type":"a.test","time":"%s","data":%s}\n' \
    "$1" "${4-a-test}" "$time" "$2" >"$BATS_TEST_TMPDIR/events/$1"
}

furnish() { # <handler>: lays down what it needs in coordination/
  local sample=$HOOKLINE_CHECKOUT/testing/bats/handlers/samples/$1
  [[ ! -d $sample ]] || cp -RT -- "$sample" "$HOOKLINE_HOME/coordination"
  chmod -R go-w -- "$HOOKLINE_HOME/coordination"
}

# It goes on with the events, and back only by this.
clock() { # <second>: where the clock of a bash stands that begins with BASH_ENV=$CLOCK
  # Once it is unset, it is a variable like any other.
  printf 'unset -v EPOCHREALTIME; EPOCHREALTIME=%d.000000\n' "$1" >"$CLOCK.$BASHPID"
  mv -- "$CLOCK.$BASHPID" "$CLOCK"
}

deliver() { # <handler> <id> [<command>...]: the handler runs under the command, as of its event
  local event=$BATS_TEST_TMPDIR/events/$2 scratch=$BATS_TEST_TMPDIR/scratch/$1.$2 at=0 now=0
  # Of a batch, the time of the last.
  [[ ! $(<"$event") =~ .*\"time\":\"(2020-[0-9T:-]{14}) ]] ||
    at=$(date -u -d "${BASH_REMATCH[1]}Z" +%s)
  [[ ! -e $CLOCK ]] || now=$(sed 's/.*=//; s/[.].*//' "$CLOCK")
  ((now >= at)) || clock "$at"
  mkdir -p -- "$scratch"
  # shellcheck disable=SC2094 # a handler only reads its event
  (cd -- "$scratch" && exec env -i PATH="$PATH" HOME="$HOME" LC_CTYPE=C.UTF-8 TMPDIR="$scratch" \
    HOOKLINE_HOME="$HOOKLINE_HOME" HOOKLINE_ATTEMPT="test:$1:$2:1" EVENT_ID="$2" EVENT_ATTEMPT=1 \
    EVENT_HOPS=0 BASH_ENV="$CLOCK" "${@:3}" "$HANDLERS/$1.sh" "$event" <"$event")
}

handle() { # <handler> <id> <data> [<seconds> [<source>]]
  event "${@:2}"
  run --separate-stderr deliver "$1" "$2"
}

handled() { # as handle, and it must be done without a word
  handle "$@"
  assert_success
  assert_equal "$output$stderr" ''
}

refused() { # as handle: refused in one line, and nothing stored
  handle "$@"
  assert_failure 65
  [[ $stderr == "$1: "* && $stderr != *$'\n'* ]] || fail "not one line: $stderr"
  assert_equal "$(stored)" ''
}

stored() { # all that there is below coordination/, but for state/
  (cd -- "$HOOKLINE_HOME/coordination" &&
    find . -type f ! -path './state/*' ! -path './layers/*' ! -path './config/*' | sort)
}

snapshot() { # what is stored, with its content; an event counts once, and not by its time
  (
    cd -- "$HOOKLINE_HOME/coordination" || exit
    find . -type f ! -path './state/locks/*' ! -path './events/*' | sort | xargs -d '\n' head -v \
      -c -0
    find events -name '*.jsonl' -exec cat {} + | sed \
      's/"time":"[^"]*",//; s/"checked_at":"[^"]*"//' |
      sort -u
  )
}

state() { # <file> <jq filter>: what the filter says of a state file, on one line
  jq -c "$2" <"$HOOKLINE_HOME/coordination/$1"
}

assert_state() { # <file> <jq filter> <expected JSON, on as many lines as it likes>
  assert_equal "$(state "$1" "$2")" "$(jq -c . <<<"$3")"
}

state_is() { # <file> <text>: what a state file was before
  [[ $1 != */* ]] || mkdir -p -- "$HOOKLINE_HOME/coordination/${1%/*}"
  printf '%s\n' "$2" >"$HOOKLINE_HOME/coordination/$1"
}

lines() { # <file> <jq filter>: what the filter says of each line of a .jsonl file
  jq -c "$2" <"$HOOKLINE_HOME/coordination/$1"
}

emitted() { # <jq filter>: what it says of each event that was emitted
  find "$HOOKLINE_HOME/coordination/events" -name '*.jsonl' -exec cat {} + | jq -c "$1"
}

all_state_is_valid() {
  find "$HOOKLINE_HOME/coordination" -name '*.json' -exec jq -e . {} + >/dev/null
}

# Each command that a handler starts is replaced by one that counts and, at its turn, kills the
# whole process group: before the real command, or after it.
killers() {
  local command
  mkdir -p -- "$BATS_TEST_TMPDIR/killers"
  for command in flock jq tail dd sync mv mkdir find; do
    cat >"$BATS_TEST_TMPDIR/killers/$command" <<'KILLER'
#!/bin/bash
read -r count <"$KILLERS/count"
printf '%d\n' "$((count + 1))" >"$KILLERS/count"
command=/usr/bin/${0##*/}
((count + 1 == KILL_AT)) || exec "$command" "$@"
printf '%s\n' "${0##*/}" >"$KILLERS/struck"
[[ $KILL_WHEN == before ]] || "$command" "$@"
read -r _ _ _ _ group _ </proc/self/stat
kill -KILL -- "-$group"
KILLER
    chmod +x -- "$BATS_TEST_TMPDIR/killers/$command"
  done
}

deliver_killed() { # <handler> <id> <number> <before|after>: fails when it was killed
  local killers=$BATS_TEST_TMPDIR/killers
  printf '0\n' >"$killers/count"
  deliver "$1" "$2" setsid --wait env KILLERS="$killers" KILL_AT="$3" KILL_WHEN="$4" \
    PATH="$killers:$PATH" 2>/dev/null
}

back_to() { # <folder>: makes coordination/ what it was
  rm -rf -- "${HOOKLINE_HOME:?}/coordination"
  cp -a -- "$1" "$HOOKLINE_HOME/coordination"
}

# Whatever the point, what is there after the repetition is what one undisturbed run makes. Most
# points leave the same as the one before them: from there the repetition is known. After a command
# that only reads, there is what was there before it.
killed_everywhere() { # <handler> <id>
  local at=1 when expected left begin=$BATS_TEST_TMPDIR/begin
  local -A known=()
  killers
  rm -rf -- "$begin"
  cp -a -- "$HOOKLINE_HOME/coordination" "$begin"
  deliver "$1" "$2"
  expected=$(snapshot)
  while :; do
    for when in before after; do
      [[ $when == before || $(<"$BATS_TEST_TMPDIR/killers/struck") == @(dd|mkdir|mv) ]] || continue
      back_to "$begin"
      if deliver_killed "$1" "$2" "$at" "$when"; then break 2; fi
      left=$(find "$HOOKLINE_HOME/coordination" -printf '%P %s\n' | sort && snapshot)
      [[ ! ${known[$left]-} ]] || continue
      known[$left]=1
      all_state_is_valid
      deliver "$1" "$2"
      [[ $(snapshot) == "$expected" ]] ||
        fail "killed $when command $at:" "$(diff <(printf '%s' "$expected") <(snapshot))"
    done
    at=$((at + 1))
  done
  ((at > 5)) || fail "only $at commands"
  ((${#known[@]} > 2)) || fail "only ${#known[@]} kinds of leftovers"
}
