#!/usr/bin/env bats
# What is done with the tasks of the queue: coordinator, worker, pm.

load daemons

setup() { furnish_home; }
teardown() { end_daemons; }

policy_is() { printf '%s\n' "$@" >coordination/config/policies.toml; }

program() { # <name> <text>
  mkdir -p scripts/tasks
  printf '#!/bin/bash\n%s\n' "$2" >"scripts/tasks/$1.sh"
  chmod +x "scripts/tasks/$1.sh"
}

tasks() { state task-queue.json "[.tasks[] | $1]"; }

@test "coordinator: the most urgent first, each to a free worker that may do it" {
  state_is worker-pool.json '{"workers":[{"id":"w1","status":"available","worker_type":"coder"},
    {"id":"w2","status":"busy","worker_type":"tester"},{"id":"w3","status":"idle"},null,
    {"id":"w4","status":"stale","worker_type":"coder"}]}'
  state_is task-queue.json '{"tasks":[{"id":"t1","status":"pending","task_type":"a"},
    {"id":"t2","status":"pending","priority":"critical","worker_type":"tester"},
    {"id":"t3","status":"pending","priority":"high","task_type":"coder"},
    {"id":"t4","status":"completed"},"odd",{"id":"t5","status":"pending","assigned_to":"w9"}]}'
  a_round coordinator
  assert_equal "$(tasks 'objects | [.id, .status, .assigned_to]')" \
    "$(jq -c . <<<'[["t1","assigned","w3"],["t2","pending",null],["t3","assigned","w1"],
      ["t4","completed",null],["t5","pending","w9"]]')"
  assert_equal "$(state worker-pool.json '[.workers[] | objects | [.id, .status, .task_id]]')" \
    '[["w1","busy","t3"],["w2","busy",null],["w3","busy","t1"],["w4","stale",null]]'
  assert_equal \
    "$(said '[.type, .data.task_id, .data.worker_id, .data.assignment_strategy]' | sort)" \
    '["task.assigned","t1","w3","coordinator"]
["task.assigned","t3","w1","coordinator"]'
  a_round coordinator
  assert_equal "$(said .type | wc -l)" 2
}

@test "coordinator: who has proved better, then who has had less, is preferred" {
  state_is worker-pool.json '{"workers":[{"id":"w1","status":"available"},
    {"id":"w2","status":"available"},{"id":"w3","status":"available"}]}'
  state_is metrics/worker-confidence.json '{"workers":{"w3":{"confidence":0.95}}}'
  state_is task-queue.json '{"tasks":[{"id":"t0","status":"completed","assigned_to":"w1"},
    {"id":"t1","status":"pending"},{"id":"t2","status":"pending"}]}'
  a_round coordinator
  assert_equal "$(tasks '.assigned_to')" '["w1","w3","w2"]'
}

