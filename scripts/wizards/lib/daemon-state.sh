# shellcheck shell=bash disable=SC2034,SC2154 # the parts share variables
# How the daemons are: what the kernel says of their locks comes first, then what events say.
#
#   daemon_states [NAME...]    a JSON object for each, or for all: name, label, state, standing_by,
#                              pid, supervisor, since, reason, start, mode, is_lost (it ended
#                              without a word), restarts (within an hour), said (its last event),
#                              asked (when it was asked for, and no event has answered), requests
#                              (the ids of all the events that have asked for it so)
#   daemon_hidden NAME         prints what of it is not ours to read; fails where there is nothing
#   daemon_fields EXPRESSION [NAME...]   of each, the texts of an array in jq, \x1f between them
#   daemon_clean               a filter: lines that do nothing to a terminal
#
# Needs daemon-table.sh, daemon-facts.sh and $HOOKLINE_HOME. The states: requested, starting,
# running, restarting, failed, stopped, unknown. The modes of one that runs: systemd, supervised,
# alone.

[[ -z ${_hookline_daemon_state_loaded-} ]] || return 0
_hookline_daemon_state_loaded=1

_DAEMON_PROC=/proc
# So many of the newest events of each daemon are looked at, in each log.
_DAEMON_EVENTS_MAX=250
# Whatever a supervisor could not say: one that was not ready would not live for so long.
_DAEMON_UNSAID_S=60

# Control characters, and what turns a line around or hides in it, are shown by their number.
# shellcheck disable=SC2016 # a jq program
_DAEMON_CLEAN='
def hex: [recurse(. / 16 | floor; . > 0) | . % 16] | reverse | map("0123456789abcdef"[.:. + 1])
  | add;
def clean: .[:2000] | if test("[^ -~]") then [explode[]
  | if . == 9 then "    "
    elif . < 32 or . == 127 or (. > 127 and ($ascii or . < 160)) or (. >= 8203 and . <= 8207)
      or (. >= 8232 and . <= 8238) or (. >= 8288 and . <= 8303) or . == 65279
    then "\\u{\(hex)}" else [.] | implode end] | add else . end;
'

