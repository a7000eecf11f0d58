#!/usr/bin/env bats
# Daemons whose work is due by the clock: cleanup, observability-hub, moe-learning, auto-learning.

load daemons

setup() {
  away_from_the_turn 3600
  furnish_home
  # What `hookline` is asked, and what it says.
  mkdir -p "$HOOKLINE_HOME/coordination/state"
  cat >"$HOOKLINE_HOME/coordination/state/hookline" <<'COMMAND'
#!/bin/bash
[[ $1 != learn ]] || jq -c '[.id, .source, .type, .data]' "$3" >>"$HOOKLINE_HOME/learned"
[[ $1 != status ]] || printf '{"handlers":[],"drop_box":0,"dead_letters":0,"needs":[]}\n'
COMMAND
  chmod +x "$HOOKLINE_HOME/coordination/state/hookline"
}
teardown() { end_daemons; }

old_file() {
  printf 'x\n' >coordination/events/queue/.old.tmp
  touch -d '2 days ago' coordination/events/queue/.old.tmp
}

asked() { said 'select(.source != "on-test") | [.id, .source, .type, .data]'; }

sunday() { date -u -d "@$((EPOCHSECONDS - (EPOCHSECONDS - 266400) % 604800))" "$@"; }

@test "cleanup: once for the last Sunday, by itself or by its handler" {
  old_file
  a_round cleanup
  refute_exists coordination/events/queue/.old.tmp
  assert_equal "$(said '[.type, .id, .data.status]')" \
    "[\"system.cleanup_completed\",\"cleanup.$(sunday +%F).cleanup_completed\",\"completed\"]"
  old_file
  a_round cleanup
  assert_exists coordination/events/queue/.old.tmp
  assert_equal "$(date -u -d "$(sunday +%F)" +%a)" Sun
  assert_equal "$(state metrics/maintenance-stats.json .total_cleanups)" 1
}

@test "cleanup: whoever has cleaned since, there is nothing to do; what was before does not count" {
  state_is metrics/maintenance-stats.json "{\"last_general\":\"$(sunday +%FT02:00:01Z)\"}"
  a_round cleanup
  assert_equal "$(said .type)" ''
  state_is metrics/maintenance-stats.json "{\"last_general\":\"$(sunday +%FT01:59:59Z)\"}"
  a_round cleanup
  assert_equal "$(said .type)" '"system.cleanup_completed"'
}

@test "cleanup: while a handler serves it is asked, once; what it does is not done again" {
  handlers_are on-cleanup-needed.sh
  dispatcher_serves
  a_round cleanup
  assert_equal "$(asked)" "[\"cleanup.$(sunday +%F)\",\"cleanup\",\"system.cleanup_needed\",\
{\"cleanup_type\":\"general\"}]"
  # Nobody has done it, and the dispatcher is gone: then it is done, and not by that event again.
  dispatcher_ends
  old_file
  a_round cleanup
  refute_exists coordination/events/queue/.old.tmp
  cp -- "$HOOKLINE_CHECKOUT/scripts/events/handlers/on-cleanup-needed.sh" scripts/events/handlers/
  jq -c 'select(.type == "system.cleanup_needed")' "$(log_of system)" >asked
  old_file
  scripts/events/handlers/on-cleanup-needed.sh asked
  assert_exists coordination/events/queue/.old.tmp
  assert_equal "$(state metrics/maintenance-stats.json .total_cleanups)" 1
}

@test "cleanup: what its handler remembers it remembers, too" {
  state_is metrics/maintenance-stats.json \
    "$(jq -nc '{_applied: {"on-cleanup-needed": [range(400) | "e\(.) s"]}}')"
  a_round cleanup
  assert_equal \
    "$(state metrics/maintenance-stats.json '._applied["on-cleanup-needed"] | length')" 401
}

@test "cleanup: without a logger it says what it did in the drop box" {
  without_logger
  a_round cleanup
  assert_equal "$(said '[.type, (.time | length)]')" '["system.cleanup_completed",27]'
  assert_equal "$(find coordination/events/queue -name '*.json' | wc -l)" 1
}

@test "observability: one look for each interval, asked for or done" {
  away_from_the_turn 300
  a_round observability-hub
  a_round observability-hub
  assert_equal "$(state observability.json '[.total_checks, .active]')" '[1,false]'
  handlers_are on-system-observability-check.sh
  dispatcher_serves
  a_round observability-hub
  run asked
  assert_output --regexp \
    '\["observability\.[0-9]+","observability","system.observability_check",\{"action":"ensure_a'
}

@test "moe-learning: a cycle for each hour, run or asked for" {
  a_round moe-learning
  local slot=$((EPOCHSECONDS / 3600))
  assert_equal "$(<learned)" "[\"moe-learning.$slot\",\"moe-learning\",\
\"learning.cycle_requested\",{\"cycle_type\":\"moe\"}]"
  handlers_are on-learning-cycle-requested.sh
  dispatcher_serves
  a_round moe-learning
  assert_equal "$(asked)" "$(<learned)"
}

@test "moe-learning: where hookline is not installed, a round says so" {
  rm coordination/state/hookline
  mkdir bin && ln -s /bin/* /usr/bin/* bin/ 2>/dev/null || :
  rm -f bin/hookline
  PATH=$PWD/bin run --separate-stderr daemon moe-learning run --once
  assert_failure 69
  assert_stderr --partial 'hookline is not installed'
}

@test "auto-learning: when there is something new, which the cycle itself has not caused" {
  a_round auto-learning
  refute_exists learned
  state_is moe-learning/patterns.jsonl '{"event_source":"a-worker"}'
  a_round auto-learning
  a_round auto-learning
  assert_equal "$(jq -c '.[0]' learned)" '"auto-learning.1"'
  printf '{"event_source":"hookline.learn"}\n' >>coordination/moe-learning/patterns.jsonl
  a_round auto-learning
  assert_equal "$(wc -l <learned)" 1
  handlers_are on-learning-cycle-requested.sh
  dispatcher_serves
  printf '{"event_source":"a-worker"}\n' >>coordination/moe-learning/patterns.jsonl
  a_round auto-learning
  a_round auto-learning
  assert_equal "$(asked)" \
    '["auto-learning.2","auto-learning","learning.cycle_requested",{"cycle_type":"auto"}]'
}
