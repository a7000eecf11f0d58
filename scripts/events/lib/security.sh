# shellcheck shell=bash
# What scans have found, and how secure that leaves the project.
#
#   security_scanned <handler> <event-file>    of security.scan_completed
#   security_found <handler> <event-file>      of security.vulnerability_found
#
# A scan with critical findings makes one security.vulnerability_found, whose handler alerts; a scan
# without, but with others, alerts itself. So nothing is told twice, and nothing goes round.

[[ -n ${_hookline_security_loaded-} ]] && return
_hookline_security_loaded=1

# shellcheck source=state-file.sh
source "${BASH_SOURCE[0]%/*}/state-file.sh"

_HOOKLINE_SECURITY_SHAPES='[{"total_scans": "number", "total_findings": "number",
  "by_severity": {"*": "number"}, "total_vulnerabilities": "number", "vulnerabilities": "object",
  "_alerted": "object"}, {"recent": "array", "history": "array"}, {"status": "string"}]'

# shellcheck disable=SC2016 # a jq program
_HOOKLINE_SECURITY_WORDS='
def severities: ["critical", "high", "medium", "low"];
def is_count: type == "number" and . >= 0 and . == floor;
def number_of($key): kind($key; "number")
  | if . == null or is_count then . else reject("data." + $key + " is no count") end;
def found: number_of("vulnerabilities_found") // number_of("finding_count");
def severity: text("severity"; 64) // "" | ascii_downcase;

