#!/usr/bin/env bash
# Usage: setup.sh [--dev | --bench] [--quiet]
# Summary: Set up what is missing here: jq, .venv/ with the pinned packages, coordination/.
# Exit: 0 all is there, 64 usage, 73 something cannot be had (it says what, and what to do)
#
# --dev adds what testing/run.sh needs, --bench testing/bench too; HOOKLINE_PYTHON: another Python.
#
# Nothing is built: a .pth file and an entry script of four lines put src/ into .venv, so no build
# backend has to be pinned, `git pull` is an update, and `hookline` starts without a metadata scan.
set -euo pipefail

readonly PYTHONS=(python3.13 python3.12 python3.11 python3)
readonly HOME_FOLDERS=(events events/{segments,queue,rejected,data} intents logs state)

quiet=false dev=false bench=false changed=false

say() { # <words...>
  changed=true
  "$quiet" || printf 'setup: %s\n' "$*" >&2
}

die() { # <words...>
  printf 'setup: %s\n' "$*" >&2
  exit 73
}

usage() {
  sed -n '2,4s/^# //p' -- "${BASH_SOURCE[0]}"
}

# Runs a command whose output matters only when it fails.
hushed() { # <command...>
  local output
  output=$("$@" 2>&1 </dev/null) && return
  printf '%s\n' "$output" | tail -n 20 >&2
  return 1
}

