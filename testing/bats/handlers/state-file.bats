#!/usr/bin/env bats
# shellcheck disable=SC2016 # jq programs, and what is for an inner shell
# What state-file.sh promises beyond what each handler's contract shows.

load handlers

SHAPES='[{"count": "number", "list": "array"}]'
COUNT='append("lines.jsonl"; {n: ($data.n // 0)}), ($states[0] | save(0; .count += 1))'

setup() {
  sandbox
  # shellcheck source=../../../scripts/events/lib/state-file.sh
  source "$HOOKLINE_CHECKOUT/scripts/events/lib/state-file.sh"
}

apply() { # <id> [<data> [<program>]]: to state.json
  event "$1" "${2-null}"
  run --separate-stderr state_apply on-test "$BATS_TEST_TMPDIR/events/$1" "${shapes-$SHAPES}" \
    "${3-$COUNT}" state.json
}

spy() { # <command> <body>: a command of ours, which notes in $SPY how it was called
  export SPY=$BATS_TEST_TMPDIR/spy
  mkdir -p -- "$BATS_TEST_TMPDIR/bin"
  printf '#!/bin/bash\n%s\n' "$2" >"$BATS_TEST_TMPDIR/bin/$1"
  chmod +x -- "$BATS_TEST_TMPDIR/bin/$1"
}

@test "sourcing it twice prints nothing and leaves options, IFS and folder alone" {
  run bash -c \
    'before=$-$IFS$PWD$BASHOPTS; source "$1"; source "$1"; [[ $before == "$-$IFS$PWD$BASHOPTS" ]]' \
    - \
    "$HOOKLINE_CHECKOUT/scripts/events/lib/state-file.sh"
  assert_success
  assert_output ''
}

@test "the lock is given back, and waits are bounded" {
  apply one
  assert_success
  exec {held}>>"$HOOKLINE_HOME/coordination/state/locks/state.json.lock"
  flock --nonblock "$held"
  _HOOKLINE_LOCK_WAIT_S=0 apply two
  assert_failure 75
  assert_stderr --partial 'somebody held'
  exec {held}>&-
  apply two
  assert_success
  assert_state state.json .count 2
}

@test "a lock that was deleted while we waited for it is not taken for the new one" {
  apply one
  local lock=$HOOKLINE_HOME/coordination/state/locks/state.json.lock waiting
  exec {old}>>"$lock"
  flock "$old"
  event two null
  state_apply on-test "$BATS_TEST_TMPDIR/events/two" "$SHAPES" "$COUNT" state.json {old}>&- &
  waiting=$!
  await 60 pgrep -P "$waiting" flock
  rm -r -- "$HOOKLINE_HOME/coordination/state"
  mkdir -p -- "${lock%/*}"
  exec {new}>>"$lock"
  flock "$new"
  exec {old}>&-
  waits_for_new() {
    find /proc/"$(pgrep -P "$waiting" flock)"/fd -lname "*${lock##*/}" | grep -q .
  }
  await 60 waits_for_new
  assert_state state.json .count 1
  exec {new}>&-
  wait "$waiting"
  assert_state state.json .count 2
}

@test "handlers that share two files do not wait for each other for ever" {
  local n
  local -a runs=()
  for n in {1..8}; do
    event "a$n" null
    state_apply one "$BATS_TEST_TMPDIR/events/a$n" '[{}, {}]' 'save(0; {}), save(1; {})' a.json \
      b.json &
    runs+=("$!")
    state_apply two "$BATS_TEST_TMPDIR/events/a$n" '[{}, {}]' 'save(0; {}), save(1; {})' b.json \
      a.json &
    runs+=("$!")
  done
  for n in "${runs[@]}"; do wait "$n"; done
}

@test "only the newest 500 identities are kept" {
  state_is state.json "$(jq -n \
    '{_applied: {"on-test": [range(600) | "e\(.) a-test"], other: ["x y"]}}')"
  apply new
  assert_state state.json '._applied | [(.["on-test"] | length), .["on-test"][499], .other]' \
    '[500,"new a-test",["x y"]]'
}

@test "a line torn by a full disk is closed off, not glued to the next" {
  printf '{"torn":' >"$HOOKLINE_HOME/coordination/lines.jsonl"
  apply one '{"n":1}'
  assert_equal "$(<"$HOOKLINE_HOME/coordination/lines.jsonl")" \
    $'{"torn":\n{"n":1,"event_id":"one","event_source":"a-test"}'
}

@test "a line is one write, however long" {
  local long
  spy dd '/usr/bin/dd "${@/status=none/status=noxfer}" 2>>"$SPY"'
  printf -v long '%060000d' 0
  PATH=$BATS_TEST_TMPDIR/bin:$PATH apply one "{\"n\":\"$long\"}"
  PATH=$BATS_TEST_TMPDIR/bin:$PATH apply two "{\"n\":\"$long\"}"
  assert_equal "$(<"$SPY")" $'0+1 records in\n0+1 records out\n0+1 records in\n0+1 records out'
  assert_equal "$(lines lines.jsonl '.n | length')" $'60000\n60000'
}

