# shellcheck shell=bash disable=SC2154 # see daemon-loop.sh
# What is asked of a daemon from outside: whether it runs, to start, to stop, what it is.

[[ -z ${_daemon_commands_loaded-} ]] || return 0
_daemon_commands_loaded=1

_DAEMON_READY_WAIT_S=30
_DAEMON_STOP_WAIT_S=15
_DAEMON_KILL_WAIT_S=10

_daemon_help() { # the first lines of the script, and what all daemons have in common
  sed -n '2,/^[^#]/{s/^#$//p;s/^# //p}' -- "${BASH_SOURCE[-1]}"
  cat <<'HELP'

  start     in the background, with nobody to start it again (hookline daemon does)
  stop      and wait until it has ended
  status    RUNNING (exit 0) or STOPPED (exit 3)
  run       in the foreground; --interval SECONDS: how long between two rounds; --once: one round
HELP
}

_daemon_status() {
  local how=''
  if ! daemon_runs "$_daemon_folder"; then
    printf '%s: STOPPED\n' "$_daemon_name"
    return 3
  fi
  ! daemon_is_served || how=', standing by: the event system serves'
  printf '%s: RUNNING (process %s%s)\n' "$_daemon_name" "${daemon_pid:-unknown}" "$how"
}

_daemon_start() {
  # Whose child or attempt we are is none of its business: it outlives us.
  if ! daemon_runs "$_daemon_folder" && ! read -r -t "$_DAEMON_READY_WAIT_S" < <(
    unset -v HOOKLINE_ATTEMPT HOOKLINE_DAEMON HOOKLINE_LOCK_FD "${!EVENT_@}"
    _daemon_close_rest
    HOOKLINE_READY_FD=3 setsid --fork "${BASH_SOURCE[-1]}" run \
      --interval "$_daemon_interval_s" 3>&1 </dev/null >>"$_daemon_log" 2>&1
  ) && ! daemon_runs "$_daemon_folder"; then
    _daemon_fail 69 "$_daemon_name did not start: see $_daemon_log" || return
  fi
  _daemon_status
}

# What our caller has open, a lock for one, must not live as long as a daemon.
_daemon_close_rest() {
  local fd
  for fd in /proc/self/fd/*; do
    fd=${fd##*/}
    ((fd <= 2)) || exec {fd}>&- || :
  done
}

_daemon_stop() {
  if ! daemon_runs "$_daemon_folder"; then
    printf '%s: STOPPED already\n' "$_daemon_name"
    return
  fi
  _daemon_press TERM heads
  if ! _daemon_lets_go "$_DAEMON_STOP_WAIT_S"; then
    # One that was just begun when we looked is found the next time.
    local gives_up_s=$((SECONDS + _DAEMON_KILL_WAIT_S))
    while _daemon_press KILL members && ! _daemon_lets_go 0.5; do
      ((SECONDS < gives_up_s)) ||
        _daemon_fail 75 "$_daemon_name (process ${daemon_pid:-unknown}) does not end" || return
    done
  fi
  printf '%s: stopped\n' "$_daemon_name"
}

_daemon_lets_go() { # <seconds>
  flock --shared --timeout "$1" -- "$_daemon_folder/lock" true
}

# It may have ended just now.
_daemon_press() { # <signal> <to whom: see daemon-facts.sh>
  local -a processes
  mapfile -t processes < <("daemon_$2" "$_daemon_folder")
  ((${#processes[@]} == 0)) || kill "-$1" -- "${processes[@]}" 2>/dev/null || :
}
