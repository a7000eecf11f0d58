#!/usr/bin/env bats

load ../../test_helper

setup() {
  sandbox
  cp -r -- "$HOOKLINE_CHECKOUT/scripts/events/lib" "$HOOKLINE_HOME/scripts/events/lib"
  PATH=$HOOKLINE_CHECKOUT/.venv/bin:$PATH
  cat >"$HOOKLINE_HOME/scripts/events/handlers/on-a-b.sh" <<'SH'
#!/bin/bash
source "$HOOKLINE_HOME/scripts/events/lib/event-logger.sh"
printf "told %s\n" "$(jq .data.n "$1")"
printf "kept\n" >"$HOOKLINE_HOME/coordination/kept"
emit_event c.d me '{"count": 4}' >/dev/null
SH
  chmod 0750 "$HOOKLINE_HOME/scripts/events/handlers/on-a-b.sh"
  # shellcheck source=scripts/events/lib/handler-testing.bash
  source "$HOOKLINE_HOME/scripts/events/lib/handler-testing.bash"
}

EVENT='{"specversion":"1.0","type":"a.b","data":{"n":1}}'

@test "what a handler did can be asserted" {
  try_handler on-a-b.sh "$EVENT"
  assert_verdict 'done'
  assert_printed 'told 1'
  assert_wrote coordination/kept kept
  assert_emitted c.d
  assert_emitted c.d '.data.count > 3'
  refute_emitted x.y
}

@test "each assertion fails when it is not so, and shows what was" {
  try_handler on-a-b.sh "$EVENT"
  run ! assert_verdict failed
  [[ $output == *'not so: the verdict is failed'*'"verdict": "done"'* ]]
  run ! assert_printed 'told 2'
  run ! assert_wrote coordination/kept lost
  run ! assert_wrote coordination/other
  run ! assert_emitted c.d '.data.count > 4'
  run ! assert_emitted x.y
  run ! refute_emitted
  run ! refute_emitted c.d
}

@test "a handler that fails has been tried all the same" {
  printf '#!/bin/bash\nexit 1\n' >"$HOOKLINE_HOME/scripts/events/handlers/on-a-b.sh"
  try_handler on-a-b.sh "$EVENT"
  assert_verdict failed
  refute_emitted
}

@test "what cannot be tried is an error" {
  run -65 try_handler on-x-y.sh "$EVENT"
  run -65 try_handler on-a-b.sh '{}'
}

@test "sourcing changes no option and prints nothing" {
  local before after
  before=$(
    set +o
    shopt
  )
  after=$(
    unset _hookline_handler_testing_loaded _hookline_command_loaded
    source "$HOOKLINE_HOME/scripts/events/lib/handler-testing.bash"
    set +o
    shopt
  )
  assert_equal "$after" "$before"
}
