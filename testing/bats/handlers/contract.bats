#!/usr/bin/env bats
# What every handler must stand. A new one is in here as soon as samples/ has data for it.

load handlers

setup() { sandbox; }

# <function> [<how many>]: with each, or some, its sample's data, in a new home each
each_handler() {
  local handler
  for handler in $(handlers_to_try "${2-}"); do
    [[ " ${passing-} " != *" $handler "* ]] || continue
    rm -rf -- "${HOOKLINE_HOME:?}/coordination"
    mkdir -p -- "$HOOKLINE_HOME/coordination/events"
    furnish "$handler"
    printf 'this is %s\n' "$handler"
    # Not in a condition: errexit would be off in there, and no assertion would count but the last.
    "$1" "$handler" "$(<"$BATS_TEST_DIRNAME/samples/$handler.json")"
  done
}

# Not those that remember no event: what they see to is so or not (their own tests say how).
each_rememberer() { # <function>
  local passing='on-system-daemon-start-requested'
  each_handler "$1"
}

# Nor those whose only memory is the log: testing/unit/schedule/test_layer_run.py and
# testing/faults/test_learning_cycle.py kill these.
each_keeper() { # <function> [<how many>]: as each_handler, with each that keeps state files
  local passing='on-system-daemon-start-requested on-layer-due on-learning-cycle-requested'
  each_handler "$@"
}

applied() { # <handler>: the identities in the state files, or of the causes in the log
  find "$HOOKLINE_HOME/coordination" \( -name '*.json' -o -path '*/events/*.jsonl' \) \
    -exec cat {} + |
    jq -r --arg handler "$1" '(._applied[$handler] // [] | .[]),
      (select(.type == "layer.completed" or .type == "learning.cycle_completed")
        | .data | .tick // .request | .id + " " + .source)'
}

@test "fields that nobody knows are passed over" {
  unknown_fields() {
    handled "$1" one "${2%\}},\"unknown\":{\"deep\":[1,null]},\"another\":null}"
    [[ $(stored) ]]
  }
  each_handler unknown_fields
}

@test "an unknown payload is done or refused in one line" {
  unknown_payload() {
    handle "$1" one '{"nobody":"knows this"}'
    [[ $status == 65 && $stderr == "$1: data."* && $stderr != *$'\n'* ]] || assert_success
    handle "$1" two null
    [[ $status == 65 && $stderr == "$1: data."* && $stderr != *$'\n'* ]] || assert_success
  }
  each_handler unknown_payload
}

@test "data that is no object is refused and nothing is stored" {
  no_object() {
    local data
    data=$(printf '%s\n' '[1]' '"x"' false | drawn 1 "$1")
    refused "$1" one "$data"
  }
  each_handler no_object
}

@test "a field of the wrong type is refused by its name and nothing is stored" {
  wrong_types() {
    local key data
    while read -r key data; do
      refused "$1" one "$data"
      assert_stderr --partial "data.$key "
    done < <(jq -r 'keys[] as $key | "\($key) \(.[$key] = {"an": "object"} | tojson)"' <<<"$2" |
      drawn 2 "$1")
  }
  each_handler wrong_types
}

@test "what a terminal would obey gets into no file" {
  hostile() {
    local key data files hostile='"a\u001b]52;c;eA==\u0007\u009b2J\u202e\u007f"'
    while read -r key data; do
      handle "$1" "$key" "$data"
      ((status == 65)) || assert_success
      [[ ! $stderr =~ [[:cntrl:]] ]] || fail "$(printf %q "$stderr")"
    done < <(jq -r --argjson text "$hostile" \
      'keys_unsorted[] as $key | "\($key) \(.[$key] = $text | tojson)"' <<<"$2" | drawn 2 "$1")
    files=$(LC_ALL=C grep -rlP '\x1b|\x7f|\xc2[\x80-\x9f]|\xe2\x80\xae' \
      "$HOOKLINE_HOME/coordination") || :
    assert_equal "$files" ''
  }
  each_handler hostile
}

@test "the same event twice changes nothing" {
  twice() {
    local before
    handled "$1" one "$2"
    before=$(snapshot)
    [[ $before ]]
    handled "$1" one "$2"
    assert_equal "$(snapshot)" "$before"
    assert_equal "$(applied "$1")" 'one a-test'
  }
  each_rememberer twice
}

@test "without an event logger what it emits is in the drop box, and it is done" {
  local without=$BATS_TEST_TMPDIR/without
  mkdir -p -- "$without"
  cp -R -- "$HOOKLINE_CHECKOUT/scripts" "$without"
  rm -- "$without/scripts/events/lib/event-logger.sh"
  no_logger() {
    local said
    handled "$1" one "$2"
    said=$(emitted '[.id, .type]' | sort)
    rm -rf -- "${HOOKLINE_HOME:?}/coordination"
    mkdir -p -- "$HOOKLINE_HOME/coordination/events/queue"
    furnish "$1"
    HANDLERS=$without/scripts/events/handlers handled "$1" one "$2"
    assert_equal "$(emitted .type)" ''
    assert_equal "$(find "$HOOKLINE_HOME/coordination/events/queue" -type f -exec cat {} + |
      jq -c '[.id, .type]' | sort)" "$said"
  }
  each_keeper no_logger
}

