#!/usr/bin/env bats

load handlers

H=on-task-completed

setup() { sandbox; }

@test "a task that is done is so in the queue, on record, counted and on the dashboard" {
  state_is task-queue.json '{"tasks":[{"id":"t1","status":"assigned"},{"id":"t2","status":"x"}]}'
  handled "$H" one '{"task_id":"t1","worker_id":"w1","duration_ms":1500,"tokens_used":800}'
  assert_state task-queue.json '.tasks | [.[0].status, .[0].completed_at, .[0].tokens_used,
    .[1].status]' '["completed","2020-01-01T10:00:00.000000Z",800,"x"]'
  assert_equal "$(lines metrics/task-completion-metrics.jsonl \
    '[.timestamp, .task_id, .worker_id, .duration_ms, .tokens_used]')" \
    '["2020-01-01T10:00:00.000000Z","t1","w1",1500,800]'
  assert_state metrics/task-stats.json '[.total_completed, .total_tokens]' '[1,800]'
  assert_equal "$(lines dashboard-events.jsonl '[.type, .data.task_id]')" '["task.completed","t1"]'
  assert_equal "$(emitted .)" ''
}

@test "minutes are as good as milliseconds" {
  handled "$H" one '{"task_id":"t1","duration_minutes":2}'
  assert_equal "$(lines metrics/task-completion-metrics.jsonl .duration_ms)" 120000
}

@test "a task whose task.created comes later is not queued as a new one then" {
  handled "$H" one '{"task_id":"t1"}' 60
  handled on-task-created two '{"task_id":"t1","task_type":"feature"}'
  assert_state task-queue.json '[.tasks[] | [.id, .status, .task_type]]' \
    '[["t1","completed","feature"]]'
}

@test "the figures of created tasks are in the same file, and stay" {
  handled on-task-created one '{"task_id":"t1"}'
  handled "$H" two '{"task_id":"t1"}'
  assert_state metrics/task-stats.json '[.total_tasks, .total_completed]' '[1,1]'
}
