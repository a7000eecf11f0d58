#!/usr/bin/env bats

load handlers

H=on-cleanup-needed

setup() {
  sandbox
  cd -- "$HOOKLINE_HOME/coordination" || return
}

clean() { # <id> <type> [<target>]
  handle "$H" "$1" "{\"cleanup_type\":\"$2\",\"target\":${3:+\"}${3-null}${3:+\"}}" 100
  assert_success
}

old_file() { # <path> [<content>]
  mkdir -p -- "$(dirname -- "$1")"
  printf '%s' "${2-}" >"$1"
  touch -d '2 days ago' -- "$1"
}

result() { emitted "select(.type == \"system.cleanup_completed\") | .data | $1"; }

archiver() { # <body>
  printf '#!/bin/bash\n%s\n' "$1" >"$HOOKLINE_HOME/scripts/events/event-archiver.sh"
  chmod +x -- "$HOOKLINE_HOME/scripts/events/event-archiver.sh"
}

@test "old temporary files go, and what was done is told" {
  old_file a.tmp 12345
  old_file 'metrics/b c.tmp' 123
  old_file $'new\nline.tmp' 1
  clean one temp_files
  assert_equal "$(result '[.cleanup_type, .status, .items, .bytes, .results.temp_files]')" \
    '["temp_files","completed",3,9,{"status":"done","files":3,"bytes":9}]'
  assert_equal "$(find . -name '*.tmp')" ''
  assert_equal "$(lines system-maintenance.jsonl \
    '[.action, .cleanup_type, .status, .items, .bytes]')" '["cleanup","temp_files","completed",3,9]'
  assert_state metrics/maintenance-stats.json \
    '[.total_cleanups, .total_items, .total_bytes, .by_type]' '[1,3,9,{"temp_files":1}]'
}

@test "what is young, not called .tmp, a link, or outside stays" {
  : >young.tmp
  old_file old.jsonl
  old_file ../outside.tmp
  old_file ../elsewhere/far.tmp
  ln -s ../outside.tmp link.tmp
  touch -hd '2 days ago' link.tmp
  ln -s ../elsewhere folder
  mkdir -- old-folder.tmp
  touch -d '2 days ago' old-folder.tmp
  clean one temp_files
  assert_equal "$(result .items)" 0
  assert_exists young.tmp
  assert_exists old.jsonl
  assert_exists ../outside.tmp
  assert_exists folder/far.tmp
  [[ -L link.tmp && -d old-folder.tmp ]]
}

@test "a target names no path" {
  old_file ../victim/x.tmp
  clean one temp_files ../victim
  assert_exists ../victim/x.tmp
  assert_equal "$(result .target)" '"../victim"'
}

@test "what could not be removed is not counted and makes the cleanup partial" {
  old_file a.tmp 12
  mkdir -p -- "$BATS_TEST_TMPDIR/bin"
  # shellcheck disable=SC2016 # the arguments of the false find
  printf '#!/bin/bash\n/usr/bin/find "$@"\nexit 1\n' >"$BATS_TEST_TMPDIR/bin/find"
  chmod +x -- "$BATS_TEST_TMPDIR/bin/find"
  PATH=$BATS_TEST_TMPDIR/bin:$PATH clean one temp_files
  assert_equal "$(result '[.status, .items, .bytes, .results.temp_files.status]')" \
    '["partial",1,2,"failed"]'
}

@test "failed workers go, silent ones after a day, others stay" {
  state_is worker-pool.json \
    '{"workers":[{"id":"f","status":"failed"},
    {"id":"r","status":"running","last_heartbeat":"2019-01-01T00:00:00Z"},
    {"id":"s1","status":"stale","last_heartbeat":"2019-12-31T10:00:00Z"},
    {"id":"s2","status":"stale","last_heartbeat":"2020-01-01T09:00:00Z"},
    {"id":"s3","status":"stale"},null],"active_workers":{"f":{},"r":{},"s1":{}}}'
  clean one failed_workers
  assert_state worker-pool.json '[[.workers[].id?], (.active_workers | keys)]' \
    '[["r","s2","s3",null],["r"]]'
  assert_equal "$(result '[.items, .results.failed_workers]')" \
    '[2,{"workers":2,"worker_ids":["f","s1"]}]'
}

@test "who has done its work goes when nothing was heard of it for a day" {
  state_is worker-pool.json '{"workers":[
    {"id":"a","status":"available","status_at":"2019-12-30T10:00:00Z",
      "last_heartbeat":"2020-01-01T09:00:00Z"},
    {"id":"b","status":"completed","status_at":"2019-12-30T10:00:00Z"},
    {"id":"c","status":"available"},
    {"id":"d","status":"stopped","status_at":"2020-01-01T09:00:00Z"}]}'
  clean one failed_workers
  assert_state worker-pool.json '[.workers[].id]' '["a","c","d"]'
}

