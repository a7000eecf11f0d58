# shellcheck shell=bash disable=SC2034 # what it sets is for who sources this
# Reads coordination/config/policies.toml: what may be done without asking a person.
#
#   policies_read     sets _hookline_policies to JSON, {"TABLE": {"KEY": VALUE}}, {} where there is
#                     no such file; 78 and a line on stderr where something in it is wrong
#
# It takes the part of TOML that is wanted here: [tables] with names of letters, digits, _, - and
# dots, and `key = value` with the value on the same line: a "string" without escapes, a number,
# true, false, or a list of strings. All else is refused by its line, and so is a table or a key
# that nobody acts by. The words of jq that read it are in _HOOKLINE_POLICY_WORDS, and want it as
# $policies.

[[ -n ${_hookline_policies_loaded-} ]] && return
_hookline_policies_loaded=1

_HOOKLINE_POLICY_TABLE='^\[([A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*)\][[:blank:]]*(#.*)?$'
_HOOKLINE_POLICY_ENTRY='^([a-z][a-z0-9_]*)[[:blank:]]*=[[:blank:]]*(.*)$'
_HOOKLINE_POLICY_COMMA='[[:blank:]]*,[[:blank:]]*'
_HOOKLINE_POLICY_REASONS="\[[[:blank:]]*(\"(failed|stale)\"\
($_HOOKLINE_POLICY_COMMA\"(failed|stale)\")*)?[[:blank:]]*\]"
_HOOKLINE_POLICY_COMMAND="\[[[:blank:]]*\"[^\"\[:cntrl:]]+\"\
($_HOOKLINE_POLICY_COMMA\"[^\"\[:cntrl:]]*\")*[[:blank:]]*\]"

declare -gA _HOOKLINE_POLICY_KEYS=(
  [workers]='stale_after:span'
  [tasks]='stuck_after:span'
  [autofix]='budget:count dry_run:flag'
  ['autofix.*']='action:action event:event attempts:count pause:span pause_max:span'
  [restart]='budget:count dry_run:flag'
  ['restart.*']='command:command on:reasons restarts:count pause:span pause_max:span replace:flag'
  ['task.*']='run:command timeout:limit attempts:count'
)
declare -gA _HOOKLINE_POLICY_VALUES=(
  [span]='"[0-9]{1,9}(\.[0-9]{1,9})?(ms|s|m|h|d)"'
  [limit]='"(0*[1-9][0-9]{0,8}(\.[0-9]{1,9})?|0+\.0*[1-9][0-9]{0,8})(ms|s|m|h|d)"'
  [count]='0|[1-9][0-9]{0,8}'
  [flag]='true|false'
  [action]='"(retry|emit)"'
  [event]='"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+"'
  [reasons]=$_HOOKLINE_POLICY_REASONS
  [command]=$_HOOKLINE_POLICY_COMMAND
)
declare -gA _HOOKLINE_POLICY_WANTED=(
  [span]='a span such as "30s"'
  [limit]='a span such as "30s", longer than nothing'
  [count]='a whole number'
  [flag]='true or false'
  [action]='"retry" or "emit"'
  [event]='a type of event such as "system.cleanup_needed"'
  [reasons]='a list of "failed" and "stale"'
  [command]='a list of a program and its arguments'
)

# shellcheck disable=SC2016 # a jq program
_HOOKLINE_POLICY_WORDS='
def span: strings | [capture("^(?<n>[0-9]+([.][0-9]+)?)(?<unit>ms|s|m|h|d)$")][0] // empty
  | (.n | tonumber) * {ms: 0.001, s: 1, m: 60, h: 3600, d: 86400}[.unit];
def policy($table; $key; $default): $policies[$table][$key]
  | if . == null then $default else . end;
def policy_s($table; $key; $default): policy($table; $key; $default) | span;
'

# What is to be done, and how much of it: `.pending` has what is `due` when, `.spent` when something
# was done. Of what has come due, `released` takes so much as the budget of [$table] allows within
# an hour, and twenty at once; beyond the budget, it is due when there is room again. `.over` is
# kept for an hour from when it was told: what is put off leaves nothing due, and no news.
# shellcheck disable=SC2016 # a jq program
_HOOKLINE_POLICY_AGENDA='
def pause_s($table; $times): if $times < 1 then 0 else
  [policy_s($table; "pause"; "1s") * pow(2; [$times - 1, 60] | min),
    policy_s($table; "pause_max"; "5m")] | min end;
