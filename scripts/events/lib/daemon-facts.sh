# shellcheck shell=bash
# What the kernel knows of daemons and of the dispatcher: locks end with the processes that have
# them. For the daemons themselves (daemon-loop.sh) and for the wizard.
#
#   daemon_runs FOLDER             whether the daemon of coordination/daemons/NAME runs; sets
#                                  daemon_pid and daemon_supervisor, as far as they are known: it
#                                  may run for its supervisor, and have let go of its lock
#   daemon_hides FOLDER [PATH...]  prints what of it, or of these, is not ours to read, and whose it
#                                  is: whether it runs is not known then; fails where there is none
#   daemon_has_supervisor FOLDER   whether somebody sees to it that it runs
#   daemon_holders PATH            prints who has the lock of it, of those whom we may look at
#   daemon_heads FOLDER            prints who is to be told to end: its supervisor, or itself
#   daemon_members FOLDER          prints who is to be killed, where that was in vain
#   daemon_distrust SCRIPT         prints why others could change what it does, with the command
#                                  that mends it; fails where they cannot
#   dispatcher_runs HOME           dispatcher_comes HOME: it runs, or has just run, as from cron
#   scheduler_comes HOME           the same of the scheduler
#   event_system_serves HOME HANDLER...   whether what these handlers do is done
#   handler_listens HOME HANDLER   whether it is there, executable and not paused

[[ -z ${_hookline_daemon_facts_loaded-} ]] || return 0
_hookline_daemon_facts_loaded=1

# cron runs a dispatcher once a minute.
_HOOKLINE_SERVED_S=150

_hookline_is_locked() { # <file or folder>
  local fd
  { exec {fd}<"$1"; } 2>/dev/null || return
  if flock --shared --nonblock "$fd"; then
    exec {fd}<&-
    return 1
  fi
  exec {fd}<&-
}

daemon_hides() { # <folder> [<path>...]
  local path
  for path in "${1%/*}" "$1" "$1/lock" "${@:2}"; do
    if [[ (-e $path && ! -r $path) || (-d $path && ! -x $path) ]]; then
      printf '%s is not ours to read: it belongs to %s\n' "$path" "$(stat --format=%U -- "$path")"
      return
    fi
  done
  return 1
}

daemon_runs() { # <folder>
  local status=0
  daemon_pid='' daemon_supervisor=''
  [[ -f $1/lock ]] || return
  _hookline_is_locked "$1/lock" || status=1
  read -r daemon_pid daemon_supervisor _ 2>/dev/null <"$1/lock" || :
  [[ $daemon_pid =~ ^[1-9][0-9]*$ ]] || daemon_pid=''
  # Who has let go of both locks has left these numbers to somebody else.
  if [[ ! $daemon_supervisor =~ ^[1-9][0-9]*$ ]] || ! daemon_has_supervisor "$1"; then
    daemon_supervisor=''
    ((status == 0)) || daemon_pid=''
  fi
  return "$status"
}

daemon_has_supervisor() { # <folder>
  [[ -d $1 ]] && _hookline_is_locked "$1"
}

# Numbers of processes are used again, and a file may say any: only the kernel is believed in that.
daemon_holders() { # <file or folder>
  local fd info
  while IFS= read -r fd; do
    # It may be closed by now.
    info=$(<"${fd%/fd/*}/fdinfo/${fd##*/}") || continue
    # Who only looks has it shared, or not at all.
    [[ $info != *FLOCK*WRITE* ]] || printf '%s\n' "$fd"
  done < <(find -L /proc/[0-9]*/fd -mindepth 1 -maxdepth 1 -samefile "$1") |
    cut -d / -f 3 | sort -un
} 2>/dev/null

daemon_heads() { # <folder>
  local heads
  if daemon_has_supervisor "$1"; then
    daemon_holders "$1"
    return
  fi
  daemon_runs "$1" || return 0
  heads=$(daemon_holders "$1/lock")
  # What it has started has its lock as well: for that, it cares itself while it lives.
  grep -xF -e "${daemon_pid:-none}" <<<"$heads" || printf '%s' "${heads:+$heads$'\n'}"
}

daemon_members() { # <folder>
  local supervisor
  daemon_holders "$1" | while read -r supervisor; do
    printf '%s\n' "$supervisor"
    # Of these, some may have let go of the lock.
    tr ' ' '\n' 2>/dev/null <"/proc/$supervisor/task/$supervisor/children" || :
  done
  daemon_holders "$1/lock"
}

dispatcher_runs() { # <home>
  _hookline_is_locked "$1/coordination"
}

dispatcher_comes() { # <home>
  _hookline_comes "$1/coordination" "$1/coordination/state/dispatcher.pid"
}

scheduler_comes() { # <home>
  _hookline_comes "$1/coordination/config" "$1/coordination/state/scheduler.pid"
}

_hookline_comes() { # <what it locks> <where it says its number>
  local ran
  _hookline_is_locked "$1" || {
    # A file of the future was written before the clock was set back: that says nothing.
    ran=$(stat --format=%Y -- "$2" 2>/dev/null) &&
      ((ran <= EPOCHSECONDS && EPOCHSECONDS - ran < _HOOKLINE_SERVED_S))
  }
}

# As the supervisor does it: owned by root or by us, writable for nobody else, all the way up; only
# in a sticky folder nobody can rename what is not theirs.
daemon_distrust() { # <script>
  local path owner mode
  local -a places
  path=$(realpath -- "$1") || return
  while [[ $path ]]; do
    places+=("$path")
    path=${path%/*}
  done
  { read -r owner mode && IFS= read -r path; } < <(find "${places[@]}" / -maxdepth 0 \
    \( ! -uid 0 ! -uid "$EUID" -o -perm /022 ! \( -type d -perm -1000 \) \) \
    -printf '%U %m\n%p\n' -quit) || return
  if [[ $owner != @(0|"$EUID") ]]; then
    printf '%s belongs to user %s, who could change it: chown %d %q\n' "$path" "$owner" "$EUID" \
      "$path"
  else
    printf '%s can be written to by others (mode %s): chmod go-w %q\n' "$path" "$mode" "$path"
  fi
}

event_system_serves() { # <home> [<handler>...]
  local home=$1 handler
  shift
  (($#)) && [[ -f $home/scripts/events/lib/event-logger.sh ]] || return
  dispatcher_comes "$home" || return
  for handler; do
    handler_listens "$home" "$handler" || return
  done
}

# Not one that the dispatcher refuses to run, and none that is paused: the newest word of it is in
# the live journal, which begins with a snapshot.
handler_listens() { # <home> <handler>
  local said handlers=$1/scripts/events/handlers
  [[ -x $handlers/$2 && ! -L $handlers/$2 ]] || return
  [[ ! $(find "$handlers" "$handlers/$2" -maxdepth 0 -perm /022) ]] || return
  said=$(grep -aE '^\{"action":"(paused|resumed)",' -- "$1/coordination/deliveries.jsonl" |
    grep -aF -e "\"handler\":\"$2\"" | tail -n 1)
  [[ $said != '{"action":"paused",'* ]]
} 2>/dev/null
