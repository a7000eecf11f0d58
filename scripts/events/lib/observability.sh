# shellcheck shell=bash
# Looks whether events are logged and delivered as they should be.
#
#   observability_check <event-file>    for the handler of system.observability_check, and for
#                                       whoever asks the clock while nobody delivers
#
# What waits, what was given up, which handler does not run and whether the scheduler does is for
# `hookline status` to say, how long handlers take for the journal.

[[ -n ${_hookline_observability_loaded-} ]] && return
_hookline_observability_loaded=1

# shellcheck source=state-file.sh
source "${BASH_SOURCE[0]%/*}/state-file.sh"
# shellcheck source=hookline-command.sh
source "${BASH_SOURCE[0]%/*}/hookline-command.sh"

_HOOKLINE_OBSERVED_SHAPES='[{"total_checks": "number", "_alerted": "object"}]'
_HOOKLINE_OBSERVED_JOURNAL_BYTES=262144

# shellcheck disable=SC2016 # a jq program
_HOOKLINE_OBSERVED_REQUEST='(id("action") // "ensure_active" | if . == "ensure_active" then .
    else reject("data.action is not: ensure_active") end) as $action
| text("reason"; 500) as $reason | '

# shellcheck disable=SC2016 # a jq program
_HOOKLINE_OBSERVED_DELIVERY='
def percentile($share): if length == 0 then null
  else sort | .[[(length * $share | floor), length - 1] | min] end;
[inputs | [try fromjson catch empty][] | objects | select(.action == "attempt")]
| {attempts: length, by_verdict: (group_by(.verdict) | map({(.[0].verdict | tostring): length})
    | add // {})} + ([.[].ms | numbers] | {ms_p50: percentile(0.5), ms_p99: percentile(0.99)})
'
# shellcheck disable=SC2016 # a jq program
_HOOKLINE_OBSERVED_WAITING='
def total(field): [.handlers[] | field] | add // 0;
{dispatcher, handlers: (.handlers | length), waiting: total(.waiting),
  behind_bytes: total(.behind_bytes), drop_box, dead_letters, needs: .needs[:100]}
'

# Whoever is run by a dispatcher needs no proof that there is one. A problem is the same as before
# when only its numbers are others: it is told again after a quarter of an hour.
# shellcheck disable=SC2016 # a jq program
_HOOKLINE_OBSERVED_FINDINGS='
def kind_of: explode | map(if . >= 48 and . <= 57 then 35 else . end) | implode;

($waiting | parsed) as $seen
| ([$unfit | split("\n")[] | select(. != "") | "\(.) is no plain file that can be written"]
  + if $seen then [$seen.needs[] | clean[:500]]
    else ["hookline status does not answer: what waits is not known"] end) as $problems
| ({active: ($unfit == "" and ($attempt != "" or $seen.dispatcher != null)),
    problems: $problems, action: $action, reason: $reason, logs: ($logs | tonumber),
    delivery: ($delivery | parsed)} + ($seen // {} | del(.needs, .dispatcher))) as $found
| $states[0]
| (._alerted // {} | with_entries(select(.key as $key | any($problems[]; kind_of == $key))))
  as $told
| [$problems[] | kind_of | select(($told[.] | ago($now)) >= 900)] as $news
| save(0; .total_checks += 1 | .last_check = $at | . += $found
    | ._alerted = $told + ([$news[] | {(.): $at}] | add // {})),
  emit("system.observability_checked"; "medium"; $found + {checked_at: $at}),
  if $news != [] then emit("system.health_alert"; "high"; {alert_type: "observability",
    description: ($problems | join("; ") | .[:500]), problems: $problems}) else empty end
'

_observability_look() { # sets waiting, delivery, logs, unfit
  local command file journal
  if command=$(_hookline_find_command "$(_hookline_script_root "${BASH_SOURCE[0]}")"); then
    # It ends with 75 when something is wrong, and has said what.
    waiting=$(HOOKLINE_HOME=$home "$command" status --json </dev/null |
      jq -c "$_HOOKLINE_OBSERVED_WAITING")
  fi
  file=$home/coordination/deliveries.jsonl
  [[ -f $file ]] || file=/dev/null
  journal=$(tail -c "$_HOOKLINE_OBSERVED_JOURNAL_BYTES" -- "$file")
  delivery=$(jq -Rnc "$_HOOKLINE_OBSERVED_DELIVERY" <<<"$journal")
  for file in "$home"/coordination/events/*-events.jsonl; do
    [[ -e $file || -L $file ]] || continue
    logs=$((logs + 1))
    [[ -f $file && ! -L $file && -w $file ]] || unfit+=${file##*/}$'\n'
  done
}

observability_check() { # <event-file>
  local home=${HOOKLINE_HOME:-${BASH_SOURCE[0]%/*}/../../..}
  local handler=on-system-observability-check asked waiting='' delivery='' logs=0 unfit=''
  asked=$(state_apply "$handler" "${1-}" "$_HOOKLINE_OBSERVED_SHAPES" \
    "$_HOOKLINE_OBSERVED_REQUEST print(\$action)" observability.json) || return
  [[ $asked ]] || return 0
  _observability_look
  state_apply "$handler" "$1" "$_HOOKLINE_OBSERVED_SHAPES" \
    "$_HOOKLINE_OBSERVED_REQUEST$_HOOKLINE_OBSERVED_FINDINGS" observability.json -- \
    --arg waiting "$waiting" --arg delivery "$delivery" --arg logs "$logs" --arg unfit "$unfit" \
    --arg attempt "${HOOKLINE_ATTEMPT-}"
}