# A line may begin in the middle of another one, whose writer was killed.
# shellcheck disable=SC2016 # a jq program
_DAEMON_STATES='
def parsed: fromjson? // ("{\"specversion\"" + (split("{\"specversion\"") | last) | fromjson?);
def event: parsed | objects
  | select([.id, .type, .time, .data.daemon_type?] | all(type == "string"))
  | {id, type, time, cause: .causationid, name: .data.daemon_type}
    + (.data | {pid, reason: (.reason | strings // ""), retry_in_s, startup_mode,
        requests: [.requests | arrays[] | strings]});
def base: {running: "started", stopped: "stopped", failed: "failed"}[.state | strings] as $type
  | if $type then {type: "daemon.\($type)", time: (.since | strings // ""), pid, retry_in_s,
      reason: (.reason | strings // "")} else null end;
def facts: split("\u001f") | {name: .[0], "label": .[1], start: .[2], script: .[3],
  is_there: (.[4] == "1"), runs: (.[5] == "1"), pid: (.[6] | tonumber? // null),
  supervisor: (.[7] | tonumber? // null), is_held: (.[8] == "1"), mode: .[9],
  lock_s: (.[10] | tonumber? // 0 | floor), is_served: (.[11] == "1"), hidden: .[12]};
# What is of the future was said before the clock was set back.
def follows($other): ($other.time // "") as $time | .time > $time or $time > (now | todate);
def newer($other): . as $last | $other | if . and follows($last) then . else $last end;
def state($last; $asked; $refused; $lost):
  if .runs and .is_held and ($last.type != "daemon.started" or $last.pid != .pid)
    and now - .lock_s < $unsaid_s then ["starting", (.lock_s | todate), ""]
  # One that has let go of its lock runs for as long as its supervisor knows of nothing else.
  elif .runs or (.is_held and .pid and $last.type == "daemon.started" and $last.pid == .pid)
    then ["running", (.lock_s | todate),
    if .is_served then "the event system serves" elif .mode == "alone"
    then "nobody starts it again" else "" end]
  elif .is_held and $last.type == "daemon.failed" and $last.retry_in_s != null
    then ["restarting", $last.time, $last.reason]
  elif .is_held then ["starting", null, ""]
  elif .hidden != "" then ["unknown", null, .hidden]
  elif $asked and ($asked | follows($last)) then ["requested", $asked.time, ""]
  elif $last.type == "daemon.failed" then ["failed", ($last | newer($refused) | .time, .reason)]
  elif .is_there | not then ["stopped", null, "no program \(.script)"]
  elif $last.type == "daemon.started" then ["stopped", $last.time, $lost]
  else ["stopped", ($last | newer($refused) | .time, .reason // "")] end;

"it ended without a word" as $lost
| ($base | fromjson? // {} | .daemons? // {} | objects) as $base
| (now - 3600 | todate) as $hour_ago
# In a log, the order of the lines counts; what lies in the drop box has no place in it yet.
| (reduce ((inputs | event), ($dropped | split("\n")[] | event | .is_dropped = true)) as $event ({};
  .[$event.name] |= (
    .last as $last
    | if $event.type == "system.daemon_start_requested" then .asked += [$event] | .refused = null
      elif $event.type == "system.daemon_start_refused"
        and (.answered[$event.cause | tostring] | not) then .refused = $event
      elif ($event.type | startswith("system."))
        or $event.is_dropped and ($event | follows($last) | not) then .
      else .last = $event end
    | reduce (($event.cause | strings), $event.requests[]) as $id (.; .answered[$id] = true)
    | if $event.startup_mode == "restart" and $event.time > $hour_ago then .restarts += 1
      else . end))) as $said
| $facts | split("\n")[:-1][] | facts
| $said[.name] as $of | (($of.last // ($base[.name] | objects | base)) // {}) as $last
| [$of.asked[]? | select($of.answered[.id] | not)] as $requests | $requests[-1] as $asked
| state($last; $asked; $of.refused; $lost) as [$state, $since, $reason]
| {name, "label": .label, state: $state, standing_by: (.runs and .is_served),
    pid: (if .runs or $state == "running" then .pid else null end), supervisor,
    since: $since, reason: $reason, start, mode: (.mode | select(. != "") // null),
    is_lost: ($reason == $lost), restarts: ($of.restarts // 0), said: ($last.time // null),
    asked: ($asked.time // null), requests: ($requests | map(.id) | unique)}
'

daemon_states() { # [<name>...]
  (($#)) || set -- "${daemon_names[@]}"
  _daemon_said | jq -nRc --argjson unsaid_s "$_DAEMON_UNSAID_S" \
    --rawfile facts <(_daemon_facts "$@") \
    --rawfile dropped <(_daemon_dropped) \
    --rawfile base <(cat -- "$HOOKLINE_HOME/coordination/status.json" 2>/dev/null) \
    "$_DAEMON_STATES"
}

daemon_fields() { # <array in jq> [<name>...]
  daemon_states "${@:2}" | jq -r --argjson ascii "$(_daemon_is_ascii)" \
    "$_DAEMON_CLEAN $1 | map(tostring | clean) | join(\"\\u001f\")"
}

daemon_clean() {
  jq -Rr --unbuffered --argjson ascii "$(_daemon_is_ascii)" "$_DAEMON_CLEAN clean"
}

_daemon_is_ascii() { # prints whether a terminal of this locale shows nothing else
  case ${LC_ALL:-${LC_CTYPE:-${LANG-}}} in
    *[Uu][Tt][Ff]*) printf 'false\n' ;;
    *) printf 'true\n' ;;
  esac
}

_daemon_facts() { # <name>...
  local name folder there runs held mode served fact
  local -A lock_s=()
  while read -r name fact; do
    lock_s[${name#./}]=$fact
  done < <(cd -- "$HOOKLINE_HOME/coordination/daemons" 2>/dev/null &&
    find . -mindepth 2 -maxdepth 2 -name lock -printf '%h %T@\n' 2>/dev/null)
  for name; do
    folder=$HOOKLINE_HOME/coordination/daemons/$name
    there=0 runs=0 held=0 mode='' served=0 daemon_pid='' daemon_supervisor=''
    [[ ! -x $HOOKLINE_HOME/${daemon_of["$name.script"]} ]] || there=1
    ! daemon_runs "$folder" || runs=1
    ! daemon_has_supervisor "$folder" || held=1
    if ((held)); then
      mode=supervised
      # Before a start, the lock names nobody.
      [[ $daemon_supervisor ]] || daemon_supervisor=$(daemon_holders "$folder" | head -n 1)
      [[ ! $(daemon_unit_of "$daemon_supervisor" "$name") ]] || mode=systemd
    elif ((runs)); then
      mode=alone
    fi
    ! { ((runs)) && _daemon_is_served "$name"; } || served=1
    printf '%s\x1f' "$name" "${daemon_of["$name.label"]}" "${daemon_of["$name.start"]}" \
      "${daemon_of["$name.script"]}" "$there" "$runs" "$daemon_pid" "$daemon_supervisor" "$held" \
      "$mode" "${lock_s[$name]-}"
    printf '%s\x1f%s\n' "$served" "$(daemon_hidden "$name")"
  done
}

daemon_hidden() { # <name>
  local coordination=$HOOKLINE_HOME/coordination said
  said=$(daemon_hides "$coordination/daemons/$1" "$coordination"/events{,/queue} \
    "$coordination"/events/{system,daemon}-events.jsonl) || return
  printf '%s\n' "${said#"$HOOKLINE_HOME/"}"
}

_daemon_is_served() { # <name>
  local -a handlers
  mapfile -t handlers <<<"${daemon_of["$1.replaces"]-}"
  [[ ${handlers[0]} ]] && event_system_serves "$HOOKLINE_HOME" "${handlers[@]}"
}

# Which unit a process belongs to is in the name of its control group.
daemon_unit_of() { # <process> <name>: prints "user" or "system", and the unit, when systemd has it
  local line unit
  while IFS= read -r line; do
    unit=${line##*/}
    [[ $unit == *-daemon@"$2".service ]] || continue
    if [[ $line == */user@*.service/* ]]; then
      printf 'user %s\n' "$unit"
    else
      printf 'system %s\n' "$unit"
    fi
    return
  done 2>/dev/null <"$_DAEMON_PROC/${1:-none}/cgroup"
}

_DAEMON_SAID='"type":"(daemon\.(started|stopped|failed)|system\.daemon_start_[a-z]+)"'

_daemon_said() { # the newest events that say something of daemons
  local events=$HOOKLINE_HOME/coordination/events domain
  local -a segments
  for domain in system daemon; do
    # The newest one, while it is not compressed yet: a log may just have been closed.
    segments=("$events/segments/$domain"-events.*.jsonl)
    _daemon_newest -- "${segments[-1]}" "$events/$domain-events.jsonl"
  done
}

_daemon_dropped() { # what was said without a logger lies in the drop box, until a dispatcher comes
  _daemon_newest -r --include='*.json' -- "$HOOKLINE_HOME/coordination/events/queue"
}

# Of each daemon for itself, or one that is started again and again would hide what was said of the
# others; and all answers, or it would look as if nobody had taken up its own request.
_daemon_newest() { # <argument of grep>...
  # shellcheck disable=SC2016 # an awk program
  { grep -ahsE "$_DAEMON_SAID" "$@" || :; } | LC_ALL=C awk -v "max=$_DAEMON_EVENTS_MAX" '
    {
      match($0, /"daemon_type":"[^"]*"/)
      name = substr($0, RSTART, RLENGTH)
      line[NR] = $0
      if (!/"causationid":"/) at[name, ++count[name]] = NR
      delete line[at[name, count[name] - max]]
    }
    END { for (n = 1; n <= NR; n++) if (n in line) print line[n] }'
}
