# shellcheck shell=bash disable=SC2034,SC2154 # see event-logger.sh
# How a waiting shell hears of new lines of a log: a tail and a grep write into a pipe.

[[ -z ${_hookline_tick_ears_loaded-} ]] || return 0
_hookline_tick_ears_loaded=1

# How often to look for a log that is not there yet: tail would miss one that is made while it
# begins, and does not follow it through its first rotation.
_HOOKLINE_LOOK_MS=200
# What `read` takes as a timeout has a limit.
_HOOKLINE_READ_MS_MAX=3600000
_hookline_ears_fd='' _hookline_ears_pid='' _hookline_ears_log=''

# Sets _line to the next tick, waiting for it at most so long. 1: nothing came, the time may be over
# or not; 2: what came is no tick; 130, 143: the caller's trap for INT or TERM has run.
_hookline_hear() { # <milliseconds>
  local _timeout _status=0 _ms=$(($1 < _HOOKLINE_READ_MS_MAX ? $1 : _HOOKLINE_READ_MS_MAX))
  [[ $_hookline_ears_pid ]] || ((_ms < _HOOKLINE_LOOK_MS)) || _ms=$_HOOKLINE_LOOK_MS
  # No time at all would be to ask whether there is something, and not to read it.
  ((_ms > 0)) || _ms=1
  builtin printf -v _timeout '%d.%03d' $((_ms / 1000)) $((_ms % 1000))
  _hookline_read_line || _status=$?
  case $_status in
    0) _hookline_is_tick || return 2 ;;
    130 | 143) return "$_status" ;;
    *) _hookline_listen_again && return 1 ;;
  esac
}

# Only in posix mode does a signal that has a trap end a read. The trap finds IFS and globs as they
# are by default.
_hookline_read_line() {
  local - IFS=$' \t\n'
  set -o posix
  set +f
  read -r -t "$_timeout" -u "$_hookline_ears_fd" _line
}

_hookline_is_tick() { # whether _line is an event of _type, and of _schedule if there is one
  local _text='([^"\\]|\\.)*' _data
  [[ $_line =~ '{"specversion":"1.0","id":"'$_text'","source":"'$_text'","type":"'"$_type"'"' ]] ||
    return 1
  _data=${_line#*',"data":'}
  [[ ! $_schedule || $_data == *"\"schedule\":\"$_schedule\""* ]]
}

_hookline_listen() { # <byte to begin with>, or nothing: what comes from now on
  local _self=$BASHPID _begin=${1-}
  _hookline_deafen
  _hookline_ears_log=$_hookline_home/coordination/events/${_type%%.*}-events.jsonl
  # Open for writing too, so that the pipe does not end: where nobody is left to write there is
  # nothing to hear, and the timer goes on.
  if [[ ! -f $_hookline_ears_log ]]; then
    { exec {_hookline_ears_fd}<> <(:); } && return
  elif { exec {_hookline_ears_fd}<> <(_hookline_ears "$_self"); } &&
    read -r -t 10 -u "$_hookline_ears_fd" _hookline_ears_pid; then
    wait "$!" || :
    return
  fi
  _hookline_deafen
  _hookline_fail 75 'no process or descriptor is left to listen with; end some, then try again'
}

# When nothing came: a log that is there now has ticks from its beginning on; and whatever may have
# killed those who listen, silence is no reason to stay deaf.
_hookline_listen_again() {
  if [[ ! $_hookline_ears_pid ]]; then
    [[ ! -f $_hookline_ears_log ]] || _hookline_listen 1
  elif ! kill -0 "$_hookline_ears_pid"; then
    _hookline_listen
  fi
}

# In a process of its own: says which process to look after, then the lines of the log. Neither
# grep nor tail is a child of the caller's, whose `wait` would wait for them.
_hookline_ears() { # <pid of the shell that listens>
  _hookline_close_rest
  [[ $_begin ]] || _begin=$(($(stat -L -c %s -- "$_hookline_ears_log") + 1))
  {
    builtin printf '%s\n' "$BASHPID"
    # It looks each second whether the shell lives; of lines it is told.
    exec grep -aF --line-buffered -e "\"type\":\"$_type\"" < <(
      exec tail -q -c "+$_begin" -F -s 1 --pid="$1" -- "$_hookline_ears_log" </dev/null
    )
  } &
}

# What else the caller has open, a lock for one, must not live longer in ours than in itself.
_hookline_close_rest() {
  local _fd
  PATH=/usr/local/bin:/usr/bin:/bin
  set +f
  for _fd in /proc/self/fd/*; do
    _fd=${_fd##*/}
    ((_fd <= 2)) || exec {_fd}>&- || :
  done
}

_hookline_deafen() { # ends grep, and with it tail
  [[ ! $_hookline_ears_fd ]] || exec {_hookline_ears_fd}>&-
  [[ ! $_hookline_ears_pid ]] || kill "$_hookline_ears_pid" || :
  _hookline_ears_fd='' _hookline_ears_pid=''
}
