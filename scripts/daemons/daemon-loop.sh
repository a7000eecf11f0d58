# shellcheck shell=bash
# The common part of the daemons: started, asked, ended, and one round of work after the other.
#
#   daemon_round() { ... }                 one round; what it prints is in the daemon's log
#   daemon_main NAME SECONDS [HANDLER...] -- "$@"
#
# A daemon stands by while the event system serves: there is an event logger, a dispatcher runs or
# has just run, and the handlers that do the daemon's work are there. One whose work is due by the
# clock has a `daemon_ask`, which then says the event that has a handler do it.
#
#   daemon_event [TYPE [DATA [ID]]]   prints the path of an event of now: what a round calls a
#                                     handler's function with
#   daemon_task, daemon_told          the process that a round waits for, which is told to end when
#                                     the daemon is; then daemon_told is not empty
#   daemon_asks TYPE DATA ID          says the event of this identity, for a handler
#   say_event ...                     see event-fallback.sh
#   daemon_has_news, daemon_each_new  see daemon-news.sh
#
# The lock coordination/daemons/NAME/lock says whether it runs, whatever has become of it.

[[ -z ${_daemon_loop_loaded-} ]] || return 0
_daemon_loop_loaded=1

# shellcheck source=scripts/events/lib/event-fallback.sh
source "${BASH_SOURCE[0]%/*}/../events/lib/event-fallback.sh"
# shellcheck source=scripts/events/lib/daemon-facts.sh
source "${BASH_SOURCE[0]%/*}/../events/lib/daemon-facts.sh"
# shellcheck source=scripts/daemons/daemon-commands.sh
source "${BASH_SOURCE[0]%/*}/daemon-commands.sh"
# shellcheck source=scripts/daemons/daemon-news.sh
source "${BASH_SOURCE[0]%/*}/daemon-news.sh"

# Who looks whether it runs has the lock too, for a moment.
_DAEMON_LOCK_WAIT_S=0.5
daemon_task='' daemon_told=''

