#!/usr/bin/env bats
# setup.sh on a copy of the checkout whose locks name no package, so that no registry is asked.

load test_helper

# The path has a blank in it, for each of the tests.
setup_file() {
  copy_of_checkout "$BATS_FILE_TMPDIR/made here"
  "$BATS_FILE_TMPDIR/made here/scripts/setup.sh" --quiet
}

setup() {
  sandbox
  # An environment knows the folder that it was made in, so the tests share the one that is made.
  made=$BATS_FILE_TMPDIR/made\ here
  fresh=$BATS_TEST_TMPDIR/fresh
}

teardown() {
  [[ ! -d $made ]] || printf '# no package\n' >"$made/requirements.lock"
}

copy_of_checkout() { # <target>
  mkdir -p -- "$1/coordination/config" "$1/src/hookline/cli"
  cp -r -- "$HOOKLINE_CHECKOUT/scripts" "$1"
  printf '# no package\n' | tee -- "$1/requirements.lock" >"$1/requirements-dev.lock"
  : >"$1/src/hookline/__init__.py"
  : >"$1/src/hookline/cli/__init__.py"
  printf 'import sys\n\n\ndef main():\n    print("main", *sys.argv[1:])\n    return 7\n' \
    >"$1/src/hookline/cli/main.py"
}

setup_sh() { # <checkout> [<argument>...]
  run --separate-stderr "$1/scripts/setup.sh" "${@:2}"
}

# Commands of ours, for a test that must not change the machine.
fake() { # <command> <body>
  mkdir -p -- "$BATS_TEST_TMPDIR/bin"
  printf '#!/bin/bash\n%s\n' "$2" >"$BATS_TEST_TMPDIR/bin/$1"
  chmod +x -- "$BATS_TEST_TMPDIR/bin/$1"
}

setup_with_only() { # <command>...: in a fresh checkout, with these and the fakes on PATH
  local name
  mkdir -p -- "$BATS_TEST_TMPDIR/bin"
  for name in "$@"; do
    ln -s -- "$(command -v "$name")" "$BATS_TEST_TMPDIR/bin/$name"
  done
  copy_of_checkout "$fresh"
  run --separate-stderr env PATH="$BATS_TEST_TMPDIR/bin" "$fresh/scripts/setup.sh"
}

assert_calls() { # <expected line>...
  assert_equal "$(<"$BATS_TEST_TMPDIR/calls")" "$(printf '%s\n' "$@")"
}

@test 'hookline is a command afterwards, and its exit is that of the program' {
  run "$made/.venv/bin/hookline" a 'b  c'
  assert_failure 7
  assert_output 'main a b  c'
}

@test 'hookline starts from any folder, whatever the environment says about Python' {
  mkdir -p hookline/cli && printf 'raise SystemExit(9)\n' | tee hookline/__init__.py >sys.py
  PYTHONPATH=$PWD run "$made/.venv/bin/hookline"
  assert_failure 7
}

@test 'a second run finds nothing to do and changes nothing' {
  setup_sh "$made"
  touch -- "$BATS_TEST_TMPDIR/before"
  setup_sh "$made"
  assert_success
  assert_stderr 'setup: nothing to do'
  assert_equal "$(find "$made" -newer "$BATS_TEST_TMPDIR/before")" ''
}

@test 'the coordination tree is closed to others' {
  local folder
  for folder in . config events events/{segments,queue,rejected,data} state schemas intents logs; do
    assert_equal "$folder $(stat -c %a "$made/coordination/$folder")" "$folder 750"
  done
}

@test 'a mode that a person chose for coordination stays' {
  chmod 0770 "$made/coordination/events"
  setup_sh "$made"
  assert_equal "$(stat -c %a "$made/coordination/events")" 770
  chmod 0750 "$made/coordination/events"
}

@test 'write permission that a clone left to the group is taken away' {
  chmod g+w "$made" "$made/scripts/events/handlers"
  setup_sh "$made"
  assert_success
  assert_stderr --partial 'taking write permission from group and others: 2 files and folders'
  assert_equal "$(find "$made" -maxdepth 0 -perm /022)" ''
  assert_equal "$(find "$made/scripts" -perm /022)" ''
}

@test 'what an interrupted run left is made again from scratch' {
  : >"$made/.venv-unfinished"
  rm -- "$made"/.venv/bin/hookline "$made"/.venv/lib/python3*/site-packages/pip/__init__.py
  setup_sh "$made"
  assert_success
  assert_stderr --partial 'making .venv'
  refute_exists "$made/.venv-unfinished"
  run "$made/.venv/bin/hookline"
  assert_output main
}

@test 'a changed lock is installed into the environment that is there' {
  printf '# changed\n' >>"$made/requirements.lock"
  : >"$made/.venv/kept"
  setup_sh "$made"
  assert_success
  assert_stderr --partial 'installing the packages of requirements.lock'
  assert_exists "$made/.venv/kept"
}

@test 'a package that cannot be had fails with what to do, and leaves it marked as unfinished' {
  local lock=$made/requirements.lock
  printf 'hookline-no-such==1 --hash=sha256:%064d\n' 0 >>"$lock"
  PIP_NO_INDEX=1 setup_sh "$made"
  assert_failure 73
  assert_stderr --partial 'pip could not install requirements.lock'
  # What is marked is made again from scratch: see above.
  rm -- "$made/.venv-unfinished"
}

