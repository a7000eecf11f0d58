#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2030,SC2031 # texts for other shells; each test is a subshell
# One grammar for JSON, here in bash: testing/vectors/json.jsonl says what it must say.

load ../../test_helper
load vectors

LIB=$HOOKLINE_CHECKOUT/scripts/events/lib

setup() { sandbox; }

verdicts() { # <payload...>: what event-validator.sh --json-lines says of each
  printf '%s\0' "$@" | "$LIB/event-validator.sh" --json-lines
}

@test "every JSON vector gets its verdict and its compact text" {
  local base64 verdict compact
  while read -r base64 verdict compact; do
    base64 -d <<<"${base64#.}" >>"$TMPDIR/payloads"
    printf '\0' >>"$TMPDIR/payloads"
    printf '%s' "$verdict" >>"$TMPDIR/expected"
    [[ $verdict == bad ]] || { printf ' ' && base64 -d <<<"$compact"; } >>"$TMPDIR/expected"
    printf '\n' >>"$TMPDIR/expected"
  done < <(vectors json.jsonl \
    'select(has_nul | not) | ".\(.base64) \(.verdict) \(.compact_base64)"')
  "$LIB/event-validator.sh" --json-lines <"$TMPDIR/payloads" >"$TMPDIR/said"
  (($(wc -l <"$TMPDIR/said") > 600)) || fail 'too few verdicts'
  sed 's/^bad .*/bad/' <"$TMPDIR/said" >"$TMPDIR/actual"
  diff "$TMPDIR/expected" "$TMPDIR/actual"
}

@test "a NUL byte anywhere is refused on stdin, where no separator hides it" {
  local base64 verdict file=$TMPDIR/payload refused=0
  while read -r base64 verdict; do
    decoded "$base64" "$file"
    run "$LIB/event-logger.sh" < <(
      printf '{"specversion":"1.0","source":"s","type":"a.b","data":'
      cat "$file"
      printf '}'
    )
    assert_failure 65
    refused=$((refused + 1))
  done < <(vectors json.jsonl 'select(has_nul) | ".\(.base64) \(.verdict)"')
  ((refused >= 5)) || fail "only $refused vectors with a NUL"
  assert_nothing_stored
}

@test "a verdict of bad gives a reason on one line, without raw bytes of the input" {
  run verdicts $'{"a":\e[2J}' $'"\x01"' $'["a\nb"]' $'{\u202e:1}' '{"a":1,"a":2}'
  assert_success
  [[ $output != *[!\ -~$'\n']* ]] || fail "raw bytes: $output"
  assert_equal "${#lines[@]}" 5
  assert_output --partial "the key 'a' stands twice in one object"
}

@test "keys and strings are data, whatever a shell would make of them" {
  run verdicts '{"$(touch pwned)":"`touch pwned`","a[$(touch pwned)]":1,"x]":2,"@":3,"*":4}' \
    '["$(touch pwned)"]' '$(touch pwned)' '[a[$(touch pwned)]]' '{"a":b[$(touch pwned)]}'
  assert_success
  refute_exists pwned
  assert_equal "${lines[0]}" \
    'ok {"$(touch pwned)":"`touch pwned`","a[$(touch pwned)]":1,"x]":2,"@":3,"*":4}'
}

@test "the time for a large payload grows with its size, not with the square of it" {
  local text payload numbers
  numbers=$(seq -s, 1 18000)
  printf -v text '"k%d":{"a":"\\"%d\\n","b":[1.5,null]},' {1..3200}
  for payload in "[$numbers]" "{${text%,}}" "\"$(printf '\\"%.0s' {1..50000})\"" \
    "$(printf '[%.0s' {1..100000})" "\"$(printf '\u200b%.0s' {1..33000})\"" \
    "$(printf '9%.0s' {1..100000})" "$(printf ' %.0s' {1..100000})1"; do
    run timeout 60 "$LIB/event-validator.sh" --json-lines < <(printf '%s\0' "$payload")
    assert_success
  done
}

@test "the caller's language does not change the verdict" {
  local language
  for language in C C.UTF-8 xx_YY.nowhere ''; do
    run --separate-stderr env LC_ALL="$language" "$LIB/event-validator.sh" --json-lines \
      < <(printf '%s\0' '{"é":"ß"}' $'"\xff"' '{"Ä":1,"ä":2}')
    assert_success
    assert_equal "${lines[0]}" 'ok {"é":"ß"}'
    assert_equal "${lines[1]:0:3}" bad
    assert_equal "${lines[2]}" 'ok {"Ä":1,"ä":2}'
  done
}