daemon_main() { # <name> <seconds> [<handler>...] -- [<argument>...]
  local hidden
  _daemon_name=$1 _daemon_interval_s=$2 _daemon_handlers=() _daemon_once=''
  shift 2
  while [[ $1 != -- ]]; do _daemon_handlers+=("$1") && shift; done
  shift
  # The rounds of those that nobody stands in for never come again, but for the last one.
  ((${#_daemon_handlers[@]})) || _HOOKLINE_REMEMBERED=3
  _daemon_arguments "$@" || return
  [[ $_daemon_action != help ]] || { _daemon_help && return; }
  : "${HOOKLINE_HOME:=${CORTEX_HOME:-$(cd -- "${BASH_SOURCE[-1]%/*}/../.." && pwd -P)}}"
  export HOOKLINE_HOME TZ=UTC
  [[ -d $HOOKLINE_HOME/coordination ]] ||
    _daemon_fail 78 "no home at ${HOOKLINE_HOME@Q}: hookline init makes one" || return
  _daemon_folder=$HOOKLINE_HOME/coordination/daemons/$_daemon_name
  _daemon_log=$HOOKLINE_HOME/coordination/logs/$_daemon_name.log
  _daemon_memory=/dev/shm/hookline-$_daemon_name.$$
  ! hidden=$(daemon_hides "$_daemon_folder") || _daemon_fail 77 "$hidden" || return
  mkdir -p -- "$_daemon_folder" "${_daemon_log%/*}" || return 73
  "_daemon_$_daemon_action"
}

_daemon_arguments() { # <argument>...
  _daemon_action=''
  while (($#)); do
    case $1 in
      --help | -h) _daemon_action=help && return ;;
      start | stop | status | run) _daemon_action=$1 ;;
      --once) _daemon_once=1 ;;
      --interval) _daemon_interval_s=${2-} && shift ;;
      *) _daemon_fail 64 "${1@Q} is not known; see --help" || return ;;
    esac
    shift || break
  done
  [[ $_daemon_action ]] || _daemon_fail 64 'start, stop, status or run? see --help' || return
  [[ $_daemon_interval_s =~ ^[1-9][0-9]{0,6}$ ]] ||
    _daemon_fail 64 '--interval takes whole seconds from 1 on; see --help'
}

_daemon_fail() { # <exit> <message>
  printf 'ERROR: %s\n' "$2" >&2
  return "$1"
}

# A full disk is no reason to end.
_daemon_tell() { # <text>: into the log, where people look
  printf '%(%Y-%m-%dT%H:%M:%SZ)T %s: %s\n' -1 "$_daemon_name" "$1" >&2 || :
}

_daemon_run() {
  _daemon_take_lock || return
  exec {_daemon_wake}<> <(:)
  if [[ $_daemon_once ]]; then
    _daemon_turn
    return
  fi
  trap '_daemon_end TERM' TERM
  trap '_daemon_end INT' INT
  _daemon_say daemon.started "\"pid\":$$,\"startup_mode\":\"legacy\""
  if [[ ${HOOKLINE_READY_FD-} == [3-9] ]]; then
    printf '\n' >&"$HOOKLINE_READY_FD"
    exec {HOOKLINE_READY_FD}>&-
  fi
  unset -v HOOKLINE_READY_FD
  while [[ ! $daemon_told ]]; do
    _daemon_has_lock || return
    _daemon_turn || _daemon_tell "a round has failed with exit $?"
    _daemon_wait
  done
  _daemon_say daemon.stopped "\"reason\":\"SIG$daemon_told\",\"graceful\":true"
}

_daemon_turn() { # what is to be done now, and by whom
  local status=0
  if daemon_is_served; then
    [[ ${_daemon_served-} ]] || _daemon_tell 'stands by: the event system serves'
    _daemon_served=1
    ! declare -F daemon_ask >/dev/null || daemon_ask
    return
  fi
  [[ ! ${_daemon_served-} ]] || _daemon_tell 'the event system does not serve any more: takes over'
  _daemon_served=''
  daemon_round || status=$?
  [[ ! -e $_daemon_memory ]] || rm -f -- "$_daemon_memory"
  # What was cut short goes on as the event it was, so that nothing is said as another one.
  [[ $status != @(0|65) || ! -s $_daemon_folder/round.json ]] || : >|"$_daemon_folder/round.json"
  ((status == 0)) || daemon_look_again
  return "$status"
}

# Without a process, which could outlive us. Who was told to end meanwhile does not wait.
_daemon_wait() { [[ $daemon_told ]] || read -r -t "$_daemon_interval_s" -u "$_daemon_wake" || :; }

# In a trap, a `return` without a number gives what was before it: no work is done there. A round is
# brought to its end; what it waits for is ended.
_daemon_end() { # <signal>
  daemon_told=$1
  [[ ! $daemon_task ]] || kill -TERM "$daemon_task" 2>/dev/null || :
  printf '\n' >&"$_daemon_wake"
}

# A supervisor has taken it for us: then it is open, and ours for as long as we live.
_daemon_take_lock() {
  if [[ ${HOOKLINE_LOCK_FD-} == [3-9] ]]; then
    _daemon_lock=$HOOKLINE_LOCK_FD
    unset -v HOOKLINE_LOCK_FD
    return
  fi
  # Whatever else lies there would have another lock.
  [[ ! -e $_daemon_folder/lock || -f $_daemon_folder/lock ]] && [[ ! -L $_daemon_folder/lock ]] ||
    _daemon_fail 73 "$_daemon_folder/lock is no file: remove it" || return
  exec {_daemon_lock}>>"$_daemon_folder/lock" || return 73
  if ! flock --timeout "$_DAEMON_LOCK_WAIT_S" "$_daemon_lock"; then
    daemon_runs "$_daemon_folder" || :
    _daemon_fail 75 "$_daemon_name runs already (process ${daemon_pid:-unknown})" || return
  fi
  # Nobody but the holder of the lock writes there; that it runs, the lock says also where the
  # disk is full.
  { printf '%d 0\n' "$$" >|"$_daemon_folder/lock"; } 2>/dev/null || :
}

# Whoever has removed the file has let another one run; who is supervised is started again.
_daemon_has_lock() {
  [[ ! $_daemon_folder/lock -ef /proc/self/fd/$_daemon_lock ]] || return 0
  _daemon_tell 'its lock was removed: ends'
  daemon_runs "$_daemon_folder" ||
    _daemon_say daemon.failed '"reason":"its lock was removed","retry_in_s":null'
  return 75
}

_daemon_say() { # <type> <more members>: who is supervised is spoken for
  [[ ! ${HOOKLINE_DAEMON-} ]] || return 0
  local script=${BASH_SOURCE[-1]}
  say_event "$1" "$_daemon_name" "{\"daemon_type\":\"$_daemon_name\",\
\"daemon_script\":\"scripts/daemons/${script##*/}\",$2}" ||
    _daemon_tell "could not say $1"
}

daemon_is_served() {
  event_system_serves "$HOOKLINE_HOME" "${_daemon_handlers[@]}"
}

# [<type> [<json-data> [<id>]]]: prints the path of an event of now; a round that was cut short has
# its own again. On a full disk, where a cleanup is needed most, one with an id of its own is kept
# in memory: it is the same one whenever it is made.
daemon_event() {
  local type=${1:-daemon.round} data=${2:-null} id=${3-} file=$_daemon_folder/round.json time text
  if [[ ! -s $file || ($id && $(<"$file") != *"\"id\":\"$id\""*) ]]; then
    [[ $id ]] || read -r id </proc/sys/kernel/random/uuid || return
    printf -v time '%(%Y-%m-%dT%H:%M:%S)T.%sZ' "${EPOCHREALTIME%[.,]*}" "${EPOCHREALTIME#*[.,]}"
    printf -v text '{"specversion":"1.0","id":"%s","source":"%s","type":"%s","time":"%s",%s}' \
      "$id" "$_daemon_name" "$type" "$time" "\"data\":$data"
    if ! printf '%s\n' "$text" >|"$file"; then
      [[ ${3-} ]] || return
      file=$_daemon_memory
      # Others may write there, too: not through what they have made.
      (set -o noclobber && printf '%s\n' "$text" >"$file") || return
    fi
  fi
  printf '%s\n' "$file"
}

# Of the same identity as the event that daemon_event makes: whichever comes first is done.
daemon_asks() { # <type> <json-data> <id>
  local event="{\"specversion\":\"1.0\",\"id\":\"$3\",\"source\":\"$_daemon_name\",\"type\":\"$1\","
  event+="\"data\":$2}"
  if has_event_logger; then
    log_event "$event" >/dev/null
  else
    drop_event "$event"
  fi
}