# A wheel of one module, so that pip has something to check without a registry.
make_wheel() { # <folder>: prints its sha256
  python3 - "$1" <<'PYTHON'
import hashlib, pathlib, sys, zipfile
wheel = pathlib.Path(sys.argv[1], "tiny-1-py3-none-any.whl")
with zipfile.ZipFile(wheel, "w") as archive:
    archive.writestr("tiny.py", "")
    archive.writestr("tiny-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1\n")
    archive.writestr("tiny-1.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    archive.writestr("tiny-1.dist-info/RECORD", "tiny.py,,\n")
print(hashlib.sha256(wheel.read_bytes()).hexdigest())
PYTHON
}

@test 'only a package whose hash the lock knows is installed' {
  local sum
  sum=$(make_wheel "$TMPDIR")
  export PIP_NO_INDEX=1 PIP_FIND_LINKS=$TMPDIR
  printf 'tiny==1 --hash=sha256:%064d\n' 0 >"$made/requirements.lock"
  setup_sh "$made"
  assert_failure 73
  assert_stderr --partial 'DO NOT MATCH THE HASHES'
  # Nothing was installed that would have to be repaired, which takes seconds.
  rm -- "$made/.venv-unfinished"
  printf 'tiny==1 --hash=sha256:%s\n' "$sum" >"$made/requirements.lock"
  setup_sh "$made"
  assert_success
  "$made/.venv/bin/python" -c 'import tiny'
}

@test 'a missing command is installed by apt-get, with update only when it must' {
  # shellcheck disable=SC2016 # the fake expands them
  fake apt-get 'here=${0%/*}; printf "%s\n" "$*" >>"$here/../calls"
    if [[ $1 == update ]]; then : >"$here/../updated"; else [[ -e $here/../updated ]]; fi'
  setup_with_only bash env sed dirname readlink flock tail
  assert_stderr --partial 'installing jq (apt-get)'
  assert_calls 'install -y -q --no-install-recommends jq' 'update -q' \
    'install -y -q --no-install-recommends jq' \
    'install -y -q --no-install-recommends python3 python3-venv'
}

@test 'without apt-get it says what is missing' {
  setup_with_only bash env sed dirname readlink flock
  assert_failure 73
  assert_stderr --partial 'missing: jq; no apt-get here'
}

@test 'without root and sudo it says whom to ask' {
  fake apt-get 'exit 99'
  copy_of_checkout "$fresh"
  ln -s -- "$(command -v bash)" "$(command -v env)" "$(command -v dirname)" \
    "$(command -v readlink)" "$(command -v flock)" "$BATS_TEST_TMPDIR/bin"
  chmod -R go+rX "$BATS_TEST_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_RUN_TMPDIR"
  local -a as_nobody=()
  ((EUID)) || as_nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
  run --separate-stderr "${as_nobody[@]}" env PATH="$BATS_TEST_TMPDIR/bin" \
    bash "$fresh/scripts/setup.sh"
  assert_failure 73
  assert_stderr --partial "neither root nor sudo here: have 'apt-get install jq' done"
}

@test 'a named Python that will not do is refused, not passed over' {
  copy_of_checkout "$fresh"
  HOOKLINE_PYTHON=/bin/false setup_sh "$fresh"
  assert_failure 73
  assert_stderr --partial 'HOOKLINE_PYTHON=/bin/false is not a Python 3.11 or later'
  refute_exists "$fresh/.venv"
}

@test 'a command that only pretends to be a Python is passed over' {
  copy_of_checkout "$fresh"
  fake python3.13 'exit 127'
  fake python3.12 'printf "%s\n" "shim: not found" >&2; exit 127'
  # One that will do, as far as being chosen: an environment takes seconds.
  # shellcheck disable=SC2016 # the fake expands them
  fake python3.11 '[[ $* == "-I -" ]] && printf "%s\n" "$0"'
  PATH=$BATS_TEST_TMPDIR/bin:$PATH setup_sh "$fresh"
  assert_failure 73
  assert_stderr --partial "making .venv with $BATS_TEST_TMPDIR/bin/python3.11"
}

@test 'a path with a quote is refused' {
  copy_of_checkout "$fresh/a\"b"
  setup_sh "$fresh/a\"b"
  assert_failure 73
  assert_stderr --partial 'a character that cannot be used'
}

@test 'two at once wait for each other' {
  local holder
  exec {holder}<"$made"
  flock "$holder"
  "$made/scripts/setup.sh" 2>"$BATS_TEST_TMPDIR/said" {holder}<&- &
  await 60 grep -q 'another setup.sh is at work' "$BATS_TEST_TMPDIR/said"
  exec {holder}<&-
  wait "$!"
  assert_equal "$(tail -n 1 "$BATS_TEST_TMPDIR/said")" 'setup: done'
}

@test 'what it does not know is a usage error' {
  copy_of_checkout "$fresh"
  setup_sh "$fresh" --nonsense
  assert_failure 64
  assert_stderr --partial 'Usage: setup.sh'
  assert_output ''
}

@test 'a checkout that was moved gets commands that know where they are' {
  mv -- "$made" "$fresh"
  setup_sh "$fresh"
  assert_success
  run "$fresh/.venv/bin/hookline"
  assert_output main
}
