# shellcheck shell=bash disable=SC2034,SC2154 # see event-logger.sh
# Maintenance: the file coordination/maintenance is there; what it says is the reason.

[[ -z ${_hookline_maintenance_loaded-} ]] || return 0
_hookline_maintenance_loaded=1

_hookline_wait_normal() {
  local _hookline_home _marker _self=$BASHPID _status _line _hookline_ears_fd _timeout=86400
  _hookline_find_home
  _marker=$_hookline_home/coordination/maintenance
  while [[ -e $_marker ]]; do
    { exec {_hookline_ears_fd}< <(_hookline_marker_goes "$_self"); } ||
      _hookline_fail 75 'no process or descriptor is left to wait with; end some, then try again' ||
      return
    _status=0
    while ((_status == 0)); do
      _hookline_read_line || _status=$?
    done
    exec {_hookline_ears_fd}<&-
    ((_status != 130 && _status != 143)) || return "$_status"
  done
}

# In a process of its own, whose end says that it is worth looking again.
_hookline_marker_goes() { # <pid of the shell that waits>
  _hookline_close_rest
  tail -q -n 0 --follow=name -s 1 --pid="$1" -- "$_marker" </dev/null
  # Of a folder, for one, tail says at once that it has no end.
  [[ ! -e $_marker ]] || sleep 1
}
