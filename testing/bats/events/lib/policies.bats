#!/usr/bin/env bats
# What policies.toml may hold. `hookline doctor` asks the same reader.

load ../../test_helper

setup() {
  sandbox
  FILE=$HOOKLINE_HOME/coordination/config/policies.toml
  # shellcheck source=../../../../scripts/events/lib/policies.sh
  source "$HOOKLINE_CHECKOUT/scripts/events/lib/policies.sh"
}

taken() { # <lines...>: they are policies, and the JSON is valid
  printf '%s\n' "$@" >"$FILE"
  policies_read || fail "refused: $*"
  # shellcheck disable=SC2154 # set by policies_read
  jq -e 'type == "object"' <<<"$_hookline_policies" >/dev/null ||
    fail "no JSON: $_hookline_policies"
}

refused() { # <line> <why> <lines...>
  printf '%s\n' "${@:3}" >"$FILE"
  run --separate-stderr policies_read
  assert_failure 78
  # shellcheck disable=SC2154 # set by bats
  assert_equal "$stderr" "$FILE, line $1: $2; docs/SHIPPED.md says what it may hold"
}

@test "those that ship are TOML, and read the same as TOML" {
  cp -- "$HOOKLINE_CHECKOUT/coordination/config/policies.toml" "$FILE"
  policies_read
  assert_equal "$(jq -Sc 'map_values(del(._line))' <<<"$_hookline_policies")" \
    "$("$HOOKLINE_CHECKOUT/.venv/bin/python" -c '
import json, sys, tomllib
found = {}
for name, table in tomllib.load(open(sys.argv[1], "rb")).items():
    found[name] = {key: value for key, value in table.items() if not isinstance(value, dict)}
    found |= {f"{name}.{key}": value for key, value in table.items() if isinstance(value, dict)}
print(json.dumps(found))' "$FILE" | jq -Sc .)"
}

@test "what ships as an example is a policy, too" {
  local line
  local -a lines=()
  while IFS= read -r line; do
    line=${line#\# }
    [[ ! $line =~ ^(\[|[a-z_]+\ =\ ) ]] || lines+=("$line")
  done <"$HOOKLINE_CHECKOUT/coordination/config/policies.toml"
  taken "${lines[@]}"
  assert_equal "$(jq -c '."restart.implementer".on, ."task.report".timeout' \
    <<<"$_hookline_policies")" $'["failed","stale"]\n"10m"'
}

@test "no file, an empty one and comments allow nothing" {
  policies_read
  assert_equal "$_hookline_policies" '{}'
  taken ''
  taken '# nothing' $' \t# at all'
  assert_equal "$_hookline_policies" '{}'
}

@test "a line that is no part of the TOML that is wanted is refused" {
  local line
  for line in 'attempts = 3' '[autofix.timeout' '[autofix.]' '[[autofix]]' '[ autofix ]' '{}'; do
    refused 1 'not understood' "$line"
  done
  for line in 'Budget = 3' '"budget" = 3' 'budget' 'budget: 3'; do
    refused 2 'not understood' '[autofix]' "$line"
  done
  refused 2 '[autofix] is said twice' '[autofix]' '[autofix]'
  refused 3 'budget of [autofix] is said twice' '[autofix]' 'budget = 3' 'budget = 4'
}

@test "a table or a key that nobody acts by is refused, not passed over" {
  refused 1 '[autofx] is no policy' '[autofx]'
  refused 1 '[task] is no policy' '[task]' 'run = ["a"]'
  refused 1 '[workers.x] is no policy' '[workers.x]'
  refused 3 '[autofix] has no dry_runn' '# first' '[autofix]' 'dry_runn = true'
  refused 2 '[autofix.timeout] has no acton' '[autofix.timeout]' 'acton = "emit"'
  refused 3 '[restart.x] has no replce' '[restart.x]' 'command = ["a"]' 'replce = true'
  refused 2 '[workers] has no budget' '[workers]' 'budget = 3'
}

@test "a number of times is a whole one, and none that jq would round" {
  local value
  taken '[autofix]' 'budget = 0' '[restart]' 'budget = 999999999 # all'
  for value in 0.5 2.5 -1 010 1_000 1e3 1234567890 '"3"' true three ''; do
    refused 2 'budget of [autofix] is to be a whole number' '[autofix]' "budget = $value"
    refused 2 'attempts of [autofix.x] is to be a whole number' '[autofix.x]' "attempts = $value"
  done
}

@test "a span is one that is understood everywhere" {
  local value
  for value in 0s 1.5m 999999999d 0.5s 200ms; do taken '[autofix.x]' "pause = \"$value\""; done
  for value in 5 '"5"' '"5 m"' '"999999999999999d"' '"-1s"' '"1w"' '"soon"' '"\u0035s"' "'5s'"; do
    refused 2 'pause of [autofix.x] is to be a span such as "30s"' '[autofix.x]' "pause = $value"
    refused 2 'stale_after of [workers] is to be a span such as "30s"' '[workers]' \
      "stale_after = $value"
  done
}

@test "all else is of its kind" {
  refused 2 'dry_run of [autofix] is to be true or false' '[autofix]' 'dry_run = "true"'
  refused 2 'action of [autofix.x] is to be "retry" or "emit"' '[autofix.x]' 'action = "reboot"'
  refused 2 'event of [autofix.x] is to be a type of event such as "system.cleanup_needed"' \
    '[autofix.x]' 'event = "cleanup"'
  refused 2 'on of [restart.x] is to be a list of "failed" and "stale"' '[restart.x]' \
    'on = ["always"]'
  local value
  for value in '"a b"' '[]' '[""]' '["a",]' '["a" "b"]' '["a"' '"""a"""' '["a", 3]'; do
    refused 2 'command of [restart.x] is to be a list of a program and its arguments' \
      '[restart.x]' "command = $value"
  done
  taken '[restart.x]' 'command = [ "a" , "" ]' 'on = []' '[task.y]' 'run = ["é", "#", "]"]# why'
}

@test "what a table needs is there before it ends" {
  refused 1 '[restart.x] is to have command' '[restart.x]'
  refused 1 '[restart.x] is to have command' '[restart.x]' 'restarts = 1' '[autofix]'
  refused 1 '[task.x] is to have run' '[task.x]' 'attempts = 1'
  refused 1 '[autofix.x] is to have event' '[autofix.x]' 'action = "emit"'
  taken '[autofix.x]' 'action = "emit"' 'event = "a.b"'
}

@test "a file that cannot be read is no file without policies" {
  mkdir -- "$FILE"
  run --separate-stderr policies_read
  assert_failure 78
  assert_equal "$stderr" "$FILE: cannot be read; docs/SHIPPED.md says what it may hold"
}
