# shellcheck shell=bash disable=SC2154 # bats sets status, output and stderr
# A sealed sandbox for every test: a home of its own, an environment that says nothing
# about the person who runs the tests, and assertions that show what they saw.
# A test file says: load '<path to>/test_helper' and calls `sandbox` first in its setup().

bats_require_minimum_version 1.5.0

HOOKLINE_CHECKOUT=$(cd -- "${BASH_SOURCE[0]%/*}/../.." && pwd -P)
export HOOKLINE_CHECKOUT

# Sets HOOKLINE_HOME, HOME, TMPDIR and the working folder, all below BATS_TEST_TMPDIR.
sandbox() {
  _clean_environment
  export HOOKLINE_HOME=$BATS_TEST_TMPDIR/home HOME=$BATS_TEST_TMPDIR/user
  export TMPDIR=$BATS_TEST_TMPDIR/tmp
  mkdir -p -- "$HOOKLINE_HOME"/coordination/events/{segments,queue,rejected} \
    "$HOOKLINE_HOME/coordination/config" \
    "$HOOKLINE_HOME/scripts/events/handlers" "$HOME" "$TMPDIR"
  chmod 0755 -- "$HOOKLINE_HOME" "$HOOKLINE_HOME"/scripts{,/events{,/handlers}}
  cd -- "$HOOKLINE_HOME" || return
}

# What bats needs to run on stays; everything else a caller's shell may carry goes.
_clean_environment() {
  local name
  while IFS= read -r name; do
    case $name in
      BATS_* | PATH | PWD | OLDPWD | SHLVL | TERM | _ | HOOKLINE_CHECKOUT | HOOKLINE_TEST_*) ;;
      *) unset -v "$name" ;;
    esac
  done < <(compgen -e)
  export LC_ALL=C.UTF-8 TZ=UTC NO_COLOR=1
  export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  PATH=${BATS_LIBEXEC:+$BATS_LIBEXEC:}$PATH
}

fail() { # <message...>
  printf '%s\n' "$@" >&2
  return 1
}

assert_success() {
  ((status == 0)) || fail "exit $status, expected 0" "output: $output" "stderr: ${stderr-}"
}

assert_failure() { # [<exit>]
  if (($#)); then
    ((status == $1)) || fail "exit $status, expected $1" "output: $output" "stderr: ${stderr-}"
  else
    ((status != 0)) || fail 'exit 0, expected a failure' "output: $output"
  fi
}

assert_equal() { # <actual> <expected>
  [[ $1 == "$2" ]] || fail "actual:   $(printf %q "$1")" "expected: $(printf %q "$2")"
}

assert_output() { # <expected> | --partial <part> | --regexp <regexp>
  _assert_text "$output" "$@"
}

assert_stderr() { # as assert_output; needs `run --separate-stderr`
  _assert_text "$stderr" "$@"
}

_assert_text() { # <actual> [--partial|--regexp] <expected>
  local actual=$1
  case $2 in
    --partial) [[ $actual == *"$3"* ]] || fail "not in the text: $3" "text: $actual" ;;
    --regexp) [[ $actual =~ $3 ]] || fail "does not match: $3" "text: $actual" ;;
    *) assert_equal "$actual" "$2" ;;
  esac
}

refute_output() { # --partial <part>, or nothing: no output at all
  if (($#)); then
    [[ $output != *"$2"* ]] || fail "should not be in the text: $2" "text: $output"
  else
    assert_equal "$output" ''
  fi
}

assert_exists() { [[ -e $1 ]] || fail "does not exist: $1"; }
refute_exists() { [[ ! -e $1 && ! -L $1 ]] || fail "exists: $1"; }

await() { # <seconds> <command...>: until the command succeeds
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || fail "never came true: $*" || return
    sleep 0.02
  done
}

# What is due by the clock, or named by the day, is not to change in the middle of a test.
away_from_the_turn() { # <seconds>: of the day, the hour, … : waits for it when it is near
  local turn=$((EPOCHSECONDS - EPOCHSECONDS % $1 + $1))
  ((turn - EPOCHSECONDS > 30)) || await 60 eval "((EPOCHSECONDS >= $turn))"
}

log_of() { # <domain>: the path of its live log
  printf '%s\n' "$HOOKLINE_HOME/coordination/events/$1-events.jsonl"
}

log_lines() { # <domain>: how many lines it has; 0 when there is no log
  local file lines
  file=$(log_of "$1")
  [[ -e $file ]] || {
    printf '0\n'
    return
  }
  lines=$(wc -l <"$file")
  printf '%s\n' "$((lines))"
}

assert_nothing_stored() {
  local -a found
  mapfile -t found < <(find "$HOOKLINE_HOME/coordination" -name '*.jsonl' -size +0)
  ((${#found[@]} == 0)) || fail 'stored:' "${found[@]}"
}

# What a file's mode forbids holds for root too, in there.
with_modes() { # <command...>
  local -a bounded=()
  ((EUID != 0)) || bounded=(setpriv '--bounding-set=-dac_override,-dac_read_search')
  "${bounded[@]}" "$@"
}

require_tool() { # <name>: a missing tool is a failed test, never a skipped one
  command -v "$1" >/dev/null || fail "$1 is missing: apt-get install $1"
}