@test "two sources may use the same id" {
  same_id() {
    handled "$1" one "$2" 0 here
    handled "$1" one "$2" 0 there
    assert_equal "$(applied "$1")" $'one here\none there'
  }
  each_rememberer same_id
}

@test "stdin may be closed" {
  closed_stdin() {
    event one "$2"
    run --separate-stderr deliver "$1" one bash -c 'exec "$@" <&-' -
    assert_success
    assert_equal "$(applied "$1")" 'one a-test'
  }
  each_rememberer closed_stdin
}

@test "rows that nobody understands, in whatever it keeps, are kept and are in nobody's way" {
  odd_rows() {
    local file odd='[null, 5, "odd", [1], {"id": [1], "odd": 1}]'
    handled "$1" one "$2"
    while IFS= read -r file; do
      jq --argjson odd "$odd" 'with_entries(if .key == "_applied" then .
        elif .value | type == "array"
        then .value |= $odd + [.[0] | objects | map_values([.])] + .
        elif .value | type == "object"
        then .value += ([$odd | to_entries[] | {"odd\(.key)": .value}] | add) else . end)' \
        "$file" >"$BATS_TEST_TMPDIR/odd"
      cat -- "$BATS_TEST_TMPDIR/odd" >"$file"
    done < <(find "$HOOKLINE_HOME/coordination" -name '*.json' ! -path '*/config/*' \
      ! -path '*/events/*' ! -path '*/state/*' ! -path '*/layers/*')
    handled "$1" two "$2" 4000
    assert_equal "$(applied "$1")" $'one a-test\ntwo a-test'
    assert_equal "$(find "$HOOKLINE_HOME/coordination" -name '*.corrupt-*')" ''
  }
  each_rememberer odd_rows
}

@test "20 runs at once lose no update" {
  at_once() {
    local n file
    local -a runs=()
    for n in {01..20}; do
      event "$n" "$2"
      # On a busy machine a turn may not come in time: who asks to be tried again is.
      until deliver "$1" "$n"; do (($? == 75)) || exit; done &
      runs+=("$!")
    done
    for n in "${runs[@]}"; do wait "$n"; done
    all_state_is_valid
    assert_equal "$(applied "$1" | sort | tr '\n' ' ')" "$(printf '%s a-test ' {01..20})"
    while IFS= read -r file; do
      assert_equal "$(jq -s 'map(.event_id // .id) | unique | length' "$file")" 20
      assert_equal "$(wc -l <"$file")" 20
    done < <(find "$HOOKLINE_HOME/coordination" -name '*.jsonl' ! -path '*/events/*')
  }
  each_keeper at_once 3
}

@test "killed anywhere, the next run makes whole what was begun" {
  killed() {
    handled "$1" zero "$2"
    event one "$2" 1
    killed_everywhere "$1" one
  }
  each_keeper killed 3
}

@test "a damaged state file is kept and never overwritten" {
  damaged() {
    local file files
    handled "$1" one "$2"
    files=$(find "$HOOKLINE_HOME/coordination" -name '*.json')
    while IFS= read -r file; do printf '{"torn":' >"$file"; done <<<"$files"
    handle "$1" two "$2"
    assert_success
    assert_stderr --partial 'is damaged: kept as'
    while IFS= read -r file; do
      grep -sqxF '{"torn":' "$file" "$file".corrupt-* || fail "overwritten: $file"
    done <<<"$files"
    assert_equal "$(applied "$1")" 'two a-test'
  }
  each_keeper damaged
}

# What a home says of the envelope is for handlers that people bring along.
@test "each is given the events that it understands, whatever the home says" {
  says_envelope() { grep -q '^# .*envelope: cloudevents' "$HANDLERS/$1.sh"; }
  each_handler says_envelope
}

@test "nothing is written outside coordination" {
  outside() {
    handled "$1" one "$2"
    assert_equal "$(find "$HOOKLINE_HOME" "$HOME" "$TMPDIR" "$BATS_TEST_TMPDIR/scratch" -type f \
      ! -path "$HOOKLINE_HOME/coordination/*")" ''
  }
  each_handler outside
}

@test "without an event it says how it is used" {
  no_event() {
    run --separate-stderr "$HANDLERS/$1.sh"
    assert_failure 64
    assert_stderr --partial "usage: $1.sh EVENT-FILE"
    printf 'no JSON\n' >"$BATS_TEST_TMPDIR/garbage"
    run --separate-stderr "$HANDLERS/$1.sh" "$BATS_TEST_TMPDIR/garbage"
    assert_failure 65
    assert_stderr "$1: this is no event"
  }
  each_handler no_event
}
