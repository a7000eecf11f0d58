# shellcheck shell=bash disable=SC2154 # bats sets output
# Reads testing/vectors/ for the tests in this folder.

[[ -z ${_hookline_vectors_loaded-} ]] || return 0
_hookline_vectors_loaded=1

vectors() { # <file> <jq filter>: the chosen fields of each vector, a line each
  jq -r "$2" "$HOOKLINE_CHECKOUT/testing/vectors/$1"
}

# The bytes go into a file, for no shell variable can hold them all. The dot stands before the
# base64 of nothing too, which `read` would overlook.
decoded() { # .<base64> <file>
  base64 -d <<<"${1#.}" >"$2"
}

has_nul() { # <file>
  [[ $(tr -dc '\0' <"$1" | wc -c) -gt 0 ]]
}

# The command under test may have filled in an id and a time; the vector has these instead.
as_filled() { # <line> <vector's filled>
  local line=$1
  [[ $2 != *id* ]] || line=${line/'"id":"'*'","source"'/'"id":"filled","source"'}
  [[ $2 != *time* ]] ||
    line=$(jq -rn --arg line "$line" '$line |
      sub("\"time\":\"[0-9T:.-]+Z\""; "\"time\":\"2026-01-02T03:04:05.000006Z\"")')
  printf '%s\n' "$line"
}
