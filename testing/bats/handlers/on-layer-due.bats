#!/usr/bin/env bats

load handlers

H=on-layer-due

setup() {
  sandbox
  layer x "[[steps]]
name = 'say'
run = 'echo ran >>\$HOOKLINE_HOME/coordination/ran'
"
}

layer() { # <name> <text>
  mkdir -p -- "$HOOKLINE_HOME/coordination/layers"
  printf '%s\n' "$2" >"$HOOKLINE_HOME/coordination/layers/$1.toml"
  chmod -R go-w -- "$HOOKLINE_HOME/coordination"
}

ended() { # what the runs came to
  emitted 'select(.type == "layer.completed") | .data.status' | jq -r .
}

@test "the layer is run, with the tick as the cause" {
  handled "$H" one '{"layer":"x","schedule":"night","reason":"time"}'
  assert_equal "$(<"$HOOKLINE_HOME/coordination/ran")" ran
  assert_equal "$(emitted '[.type, .causationid == "one", .data.tick.id, .data.schedule]')" \
    '["layer.started",true,"one","night"]
["layer.completed",false,"one","night"]'
}

@test "a layer that there is not is refused with what there is" {
  handle "$H" one '{"layer":"y"}'
  assert_failure 65
  assert_stderr "hookline reflect: no layer 'y'; there are: x"
}

@test "a layer that is called like an option is none all the same" {
  local name
  for name in --help -h --home=x; do
    handle "$H" "one$name" "{\"layer\":\"$name\"}"
    assert_failure 65
    assert_stderr "hookline reflect: no layer '$name'; there are: x"
  done
}

@test "a layer whose file is wrong is refused, and the handler is not to blame" {
  layer y 'steps = 7'
  handle "$H" one '{"layer":"y"}'
  assert_failure 65
  assert_stderr --partial "layers/y.toml: Expected \`array\`, got \`int\` - at \`\$.steps\`"
}

@test "a failed run is for a person to try again, a partial one is done" {
  layer x "[[steps]]
name = 'say'
run = 'exit 3'
"
  handle "$H" one '{"layer":"x"}'
  assert_failure 65
  assert_stderr --partial 'hookline reflect: layer x failed: say: exit 3; hookline reflect show '
  layer x "[[steps]]
name = 'say'
run = 'exit 3'
on_error = 'continue'
"
  handled "$H" two '{"layer":"x"}'
  assert_equal "$(ended)" $'failed\npartial'
}

@test "while it is running the tick is to come again" {
  layer x "[[steps]]
name = 'say'
timeout = '30s'
run = 'touch coordination/begun; read -r _ <coordination/go'
"
  mkfifo -- "$HOOKLINE_HOME/coordination/go"
  event one '{"layer":"x"}'
  deliver "$H" one 3>&- &
  await 60 test -e "$HOOKLINE_HOME/coordination/begun"
  handle "$H" two '{"layer":"x"}'
  assert_failure 75
  assert_stderr --partial 'layer x is running already'
  printf 'go\n' >"$HOOKLINE_HOME/coordination/go"
  wait "$!"
  assert_equal "$(ended)" success
}