@test "what is renamed into place is on disk before, and its folder after" {
  spy sync 'printf "%s " sync "${@##*/}" >>"$SPY"; exec /usr/bin/sync "$@"'
  spy mv 'printf "%s " mv "${@##*/}" >>"$SPY"; exec /usr/bin/mv "$@"'
  PATH=$BATS_TEST_TMPDIR/bin:$PATH apply one
  assert_success
  assert_equal "$(<"$SPY")" "sync --data -- lines.jsonl .state.json.tmp \
mv -fT -- .state.json.tmp state.json sync -- coordination "
}

@test "a link or a folder where a file should be is refused and left" {
  local there=$HOOKLINE_HOME/coordination
  printf 'mine\n' >"$BATS_TEST_TMPDIR/victim"
  ln -s "$BATS_TEST_TMPDIR/victim" "$there/lines.jsonl"
  apply one
  assert_failure 73
  ln -s "$BATS_TEST_TMPDIR/victim" "$there/.state.json.tmp"
  apply one null 'save(0; {})'
  assert_failure 73
  assert_equal "$(<"$BATS_TEST_TMPDIR/victim")" mine
  rm -- "$there/.state.json.tmp"
  mkfifo "$there/state.json"
  apply one null 'save(0; {})'
  assert_failure 73
  assert_stderr --partial 'is not a plain file; move it away'
}

@test "a state of another shape is set aside, an empty file is a new one" {
  state_is state.json '{"count":"three"}'
  apply one
  assert_success
  assert_equal "$(cat "$HOOKLINE_HOME"/coordination/state.json.corrupt-*)" '{"count":"three"}'
  : >"$HOOKLINE_HOME/coordination/state.json"
  apply two
  assert_equal "$stderr" ''
  assert_state state.json .count 1
}

@test "of a state only what is not of its shape is lost, and kept for a person" {
  state_is state.json '{"count":4,"list":"x","other":[1],"_applied":{"on-test":7}}'
  apply one
  assert_success
  assert_stderr --partial 'what is sound in it goes on'
  assert_state state.json '[.count, .list, .other, ._applied]' \
    '[5,null,[1],{"on-test":["one a-test"]}]'
  local shapes='[{"told": {"at": "string?", "to": "array?"}}]'
  state_is state.json '{"count":4,"told":{"at":"x","to":{}}}'
  apply two
  assert_state state.json '[.count, .told]' '[5,null]'
}

@test "a row of another shape is kept, and seen by no program" {
  local before='{"list":[{"id":"a","n":1},null,5,{"id":7},{"id":"b","more":[1]},{"n":"x"},{}],
    "map":{"a":1,"b":"2","c":null}}'
  local shapes='[{"list": [{"id": "string?", "n": "number?"}], "map": {"*": "number"}}]'
  state_is state.json "$before"
  apply one null 'print($states[0] | tojson), ($states[0] | save(0; .list[0].n += 1 | .map.b += 1))'
  assert_success
  assert_equal "$stderr" ''
  assert_equal "$output" '{"list":[{"id":"a","n":1},{"id":"b","more":[1]},{}],"map":{"a":1}}'
  assert_state state.json 'del(._applied)' '{"list":[{"id":"a","n":2},{"id":"b","more":[1]},{},
    null,5,{"id":7},{"n":"x"}],"map":{"b":1,"c":null,"a":1}}'
  apply two null 'save(0; {list: [{id: "z"}]})'
  assert_state state.json '[.list[] | objects.id]' '["z",7,null]'
}

@test "a payload beside the log is read, and only from there" {
  mkdir -p -- "$HOOKLINE_HOME/coordination/events/data"
  printf '{"n":7}\n' >"$HOOKLINE_HOME/coordination/events/data/one.json"
  event one null
  sed -i 's|"data":null|"dataref":"data/one.json"|' "$BATS_TEST_TMPDIR/events/one"
  run --separate-stderr state_apply on-test "$BATS_TEST_TMPDIR/events/one" "$SHAPES" "$COUNT" \
    state.json
  assert_success
  assert_equal "$(lines lines.jsonl .n)" 7
  local ref
  for ref in data/two.json ../../config/x.json data/../../../x.json /etc/hostname \
    'data/.one.json'; do
    sed -i "s|\"dataref\":\"[^\"]*\"|\"dataref\":\"$ref\"|" "$BATS_TEST_TMPDIR/events/one"
    run --separate-stderr state_apply on-other "$BATS_TEST_TMPDIR/events/one" "$SHAPES" "$COUNT" \
      state.json
    assert_failure 65
    assert_stderr --partial "the event's payload is not at"
  done
}