@test "coordinator: names that begin alike, or are no names, are told apart" {
  local long
  printf -v long '%0100d' 0
  state_is worker-pool.json '{"workers":[{"id":"w1","status":"idle"},{"id":"w2","status":"idle"}]}'
  state_is task-queue.json "{\"tasks\":[{\"id\":\"${long}1\",\"status\":\"pending\"},
    {\"id\":\"${long}\\u0007\\\"]\$(touch hacked)\",\"status\":\"pending\"}]}"
  a_round coordinator
  refute_exists hacked
  assert_equal "$(said .id | sort -u | wc -l)" 2
  assert_equal "$(said .data.task_id | jq -c 'length')" $'101\n118'
}

@test "coordinator: two at once assign each task once" {
  state_is worker-pool.json \
    "$(jq -nc '{workers: [range(20) | {id: "w\(.)", status: "available"}]}')"
  state_is task-queue.json "$(jq -nc '{tasks: [range(20) | {id: "t\(.)", status: "pending"}]}')"
  a_round coordinator &
  # Of the same work, under a name of its own: only the files are between them.
  sed 's/daemon_main coordinator/daemon_main other/' scripts/daemons/coordinator-daemon.sh \
    >scripts/daemons/other-daemon.sh
  chmod +x scripts/daemons/other-daemon.sh
  a_round other
  wait
  assert_equal "$(tasks .assigned_to | jq -c 'unique | length')" 20
  assert_equal "$(said .data.task_id | sort | uniq -c | sort -u | wc -l)" 20
}

@test "coordinator: a failed task that is asked for again is pending again, once for each failure" {
  state_is task-queue.json "{\"tasks\":[
    {\"id\":\"t1\",\"status\":\"failed\",\"failed_at\":\"$(ago 9)\",\"assigned_to\":\"w1\"},
    {\"id\":\"t2\",\"status\":\"failed\",\"failed_at\":\"$(ago -60)\"}]}"
  scripts/events/lib/event-logger.sh --emit task.retry_requested me '{"task_id":"t1"}'
  scripts/events/lib/event-logger.sh --emit task.retry_requested me '{"task_id":"t2"}'
  scripts/events/lib/event-logger.sh --emit task.retry_requested me '{"task_id":"t3"}'
  a_round coordinator
  a_round coordinator
  assert_equal "$(tasks '[.id, .status, .assigned_to]')" \
    '[["t1","pending",null],["t2","failed",null]]'
}

@test "coordinator: while nothing changes, a round starts no process" {
  state_is worker-pool.json '{"workers":[]}'
  state_is task-queue.json '{"tasks":[]}'
  touch -d '1 minute ago' coordination/*.json
  daemon coordinator start --interval 1
  local pid trace=$BATS_TEST_TMPDIR/trace
  read -r pid _ <coordination/daemons/coordinator/lock
  : >"$trace"
  # The first round looks, whatever has changed.
  looked() { (($(grep -c worker-pool.json "$trace" || :) > 18)); }
  strace -f -qq -p "$pid" -e trace=process,newfstatat,stat -o "$trace" 2>/dev/null &
  await 60 looked
  kill "$!"
  assert_equal "$(awk '/worker-pool.json/ { n++ } n > 12 && /fork|clone|exec/' "$trace")" ''
}

@test "worker, coordinator: a row that is not understood is left alone, and is in nobody's way" {
  local before='{"id":"e","status":"pending","task_type":["x"]},{"id":7,"status":"pending"},
    {"id":"f","status":"pending","task_type":5},{"id":"g","status":"pending","attempts":"two"}'
  policy_is '[task.general]' 'run = ["cat"]'
  state_is worker-pool.json '{"workers":[{"id":["w"],"status":"idle"},{"id":5,"status":"idle"},
    {"id":"w0","status":"idle","worker_type":7},{"id":"w1","status":"idle"},
    {"id":"w2","status":"idle"}]}'
  state_is metrics/worker-confidence.json '{"workers":{"w1":5,"w2":{"confidence":"high"}}}'
  state_is task-queue.json "{\"tasks\":[$before,
    {\"id\":\"t1\",\"status\":\"pending\",\"priority\":7,\"mine\":[1]}]}"
  a_round worker
  assert_equal "$(tasks .)" "$(jq -c --argjson before "[$before]" \
    '[.tasks[0] | select(.status == "completed" and .mine == [1])] + $before' \
    coordination/task-queue.json)"
  state_is task-queue.json "{\"tasks\":[$before,
    {\"id\":\"t1\",\"status\":\"pending\",\"priority\":7},
    {\"id\":\"t2\",\"status\":\"pending\",\"priority\":[\"high\"]}]}"
  a_round coordinator
  assert_equal "$(tasks '[.id, .assigned_to]')" \
    '[["t1","w1"],["t2","w2"],["e",null],[7,null],["f",null],["g",null]]'
  assert_equal "$(said 'select(.type == "task.assigned") | .data.worker_type')" \
    $'"unknown"\n"unknown"'
}

@test "worker: what is done, and how, a policy says, never a task" {
  policy_is '[task.report]' 'run = ["scripts/tasks/report.sh", "an argument"]'
  program report "cat >got; printf '%s\n' \"\$1\" \"\$TASK_ID\" \"\$TASK_ATTEMPT\" >>got"
  state_is task-queue.json '{"tasks":[
    {"id":"t1","status":"pending","task_type":"report","run":["touch","hacked"]},
    {"id":"t2","status":"pending","task_type":"../x; touch hacked","command":"touch hacked"},
    {"id":"t3","status":"assigned","assigned_to":"w1","task_type":"report"}]}'
  a_round worker
  refute_exists hacked
  assert_equal "$(tail -n 3 got)" $'an argument\nt1\n1'
  assert_equal "$(head -n 1 got | jq -c '[.id, .status]')" '["t1","in_progress"]'
  assert_equal "$(tasks '[.id, .status, .assigned_to]')" \
    '[["t1","completed","worker-daemon"],["t2","pending",null],["t3","assigned","w1"]]'
  assert_equal "$(said '[.type, .data.task_id, .data.worker_id, .data.status]')" \
    '["task.completed","t1","worker-daemon","completed"]'
}

@test "worker: a failure is told when the attempts are used up, or it is hopeless" {
  policy_is '[task.a]' 'run = ["false"]' 'attempts = 2' '[task.b]' 'run = ["scripts/tasks/b.sh"]' \
    'attempts = 9' '[task.c]' 'run = ["sleep", "60"]' 'timeout = "100ms"'
  program b 'exit 65'
  state_is task-queue.json '{"tasks":[{"id":"t1","status":"pending","task_type":"a"},
    {"id":"t2","status":"pending","task_type":"b"},{"id":"t3","status":"pending","task_type":"c"}]}'
  a_round worker
  assert_equal "$(tasks '[.status, .attempts, .error_type]')" \
    '[["pending",1,null],["failed",1,"exit_65"],["failed",1,"timeout"]]'
  a_round worker
  assert_equal "$(tasks .attempts)" '[1,1,1]'
  jq -c '.tasks[0].not_before = "2026-01-01T00:00:00Z"' coordination/task-queue.json >q
  mv q coordination/task-queue.json
  a_round worker
  assert_equal "$(said '[.type, .data.task_id, .data.error_type]')" \
    '["task.failed","t2","exit_65"]
["task.failed","t3","timeout"]
["task.failed","t1","exit_1"]'
}

@test "worker: what is killed by others has not run out of time" {
  policy_is '[task.a]' 'run = ["scripts/tasks/a.sh"]'
  program a 'kill -KILL $$'
  state_is task-queue.json '{"tasks":[{"id":"t1","status":"pending","task_type":"a"}]}'
  a_round worker
  assert_equal "$(said '[.data.error_type, .data.error_message]')" \
    '["exit_137","a.sh ended with exit 137"]'
}

@test "worker: a time limit that is none is refused" {
  policy_is '[task.a]' 'run = ["true"]' 'timeout = "0.0s"'
  state_is task-queue.json '{"tasks":[{"id":"t1","status":"pending","task_type":"a"}]}'
  run daemon worker run --once
  assert_failure 78
  assert_output --partial 'longer than nothing'
}

@test "worker: told to end in the middle of a task, it ends that and puts it back" {
  policy_is '[task.a]' 'run = ["scripts/tasks/a.sh"]'
  program a 'touch begun; exec tail -f /dev/null'
  state_is task-queue.json '{"tasks":[{"id":"t1","status":"pending","task_type":"a"}]}'
  daemon worker start
  await 60 test -e begun
  local pid
  read -r pid _ <coordination/daemons/worker/lock
  run daemon worker stop
  assert_success
  assert_equal "$(tasks '[.status, .attempts]')" '[["pending",0]]'
  assert_equal "$(pgrep --session "$pid" --runstates D,R,S,T)" ''
}

@test "worker: killed in the middle, nobody does the task twice at a time; then it was an attempt" {
  policy_is '[task.a]' 'run = ["scripts/tasks/a.sh"]' 'attempts = 2'
  program a 'printf x >>begun; until [[ -e enough ]]; do read -r -t 0.05 _ <>pipe; done'
  mkfifo pipe
  state_is task-queue.json '{"tasks":[{"id":"t1","status":"pending","task_type":"a"}]}'
  daemon worker start
  await 60 test -e begun
  local pid
  read -r pid _ <coordination/daemons/worker/lock
  kill -KILL "$pid"
  run daemon worker run --once
  assert_failure 75
  touch enough
  is_free() { daemon worker status | grep STOPPED; }
  await 60 is_free
  a_round worker
  assert_equal "$(<begun)" xx
  assert_equal "$(tasks '[.status, .attempts]')" '[["completed",2]]'
  assert_equal "$(said 'select(.type == "task.completed") | .data.task_id')" '"t1"'
}

@test "worker: a task that was killed so often is given up" {
  policy_is '[task.a]' 'run = ["true"]'
  state_is task-queue.json '{"tasks":[{"id":"t1","status":"in_progress","task_type":"a",
    "assigned_to":"worker-daemon","attempts":1}]}'
  a_round worker
  assert_equal "$(said '[.type, .data.error_type]')" '["task.failed","worker_lost"]'
}

@test "pm: what is late is said once, what is stuck at once and then each half an hour" {
  state_is worker-pool.json '{"workers":[{"id":"w1","status":"busy"},{"id":"w2","status":"stale"}]}'
  state_is task-queue.json "$(jq -nc --arg hour "$(ago 3600)" --arg now "$(ago 5)" '{tasks: [
    {id: "t1", status: "pending", deadline: $hour},
    {id: "t2", status: "in_progress", assigned_to: "w1", started_at: $hour},
    {id: "t3", status: "assigned", assigned_to: "w2", assigned_at: $now},
    {id: "t4", status: "in_progress", assigned_to: "w1", started_at: $now},
    {id: "t5", status: "completed", deadline: $hour, started_at: $hour}]}')"
  a_round pm
  a_round pm
  assert_equal "$(said '[.type, .data.task_id, .data.tasks]' | sort)" \
    '["system.health_alert",null,["t2","t3"]]
["task.overdue","t1",null]'
  run cat coordination/progress-report.md
  assert_output --partial '5 tasks, 1 completed'
  assert_output --partial '- t1, due '
  jq -c '.tasks[3].assigned_to = "nobody"' coordination/task-queue.json >q
  mv q coordination/task-queue.json
  a_round pm
  assert_equal "$(said '.data.tasks | arrays')" $'["t2","t3"]\n["t2","t3","t4"]'
}

@test "pm: nothing is written while nothing changes" {
  state_is task-queue.json '{"tasks":[{"id":"t1","status":"pending"}]}'
  a_round pm
  touch -d '1 hour ago' coordination/progress-report.md coordination/metrics/progress.json
  a_round pm
  assert_equal "$(find coordination -mmin -30 -name 'progress*')" ''
}
