#!/usr/bin/env bats
# What is mended within written policies: auto-fix, worker-restart.

load daemons

setup() { furnish_home; }
teardown() {
  end_daemons
  local lock pid
  for lock in coordination/state/workers/*.lock; do
    [[ -f $lock ]] || continue
    read -r pid _ <"$lock"
    kill -KILL "$pid" 2>/dev/null || :
  done
}

policy_is() { printf '%s\n' "$@" >coordination/config/policies.toml; }

failed_task() { # <error_type>
  state_is task-queue.json "{\"tasks\":[{\"id\":\"t1\",\"status\":\"failed\",\"error_type\":\"$1\",
    \"failed_at\":\"$(ago 1)\"}]}"
}

failed_worker() { # <worker_type>
  state_is worker-pool.json "{\"workers\":[{\"id\":\"w1\",\"status\":\"failed\",
    \"worker_type\":\"$1\",\"failed_at\":\"$(ago 1)\",\"command\":\"touch hacked\"}]}"
}

worker_program() {
  mkdir -p scripts/workers
  printf '#!/bin/bash\nprintf x >>started\nexec tail -f /dev/null\n' >scripts/workers/w.sh
  chmod +x scripts/workers/w.sh
}

@test "auto-fix: a failure that a policy knows is tried again, others are left" {
  failed_task timeout
  a_round auto-fix
  assert_equal "$(said .type)" ''
  policy_is '[autofix]' 'budget = 5' '[autofix.timeout]' 'action = "retry"' 'pause = "0s"'
  a_round auto-fix
  a_round auto-fix
  assert_equal "$(said 'select(.type | endswith("applied", "requested")) | [.type, .data.task_id]' |
    sort)" '["autofix.applied","t1"]
["task.retry_requested","t1"]'
}

@test "auto-fix: what it has done its handler does not do again" {
  failed_task timeout
  policy_is '[autofix]' 'budget = 5' '[autofix.timeout]' 'action = "retry"' 'pause = "0s"'
  a_round auto-fix
  cp -- "$HOOKLINE_CHECKOUT/scripts/events/handlers/on-task-auto-fix.sh" scripts/events/handlers/
  printf '{"specversion":"1.0","id":"e","source":"s","type":"task.failed","time":"%s",%s}\n' \
    "$(ago 1)" '"data":{"task_id":"t1","error_type":"timeout"}' >event
  scripts/events/handlers/on-task-auto-fix.sh event
  a_round auto-fix
  assert_equal "$(said 'select(.type == "task.retry_requested") | .data.task_id')" '"t1"'
}

@test "worker-restart: who failed is started again, once, by the policy's command alone" {
  failed_worker coder
  a_round worker-restart
  assert_equal "$(said .type)" ''
  worker_program
  policy_is '[restart]' 'budget = 5' '[restart.coder]' 'command = ["scripts/workers/w.sh"]'
  a_round worker-restart
  a_round worker-restart
  assert_equal "$(<started)" x
  refute_exists hacked
  assert_equal "$(said 'select(.type == "worker.restarted") | .data.worker_id')" '"w1"'
}

@test "both: rows that nobody understands do not keep the others from being mended" {
  worker_program
  policy_is '[autofix]' 'budget = 5' '[autofix.timeout]' 'action = "retry"' 'pause = "0s"' \
    '[restart]' 'budget = 5' '[restart.coder]' 'command = ["scripts/workers/w.sh"]'
  state_is task-queue.json "{\"tasks\":[{\"id\":\"t0\",\"status\":\"failed\",\"error_type\":[1]},
    {\"id\":\"t1\",\"status\":\"failed\",\"error_type\":\"timeout\",\"failed_at\":\"$(ago 1)\"}]}"
  state_is worker-pool.json "{\"workers\":[{\"id\":\"w0\",\"status\":\"failed\",\"worker_type\":5},
    {\"id\":\"w1\",\"status\":\"failed\",\"worker_type\":\"coder\",\"failed_at\":\"$(ago 1)\"}]}"
  state_is autofix.json '{"pending":[5,{"error_type":7,"due":0}],"tried":{"t1":4},"answered":[],
    "spent":["x"],"over":{"told_at":"x"},"by_policy":{"autofix.timeout":"x"}}'
  state_is worker-restarts.json '{"pending":[5,{"policy":7,"due":0}],"starting":[{"policy":7}],
    "workers":{"w1":{"times":5}},"answered":{"w1":{"at":"x"}}}'
  a_round auto-fix
  a_round worker-restart
  assert_equal "$(said 'select(.type | endswith("retry_requested", "restarted"))
    | [.type, .data.task_id, .data.worker_id]' | sort)" \
    '["task.retry_requested","t1",null]
["worker.restarted",null,"w1"]'
  assert_equal "$(state task-queue.json '.tasks[0].error_type')$(state worker-pool.json \
    '.workers[0].worker_type')" '[1]5'
}

@test "worker-restart: what it has started does not keep its lock, nor end with it" {
  failed_worker coder
  worker_program
  policy_is '[restart]' 'budget = 5' '[restart.coder]' 'command = ["scripts/workers/w.sh"]'
  daemon worker-restart start
  await 60 test -s started
  run daemon worker-restart stop
  assert_success
  run daemon worker-restart status
  assert_failure 3
  local pid
  read -r pid _ <coordination/state/workers/w1.lock
  kill -0 "$pid"
}

@test "both: without a logger, what they did is in the drop box" {
  without_logger
  failed_task timeout
  failed_worker coder
  worker_program
  policy_is '[autofix]' 'budget = 5' '[autofix.timeout]' 'action = "retry"' 'pause = "0s"' \
    '[restart]' 'budget = 5' '[restart.coder]' 'command = ["scripts/workers/w.sh"]'
  a_round auto-fix
  a_round worker-restart
  assert_equal "$(find coordination/events -name '*.jsonl')" ''
  assert_equal "$(said .type | grep -E 'applied|restarted' | sort)" \
    $'"autofix.applied"\n"worker.restarted"'
}

@test "worker-restart: who was lost before it was started is not started again by the handler" {
  failed_worker coder
  worker_program
  policy_is '[restart]' 'budget = 5' '[restart.coder]' 'command = ["scripts/workers/w.sh"]' \
    'replace = true' 'pause = "0s"'
  a_round worker-restart
  cp -- "$HOOKLINE_CHECKOUT/scripts/events/handlers/on-worker-restart-stale.sh" \
    scripts/events/handlers/
  printf '{"specversion":"1.0","id":"e","source":"s","time":"%s","type":%s}\n' "$(ago 1)" \
    '"system.health_alert","data":{"alert_type":"stale_workers","workers":["w1"]}' >event
  scripts/events/handlers/on-worker-restart-stale.sh event
  assert_equal "$(<started)" x
  assert_equal "$(state worker-restarts.json .pending)" '[]'
  assert_equal "$(said 'select(.type == "worker.restarted") | .data.worker_id')" '"w1"'
}
