#!/usr/bin/env bats
# shellcheck disable=SC2016 # texts for handlers
# The dispatcher as cron and fswatch run it, the drop box as their logger fills it.

load cortex

setup_file() { make_base; }

setup() { cortex; }

GOT='jq -r .event_id "$1" >>"$CORTEX_HOME/coordination/got"'

event() { # <id> [<type>]: as their logger writes it into the queue, over many lines
  "$LOGGER" --create "${2-worker.started}" w '{"a":1}' | jq --arg id "$1" '.event_id = $id'
}

got() { paste -sd' ' <"$HOME_OF/coordination/got"; }

queued() { find "$EVENTS/queue" -name '*.json' | wc -l; }

@test "without options it does what there is and ends; again, there is nothing" {
  handler on-worker-started.sh "$GOT"
  event one | "$LOGGER" >/dev/null
  run timeout 60 "$DISPATCHER"
  assert_success
  refute_output
  run timeout 60 "$DISPATCHER"
  assert_success
  refute_output
  assert_equal "$(got)" one
}

@test "a crontab that comes too early is told so and exits 75; no event is handled twice" {
  handler on-worker-started.sh "$GOT"'
until [[ -e $CORTEX_HOME/coordination/go ]]; do read -rt 0.05 <> <(:) || :; done'
  event one | "$LOGGER" >/dev/null
  "$DISPATCHER" 3>&- &
  local first=$!
  await 60 test -s "$HOME_OF/coordination/got"
  run -75 "$DISPATCHER"
  assert_output --partial 'dispatcher'
  assert_equal "${#lines[@]}" 1
  touch "$HOME_OF/coordination/go"
  wait "$first"
  assert_equal "$(got)" one
}

@test "fswatch and xargs name the file that changed: it is in, and the queue is empty" {
  handler on-worker-started.sh "$GOT"
  event one >"$EVENTS/queue/one.json"
  event two >"$EVENTS/queue/two.json"
  run bash -c 'printf "%s\0" "$1"/*.json | xargs -0 -n1 "$2"' - "$EVENTS/queue" "$DISPATCHER"
  assert_success
  assert_equal "$(got)" 'one two'
  assert_equal "$(queued)" 0
}

@test "an option is one of ours: --verbose stays, and a wrong one is refused" {
  run -64 "$DISPATCHER" --bogus
  "$DISPATCHER" --verbose 2>"$TMPDIR/err" 3>&- &
  local pid=$!
  handler on-worker-started.sh "$GOT"
  event one | "$LOGGER" >/dev/null
  await 60 test -s "$HOME_OF/coordination/got"
  event two | "$LOGGER" >/dev/null
  await 60 grep -q two "$HOME_OF/coordination/got"
  kill "$pid"
  wait "$pid"
}

@test "what their logger does twice, in the log and in the queue, is handled once" {
  handler on-worker-started.sh "$GOT"
  event one >"$EVENTS/queue/one.json"
  jq -c . <"$EVENTS/queue/one.json" >>"$EVENTS/worker-events.jsonl"
  event two >"$EVENTS/queue/two.json"
  "$DISPATCHER"
  event two | jq -c . >>"$EVENTS/worker-events.jsonl"
  "$DISPATCHER"
  assert_equal "$(got)" 'one two'
  assert_equal "$(queued)" 0
}

@test "a file whose writer is slow stays in the queue until it is whole" {
  handler on-worker-started.sh "$GOT"
  local text
  text=$(event slow)
  exec 7>"$EVENTS/queue/slow.json"
  printf '%s' "${text:0:40}" >&7
  run "$DISPATCHER"
  assert_success
  refute_output
  assert_equal "$(queued)" 1
  printf '%s\n' "${text:40}" >&7
  exec 7>&-
  "$DISPATCHER"
  assert_equal "$(got)" slow
  assert_equal "$(queued) $(find "$EVENTS/rejected" -type f | wc -l)" '0 0'
}

@test "a running dispatcher waits for the rest of a file too" {
  handler on-worker-started.sh "$GOT"
  "$DISPATCHER" --verbose 2>/dev/null 3>&- &
  local pid=$! text
  text=$(event slow)
  exec 7>"$EVENTS/queue/slow.json"
  printf '%s' "${text:0:40}" >&7
  event other >"$TMPDIR/other.json"
  mv -- "$TMPDIR/other.json" "$EVENTS/queue/"
  await 60 grep -sqx other "$HOME_OF/coordination/got"
  printf '%s\n' "${text:40}" >&7
  exec 7>&-
  await 60 grep -qx slow "$HOME_OF/coordination/got"
  kill "$pid"
  wait "$pid"
  assert_equal "$(find "$EVENTS/rejected" -type f)" ''
}

@test "what can never be an event is set aside with its reason, and the rest goes on" {
  handler on-worker-started.sh "$GOT"
  printf '{"event_id":"x"}' >"$EVENTS/queue/bad.json"
  event good >"$EVENTS/queue/good.json"
  run "$DISPATCHER"
  assert_success
  assert_equal "$(got)" good
  assert_equal "$(queued)" 0
  assert_equal "$(jq -r .reason "$EVENTS/rejected/bad.reason.json")" 'type is missing'
}

# As their logger does it: a line into the log, a file into the queue, written in place and in
# pieces. Both at once are the same event.
their_logger() { # <writer>
  local n id text
  for n in {01..25}; do
    id=evt_20251201_120000_$1x$n
    printf -v text '{"event_id":"%s","event_type":"worker.started",%s,"source":"%s","payload":1}' \
      "$id" '"timestamp":"2025-12-01T12:00:00+0000"' "$1"
    printf '%s\n' "$text" >>"$EVENTS/worker-events.jsonl"
    {
      printf '%s' "${text:0:30}"
      # A moment in which a reader finds half of it.
      read -rt 0.01 <> <(:) || :
      printf '%s\n' "${text:30}"
    } >"$EVENTS/queue/$id.json"
  done
}

@test "while four of their loggers are at it, each event is handled once and none is set aside" {
  handler on-worker-started.sh "$GOT"
  sed -i '2i # from: beginning' "$HOME_OF/scripts/events/handlers/on-worker-started.sh"
  "$DISPATCHER" --verbose 2>/dev/null 3>&- &
  local pid=$! writer
  local -a writers=()
  event first | "$LOGGER" >/dev/null
  await 60 test -s "$HOME_OF/coordination/got"
  for writer in 1 2 3 4; do
    their_logger "$writer" 3>&- &
    writers+=("$!")
  done
  wait "${writers[@]}"
  await 60 all_taken
  kill "$pid"
  wait "$pid"
  assert_equal "$(sort "$HOME_OF/coordination/got" | uniq -c | awk '{ print $1 }' | sort -u)" 1
  assert_equal "$(find "$EVENTS/rejected" -type f | wc -l)" 0
}

all_taken() { [[ $(queued) -eq 0 && $(wc -l <"$HOME_OF/coordination/got") -ge 101 ]]; }