def newest: [(. // [])[] | past] | max // 0;
def later($entry): .pending = (.pending // []) + [$entry + {at: $clock}];
def released($table; $now): .spent = [(.spent // [])[] | select(ago($now) < 3600)]
  | .pending = [(.pending // [])[] | if .at // 0 | past then . else .due = $now end]
  | ([policy($table; "budget"; 10) - (.spent | length), 0] | max) as $room
  | ([.pending[] | select(.due <= $now)] | sort_by(.due)) as $due
  | $due[:[$room, 20] | min] as $out | ($due | length > $room) as $is_over
  | ((.spent[0] // $now) + 3600) as $again
  | .spent += [$out[] | $now]
  | .pending = [(.pending - $out)[]
      | if $is_over and .due <= $now then .due = $again else . end]
  | .over = (if $is_over or (.over.told_at | ago($now)) < 3600
      then {told_at: (.over.told_at // 0), waiting: (.pending | length)} else null end)
  | .released = $out;

# Once an hour, and only what the state does not know yet.
def told($table; $type; $now): . as $before | planned("next"; [.pending[].due] | min; $now)
  | (.over != null and (.over.told_at | ago($now)) >= 3600) as $tell
  | if $tell then .over.told_at = $now else . end
  | save(0; del(.released)),
    if .next != $before.next then emit($type; "low"; .next) else empty end,
    if $tell then emit("system.health_alert"; "high"; {alert_type: "budget_spent",
      policy: $table, budget: policy($table; "budget"; 10), waiting: .over.waiting})
    else empty end;
'

# What happened before it was answered is answered, by whatever way it is heard of: as an event, or
# in a state file, where it stays. `.answered` says when that was, by what it is about; what is
# refused for the same reason once more is said again after an hour.
# shellcheck disable=SC2016 # a jq program
_HOOKLINE_POLICY_ANSWERS='
def is_answered($what; $since; $now): .answered[$what].at
  | . != null and ($since == . or ($since <= . and . <= $now));
def answered($what; $since; $now): .answered[$what].at = ([$since, $now] | max);
def answered_again($what; $now): answered($what; .answered[$what].at // 0; $now);
def refused($what; $why; $entry; $now): .answered[$what] as $last
  | if $last.why == $why and ($last.told_at | ago($now)) < 3600 then .
    else .answered[$what] += {$why, told_at: $now} | .refused += [$entry] end;
def say_refused($type): (.refused // []) | range(length) as $n | .[$n]
  | emit_as("-\($n)"; $type; "high"; .);
# It is forgotten after a day, unless what it was about `stays`.
def remembered(stays; $now): (reduce stays as $what ({}; .[$what] = true)) as $here
  | .answered |= ((. // {}) | with_entries(select(.value.at > $now - 86400 or $here[.key])));
'

# A policy that cannot be understood is none: nothing is done by it, or by what was meant beside it.
policies_read() {
  local LC_ALL=C file line table='' shape='' json='' number=''
  local -A tables=() said=()
  file=${HOOKLINE_HOME:-${BASH_SOURCE[0]%/*}/../../..}/coordination/config/policies.toml
  _hookline_policies='{}'
  [[ -e $file ]] || return 0
  if [[ ! -f $file || ! -r $file ]]; then
    _policies_refuse 'cannot be read' || return
  fi
  while IFS= read -r line || [[ -n $line ]]; do
    number=$((number + 1))
    if [[ $line =~ ^[[:blank:]]*(#.*)?$ ]]; then
      continue
    elif [[ $line =~ $_HOOKLINE_POLICY_TABLE ]]; then
      _policies_table "${BASH_REMATCH[1]}" || return
    elif [[ $table && $line =~ $_HOOKLINE_POLICY_ENTRY ]]; then
      _policies_entry "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}" || return
    else
      _policies_refuse 'not understood' || return
    fi
  done <"$file"
  _policies_whole || return
  _hookline_policies="{$json${json:+\}}}"
}

_policies_refuse() { # <why>
  printf '%s%s: %s; docs/SHIPPED.md says what it may hold\n' "$file" "${number:+, line $number}" \
    "$1" >&2
  return 78
}

_policies_table() { # <name>
  _policies_whole || return
  table=$1 shape=$1
  [[ $table != *.* ]] || shape="${table%%.*}.*"
  [[ ${_HOOKLINE_POLICY_KEYS[$shape]-} ]] || _policies_refuse "[$table] is no policy" || return
  [[ ! ${tables[$table]-} ]] || _policies_refuse "[$table] is said twice" || return
  tables[$table]=$number said=()
  json+="${json:+\}, }\"$table\": {\"_line\": $number"
}

_policies_entry() { # <key> <the rest of the line>
  local kind
  if [[ ! " ${_HOOKLINE_POLICY_KEYS[$shape]} " =~ " $1:"([a-z]+)' ' ]]; then
    _policies_refuse "[$table] has no $1" || return
  fi
  kind=${BASH_REMATCH[1]}
  [[ ! ${said[$1]-} ]] || _policies_refuse "$1 of [$table] is said twice" || return
  if [[ ! $2 =~ ^(${_HOOKLINE_POLICY_VALUES[$kind]})[[:blank:]]*(#.*)?$ ]]; then
    _policies_refuse "$1 of [$table] is to be ${_HOOKLINE_POLICY_WANTED[$kind]}" || return
  fi
  said[$1]=${BASH_REMATCH[1]}
  json+=", \"$1\": ${BASH_REMATCH[1]}"
}

_policies_whole() { # that nothing is missing in the table that ends here
  local needs='' number=${tables[${table:--}]-}
  case $shape in
    autofix.*) [[ ${said[action]-} != '"emit"' ]] || needs='event' ;;
    restart.*) needs='command' ;;
    task.*) needs='run' ;;
  esac
  [[ ! $needs || ${said[$needs]-} ]] || _policies_refuse "[$table] is to have $needs"
}
