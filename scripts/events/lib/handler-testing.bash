# shellcheck shell=bash disable=SC2016 # jq programs
# For bats tests of handlers: source it, try a handler, and say what should have come of it.
#
#   try_handler on-task-failed.sh '{"specversion":"1.0","type":"task.failed","data":{}}'
#   assert_verdict rejected
#
# Needs hookline and jq. HANDLER, EVENT and the options are those of `hookline try`.

[[ -z ${_hookline_handler_testing_loaded-} ]] || return 0
_hookline_handler_testing_loaded=1

# shellcheck source=hookline-command.sh
source "${BASH_SOURCE[0]%/*}/hookline-command.sh"
_hookline_testing_root=$(_hookline_script_root "${BASH_SOURCE[0]%/lib/*}/x")

# Runs it; `trial` is then all that came of it, as JSON. Fails when it could not be tried.
try_handler() { # <handler> <event> [<option>...]
  local _command _status=0
  _command=$(_hookline_find_command "$_hookline_testing_root") || {
    printf 'hookline is not installed: run scripts/setup.sh in the checkout\n' >&2
    return 69
  }
  trial=$(HOOKLINE_HOME=${HOOKLINE_HOME:-$_hookline_testing_root} \
    "$_command" try "$@" --json) || _status=$?
  ((_status <= 1)) || return "$_status"
}

# The verdict was this one: done, skipped, retry, failed, timeout, rejected, broken.
assert_verdict() { # <verdict>
  _hookline_assert "the verdict is $1" --arg verdict "$1" '.verdict == $verdict'
}

# It emitted an event of this type, for which the jq condition holds: '.data.count > 3'.
assert_emitted() { # <type> [<condition>]
  _hookline_assert "it emits $1${2:+ with $2}" --arg type "$1" \
    "any(.emitted[]; .type == \$type and (${2:-true}))"
}

# It emitted nothing, or nothing of this type.
refute_emitted() { # [<type>]
  _hookline_assert "it emits no ${1:-event}" --arg type "${1-}" \
    'any(.emitted[]; $type == "" or .type == $type) | not'
}

# It made or changed this file, named from the home on, and now its text holds this part.
assert_wrote() { # <path> [<part>]
  _hookline_assert "it writes $1${2:+ with $2}" --arg path "$1" --arg part "${2-}" \
    'any(.files[]; .path == $path and .change != "deleted" and (.text | contains($part)))'
}

# What it printed holds this part.
assert_printed() { # <part>
  _hookline_assert "it prints $1" --arg part "$1" '.stdout | contains($part)'
}

_hookline_assert() { # <what> <jq arguments...>
  jq --exit-status "${@:2}" <<<"${trial:?try a handler first}" >/dev/null && return
  printf 'not so: %s\n' "$1" >&2
  jq '{verdict, exit, error, stdout, stderr, emitted, files: [.files[] | {path, change}]}' \
    <<<"$trial" >&2
  return 1
}