# Scanners call the same thing by many names.
def first_text($object; $keys): first($keys[] | $object[.] | strings | .[:500] | clean) // null;
def finding: if type == "string" then {id: null, title: (.[:500] | clean), severity: "unknown"}
  elif type == "object" then {id: first_text(.; ["id", "cve", "vulnerability_id"]),
    title: first_text(.; ["title", "name", "description"]),
    severity: (first_text(.; ["severity"]) // "unknown" | ascii_downcase),
    package: first_text(.; ["package", "component", "file"]),
    remedy: first_text(.; ["remediation", "fix", "fixed_in", "fixed_version"])} else empty end;
def findings: kind("vulnerabilities"; "array") // [] | [.[:200][] | finding];

# A scan that does not say its id is known by what it belongs to, as in the original.
def scan: id("scan_id") // ($event.correlationid | strings | .[:256] | clean) // null;

# Told again is the same only after an hour.
def quiet($what): (._alerted[$what] | ago($now)) < 3600;
def alerted($what): ._alerted = (._alerted // {}
  | with_entries(select((.value | ago($now)) < 86400))
  | . as $known | .[$what | among($known)] = $at);
'

# Both spellings: a severity_breakdown and a list, or a severity and how many.
# shellcheck disable=SC2016 # a jq program
_HOOKLINE_SECURITY_SCAN='
def breakdown: kind("severity_breakdown"; "object") as $given | findings as $list
  | if $given and (all($given[]; is_count) | not)
    then reject("data.severity_breakdown is no map of counts") else . end
  | severities | map(. as $severity | {($severity):
      (if $given then $given[$severity] // 0
       elif $list != [] then [$list[] | select(.severity == $severity)] | length
       elif severity == $severity then found // 0 else 0 end)}) | add;

scan as $scan
| breakdown as $counts | findings as $list
| ([found, ($counts | add)] | max) as $total
| ([100 - 10 * $counts.critical - 5 * $counts.high - 2 * $counts.medium - $counts.low, 0] | max)
  as $score
| {timestamp: $at, kind: "scan", scan_id: $scan, scan_type: text("scan_type"; 256),
    scanner: text("scanner"; 256), duration_ms: kind("duration_ms"; "number"),
    findings: $total, by_severity: $counts, score: $score} as $result
| ([$result.scanner, $result.scan_type, $counts] | tojson) as $what
| append("security/scan-results.jsonl"; $result),
  ($states[1] | if $at | moment >= ($states[1].last_updated | past | moment)
    then save(1; . + {score: $score, last_updated: $at, scan_id: $scan, findings: $total,
      by_severity: $counts} | .history = ((.history // [])
        | map(select(.event_id? != $identity.event_id or .event_source? != $identity.event_source))
          + [{timestamp: $at, score: $score} + $identity] | .[-10:])) else empty end),
  write("text"; "security/reports/scan-\($name)-" + ($now | strftime("%Y%m%dT%H%M%SZ"))
      + "-\($hash[:8]).json"; $result + $identity + {vulnerabilities: $list} | document),
  ($states[2] | select($total > 0 and ($at | moment) >= (.timestamp | past | moment))
    | save(2; .status = (.status // "open") | . += ({scan_id: $scan, timestamp: $at,
      findings: $total, by_severity: $counts, items: $list} + $identity))),
  ($states[0] | .total_scans += 1 | .total_findings += $total | .last_scan = $at
    | reduce ($counts | to_entries[]) as $each (.; .by_severity[$each.key] += $each.value)
    | ($total > 0 and $counts.critical == 0 and (quiet($what) | not)) as $tell
    | save(0; if $tell then alerted($what) else . end),
      if $tell then emit("system.health_alert"; if $counts.high > 0 then "high" else "medium" end;
        {alert_type: "security_vulnerabilities", scan_id: $scan, scanner: $result.scanner,
          findings: $total, by_severity: $counts, score: $score}) else empty end,
      if $counts.critical > 0 then emit("security.vulnerability_found"; "critical";
        {severity: "critical", finding_count: $counts.critical, scan_id: $scan,
          scanner: $result.scanner, scan_type: $result.scan_type,
          vulnerabilities: [$list[] | select(.severity == "critical")][:20]}) else empty end),
  append("dashboard-events.jsonl"; {id: $identity.event_id, timestamp: $at,
    type: "security.scan_completed", data: ($result | del(.timestamp, .kind)),
    source: $identity.event_source})
'

# shellcheck disable=SC2016 # a jq program
_HOOKLINE_SECURITY_FOUND='
(severity | if . == "" then $event.priority // "medium" else . end) as $severity
| found as $count | findings as $list
| {timestamp: $at, kind: "vulnerability", vulnerability_id: id("vulnerability_id"),
    title: (text("title"; 500) // text("description"; 500)), severity: $severity,
    finding_count: ($count // ([$list | length, 1] | max)), scan_id: id("scan_id"),
    scanner: text("scanner"; 256)} as $new
| ($new.vulnerability_id // ([$new.scanner, $new.title, $severity, $new.finding_count,
    [$list[] | .id // .title]] | tojson)) as $what
| append("security/scan-results.jsonl"; $new),
  ($states[1] | ($new + $identity) as $row | save(1; .last_updated = $at
    | .recent = ([(.recent // [])[] | select(.event_id? != $identity.event_id
        or .event_source? != $identity.event_source)] + [$row] | .[-10:]))),
  ($states[0] | .total_vulnerabilities += 1 | .last_vulnerability = $at
    | .vulnerabilities |= count($severity)
    | ($severity == "critical" and (quiet($what) | not)) as $tell
    | save(0; if $tell then alerted($what) else . end),
      if $tell then emit("system.health_alert"; "critical"; {alert_type: "security_critical",
        severity: $severity, finding_count: $new.finding_count, scan_id: $new.scan_id,
        vulnerability_id: $new.vulnerability_id, title: $new.title, vulnerabilities: $list[:20]})
      else empty end)
'

security_scanned() { # <handler> <event-file>
  local scan name hash
  scan=$(state_apply "$1" "${2-}" "$_HOOKLINE_SECURITY_SHAPES" \
    "$_HOOKLINE_SECURITY_WORDS print(\"scan \" + (scan // \"\"))" metrics/security-stats.json) ||
    return
  # --help, or one that is done already.
  [[ $scan == 'scan '* ]] || { printf '%s' "${scan:+$scan$'\n'}" && return; }
  name=${scan#scan }
  hash=$(sha256sum <"$2") || return 70
  # What a file may not be called by an id, it is called by its hash.
  if [[ ! $name ]]; then
    name=sha256-${hash:0:32}
  elif [[ ! $name =~ ^[A-Za-z0-9_-]{1,64}$ ]]; then
    name=$(sha256sum <<<"$name") || return 70
    name=sha256-${name:0:32}
  fi
  state_apply "$1" "$2" "$_HOOKLINE_SECURITY_SHAPES" \
    "$_HOOKLINE_SECURITY_WORDS$_HOOKLINE_SECURITY_SCAN" metrics/security-stats.json \
    security/posture-score.json "remediation/remediation-$name.json" \
    -- --arg name "$name" --arg hash "$hash"
}

security_found() { # <handler> <event-file>
  state_apply "$1" "${2-}" "$_HOOKLINE_SECURITY_SHAPES" \
    "$_HOOKLINE_SECURITY_WORDS$_HOOKLINE_SECURITY_FOUND" metrics/security-stats.json \
    security/dashboard-metrics.json
}
