#!/usr/bin/env bash
# Usage: lock.sh [--upgrade]
# Summary: Make requirements.lock, -dev.lock and -bench.lock again from pyproject.toml.
# Exit: 0 done, 64 usage, else as pip-compile
#
# Pins stay as they are where pyproject.toml allows it, unless --upgrade. It runs on the oldest
# Python that is supported, because what only that one needs does no harm to the others. The locks
# hold hashes of the files for every platform, and no address: where packages come from is a
# setting of the machine that installs them.
set -euo pipefail

readonly COMPILE=(-q --generate-hashes --strip-extras --no-header --no-annotate --no-emit-options
  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host)

compile() { # <lock> <comment> [<option>...]
  local lock=$1 comment=$2 made
  shift 2
  made=$(mktemp)
  cp -- "$lock" "$made"
  "$tools/bin/pip-compile" "${COMPILE[@]}" "${upgrade[@]}" "$@" -o "$made" pyproject.toml
  { printf '# %s\n' "$comment" && grep -v '^#' "$made"; } >"$lock.new"
  mv -- "$lock.new" "$lock"
  rm -- "$made"
}

main() {
  upgrade=()
  case ${1-} in
    '') ;;
    --upgrade) upgrade=(--upgrade) ;;
    -h | --help) sed -n '2,4s/^# //p' -- "${BASH_SOURCE[0]}" && return ;;
    *) sed -n '2,4s/^# //p' -- "${BASH_SOURCE[0]}" >&2 && return 64 ;;
  esac
  cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.."
  tools=$(mktemp -d)
  trap 'rm -rf -- "$tools"' EXIT
  python3.11 -m venv "$tools"
  "$tools/bin/pip" --disable-pip-version-check install -q 'pip-tools>=7.6'
  compile requirements.lock 'What Hookline runs on. Made by testing/lock.sh from pyproject.toml.'
  compile requirements-dev.lock \
    'The same, and what its tests need. Made by testing/lock.sh from pyproject.toml.' \
    --extra dev -c requirements.lock
  compile requirements-bench.lock \
    'The same, and the peers of testing/bench. Made by testing/lock.sh from pyproject.toml.' \
    --extra dev --extra bench -c requirements-dev.lock
}

main "$@"
