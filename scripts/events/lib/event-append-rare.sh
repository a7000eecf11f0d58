# shellcheck shell=bash disable=SC2034,SC2154 # see event-logger.sh
# Appending where one builtin printf will not do, and what to say when it went wrong.

[[ -z ${_hookline_event_append_rare_loaded-} ]] || return 0
_hookline_event_append_rare_loaded=1

_hookline_append_rare() { # a long line, a sync, a lock, or a log that is not there yet
  local _made='' _bytes=$((${#_hookline_line} + 1))
  ((_bytes <= _HOOKLINE_LINE_BYTES_MAX)) || _hookline_too_long "$_bytes" || return
  [[ -f $_hookline_log && ! -L $_hookline_log ]] || _hookline_make_log || return
  if [[ $_bytes -le $_HOOKLINE_PRINTF_BYTES_MAX && ! $_hookline_sync &&
    ! -e $_hookline_home/coordination/config/locked-append ]]; then
    builtin printf '%s\n' "$_hookline_line" >>"$_hookline_log" || _hookline_not_written
  else
    _hookline_append_dd
  fi
}

# Dd makes one write of a whole line and syncs the same descriptor. The here-string is complete
# before dd starts, so a killed shell cannot leave dd half a line to write.
_hookline_append_dd() {
  local _conv=notrunc _lock=$_hookline_home/coordination/config/locked-append
  [[ ! $_hookline_sync ]] || _conv+=,fdatasync
  (
    umask 0137
    if [[ -e $_lock ]]; then
      exec 9>>"$_hookline_log" || exit 73
      command -p flock --exclusive --timeout 5 9 || exit 75
    fi
    command -p dd bs="$_HOOKLINE_LINE_BYTES_MAX" iflag=fullblock oflag=append,nofollow,nonblock \
      conv="$_conv" status=none of="$_hookline_log" <<<"$_hookline_line" || exit 74
    [[ ! $_hookline_sync || ! $_made ]] || command -p sync -- "${_hookline_log%/*}" || exit 74
  )
  case $? in
    0) ;;
    75) _hookline_fail 75 'somebody has held the lock on the log for 5 s; try again' ;;
    *) _hookline_not_written ;;
  esac
}

_hookline_make_log() { # the one fork in a log's life: a mode of its own needs an umask of its own
  # Asked for what it must not be: that it is there by now is another writer's work, and that it is
  # gone again a rotation's.
  if [[ -L $_hookline_log || -d $_hookline_log || -p $_hookline_log || -S $_hookline_log ||
    -b $_hookline_log || -c $_hookline_log ]]; then
    _hookline_strange_log
    return
  fi
  _made=1
  if [[ ! -d $_hookline_home ]]; then
    _hookline_fail 73 \
      "there is no home at ${_hookline_home//[!\ -~]/?}; make one with: hookline init" || return
  fi
  (
    umask 0027
    [[ -d ${_hookline_log%/*} ]] || command -p mkdir -p -- "${_hookline_log%/*}" || exit 1
    umask 0137
    builtin printf '' >>"$_hookline_log"
  ) || _hookline_cannot_open
}

_hookline_strange_log() {
  _hookline_fail 73 \
    "${_hookline_log//[!\ -~]/?} is a link or no regular file; move it away and emit again"
}

_hookline_cannot_open() {
  # Where nothing else can be opened either, it is not the log's fault.
  [[ -e /dev/null ]] </dev/null || _hookline_no_descriptor || return
  _hookline_fail 73 "cannot open ${_hookline_log//[!\ -~]/?} for writing; see: hookline doctor"
}

# A short write leaves a piece without its newline; one newline closes it off from the next line.
_hookline_not_written() {
  local _last
  builtin printf '' >>"$_hookline_log" || _hookline_cannot_open || return
  _last=$(command -p tail -c 1 -- "$_hookline_log")
  [[ ! $_last ]] || builtin printf '\n' >>"$_hookline_log" || :
  _hookline_fail 74 "writing to ${_hookline_log//[!\ -~]/?} failed, the event may or may not be \
stored; make room, then emit it again with the id $_hookline_id"
}

_hookline_too_long() { # <bytes>
  _hookline_fail 65 "the event has $1 bytes and a line holds $_HOOKLINE_LINE_BYTES_MAX; store the \
payload beside the log with: hookline emit TYPE --data @FILE"
}
