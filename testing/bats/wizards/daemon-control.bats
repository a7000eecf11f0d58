#!/usr/bin/env bats
# What the wizard does without a terminal: its words and flags, and what it makes of locks, logs
# and the status file. The menu is in testing/wizards.

load ../test_helper

WIZARD=$HOOKLINE_CHECKOUT/scripts/wizards/daemon-control.sh

setup() {
  sandbox
  cat >coordination/config/daemons.toml <<'TOML'
[daemon.one]
label = "The One"
script = "scripts/one.sh"
replaces = ["on-worker-heartbeat.sh"]
[daemon.two]
script = "scripts/two.sh"
start = "direct"
TOML
  printf '#!/bin/sh\nexit 1\n' | tee scripts/one.sh >scripts/two.sh
  chmod 750 scripts/*.sh
}

teardown() {
  [[ ! ${held-} ]] || kill "$held"
}

says() { # <time> <type> <data members>
  printf '{"specversion":"1.0","id":"e%s","source":"one","type":"%s","time":"%s","data":%s}\n' \
    "$1" "$2" "2026-01-01T10:00:0$1.000000Z" "{\"daemon_type\":\"one\"$3}" \
    >>"$(log_of "${2%%.*}")"
}

state_is() { # <state> [<reason>]
  run "$WIZARD" status one --json
  assert_success
  assert_equal "$(jq -r '[.state, .reason] | join(" ")' <<<"$output")" "$1 ${2-}"
}

hold() { # <file or folder...>: somebody has the locks, until the end of the test
  mkdir -p coordination/daemons/one
  touch coordination/daemons/one/lock
  flock --no-fork "$1" ${2+flock --no-fork "$2"} sleep 60 3>&- &
  held=$!
  await 60 is_held "${2-$1}"
}

is_held() { ! flock --nonblock "$1" true; }

@test "its help is its header, and a wrong word is a mistake with a way to the help" {
  run "$WIZARD" --help
  assert_success
  assert_output --partial 'status [NAME...] [--json]'
  local words
  for words in 'nonsense' 'start' 'start one --all' 'logs' 'logs one two' 'status --follow' \
    'health one' 'stop one --legacy' '--wait soon start one' 'logs one -n x' '--nonsense'; do
    # shellcheck disable=SC2086 # words
    run --separate-stderr "$WIZARD" $words
    assert_failure 64
    assert_stderr --regexp '^ERROR: .*--help$'
    assert_output ''
  done
}

@test "a daemon that is not in the table is 65, and no home or no table is 78" {
  run --separate-stderr "$WIZARD" start three
  assert_failure 65
  assert_stderr "ERROR: no daemon 'three': there are: one two"
  : >coordination/config/daemons.toml
  run --separate-stderr "$WIZARD" status
  assert_failure 78
  assert_stderr --partial 'daemons.toml names no daemon: it takes a [daemon.NAME]'
  rm coordination/config/daemons.toml
  run --separate-stderr "$WIZARD" status
  assert_failure 78
  assert_stderr --partial 'hookline init makes one'
  HOOKLINE_HOME=$BATS_TEST_TMPDIR/nowhere run --separate-stderr "$WIZARD" status
  assert_failure 78
  assert_stderr --partial 'no home at'
}

@test "without one of its parts it says nothing of any daemon" {
  local part
  cp -R -- "$HOOKLINE_CHECKOUT"/scripts/{wizards,events} scripts/
  for part in scripts/events/lib/daemon-facts.sh scripts/wizards/lib/daemon-*.sh; do
    mv -- "$part" aside
    run --separate-stderr scripts/wizards/daemon-control.sh status
    assert_failure 78
    assert_output ''
    assert_stderr "ERROR: $HOOKLINE_HOME/$part is missing or broken; install Hookline again"
    mv -- aside "$part"
  done
}

@test "what was never started is stopped, and a script that is not there is named" {
  state_is stopped
  rm scripts/one.sh
  state_is stopped 'no program scripts/one.sh'
  run "$WIZARD" start one
  assert_failure 69
  assert_output --partial 'no program scripts/one.sh'
}

@test "what events say last is what is known, also of a log that was just closed" {
  says 1 daemon.started ',"pid":7'
  state_is stopped 'it ended without a word'
  says 2 daemon.stopped ',"reason":"SIGTERM"'
  state_is stopped SIGTERM
  says 3 daemon.failed ',"reason":"exit 3"'
  state_is failed 'exit 3'
  mv -- "$(log_of daemon)" coordination/events/segments/daemon-events.00000001.jsonl
  state_is failed 'exit 3'
  says 4 system.daemon_start_requested ',"action":"start"'
  state_is requested
  says 5 daemon.failed ',"reason":"exit 4","retry_in_s":null'
  state_is failed 'exit 4'
}

@test "an answer names the request, whatever the clock says" {
  says 5 system.daemon_start_requested
  printf '{"specversion":"1.0","id":"a","source":"one","type":"daemon.failed",%s,%s,%s}\n' \
    '"time":"2020-01-01T00:00:00.000000Z"' '"causationid":"e5"' \
    '"data":{"daemon_type":"one","reason":"exit 5"}' >"$(log_of daemon)"
  state_is failed 'exit 5'
}

answers() { # <id> <type>
  printf '{"specversion":"1.0","id":"a%s","source":"one","type":"%s",%s,"causationid":"%s",%s}\n' \
    "$1" "$2" '"time":"2026-01-01T10:00:05.000000Z"' "$1" \
    '"data":{"daemon_type":"one","reason":"why"}' >>"$(log_of "${2%%.*}")"
}

many() { # <daemon> <type> <id>: as many events as would fill what is looked at many times over
  local line
  line="{\"specversion\":\"1.0\",\"id\":\"$3\",\"source\":\"$1\",\"type\":\"$2\",\"time\":"
  line+="\"2026-01-01T11:00:00.000000Z\",\"data\":{\"daemon_type\":\"$1\",\"reason\":\"many\"}}"
  # \`yes\` is ended by its reader.
  { yes "$line" || :; } | head -n 3000 >>"$(log_of "${2%%.*}")"
}

@test "however much is said of one daemon, what was said of another is known" {
  says 1 daemon.failed ',"reason":"exit 3"'
  many two daemon.stopped m
  state_is failed 'exit 3'
  says 2 system.daemon_start_requested
  many two daemon.stopped n
  many two system.daemon_start_requested o
  state_is requested
}

@test "one that is started again and again since it was asked for has been answered" {
  says 1 system.daemon_start_requested
  printf '{"specversion":"1.0","id":"a","source":"one","type":"daemon.started",%s,%s,%s}\n' \
    '"time":"2026-01-01T10:00:02.000000Z"' '"causationid":"e1"' \
    '"data":{"daemon_type":"one","pid":7}' >"$(log_of daemon)"
  many one daemon.failed m
  state_is failed many
  run "$WIZARD" stop one
  assert_output 'one: stopped already'
}

@test "what was said before the clock was set back is older than what is said after it" {
  printf '{"specversion":"1.0","id":"x","source":"one","type":"daemon.failed","time":"%s",%s}\n' \
    "$(date -u -d '1 hour' +%FT%T.000000Z)" '"data":{"daemon_type":"one","reason":"old"}' \
    >"$(log_of daemon)"
  state_is failed old
  says 1 system.daemon_start_requested
  state_is requested
  # The order of the lines counts, in a log.
  says 2 daemon.stopped ',"reason":"SIGTERM"'
  state_is stopped SIGTERM
}

@test "what the logs have forgotten the status file knows, and broken lines are passed over" {
  printf '{"daemons":{"one":{"state":"failed","since":"2026-01-01T09:00:00Z","reason":"old"}}}' \
    >coordination/status.json
  state_is failed old
  printf '{"specversion":"1.0","id":"t","source":"one","type":"daemon.sta' >"$(log_of daemon)"
  state_is failed old
  says 1 daemon.failed ',"reason":"glued"'
  state_is failed glued
  printf '%s\n' 'null "type":"daemon.started"' '{"type":"daemon.started","data":{}}' \
    '{"event_type":"old","type":"daemon.stopped"}' >>"$(log_of daemon)"
  state_is failed glued
  printf 'nonsense' >coordination/status.json
  state_is failed glued
}

@test "what was said without a logger is in the drop box, and older words do not count" {
  says 2 daemon.started ',"pid":7'
  mv -- "$(log_of daemon)" coordination/events/queue/b.json
  says 3 daemon.stopped ',"reason":"SIGTERM"'
  mv -- "$(log_of daemon)" coordination/events/queue/a.json
  says 1 daemon.started ',"pid":6'
  state_is stopped SIGTERM
}

@test "locks are before what events say: starting, running, restarting" {
  says 1 daemon.failed ',"reason":"exit 3","retry_in_s":2.0'
  hold coordination/daemons/one
  state_is restarting 'exit 3'
  kill "$held"
  await 60 flock --nonblock coordination/daemons/one true
  hold coordination/daemons/one coordination/daemons/one/lock
  printf '77 78\n' >coordination/daemons/one/lock
  state_is starting
  says 2 daemon.started ',"pid":77'
  state_is running
  run "$WIZARD" status one --json
  assert_equal "$(jq -c '[.pid, .mode, .standing_by]' <<<"$output")" '[77,"supervised",false]'
  # What could not be said is no reason to doubt it for ever.
  printf '99 78\n' >coordination/daemons/one/lock
  touch -d '10 minutes ago' coordination/daemons/one/lock
  state_is running
}

@test "one that has let go of its lock runs while its supervisor says nothing else" {
  says 1 daemon.started ',"pid":77'
  hold coordination/daemons/one
  printf '77 78\n' >coordination/daemons/one/lock
  state_is running
  run "$WIZARD" start one
  assert_success
  assert_output 'one: running already'
  # What another start has said is not of this one.
  printf '79 78\n' >coordination/daemons/one/lock
  state_is starting
  printf '77 78\n' >coordination/daemons/one/lock
  says 2 daemon.failed ',"reason":"exit 3","retry_in_s":2.0'
  state_is restarting 'exit 3'
}

@test "one whose work handlers do stands by" {
  hold coordination/daemons/one/lock
  printf '77 0\n' >coordination/daemons/one/lock
  state_is running 'nobody starts it again'
  mkdir -p scripts/events/lib coordination/state
  install -m 750 /dev/null scripts/events/handlers/on-worker-heartbeat.sh
  touch scripts/events/lib/event-logger.sh
  touch coordination/state/dispatcher.pid
  state_is running 'the event system serves'
  run "$WIZARD" status one
  assert_output --regexp '1 one +standing by'
}

@test "what is not ours to read is unknown, never stopped: it is 77, and nothing is done to it" {
  local path words
  mkdir -p coordination/daemons/one && touch coordination/daemons/one/lock
  says 1 system.daemon_start_requested
  says 1 daemon.stopped
  for path in coordination/daemons{,/one{,/lock}} coordination/events "$(log_of daemon)"; do
    chmod 0 "$path"
    run --separate-stderr with_modes "$WIZARD" status one --json
    assert_failure 77
    assert_stderr ''
    assert_equal "$(jq -r '"\(.state): \(.reason)"' <<<"$output")" \
      "unknown: ${path#"$HOOKLINE_HOME/"} is not ours to read: it belongs to $(id -un)"
    for words in 'status' 'stop one' 'start one' 'start --legacy one' 'restart one' 'health'; do
      # shellcheck disable=SC2086 # words
      run --separate-stderr with_modes "$WIZARD" $words
      assert_failure 77
      assert_output --partial unknown
      assert_stderr ''
    done
    chmod 700 "$path"
  done
}

@test "a reason does nothing to a terminal" {
  says 1 daemon.failed ',"reason":"a\u001b[31mb\nc\u009b"'
  run "$WIZARD" status
  assert_output --partial 'a\u{1b}[31mb\u{a}c\u{9b}'
  LC_ALL=C run "$WIZARD" status
  assert_output --partial 'a\u{1b}[31mb\u{a}c\u{9b}'
}

@test "a logger that refuses leaves the legacy start, which is believed by the lock only" {
  mkdir -p scripts/events/lib
  printf '#!/bin/sh\necho "ERROR: no room" >&2\nexit 74\n' >scripts/events/lib/event-logger.sh
  chmod 750 scripts/events/lib/event-logger.sh
  printf '#!/bin/sh\necho started\n' >scripts/one.sh
  run "$WIZARD" start one
  assert_failure 69
  assert_output --partial "one: the event logger refuses (exit 74: ERROR: no room): the legacy"
  assert_output --partial 'one: failed: it has not started (started)'
}

asked_and_awaited() { # one is asked for, and a dispatcher may come
  install -m 750 /dev/null scripts/events/handlers/on-system-daemon-start-requested.sh
  mkdir -p scripts/events/lib coordination/state
  printf '#!/bin/sh\nexit 0\n' >scripts/events/lib/event-logger.sh
  chmod 750 scripts/events/lib/event-logger.sh
  says 1 system.daemon_start_requested
  touch coordination/state/dispatcher.pid
}

@test "what others could change is not started, and what mends it is said" {
  ((EUID == 0)) || skip 'only root gives files away'
  local home
  home=$(pwd -P)
  chown 65534 scripts/two.sh
  run "$WIZARD" start two
  assert_failure 69
  assert_output "two: cannot be started: $home/scripts/two.sh belongs to user 65534, who could \
change it: chown 0 $home/scripts/two.sh"
  chown 0 scripts/two.sh
  chmod g+w scripts
  run "$WIZARD" start two
  assert_failure 69
  assert_output --partial "chmod go-w $home/scripts"
}

@test "a dispatcher that ran minutes ago may come again, and is waited for as long as one likes" {
  asked_and_awaited
  run --separate-stderr "$WIZARD" start one --wait 00
  assert_failure 75
  assert_output --partial 'one: requested'
  assert_output --partial 'no dispatcher runs just now'
  assert_output --partial 'one: no word of its end so far'
}

@test "a number of seconds that begins with 0 is no octal one" {
  asked_and_awaited
  says 2 daemon.failed ',"reason":"exit 3"'
  mv -- "$(log_of daemon)" answer
  # The answer comes when it is waited for.
  mkdir bin
  printf '#!/bin/sh\ncp answer coordination/events/daemon-events.jsonl\n' >bin/sleep
  chmod 750 bin/sleep
  local wait
  for wait in 08 09; do
    rm -f -- "$(log_of daemon)"
    PATH=$PWD/bin:$PATH run --separate-stderr "$WIZARD" start one --wait "$wait"
    assert_failure 69
    assert_output --partial 'one: failed: exit 3'
    assert_stderr ''
  done
}

@test "who waits for a handler that is paused is told so" {
  install -m 750 /dev/null scripts/events/handlers/on-system-daemon-start-requested.sh
  mkdir -p scripts/events/lib coordination/state
  install -m 750 /bin/true scripts/events/lib/event-logger.sh
  says 1 system.daemon_start_requested
  touch coordination/state/dispatcher.pid
  printf '{"action":"paused","handler":"%s"}\n' on-system-daemon-start-requested.sh \
    >coordination/deliveries.jsonl
  run --separate-stderr "$WIZARD" start one
  assert_failure 75
  assert_output --partial 'the handler on-system-daemon-start-requested.sh is paused or refused'
}

@test "who is stopped is not started by what asked for it before" {
  ln -s "$HOOKLINE_CHECKOUT/scripts/events/lib" scripts/events/lib
  says 1 system.daemon_start_requested
  # Started without it, and stopped: nobody has answered still.
  says 2 daemon.stopped ',"reason":"SIGTERM"'
  run "$WIZARD" stop one
  assert_success
  assert_output $'one: what asked for it is withdrawn\none: stopped already'
  assert_equal "$(tail -n 1 "$(log_of system)" |
    jq -c '[.type, (.data | .daemon_type, .requests)]')" \
    '["system.daemon_start_withdrawn","one",["e1"]]'
  run "$WIZARD" stop one
  assert_output 'one: stopped already'
  state_is stopped SIGTERM
}

@test "each request has its own answer, and who stops takes back those without one" {
  ln -s "$HOOKLINE_CHECKOUT/scripts/events/lib" scripts/events/lib
  says 1 system.daemon_start_requested
  says 2 system.daemon_start_requested
  says 3 system.daemon_start_requested
  answers e1 system.daemon_start_refused
  printf '{"specversion":"1.0","id":"dropped","source":"me","type":"%s","time":"%s","data":%s}\n' \
    system.daemon_start_requested 2026-01-01T10:00:00.000000Z '{"daemon_type":"one"}' \
    >coordination/events/queue/a.json
  state_is requested
  answers e3 daemon.stopped
  run "$WIZARD" stop one
  assert_success
  assert_equal "$(tail -n 1 "$(log_of system)" | jq -c .data.requests)" '["dropped","e2"]'
  # As a dispatcher does that comes later.
  cat coordination/events/queue/a.json >>"$(log_of system)"
  rm coordination/events/queue/a.json
  state_is stopped why
}

@test "why a start was refused is the newest word of who does not run" {
  says 1 system.daemon_start_refused ',"reason":"nobody asked"'
  state_is stopped 'nobody asked'
  says 2 system.daemon_start_requested
  state_is requested
  answers e2 system.daemon_start_refused
  state_is stopped why
  says 6 daemon.failed ',"reason":"exit 3"'
  state_is failed 'exit 3'
  says 7 system.daemon_start_requested
  says 8 system.daemon_start_withdrawn ',"requests":["e7"]'
  answers e7 system.daemon_start_refused
  state_is failed 'exit 3'
}

@test "what asked for it stays where nobody can be told, and that is said" {
  says 1 system.daemon_start_requested
  run "$WIZARD" stop one
  assert_failure 75
  assert_output --partial \
    'one: what asked for it stays, and the next dispatcher starts it: no event logger'
  state_is requested
}

@test "all are stopped for a yes only" {
  run "$WIZARD" stop --all <<<n
  assert_success
  refute_output --partial stopped
  run --separate-stderr "$WIZARD" stop --all </dev/null
  assert_failure 64
  run "$WIZARD" stop --all --yes
  assert_success
  assert_output --partial 'two: stopped already'
}

@test "a health check says what is wrong, and is 69 then" {
  run "$WIZARD" health
  assert_success
  assert_output --partial 'All that runs is healthy.'
  says 1 daemon.failed ',"reason":"exit 3"'
  mkdir -p coordination/logs
  printf 'ERROR: no\nfine\n' >coordination/logs/one.log
  run "$WIZARD" health
  assert_failure 69
  assert_output --partial '1 errors in its log'
  assert_output --partial 'UNHEALTHY one: it has failed: exit 3'
}

@test "a log is shown from its end, or that there is none" {
  run "$WIZARD" logs one
  assert_success
  assert_output --partial 'one has printed nothing so far'
  mkdir -p coordination/logs
  seq 30 >coordination/logs/one.log
  run "$WIZARD" logs one
  assert_equal "${lines[0]} ${#lines[@]}" '11 20'
  run "$WIZARD" logs one -n 2
  assert_output $'29\n30'
}
