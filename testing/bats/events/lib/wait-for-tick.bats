#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2030,SC2031 # texts for other shells; each test is a subshell
# Waiting for a tick: the table that Python obeys too, in virtual time; the ears in real time.

load ../../test_helper
load vectors

LIB=$HOOKLINE_CHECKOUT/scripts/events/lib

setup() {
  sandbox
  export LIB
  : >"$(log_of trigger)"
}

teardown() {
  await 60 nobody_listens
}

nobody_listens() { # the tail and the grep of a shell that has ended end too
  ! pgrep -f -- "-- $HOOKLINE_HOME/coordination/" >/dev/null
}

emit() { # <type> [<data>]
  "$LIB/event-logger.sh" --emit "$1" test "${2-1}"
}

# Lives through a vector: the clock stands still but where the shell waits or the loop works.
STORY='
source "$LIB/wait-for-tick.sh"
read -r until_ms interval begin end pause resume slow fast speed schedule <<<"$1"
read -ra busy <<<"$2"
read -ra at <<<"$3"
mapfile -d "$5" -t events < <(printf "%s" "$4")
mkdir -p coordination/state
rm -f coordination/state/schedule.json
clock=0 next=0 number=0
_hookline_uptime() { _now=$clock; }
_hookline_listen() { :; }
_hookline_hear() {
  local due=$((clock + ($1 > 0 ? $1 : 0))) heard=1
  if ((next < ${#at[@]} && at[next] <= due)); then
    due=${at[next]} heard=0
  fi
  ((due <= until_ms)) || return 143
  pass_time "$due"
  ((heard == 0)) || return 1
  _line=${events[next]}
  next=$((next + 1))
  _hookline_is_tick
}
emit_event() { told+=("[$clock,\"$1\",$3]"); }
pass_time() {
  clock=$(($1 > clock ? $1 : clock))
  if ((begin <= clock && clock < end)); then
    touch "$HOOKLINE_HOME/coordination/maintenance"
  else
    rm -f "$HOOKLINE_HOME/coordination/maintenance"
  fi
  ((resume + fast > 0)) || return 0
  paused=$( ((pause <= clock && clock < resume)) && printf true || printf false)
  ((slow <= clock && clock < fast)) && now=$speed || now=1.0
  printf "{\"schedules\":{\"introspection\":{\"when\":\"\",\"speed\":%s,\"paused\":%s}}}\n" \
    "$now" "$paused" >coordination/state/schedule.json
}
while wait_for_tick trigger.introspection "$interval" ${schedule:+--schedule "$schedule"}; do
  id=${HOOKLINE_TICK#*\"id\":\"}
  [[ ! $HOOKLINE_TICK_LOCAL ]] || id=local
  ticks+=("[$clock,\"${id%%\"*}\"]")
  pass_time $((clock + ${busy[number]:-0}))
  number=$((number + 1))
done
IFS=,
printf "{\"ticks\":[%s],\"said\":[%s]}\n" "${ticks[*]}" "${told[*]}"
'

@test "the table of stories holds" {
  local settings busy at events said name number=0
  # jq takes longer to start than a story: all are read at once, and judged at once.
  while IFS=$'\x1f' read -r settings busy at events said name; do
    run --separate-stderr bash -c "$STORY" - "$settings" "$busy" "$at" "$events" $'\x1e'
    printf '{"name":%s,"is":%s}\n' "$name" "$output" >>lived
    assert_equal "$(grep -c ^wait- <<<"$stderr")" "$said" || fail "$name"
    number=$((number + 1))
  done < <(vectors ticks.jsonl '[
    ([.until_ms, .interval, (.maintenance, .paused | . // [0, 0])[], (.speed // [0, 0, 1])[],
      .schedule // empty] | join(" ")),
    (.busy_ms // [] | join(" ")),
    ([.logged[][0]] | join(" ")),
    ([.logged[][1] | tojson] | join("\u001e")),
    (.said | length),
    (.name | tojson)] | join("\u001f")')
  ((number > 20))
  run diff <(jq -cS 'del(.is.said[][2].pid)' lived) \
    <(vectors ticks.jsonl '{name, is: {ticks, said}}' | jq -cS .)
  assert_output ''
}

# Runs <script> in the background, with the library loaded; its output goes to the file `said`, its
# errors to `errors`, its process is $daemon.
daemon() { # <script>
  # A shell has what it starts in the background ignore INT, and then no trap can be set for it.
  env --default-signal=INT bash -c "set -euo pipefail; source \"\$LIB/wait-for-tick.sh\"; $1" \
    >said 2>errors 3>&- &
  daemon=$!
}

listens() { # somebody hears what is appended from now on; there must be a log
  pgrep -f -- "-- $HOOKLINE_HOME/coordination/" >/dev/null
}

waits() { # the daemon hears of a log that is made from now on, too
  local fd
  # It reads from a pipe that it may write to as well. Those that it inherited have one direction,
  # and who runs the tests may have any number of them open.
  for fd in "/proc/$daemon/fd"/*; do
    [[ $(readlink "$fd") == pipe:* ]] || continue
    grep -q '^flags:.*2$' "/proc/$daemon/fdinfo/${fd##*/}" && return
  done
  return 1
}

said() { # <line...>: what the daemon has said so far
  [[ $(cat said) == "$(printf '%s\n' "$@")" ]]
}

ended() {
  ! kill -0 "$daemon" 2>/dev/null
}

LOOP='while wait_for_tick trigger.x 1h; do
  [[ $HOOKLINE_TICK =~ \"data\":(.*)\}$ ]]; printf "%s\n" "${BASH_REMATCH[1]}"; done'

@test "sourcing it prints nothing and changes nothing of the caller" {
  run --separate-stderr bash -c 'state() {
      set +o; shopt; trap -p; declare -p IFS PATH; umask; pwd; printf "%q\n" "$-" "$!"
      compgen -v | grep -vE "^(_|BASH.*|EPOCH.*|FUNCNAME|PIPESTATUS|(_hookline|_HOOKLINE)_.*)$"
      ls "/proc/$$/fd"
    }
    state >"$TMPDIR/before"
    source "$LIB/wait-for-tick.sh"
    source "$LIB/wait-for-tick.sh"
    state >"$TMPDIR/after"'
  assert_success
  assert_output ''
  assert_stderr ''
  run diff "$TMPDIR/before" "$TMPDIR/after"
  refute_output
}

@test "ticks are heard, from a log that is made, rotated and replaced meanwhile" {
  local log
  log=$(log_of trigger)
  rm "$log"
  daemon "$LOOP"
  await 60 waits
  emit trigger.x 1
  await 60 said 1
  mv "$log" "${log%/*}/segments/trigger-events.00000001.jsonl"
  emit trigger.x 2
  await 60 said 1 2
  emit trigger.x 3 >/dev/null
  await 60 said 1 2 3
  sed 's/"data":3/"data":4/;$!d' "$log" >copy
  mv copy "$log"
  await 60 said 1 2 3 4
  kill "$daemon"
}

@test "bytes that are no text make nobody deaf" {
  emit trigger.x 0
  daemon "$LOOP"
  await 60 listens
  printf '\0\0\377torn\n\0\n' >>"$(log_of trigger)"
  emit trigger.x 1
  await 60 said 1
  emit trigger.x 2
  await 60 said 1 2
  kill "$daemon"
}

@test "the library itself is not a source of ticks, nor is what lay in the log before" {
  emit trigger.x 1
  daemon "$LOOP"
  await 60 listens
  emit trigger.y 2
  emit trigger.x 3
  await 60 said 3
  kill "$daemon"
}

@test "there need be no home yet" {
  rm -r "$HOOKLINE_HOME/coordination"
  daemon 'while wait_for_tick trigger.x 100ms; do
    printf "%s\n" "${HOOKLINE_TICK_LOCAL:-real}"; [[ $HOOKLINE_TICK_LOCAL ]] || break; done'
  await 60 grep -q 1 said
  mkdir -p "$HOOKLINE_HOME/coordination/events"
  emit trigger.x 1
  await 60 grep -q real said
  await 60 ended
  assert_equal "$(wc -l <errors)" 2
}

@test "a home that cannot be written to is no reason to stop" {
  mkdir "$(log_of schedule)"
  daemon 'wait_for_tick trigger.x 50ms; wait_for_tick trigger.x 50ms; printf "%s\n" done'
  await 60 said 'done'
  assert_equal "$(cat errors)" "$(grep '^wait-for-tick: no tick of trigger.x for 0.1' errors)"
}

@test "a caller with options of all sorts is waited in, and keeps them" {
  emit trigger.x 0
  daemon 'shopt -s nocasematch expand_aliases; set -f; IFS=x; alias read=false; umask 077
    before=$(set +o; shopt; umask)
    wait_for_tick trigger.x 1h
    [[ $before == "$(set +o; shopt; umask)" && $IFS == x && ! ${POSIXLY_CORRECT+y} ]]
    printf "%s\n" "$-${HOOKLINE_TICK: -2}"'
  await 60 listens
  emit trigger.x 7
  await 60 grep -q '7}$' said
  assert_equal "$(cat errors)" ''
}

@test "aliases of the caller do not get into it, and its traps find globs and IFS" {
  bash -c 'shopt -s expand_aliases; alias read=false local=false printf=false
    source "$LIB/wait-for-tick.sh"
    trap "\\printf \"%s\\n\" coordination/event* ${#IFS}" TERM
    until wait_for_tick trigger.x 1h; do [[ $? != 143 ]] || exit; done' >said 3>&- &
  daemon=$!
  await 60 listens
  await 60 eval "kill $daemon 2>/dev/null; ended"
  assert_equal "$(sort -u said)" $'3\ncoordination/events'
}

@test "a busy loop returns at once, with the latest tick" {
  daemon 'printf "%s\n" ready; wait_for_tick trigger.x 1h
    until [[ -e go ]]; do read -t 0.02 || :; done <> <(:)
    wait_for_tick trigger.x 1h; printf "%s\n" "${HOOKLINE_TICK: -2}"'
  await 60 listens
  emit trigger.x 1
  emit trigger.x 2
  emit trigger.x 3
  touch go
  await 60 said ready '3}'
}

@test "a trap for TERM or INT ends the waiting at once" {
  local signal
  for signal in TERM INT; do
    daemon "trap 'printf \"%s\n\" trap' $signal; trap : HUP
      while wait_for_tick trigger.x 1h; do :; done; printf '%s\n' over"
    await 60 listens
    kill -HUP "$daemon"
    # One that comes before it waits does not end the waiting.
    await 60 eval "kill -$signal $daemon 2>/dev/null; ended"
    assert_equal "$(uniq said)" $'trap\nover'
    await 60 nobody_listens
  done
}

@test "without a trap a signal ends the shell, and with it all that listens" {
  daemon "$LOOP"
  await 60 listens
  kill "$daemon"
  await 60 ended
  await 60 nobody_listens
  daemon "$LOOP"
  await 60 listens
  kill -9 "$daemon"
  await 60 nobody_listens
}

@test "what listens is no child, and holds nothing of the caller open" {
  daemon 'exec {lock}>lock; flock "$lock"
    until wait_for_tick trigger.x 1h; do :; done; wait; printf "%s\n" "$(jobs)"'
  await 60 listens
  assert_equal "$(pgrep -c -P "$daemon" || :)" 0
  kill -STOP "$(pgrep -f -- "-- $HOOKLINE_HOME/coordination/")"
  emit trigger.x 1
  kill -CONT "$(pgrep -f -- "-- $HOOKLINE_HOME/coordination/")"
  await 60 said ''
  await 60 ended
  flock --nonblock lock true || fail 'the lock is held still'
}

@test "who listens may be killed: after a silence it is heard again" {
  daemon 'while wait_for_tick trigger.x 200ms; do
      [[ $HOOKLINE_TICK_LOCAL ]] || printf "%s\n" "${HOOKLINE_TICK: -2}"; done'
  await 60 listens
  kill -9 "$(pgrep -f -- "-- $HOOKLINE_HOME/coordination/")"
  await 60 grep -q 'no tick' errors
  await 60 listens
  emit trigger.x 7
  await 60 said '7}'
  kill "$daemon"
}

@test "its own timer: said once, as an event too, and so is its end" {
  daemon 'for i in {1..3}; do wait_for_tick trigger.x 100ms --schedule x-1; done
    wait_for_tick trigger.x 1h --schedule x-1; printf "%s\n" "$HOOKLINE_TICK_LOCAL"'
  await 60 test -s "$(log_of schedule)"
  run jq -c '[.type, .source, (.data | .type, .schedule, (.pid | type), .waited_s >= 0.2)]' \
    "$(log_of schedule)"
  assert_output '["schedule.fallback","wait-for-tick","trigger.x","x-1","number",true]'
  kill "$daemon"
}

@test "a subshell that waits takes nothing away from its parent" {
  daemon 'wait_for_tick trigger.x 1h; touch first
    tick=$(wait_for_tick trigger.x 1h; printf "%s\n" "${HOOKLINE_TICK: -2}")
    wait_for_tick trigger.x 1h; printf "%s\n" "$tick" "${HOOKLINE_TICK: -2}"'
  await 60 listens
  emit trigger.x 1
  await 60 test -e first
  await 60 eval '(($(pgrep -c -f "^tail .*-- $HOOKLINE_HOME/coordination/") == 2))'
  emit trigger.x 2
  await 60 said '2}' '2}'
  assert_equal "$(cat errors)" ''
}

@test "it is found through a link, and from its own folder" {
  ln -s "$LIB/wait-for-tick.sh" link
  run bash -c './link --help && cd "$LIB" && bash wait-for-tick.sh --help'
  assert_success
  assert_output --regexp 'Usage:.*Usage:'
}

@test "another type or home begins anew" {
  : >"$(log_of other)"
  daemon 'wait_for_tick trigger.x 1h; wait_for_tick other.y 1h
    printf "%s\n" "${HOOKLINE_TICK: -2}"'
  await 60 listens
  emit trigger.x 1
  await 60 pgrep -f -- "-- $HOOKLINE_HOME/coordination/events/other" >/dev/null
  emit other.y 2
  await 60 said '2}'
}

@test "the command prints the next tick" {
  "$LIB/wait-for-tick.sh" trigger.x 1h >said 3>&- &
  await 60 listens
  emit trigger.x 5
  wait "$!"
  assert_equal "$(jq .data said)" 5
}

@test "the command runs another one for each tick, until that fails" {
  run --separate-stderr "$LIB/wait-for-tick.sh" trigger.x 20ms -- \
    bash -c 'jq -r .data.reason; printf x >>count; (($(wc -c <count) < 3)) || exit 9'
  assert_failure 9
  assert_output $'fallback\nfallback\nfallback'
  assert_equal "$(wc -l <<<"$stderr")" 1
}

@test "what cannot be waited for is refused in one line" {
  local arguments
  for arguments in '' 'trigger.x' 'trigger.x 5' 'trigger.x 1ms' 'trigger.x 5s --schedule' \
    'trigger.x 5s --schedule ../x' 'trigger.x 5s more'; do
    # shellcheck disable=SC2086 # the arguments are to be split
    run --separate-stderr "$LIB/wait-for-tick.sh" $arguments
    assert_failure 64
    assert_stderr --regexp '^ERROR: [^
]+$'
  done
  run "$LIB/wait-for-tick.sh" Trigger 5s
  assert_failure 65
}

@test "--help says what it does" {
  run "$LIB/wait-for-tick.sh" --help
  assert_success
  assert_output --partial 'Usage: wait-for-tick.sh TYPE INTERVAL'
}

@test "normal mode is waited for, and nobody waits where it is" {
  wait_for_normal_mode_in() { bash -c 'source "$LIB/wait-for-tick.sh"; wait_for_normal_mode'; }
  run wait_for_normal_mode_in
  assert_success
  printf 'new disk\n' >coordination/maintenance
  daemon 'wait_for_normal_mode; printf "%s\n" normal'
  await 60 listens
  printf 'and more\n' >>coordination/maintenance
  said '' || fail 'too early'
  rm coordination/maintenance
  await 60 said normal
}

@test "a trap for TERM ends the waiting for normal mode" {
  touch coordination/maintenance
  daemon 'trap "printf \"%s\n\" trap" TERM; wait_for_normal_mode || printf "%s\n" "$?"'
  await 60 listens
  kill "$daemon"
  await 60 said trap 143
}

@test "a marker that is a folder is one too" {
  mkdir coordination/maintenance
  "$LIB/wait-for-tick.sh" --normal-mode 3>&- &
  rmdir coordination/maintenance
  wait "$!"
}
