# shellcheck shell=bash
# The host of warm handlers: a bash that has read the libraries of its arguments already, and forks
# a subshell for each event. `warm_runner.py` starts it and speaks to it on a socket, its stdin and
# stdout:
#
#   +<pid>      from here: a subshell waits for an event, as leader of its own process group
#   <number>    to here: the descriptor of our parent that has the script of the run
#   =<status>   from here: that subshell has ended
#
# When nobody listens any more, the answer ends this process with SIGPIPE.

for _hookline_part; do
  if [[ -r $HOOKLINE_HOME/scripts/events/lib/$_hookline_part.sh ]]; then
    # shellcheck source=/dev/null
    source "$HOOKLINE_HOME/scripts/events/lib/$_hookline_part.sh" </dev/null >/dev/null
  fi
done
unset -v _hookline_part
set --

# Job control: what is begun leads a process group. And what the script of a run assigns is
# exported, until it turns both off.
set -am
while :; do
  (
    printf '+%s\n' "$BASHPID" || exit
    read -r _hookline_run || exit
    # shellcheck source=/dev/null
    source "/proc/$PPID/fd/$_hookline_run"
  )
  printf '=%s\n' "$?" || exit
done