@test "with a target only that worker goes" {
  state_is worker-pool.json \
    '{"workers":[{"id":"f1","status":"failed"},{"id":"f2","status":"failed"}]}'
  clean one failed_workers f2
  assert_state worker-pool.json '[.workers[].id]' '["f1"]'
}

@test "tasks that have been in work for a day are marked, not removed" {
  state_is task-queue.json \
    '{"tasks":[{"id":"a","status":"in_progress","started_at":"2019-12-30T00:00:00Z",
      "created_at":"2019-12-29T00:00:00Z"},
    {"id":"b","status":"running","created_at":"2019-12-29T00:00:00Z",
      "updated_at":"2020-01-01T09:59:00Z"},
    {"id":"c","status":"queued","created_at":"2019-01-01T00:00:00Z"},
    {"id":"d","status":"assigned"},7]}'
  clean one stale_tasks
  assert_state task-queue.json '[.tasks[] | objects | .status]' \
    '["stale","running","queued","assigned"]'
  assert_state task-queue.json '[.tasks[0].stale_since, .tasks[4]]' \
    '["2020-01-01T10:01:40.000000Z",7]'
  assert_equal "$(result '[.items, .results.stale_tasks]')" '[1,{"tasks":1}]'
}

@test "general does all of it and does not call itself" {
  old_file a.tmp 12
  state_is worker-pool.json '{"workers":[{"id":"f","status":"failed"}]}'
  handled "$H" one '{}' 100
  assert_equal "$(result '[.cleanup_type, .items, (.results | keys)]')" \
    '["general",2,["failed_workers","old_events","stale_tasks","temp_files"]]'
  assert_equal "$(emitted .type)" '"system.cleanup_completed"'
}

@test "without an archiver no event is touched, and that is said" {
  old_file events/system-events.jsonl '{"old":1}'
  old_file events/segments/system-events.00000001.jsonl '{"older":1}'
  clean one old_events
  assert_equal "$(result '[.status, .items, .bytes, .results.old_events.status]')" \
    '["completed",0,0,"skipped"]'
  assert_equal "$(<events/segments/system-events.00000001.jsonl)" '{"older":1}'
  assert_equal "$(head -n 1 events/system-events.jsonl | head -c 9)" '{"old":1}'
}

@test "old events are the archiver's work, and what it freed is told" {
  # shellcheck disable=SC2016 # the archiver's own variable
  archiver 'printf "{\"action\":\"deleted\"}\n{\"action\":\"archived\",\"held\":2,\"freed\":10}\n"'
  clean one old_events
  assert_output ''
  assert_stderr --partial '{"action":"deleted"}'
  assert_equal "$(result '[.status, .bytes, .results.old_events]')" \
    '["completed",10,{"status":"done","bytes":10,"note":"2 old segments stay: handlers need them"}]'
}

@test "the archiver that comes with it deletes what is old, and that is told" {
  printf '[archive]\ndelete_after = "1d"\n' >config/hookline.toml
  ln -s "$HOOKLINE_CHECKOUT/.venv" "$HOOKLINE_HOME/.venv"
  mkdir -p -- "$HOOKLINE_HOME/scripts/events/lib"
  cp -- "$HOOKLINE_CHECKOUT/scripts/events/event-archiver.sh" "$HOOKLINE_HOME/scripts/events/"
  cp -- "$HOOKLINE_CHECKOUT/scripts/events/lib/hookline-command.sh" \
    "$HOOKLINE_HOME/scripts/events/lib/"
  old_file events/segments/worker-events.00000001.jsonl.zst 1234567890
  old_file events/segments/worker-events.00000002.jsonl.zst 12345
  clean one old_events
  assert_equal "$(result '[.status, .results.old_events]')" \
    '["completed",{"status":"done","bytes":10}]'
  refute_exists events/segments/worker-events.00000001.jsonl.zst
  assert_exists events/segments/worker-events.00000002.jsonl.zst
}

@test "an archiver that fails makes the cleanup partial" {
  archiver 'exit 75'
  old_file a.tmp 12
  clean one general
  assert_equal "$(result '[.status, .bytes, .results.old_events.note]')" \
    '["partial",2,"event-archiver.sh failed with exit 75"]'
}

@test "the same request twice cleans once" {
  old_file a.tmp
  clean one temp_files
  old_file b.tmp
  clean one temp_files
  assert_exists b.tmp
  assert_equal "$(emitted . | wc -l)" 1
}

@test "a kind of cleanup that there is not is refused" {
  refused "$H" one '{"cleanup_type":"everything"}'
  assert_stderr --partial 'data.cleanup_type is none of: old_events, failed_workers'
}

@test "killed anywhere, workers and tasks are cleaned once and told once" {
  state_is worker-pool.json '{"workers":[{"id":"f","status":"failed"}]}'
  state_is task-queue.json \
    '{"tasks":[{"id":"a","status":"running","started_at":"2019-12-30T00:00:00Z"}]}'
  event one '{}' 100
  killed_everywhere "$H" one
  assert_equal "$(emitted .data.items | sort -u)" 2
}
