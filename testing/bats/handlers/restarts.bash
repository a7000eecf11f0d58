# shellcheck shell=bash disable=SC2016 # scripts
# A worker of a test's own that the policies have started again, and what is said of it.

[[ -n ${_hookline_restarts_loaded-} ]] && return
_hookline_restarts_loaded=1

load handlers

H=on-worker-restart
BEGUN=0 # the processes that a test has begun, one a line, are in this file of its home

restarts_begin() {
  sandbox
  BEGUN=$HOOKLINE_HOME/begun
  : >"$BEGUN"
  worker 'exec tail -f /dev/null'
}

restarts_end() {
  local pid
  while read -r pid; do kill -KILL -- "$pid" 2>/dev/null || :; done <"$BEGUN"
}

worker() { # <what it does>
  mkdir -p -- "$HOOKLINE_HOME/scripts"
  printf '#!/bin/bash\nprintf "%%s\\n" "$$" >>"$HOOKLINE_HOME/begun"\n%s\n' "$1" \
    >"$HOOKLINE_HOME/scripts/worker.sh"
  chmod 755 "$HOOKLINE_HOME/scripts/worker.sh"
}

policies() { # [<lines of [restart.x]>...]
  printf '%s\n' '[restart]' "${restart-budget = 10}" '[restart.x]' \
    'command = ["scripts/worker.sh", "--quiet now"]' "$@" \
    >"$HOOKLINE_HOME/coordination/config/policies.toml"
}

fails() { # <worker> [<seconds>]
  handled "$H" "$1-${2-0}" "{\"worker_id\":\"$1\",\"worker_type\":\"x\"}" "${2-0}"
}

tick() { # <seconds>
  event "tick-$1" '{"schedule":"worker_restart"}' "$1" hookline.schedule
  sed -i 's/"a.test"/"worker.restart_due"/' "$BATS_TEST_TMPDIR/events/tick-$1"
  run --separate-stderr deliver "$H" "tick-$1"
  assert_success
}

said() { # <type> <jq filter>
  emitted "select(.type == \"$1\") | .data | $2"
}

begun() { # how many processes
  wc -l <"$BEGUN"
}

lives() { # <pid>
  [[ $(ps -o stat= -p "$1") == [!Z]* ]]
}
