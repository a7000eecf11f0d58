#!/usr/bin/env bash
# Usage: run.sh [--soak MINUTES] [--seed N] [part...]
# Summary: Set up the test tools, then run every check, or only the parts that are named.
# Exit: 0 all passed, 1 a part failed, 64 usage, 73 the tools cannot be had
#
# Parts: ruff format types layers shellcheck shfmt (together: lint), pytest, bats,
# or a file or folder below testing/: unit, tidy, bats/handlers, …
# --soak  the long tests too, in about so many minutes   --seed  draw again what an earlier run drew
set -uo pipefail

readonly LINT=(ruff format types layers shellcheck shfmt)
readonly PYTEST_AT_ONCE=3
readonly BATS_AT_ONCE=2
readonly BATS_FILE_TIMEOUT_S=600
readonly RETRIED_AT_MOST=8

soak=()
flaky=()
# By hand every run draws something new; what decides over a change draws the same each time.
seed=${CI:+1}
seed=${seed:-$SRANDOM}
reports=

# The tests start thousands of processes: what is compiled once is compiled for all of them.
unset -v PYTHONDONTWRITEBYTECODE

usage() {
  sed -n '2,4s/^# //p; 6,8s/^# //p' -- "${BASH_SOURCE[0]}"
}

# Also what is not committed yet, but nothing that git ignores. The owner of a checkout may be
# another user than the one who tests it.
checkout_files() { # NUL after each
  local file
  while IFS= read -r -d '' file; do
    [[ ! -f $file || -L $file ]] || printf '%s\0' "$file"
  done < <(git -c safe.directory='*' ls-files -z --cached --others --exclude-standard)
}

shell_files() { # NUL after each: by the name, or else by the first line
  checkout_files | xargs -0r awk '
    FNR > 1 { nextfile }
    FILENAME ~ /\.(sh|bash|bats)$/ || /^#!.*[ \/](ba)?sh$/ { printf "%s%c", FILENAME, 0 }'
}

part_ruff() { .venv/bin/ruff check --no-fix .; }
part_format() { .venv/bin/ruff format --check .; }
part_types() { .venv/bin/mypy; }
part_layers() { .venv/bin/lint-imports; }
part_shellcheck() { shell_files | xargs -0r -n 10 -P "$(nproc)" .venv/bin/shellcheck -x; }
part_shfmt() { shell_files | xargs -0r .venv/bin/shfmt -i 2 -ci -d; }
part_pytest() { # [<folder>...]
  local status=0
  local -a names
  run_pytest -n "$PYTEST_AT_ONCE" --dist worksteal ${CI:+--cache-clear} "$@" || status=$?
  ((status == 1)) || return "$status"
  mapfile -t names < <(jq -r 'keys[]' .pytest_cache/v/cache/lastfailed)
  may_retry "${names[@]}" || return 1
  run_pytest --last-failed --last-failed-no-failures none "$@" || return
  flaky+=("${names[@]}")
}

run_pytest() { # <argument>...
  .venv/bin/python -m pytest -q --seed "$seed" --hypothesis-seed "$seed" "${soak[@]}" "$@"
}