as_root() { # <command...>
  # dpkg refuses to work without the sbin folders, which a bare PATH does not have.
  local -a call=(env DEBIAN_FRONTEND=noninteractive
    PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin" "$@")
  ((EUID == 0)) || call=(sudo -- "${call[@]}")
  hushed "${call[@]}"
}

apt_install() { # <package...>
  command -v apt-get >/dev/null || die "missing: $*; no apt-get here: use the package manager"
  ((EUID == 0)) || command -v sudo >/dev/null ||
    die "missing: $*; neither root nor sudo here: have 'apt-get install $*' done, then again"
  say "installing $* (apt-get)"
  # Package lists may be missing or too old to be true: only then is the slow update worth it.
  as_root apt-get install -y -q --no-install-recommends "$@" 2>/dev/null ||
    { as_root apt-get update -q && as_root apt-get install -y -q --no-install-recommends "$@"; } ||
    die "apt-get could not install $*: see above"
}

install_commands() { # <command[=package]...>: those that are missing
  local wanted missing=()
  for wanted in "$@"; do
    command -v "${wanted%=*}" >/dev/null || missing+=("${wanted#*=}")
  done
  ((${#missing[@]} == 0)) || apt_install "${missing[@]}"
}

# A name on PATH proves little: a version manager's shim may stand for a Python that is not there.
usable_python() { # prints the first Python >= 3.11 that can make an environment with pip in it
  local name names=("${PYTHONS[@]}")
  [[ -z ${HOOKLINE_PYTHON-} ]] || names=("$HOOKLINE_PYTHON")
  for name in "${names[@]}"; do
    "$name" -I - 2>/dev/null <<'PYTHON' && return
import importlib.util, sys
if sys.version_info < (3, 11) or not all(map(importlib.util.find_spec, ("venv", "ensurepip"))):
    sys.exit(1)
print(sys.executable)
PYTHON
  done
  return 1
}

find_python() { # prints its path
  usable_python && return
  [[ -z ${HOOKLINE_PYTHON-} ]] ||
    die "HOOKLINE_PYTHON=$HOOKLINE_PYTHON is not a Python 3.11 or later that has venv and ensurepip"
  apt_install python3 python3-venv
  usable_python ||
    die "no Python 3.11 or later (python3 is $(python3 -V 2>&1)): install one with venv, then:" \
      'HOOKLINE_PYTHON=<its path> scripts/setup.sh'
}

# An update of the system can put another Python under .venv/bin/python, without our packages.
venv_version() { # prints <major>.<minor> of .venv's Python; fails when it cannot run
  [[ -x .venv/bin/python ]] || return
  .venv/bin/python -I -S -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

wanted_stamp() { # <lock>: what .venv was made from, and where, since its scripts hold its path
  local sum version
  version=$(venv_version) || version=none
  sum=$(sha256sum <"$1")
  printf 'lock %s\npython %s\nroot %s\n' "${sum%% *}" "$version" "$PWD"
  sha256sum <scripts/setup.sh
}

stamped() { # <lock>
  local stamp=.venv/stamp-$1
  [[ ! -e .venv-unfinished && -f $stamp && $(<"$stamp") == "$(wanted_stamp "$1")" ]]
}

write_file() { # <path> [<mode>]: from stdin, whole or not at all
  cat >"$1.new"
  chmod -- "${2:-0644}" "$1.new"
  mv -f -- "$1.new" "$1"
}

venv_fits() {
  local version
  version=$(venv_version) || return
  [[ ! -e .venv-unfinished && -d .venv/lib/python$version/site-packages/pip ]] || return
  # The scripts of a moved environment still name the folder where it was.
  grep -qF -- "$PWD/.venv" .venv/bin/activate
}

make_venv() {
  local python fits=false
  [[ -w . ]] || die "cannot write to $PWD: run this as its owner"
  ! venv_fits || fits=true
  : >.venv-unfinished
  ! "$fits" || return 0
  python=$(find_python)
  say "making .venv with $python"
  hushed "$python" -I -m venv --clear .venv || die "$python could not make .venv: see above"
}

install_packages() { # <lock>
  say "installing the packages of $1"
  hushed .venv/bin/python -I -m pip --disable-pip-version-check --no-input install \
    --require-hashes --only-binary :all: -r "$1" ||
    die "pip could not install $1: see above; once that is mended, run this again"
}

install_hookline() {
  local site shebang=$PWD/.venv/bin/python
  site=$("$shebang" -I -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  printf '%s\n' "$PWD/src" | write_file "$site/hookline.pth"
  # Linux takes no blank in a shebang, nor a long one: sh runs the second line, Python skips it.
  if [[ $shebang == *[[:blank:]]* ]] || ((${#shebang} > 120)); then
    printf -v shebang "/bin/sh\n'''exec' \"%s\" -I \"\$0\" \"\$@\"\n' '''" "$shebang"
  else
    shebang+=' -I'
  fi
  write_file .venv/bin/hookline 0755 <<ENTRY
#!$shebang
import sys

from hookline.cli.main import main

sys.exit(main())
ENTRY
}

set_up_venv() { # <lock> [<lock that it includes>...]
  local lock
  make_venv
  install_packages "$1"
  install_hookline
  for lock in "$@"; do
    wanted_stamp "$lock" | write_file ".venv/stamp-$lock"
  done
  rm -f .venv-unfinished
}

set_up_home() {
  local folder
  # Once only: later a person may have opened them to a group on purpose. `state` comes last.
  if [[ ! -d coordination/state ]]; then
    say 'making coordination/'
    mkdir -p coordination/config coordination/schemas
    chmod 0750 coordination coordination/config coordination/schemas
  fi
  for folder in "${HOME_FOLDERS[@]}"; do
    [[ -d coordination/$folder ]] || mkdir -m 0750 -- "coordination/$folder"
  done
}

# Whoever may write to a handler runs code as the dispatcher, which therefore refuses it. A clone
# made under umask 002 is writable for the group.
close_to_others() {
  local -a open
  mapfile -d '' -t open < <(
    find . -maxdepth 0 -perm /022 -print0
    find scripts src coordination/config ! -type l -perm /022 -print0
  )
  ((${#open[@]})) || return 0
  say "taking write permission from group and others: ${#open[@]} files and folders"
  chmod go-w -- "${open[@]}" || die 'could not: run this as the owner of the checkout'
}

check_ground() {
  ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 501)) || die "bash $BASH_VERSION is older than 5.1"
  # They would mean something in the entry script or in the .pth file.
  [[ $PWD != *[\"\$\`\\$'\n']* ]] ||
    die "the path of this checkout has a character that cannot be used: $(printf %q "$PWD")"
}

# Two at once would write into each other's .venv. The lock is the folder, so no file stays behind.
one_at_a_time() {
  exec {lock}<.
  flock --nonblock "$lock" && return
  say 'another setup.sh is at work: waiting for it'
  flock "$lock"
}

set_up() {
  local -a locks=(requirements.lock)
  ! "$dev" || locks=(requirements-dev.lock "${locks[@]}")
  ! "$bench" || locks=(requirements-bench.lock "${locks[@]}")
  install_commands jq
  ! "$dev" || install_commands bats lnav strace tmux ps=procps
  ! "$bench" || install_commands redis-server redis-cli=redis-tools nats-server
  stamped "${locks[0]}" || set_up_venv "${locks[@]}"
  set_up_home
  close_to_others
}

options() { # <argument...>
  while (($#)); do
    case $1 in
      --dev) dev=true ;;
      --bench) dev=true bench=true ;;
      --quiet) quiet=true ;;
      -h | --help) usage && exit ;;
      *) usage >&2 && exit 64 ;;
    esac
    shift
  done
}

main() {
  options "$@"
  cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.."
  check_ground
  umask 022
  one_at_a_time
  set_up
  if "$changed"; then say 'done'; else say 'nothing to do'; fi
}

main "$@"
