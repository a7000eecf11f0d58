# shellcheck shell=bash disable=SC2016,SC2034 # jq programs, used by state-file.sh
# The jq half of state-file.sh: the frame that a handler's program stands in, and the words that
# it is written with. What comes out are effects, each with a character behind it that no text has:
# they tell the shell what to do.
#
# jq 1.6 takes 16 ms to start and then about a millisecond for each four lines that are used, run
# or not; a definition that nothing calls is free, and so is the second call of one.

[[ -n ${_hookline_state_plan_loaded-} ]] && return
_hookline_state_plan_loaded=1

_HOOKLINE_STATE_END_OF_EFFECT=$'\x1e'

# The brackets confine `try`: that of jq 1.6 also catches what fails later, in the code after it.
# What a terminal might obey is taken out: jq escapes control characters up to U+001F only.
# A far machine's clock may be ahead: $now is the time of the event, but never later than ours.
# In a batch the program is run for each event, on the states that the one before it has saved;
# $more says whether another one follows. Written is what was saved last.
_HOOKLINE_STATE_FRAME='
def reject($why): $handler + ": " + $why + "\n" | halt_error(65);
def parsed: [try fromjson catch null][0];
def clean: . as $text | explode | if (min // 32) > 31 and (max // 32) < 127 then $text else
  map(. as $c | if any([[0, 31], [127, 159], [8203, 8207], [8232, 8238], [8294, 8297],
    [65279, 65279]][]; .[0] <= $c and $c <= .[1]) then 32 else $c end) | implode end;
def epoch_or($default): strings // "" | if endswith("Z") or endswith("+00:00") or endswith("+0000")
  then .[:19] + "Z" | [try fromdateiso8601 catch $default][0] else $default end;

# A shape says which type a key of a state has when it is there: "string", or {"due": "string?"}
# with what must, or may, be in it; or what the rows of an array or of a map are:
# [{"id": "string?"}], {"*": "number"}. Rows of another shape may be of use to somebody else: they
# are kept, and no program sees them. Of what else is of another shape a copy is kept, for a person.
def fits($shape): ($shape | type) as $kind
  | if $kind == "string" then ($shape | rtrimstr("?")) as $type
      | type == $type or (. == null and $type != $shape)
    elif $kind == "array" or $shape["*"] then type == $kind
    else type == "object" and (. as $it
      | all($shape | keys_unsorted[]; . as $key | $it[$key] | fits($shape[$key]))) end;
def row_of($shape): if $shape | type == "array" then $shape[0] else [$shape | objects["*"]][0] end;
def chosen(f): if type == "array" then map(select(f)) else with_entries(select(.value | f)) end;
def opened($shape): (if . == "" then {} else parsed end) as $was
  | reduce ($shape | keys_unsorted[]) as $key ({state: ($was | objects // {}), foreign: {},
      is_damaged: ($was | type != "object")};
    .state[$key] as $it | row_of($shape[$key]) as $row
    | if $it == null then .
      elif $it | fits($shape[$key]) | not then .is_damaged = true | del(.state[$key])
      elif $row == null or ($it | all(.[]; fits($row))) then .
      else .foreign[$key] = ($it | chosen(fits($row) | not))
        | .state[$key] = ($it | chosen(fits($row))) end);
def with_foreign($foreign): reduce ($foreign | to_entries[]) as {$key, value: $rows} (.;
  .[$key] |= if $rows | type == "array" then . + $rows else $rows + . end);

# Rows of an array or of a map stay on a line each: grep and diff work on a state file.
def members(rendered): [keys_unsorted[] as $key | ($key | tojson) + ": " + (.[$key] | rendered)];
def rows: if type == "array" then "[\n    " + (map(tojson) | join(",\n    ")) + "\n  ]"
  else "{\n    " + (members(tojson) | join(",\n    ")) + "\n  }" end;
def document: "{\n  " + (members(if (type == "array" or type == "object") and length > 0
  and all(.[]; type == "object") then rows else tojson end) | join(",\n  ")) + "\n}";

([$event_text | parsed // (split("\n")[] | select(. != "") | parsed)]) as $events
| if $events == [] or any($events[]; [objects | .id, .source, .time | strings] | length != 3)
  then reject("this is no event")
  elif $payload == [] and any($events[]; .dataref) then
    if $events[1] then $handler + ": the events come one by one\n" | halt_error(75)
    else "payload\t" + $events[0].dataref end
  else
    ($shapes | .[0]._applied = {($handler): "array?"} | [., $raw] | transpose
      | map(.[0] as $shape | .[1] | opened($shape))) as $opened
    | reduce range($events | length) as $place ({states: ($opened | map(.state)), effects: []};
        $events[$place] as $event | .states as $states
        | (if $payload != [] then $payload[0] elif $event.data == null then {} else $event.data end)
          as $data
        | if $data | type != "object" then reject("data is no object") else . end
        | {event_id: ($event.id | clean), event_source: ($event.source | clean)} as $identity
        | if $states[0]._applied[$handler] // [] | index([$identity | join(" ")]) then . else
            ([$event.time | epoch_or($clock), $clock] | min) as $now
            | (if $now == ($event.time | epoch_or(null)) then $event.time
              else $clock | todate end) as $at
            | ($place + 1 < ($events | length)) as $more
            | reduce ('

_HOOKLINE_STATE_END='
              ) as $effect (.; .effects += [$effect]
                | if $effect | type == "object" and has("state")
                  then .states[$effect.number] = $effect.state else . end)
          end)
    | ((.effects[] | strings),
        ([.effects[] | objects] | group_by(.file)[] | .[-1]
          | $opened[.number // 0] as $was
          | (select(has("state") and $was.is_damaged) | "damaged\t\(.number)\t"),
            .file + "\t" + if has("state") then .state | with_foreign($was.foreign) | document
              else .text end))
      + "\u001e"
  end
'

_HOOKLINE_STATE_WORDS='
# The effects. The first state carries the identities of the newest events applied to it.
def print($text): "print\t" + $text + "\t";
def append($file; $line): ($identity | tojson[1:]) as $key
  | "append\t" + $file + "\t" + $key + "\t" + ($line | tojson[:-1]) + "," + $key;
# At most one of a type from one event, or with one tag: the id says so.
def emit_as($tag; $type; $priority; $data): "emit\t" + $type + "\t" + ({
  id: ($event.id[:100 - ($tag | length)] + "." + ($type | split(".")[1][:27]) + $tag),
  source: $handler, priority: $priority} | tojson[1:-1]) + "\t" + ($data | tojson);
def emit($type; $priority; $data): emit_as(""; $type; $priority; $data);
def write($word; $name; $text): {file: ($word + "\t" + $name), text: $text};
def save($n; $state): {file: "state\t\($n)", number: $n, state: ($state | if $n == 0 then
  ._applied[$handler] |= ((. // []) + [$identity | join(" ")] | .[-$remembered:]) else . end)};

# Times with what is below a second: as seconds since 1970, and back (a millisecond later, and
# never past what has four digits for the year).
def moment: epoch_or(null) as $s | if $s == null then null
  else $s + ([[.[19:26] | try tonumber catch 0][0], 0.999999] | min) end;
def stamp: [., 253402128000] | min * 1000 | ceil + 1 | (. / 1000 | floor | todate)[:19] + "."
  + "\(. % 1000 + 1000)"[1:] + "Z";
# The clock may have been ahead: what was written at a time that has not come was written at none.
def past: if (numbers // epoch_or(0)) > $clock then null else . end;
def ago($now): past | (numbers // epoch_or(null)) | if . == null then infinite else $now - . end;
def now_s: if $now == $clock then $clock else $event.time | moment end;

# The moment that is asked for next: one that is over is on its way as a tick, or nobody ticks.
def planned($key; $first; $now): (.[$key].due | moment // 0) as $due
  | if $first != null and ($due <= $now or $first < $due) then .[$key] = {due: ($first | stamp)}
    else . end;

# The fields of the data.
def kind($key; $kind): $data[$key] | if . == null or type == $kind then . else
  reject("data." + $key + " is of type " + type + ", not " + $kind) end;
def text($key; $length): kind($key; "string") | if . == null then . else .[:$length] | clean end;
# An id names the same thing everywhere: it is taken whole or refused, never altered.
def id($key): kind($key; "string") | if . == null or . == "" then null
  elif length > 256 or . != clean then reject("data." + $key + " is not fit for an id") else . end;
def required($key): . // reject("data." + $key + " is missing");

# A key of a counter may be foreign text: past the limit all new ones are counted as one.
def among($map): . as $key
  | if ($map | has($key)) or ($map | length) < 1000 then . else "(other)" end;
def count($key): (. // {}) | . as $map | .[$key | among($map)] += 1;
'
