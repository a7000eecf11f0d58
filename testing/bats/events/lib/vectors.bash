# shellcheck shell=bash disable=SC2154 # bats sets output
# Reads testing/vectors/ for the tests in this folder.

[[ -z ${_hookline_vectors_loaded-} ]] || return 0
_hookline_vectors_loaded=1

vectors() { # <file> <jq filter, with has_nul>: the chosen fields of each vector, a line each
  jq -r "def has_nul: .base64 | @base64d | explode | any(. == 0); $2" \
    "$HOOKLINE_CHECKOUT/testing/vectors/$1"
}

# The bytes go into a file, for no shell variable can hold them all. The dot stands before the
# base64 of nothing too, which `read` would overlook.
decoded() { # .<base64> <file>
  base64 -d <<<"${1#.}" >"$2"
}

# The command under test may have filled in an id and a time; the vector has these instead.
as_filled() { # <line> <vector's filled>
  local line=$1
  [[ $2 != *id* ]] || line=${line/'"id":"'*'","source"'/'"id":"filled","source"'}
  [[ $2 != *time* || ! $line =~ \"time\":\"[0-9T:.-]+Z\" ]] ||
    line=${line/"${BASH_REMATCH[0]}"/'"time":"2026-01-02T03:04:05.000006Z"'}
  printf '%s\n' "$line"
}
