# shellcheck shell=bash disable=SC2034 # what it sets is for who sources this
# Reads coordination/config/policies.toml: what may be done without asking a person.
#
#   policies_read     sets _hookline_policies to JSON, {"TABLE": {"KEY": VALUE}}, {} where there is
#                     no such file; 78 and a line on stderr where it cannot be understood
#
# It takes the part of TOML that is wanted here: [tables] with names of letters, digits, _, - and
# dots, and `key = value` with the value on the same line: a "string" without escapes, a number,
# true, false, or a list of strings. All else is refused by its line. The words of jq that read it
# are in _HOOKLINE_POLICY_WORDS, and want it as $policies.

[[ -n ${_hookline_policies_loaded-} ]] && return
_hookline_policies_loaded=1

_HOOKLINE_POLICY_STRING='"[^"\[:cntrl:]]*"'
_HOOKLINE_POLICY_VALUE="$_HOOKLINE_POLICY_STRING|-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,9})?|true|false|\
\[[[:blank:]]*($_HOOKLINE_POLICY_STRING([[:blank:]]*,[[:blank:]]*$_HOOKLINE_POLICY_STRING)*)?\
[[:blank:]]*\]"
_HOOKLINE_POLICY_TABLE='^\[([A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*)\][[:blank:]]*(#.*)?$'
_HOOKLINE_POLICY_ENTRY="^([a-z][a-z0-9_]*)[[:blank:]]*=[[:blank:]]*($_HOOKLINE_POLICY_VALUE)\
[[:blank:]]*(#.*)?\$"

# A policy that cannot be understood is none: nothing is done by it, or by what was meant beside it.
# shellcheck disable=SC2016 # a jq program
_HOOKLINE_POLICY_WORDS='
def span: strings | [capture("^(?<n>[0-9]+([.][0-9]+)?)(?<unit>ms|s|m|h|d)$")][0] // empty
  | (.n | tonumber) * {ms: 0.001, s: 1, m: 60, h: 3600, d: 86400}[.unit];
def policy($table; $key; $kind; $default): $policies[$table][$key] | if . == null then $default
  elif type == $kind then . else "config/policies.toml: \($key) of [\($table)] is no \($kind)\n"
    | halt_error(78) end;
def policy_s($table; $key; $default): policy($table; $key; "string"; $default) | [span][0]
  // ("config/policies.toml: \($key) of [\($table)] is no span such as 30s\n" | halt_error(78));
'

# What is to be done, and how much of it: `.pending` has what is `due` when, `.spent` when something
# was done. Of what has come due, `released` takes so much as the budget of [$table] allows within
# an hour, and twenty at once; beyond the budget, it is due when there is room again. `.over` is
# kept for an hour from when it was told: what is put off leaves nothing due, and no news.
# shellcheck disable=SC2016 # a jq program
_HOOKLINE_POLICY_AGENDA='
def pause_s($table; $times): if $times < 1 then 0 else
  [policy_s($table; "pause"; "1s") * pow(2; $times - 1), policy_s($table; "pause_max"; "5m")]
  | min end;
def later($entry): .pending = (.pending // []) + [$entry];
def released($table; $now): .spent = [(.spent // [])[] | numbers | select(. > $now - 3600)]
  | ([policy($table; "budget"; "number"; 10) - (.spent | length), 0] | max) as $room
  | ([(.pending // [])[] | select(.due <= $now)] | sort_by(.due)) as $due
  | $due[:[$room, 20] | min] as $out | ($due | length > $room) as $is_over
  | ((.spent[0] // $now) + 3600) as $again
  | .spent += [$out[] | $now]
  | .pending = [((.pending // []) - $out)[]
      | if $is_over and .due <= $now then .due = $again else . end]
  | .over = (if $is_over or (.over.told_at // 0) > $now - 3600
      then {told_at: (.over.told_at // 0), waiting: (.pending | length)} else null end)
  | .released = $out;

# Once an hour, and only what the state does not know yet.
def told($table; $type; $now): . as $before | planned("next"; [.pending[].due] | min; $now)
  | (.over != null and $now - .over.told_at >= 3600) as $tell
  | if $tell then .over.told_at = $now else . end
  | save(0; del(.released)),
    if .next != $before.next then emit($type; "low"; .next) else empty end,
    if $tell then emit("system.health_alert"; "high"; {alert_type: "budget_spent",
      policy: $table, budget: policy($table; "budget"; "number"; 10), waiting: .over.waiting})
    else empty end;
'

policies_read() {
  local LC_ALL=C file line table='' json='' key number=0
  local -A seen=()
  file=${HOOKLINE_HOME:-${BASH_SOURCE[0]%/*}/../../..}/coordination/config/policies.toml
  _hookline_policies='{}'
  [[ -e $file ]] || return 0
  if [[ ! -f $file || ! -r $file ]]; then
    _policies_refuse 0 'cannot be read' || return
  fi
  while IFS= read -r line || [[ -n $line ]]; do
    number=$((number + 1))
    if [[ $line =~ ^[[:blank:]]*(#.*)?$ ]]; then
      continue
    elif [[ $line =~ $_HOOKLINE_POLICY_TABLE ]]; then
      table=${BASH_REMATCH[1]}
      key="[$table]"
      json+="${json:+\}, }\"$table\": {\"_line\": $number"
    elif [[ -n $table && $line =~ $_HOOKLINE_POLICY_ENTRY ]]; then
      json+=", \"${BASH_REMATCH[1]}\": ${BASH_REMATCH[2]}"
      key=$table.${BASH_REMATCH[1]}
    else
      _policies_refuse "$number" 'not understood' || return
    fi
    [[ ! ${seen[$key]-} ]] || _policies_refuse "$number" 'said twice' || return
    seen[$key]=1
  done <"$file"
  _hookline_policies="{$json${json:+\}}}"
}

_policies_refuse() { # <line> <why>
  printf '%s, line %d: %s; docs/SHIPPED.md says what it may hold\n' "$file" "$1" "$2" >&2
  return 78
}