@test "a program of mine that fails is no bad event, and stores nothing" {
  apply one null 'save(0; {}), error("oh")'
  assert_failure 70
  assert_equal "$(stored)" ''
  state_is state.json '{"count":3}'
  apply one null '$states[0] | error("oh")'
  assert_failure 70
  assert_equal "$(stored)" ./state.json
}

@test "an emission that fails leaves the state as it was" {
  printf 'in the way\n' >"$HOOKLINE_HOME/coordination/events/broken-events.jsonl.x"
  mkdir -p -- "$HOOKLINE_HOME/coordination/events/broken-events.jsonl"
  HOOKLINE_ATTEMPT=on-test apply one null 'save(0; {count: 1}), emit("broken.thing"; "low"; {})'
  assert_failure 75
  refute_exists "$HOOKLINE_HOME/coordination/state.json"
}

@test "what a program that polls cannot log goes into the drop box" {
  mkdir -p -- "$HOOKLINE_HOME/coordination/events/broken-events.jsonl"
  apply one null 'save(0; {count: 1}), emit("broken.thing"; "low"; {})'
  assert_success
  assert_equal "$(cat "$HOOKLINE_HOME"/coordination/events/queue/*.json | jq -c '[.id, .type]')" \
    '["one.thing","broken.thing"]'
  assert_state state.json .count 1
}

@test "a person's .jq and time zone change nothing" {
  printf 'def now: 0; def tojson: "x"; def save(a; b): empty;\n' >"$HOME/.jq"
  TZ=America/New_York apply one null 'save(0; {a: $at, t: ($now | todate)})'
  assert_state state.json '[.a, .t]' '["2020-01-01T10:00:00.000000Z","2020-01-01T10:00:00Z"]'
}

@test "files are not for everybody" {
  handled on-worker-heartbeat one '{"worker_id":"w1"}'
  assert_equal "$(find "$HOOKLINE_HOME/coordination" -type f -perm /007)" ''
}

batch() { # <id>...: a file with an event for each, as a batch has them
  local id
  mkdir -p -- "$BATS_TEST_TMPDIR/events"
  for id; do
    event "$id" "{\"n\":${id#e}}"
    cat -- "$BATS_TEST_TMPDIR/events/$id"
  done >"$BATS_TEST_TMPDIR/events/batch"
  run --separate-stderr state_apply on-test "$BATS_TEST_TMPDIR/events/batch" "$SHAPES" \
    "${program-$COUNT}" state.json
}

@test "a batch is applied event by event, and written once" {
  batch e1 e2 e3
  assert_success
  assert_state state.json '[.count, ._applied["on-test"]]' \
    '[3,["e1 a-test","e2 a-test","e3 a-test"]]'
  assert_equal "$(lines lines.jsonl '[.n, .event_id]')" $'[1,"e1"]\n[2,"e2"]\n[3,"e3"]'
  spy sync 'printf "%s\n" "$*" >>"$SPY"'
  PATH=$BATS_TEST_TMPDIR/bin:$PATH batch e2 e3 e4 e4 e5
  assert_state state.json .count 5
  assert_equal "$(lines lines.jsonl .n | tr '\n' ' ')" '1 2 3 4 5 '
  assert_equal "$(wc -l <"$SPY")" 2
}

@test "a batch says which of its events is the last" {
  program='print(if $more then "more" else "last" end)' batch e1 e2 e3
  assert_output $'more\nmore\nlast'
}

@test "what a killed batch has appended is not appended again by its events alone" {
  batch e1 e2 e3
  rm -- "$HOOKLINE_HOME/coordination/state.json"
  apply e2 '{"n":2}'
  apply e3 '{"n":3}'
  assert_equal "$(lines lines.jsonl .n | tr '\n' ' ')" '1 2 3 '
  assert_state state.json .count 2
}

@test "a batch with a bad event, or a payload beside the log, stores nothing" {
  event e1 '{"n":1}'
  event e2 '[]'
  cat -- "$BATS_TEST_TMPDIR/events/"e{1,2} >"$BATS_TEST_TMPDIR/events/batch"
  run --separate-stderr state_apply on-test "$BATS_TEST_TMPDIR/events/batch" "$SHAPES" "$COUNT" \
    state.json
  assert_failure 65
  sed -i 's|"data":\[\]|"dataref":"data/e2.json"|' "$BATS_TEST_TMPDIR/events/batch"
  run --separate-stderr state_apply on-test "$BATS_TEST_TMPDIR/events/batch" "$SHAPES" "$COUNT" \
    state.json
  assert_failure 75
  assert_stderr 'on-test: the events come one by one'
  assert_equal "$(stored)" ''
}