# What decides over a change should not fail for a disk that stood still for a minute: a few that
# failed beside others are run once more, alone, and named in the summary if they pass.
may_retry() { # <what has failed>...
  [[ ${CI-} ]] && (($# && $# <= RETRIED_AT_MOST)) || return
  printf '\nonce more, alone:\n' && printf '  %s\n' "$@"
}

bats_file() { # <file>: leaves its report in $reports; prints one line, and all of it when it failed
  local file=$1 report=$reports/${1//\//,} started=$SECONDS status=0
  timeout --kill-after=10s "$((BATS_FILE_TIMEOUT_S + 60 * ${HOOKLINE_SOAK:-0}))" \
    bats --tap "$file" >"$report" 2>&1 </dev/null || status=$?
  if ((status == 0)); then
    printf '  ok    %s (%d s)\n' "$file" "$((SECONDS - started))"
  else
    # A file that bats could not read has no test that failed: count it as one.
    grep -q '^not ok ' "$report" || printf 'not ok 0 bats ended with %d\n' "$status" >>"$report"
    printf '  FAIL  %s (%d s)\n%s\n' "$file" "$((SECONDS - started))" "$(<"$report")"
  fi
  return "$status"
}

part_bats() { # [<file or folder below testing/>...]
  local file failed=0 running=0
  local -a files
  mapfile -d '' -t files < <(find "${@/#/testing/}" -name '*.bats' -print0 | sort -z)
  ((${#files[@]})) || { printf 'no *.bats file\n' && return 1; }
  reports=$(mktemp -d) || return
  for file in "${files[@]}"; do
    if ((running == BATS_AT_ONCE)); then
      wait -n || failed=1
      running=$((running - 1))
    fi
    bats_file "$file" &
    running=$((running + 1))
  done
  while ((running)); do
    wait -n || failed=1
    running=$((running - 1))
  done
  if ((failed)); then
    mapfile -t files < <(grep -l '^not ok ' "$reports"/* | sed 's|.*/||; s|,|/|g')
    may_retry "${files[@]}" && bats_alone "${files[@]}" && flaky+=("${files[@]}") && failed=0
  fi
  bats_totals
  rm -rf -- "$reports"
  return "$failed"
}

bats_alone() { # <file>...
  local file failed=0
  for file in "$@"; do
    bats_file "$file" || failed=1
  done
  return "$failed"
}

bats_totals() {
  cat /dev/null "$reports"/* | awk '
    /^not ok / { failed++ }
    /^ok .* # skip/ { skipped++; next }
    /^ok / { passed++ }
    END { printf "bats: %d passed, %d failed, %d skipped\n", passed, failed, skipped }'
}

run_part() { # <name>
  case $1 in
    pytest) part_pytest ;;
    bats | bats/*) part_bats "$1" ;;
    ruff | format | types | layers | shellcheck | shfmt) "part_$1" ;;
    *) part_pytest "testing/$1" ;;
  esac
}

known_part() { # <name>
  [[ " ${LINT[*]} pytest bats " == *" $1 "* || ($1 != /* && $1 != *..* && -e testing/$1) ]]
}

run_parts() { # <name>...: all of them, whatever fails; then the summary
  local part started failed=0
  local -a summary=()
  for part in "$@"; do
    printf '\n== %s\n' "$part"
    started=$SECONDS
    if run_part "$part"; then
      summary+=("$(printf 'ok    %-18s %4d s' "$part" "$((SECONDS - started))")")
    else
      failed=1
      summary+=("$(printf 'FAIL  %-18s %4d s' "$part" "$((SECONDS - started))")")
    fi
  done
  printf '\n== summary\n'
  printf '%s\n' "${summary[@]}"
  ((${#flaky[@]} == 0)) || printf 'FLAKY %s: it passes only alone: mend it\n' "${flaky[@]}"
  return "$failed"
}

main() {
  local -a parts=()
  while (($#)); do
    case $1 in
      -h | --help) usage && return ;;
      --soak)
        [[ ${2-} =~ ^[1-9][0-9]{0,3}$ ]] || { usage >&2 && return 64; }
        # One test may take nearly all of it, which the usual limit would cut off. -rP: its figures.
        export HOOKLINE_SOAK=$2
        soak=(--soak "$2" --timeout "$((120 + 60 * $2))" -rP)
        shift
        ;;
      --seed)
        [[ ${2-} =~ ^[0-9]{1,10}$ ]] || { usage >&2 && return 64; }
        seed=$2
        shift
        ;;
      lint) parts+=("${LINT[@]}") ;;
      *) parts+=("${1%/}") ;;
    esac
    shift
  done
  cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.." || return 73
  ((${#parts[@]})) || parts=("${LINT[@]}" pytest bats)
  local part
  for part in "${parts[@]}"; do
    known_part "$part" || { usage >&2 && return 64; }
  done
  scripts/setup.sh --dev || return
  export HOOKLINE_SEED=$seed
  printf 'seed %s; to draw the same again: testing/run.sh --seed %s\n' "$seed" "$seed"
  run_parts "${parts[@]}"
}

main "$@"
