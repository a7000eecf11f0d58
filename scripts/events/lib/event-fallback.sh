# shellcheck shell=bash
# Says something as an event, with an event logger or without one.
#
#   say_event TYPE SOURCE DATA [PRIORITY]    DATA is JSON; 65: it is no event
#   say_newest TYPE SOURCE DATA              for what is said again and again, such as a heartbeat:
#                                            in the drop box the newest replaces the one before, so
#                                            that they do not pile up; DATA is known to be JSON
#   drop_event EVENT [NAME]                  an object with specversion, id, source and type; its
#                                            time is now
#
# Where there is no event-logger.sh, or it cannot write, an event goes into the drop box
# coordination/events/queue/, as a file that shows with `ls` and becomes an event as soon as a
# dispatcher comes. Its time is when it was said. Its id is in HOOKLINE_EVENT_ID either way, and
# HOOKLINE_EVENT_FILE is the file in the drop box, or empty: it is in the log.

[[ -z ${_hookline_event_fallback_loaded-} ]] || return 0
_hookline_event_fallback_loaded=1
_hookline_fallback_lib=${BASH_SOURCE[0]%/*}
[[ $_hookline_fallback_lib != "${BASH_SOURCE[0]}" ]] || _hookline_fallback_lib=.

# Whether there is a logger here; what was loaded goes on, whatever becomes of its file. One that is
# not ours may do anything in the shell that sources it.
has_event_logger() {
  local _text=''
  declare -F emit_event >/dev/null && return
  [[ -r $_hookline_fallback_lib/event-logger.sh ]] &&
    ! IFS='' read -r -d '' _text <"$_hookline_fallback_lib/event-logger.sh" &&
    [[ $_text == *$'\nemit_event() {'* ]] || return
  # shellcheck source=event-logger.sh
  source "$_hookline_fallback_lib/event-logger.sh" && declare -F emit_event >/dev/null
}

say_event() { # <type> <source> <json-data> [<priority>]
  local _id='' _status=0 _source='' _priority=${4:-medium}
  HOOKLINE_EVENT_FILE=''
  _fallback_emit "$1" "$2" "$3" '' "$_priority" || _status=$?
  ((_status == 75)) || return "$_status"
  # shellcheck disable=SC2016 # a jq program
  if [[ ! $1 =~ ^[a-z][a-z0-9_]*(\.[a-z0-9_]+)+$ || ! $2 || $2 == *[[:cntrl:]]* ||
    $_priority != @(low|medium|high|critical) ]] ||
    ! _source=$(jq -es --arg source "$2" 'if length == 1 then $source else error end' \
      <<<"$3" 2>/dev/null); then
    printf 'ERROR: this is no event: %q %q\n' "$1" "$2" >&2
    return 65
  fi
  _fallback_drop "$1" "$_source" "$3" ",\"priority\":\"$_priority\""
}

say_newest() { # <type> <source> <json-data>
  local _id='' _status=0
  HOOKLINE_EVENT_FILE=''
  _fallback_emit "$@" || _status=$?
  ((_status == 75)) || return "$_status"
  [[ $2 =~ ^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$ ]] || return 65
  _fallback_drop "$1" "\"$2\"" "$3" '' "$1.$2"
}

# 75: it is to be dropped; with an _id, it may be stored after all, and under the same id it is
# delivered once.
_fallback_emit() { # <what emit_event takes>
  has_event_logger || return 75
  emit_event "$@" && return
  case $? in
    64) return 64 ;;
    65) return 65 ;;
  esac
  _id=${HOOKLINE_EVENT_ID-}
  return 75
}

_fallback_drop() { # <type> <source as JSON> <data> <more members> [<name>]
  [[ $_id ]] || read -r _id </proc/sys/kernel/random/uuid || return 75
  HOOKLINE_EVENT_ID=$_id
  drop_event "{\"specversion\":\"1.0\",\"id\":\"$_id\",\"source\":$2,\
\"type\":\"$1\"$4,\"data\":$3}" "${5-}"
}

drop_event() { # <event> [<name>]: one that lies there under the same name is replaced
  local _queue=${HOOKLINE_HOME:-${CORTEX_HOME:-$_hookline_fallback_lib/../../..}} _name=${2-} _time
  _queue+=/coordination/events/queue
  [[ $_name ]] || read -r _name </proc/sys/kernel/random/uuid || return 75
  TZ=UTC printf -v _time '%(%Y-%m-%dT%H:%M:%S)T.%sZ' "${EPOCHREALTIME%[.,]*}" \
    "${EPOCHREALTIME#*[.,]}"
  # What is soon replaced need not be on disk by then.
  if ! { { [[ -d $_queue ]] || mkdir -p -- "$_queue"; } &&
    printf '{"time":"%s",%s\n' "$_time" "${1#\{}" >"$_queue/.$_name.tmp" &&
    { [[ ${2-} ]] || sync -- "$_queue/.$_name.tmp"; } &&
    mv -- "$_queue/.$_name.tmp" "$_queue/$_name.json"; }; then
    printf 'ERROR: nothing can be put into %q: is the disk full, and is it yours?\n' "$_queue" >&2
    return 74
  fi
  # shellcheck disable=SC2034 # for the caller
  HOOKLINE_EVENT_FILE=$_queue/$_name.json
}
