#!/usr/bin/env bash
# Usage: daemon-control.sh [--plain] [ACTION [NAME...] [OPTION...]]
# Summary: starts, stops and shows the daemons of coordination/config/daemons.toml
# Exit: 0 done, 64 usage, 65 no such daemon, 69 failed, 75 no answer yet, 77 not allowed, 78 no home
#
# Without an action: a menu, on a terminal with whiptail where that is installed, or of numbers on
# stdin.
#
#   status [NAME...] [--json]        how they are; one object for each
#   start NAME... | --all            asks for it with an event, and waits for what becomes of it
#   stop NAME... | --all             and waits until they have ended
#   restart NAME... | --all
#   logs NAME [-n LINES] [--follow]  what it has printed
#   health                           what is wrong; exit 69 when something is
#
#   --yes       stop --all, restart --all: do not ask; health: restart what is unhealthy
#   --legacy    start, restart: by the daemon's own script; nobody starts it again when it ends
#   --wait S    for so many seconds an answer is waited for; 45 if not given
#   --plain     no whiptail, whatever there is
#
# A daemon with start = "event" is asked for with the event system.daemon_start_requested, which a
# handler answers; without an event logger, or where it refuses, its own script starts it.
set -uo pipefail
umask 027

_wizard_root=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/../.." && pwd -P)
for _part in events/lib/daemon-facts \
  wizards/lib/daemon-{table,state,requests,actions,screen,health,menu}; do
  # With half of its parts, it would say of what runs that it has stopped.
  # shellcheck source=/dev/null
  if [[ ! -r $_wizard_root/scripts/$_part.sh ]] || ! source "$_wizard_root/scripts/$_part.sh"; then
    printf 'ERROR: %s is missing or broken; install Hookline again\n' \
      "$_wizard_root/scripts/$_part.sh" >&2
    exit 78
  fi
done

_WIZARD_LOG_LINES=20
plain='' json='' yes='' all='' follow='' legacy='' lines=$_WIZARD_LOG_LINES action=''
names=()

usage() { # <what is wrong>
  printf 'ERROR: %s; see %s --help\n' "$1" "${0##*/}" >&2
  exit 64
}

help() {
  sed -n '2,/^[^#]/{s/^#$//p;s/^# //p}' -- "${BASH_SOURCE[0]}"
}

arguments() { # <argument>...
  while (($#)); do
    case $1 in
      --help | -h) help && exit ;;
      --plain) plain=--plain ;;
      --json) json=1 ;;
      --yes | -y) yes=1 ;;
      --all) all=1 ;;
      --follow | -f) follow=-F ;;
      --legacy) legacy=--legacy ;;
      -n) lines=${2-} && shift ;;
      --wait) daemons_wait_s=${2-} && shift ;;
      -*) usage "${1@Q} is not known" ;;
      *) if [[ $action ]]; then names+=("$1"); else action=$1; fi ;;
    esac
    shift || break
  done
  [[ $lines =~ ^[0-9]{1,6}$ ]] || usage '-n takes a number of lines'
  [[ $daemons_wait_s =~ ^[0-9]{1,5}$ ]] || usage '--wait takes whole seconds'
  # Or a number that begins with 0 would be octal.
  daemons_wait_s=$((10#$daemons_wait_s))
  case ${action:-menu} in
    menu | status | start | stop | restart | logs | health) ;;
    *) usage "${action@Q} is not known" ;;
  esac
}

# Which daemons are meant; an option that does not belong there is a mistake.
check() {
  local name taken="menu: status:json start:all,legacy stop:all,yes restart:all,legacy,yes"
  taken+=' logs:follow health:yes'
  for name in json yes all follow legacy; do
    [[ ! ${!name} || " $taken " =~ \ ${action:-menu}:[a-z,]*$name ]] ||
      usage "--$name is not for ${action:-the menu}"
  done
  for name in "${names[@]}"; do
    # shellcheck disable=SC2154 # daemon-table.sh sets it
    [[ ${daemon_of["$name.script"]-} ]] || {
      printf 'ERROR: no daemon %s: there are: %s\n' "${name@Q}" "${daemon_names[*]}" >&2
      exit 65
    }
  done
  case $action in
    start | stop | restart)
      [[ ! $all || ${#names[@]} == 0 ]] || usage '--all, or names'
      [[ ! $all ]] || names=("${daemon_names[@]}")
      ((${#names[@]})) || usage "$action: which daemon? or --all"
      ;;
    logs) ((${#names[@]} == 1)) || usage 'logs: of which daemon?' ;;
    status) ((${#names[@]})) || names=("${daemon_names[@]}") ;;
    *) ((${#names[@]} == 0)) || usage "${action:-the menu} takes no name" ;;
  esac
}

home() {
  export HOOKLINE_HOME=${HOOKLINE_HOME:-${CORTEX_HOME:-$_wizard_root}}
  if [[ ! -d $HOOKLINE_HOME/coordination ]]; then
    printf 'ERROR: no home at %s: hookline init makes one\n' "${HOOKLINE_HOME@Q}" >&2
    exit 78
  fi
  HOOKLINE_HOME=$(cd -- "$HOOKLINE_HOME" && pwd -P) || exit 78
  daemon_table "$HOOKLINE_HOME/coordination/config/daemons.toml" || exit
  ((${#daemon_names[@]})) || {
    printf 'ERROR: %s names no daemon: it takes a [daemon.NAME] for each, with its script\n' \
      "$HOOKLINE_HOME/coordination/config/daemons.toml" >&2
    exit 78
  }
}

sure() { # <question>
  [[ ! $yes ]] || return 0
  ask "$1 (y/n) " || [[ ${interrupted-} ]] || usage 'nobody answers: --yes'
  [[ ! ${interrupted-} && $REPLY == [yY]* ]]
}

show_log() { # <name> [-F]
  local log=$HOOKLINE_HOME/coordination/logs/$1.log
  [[ -s $log || ${2-} ]] || { tell "$1 has printed nothing so far: $log" && return; }
  # shellcheck disable=SC2086 # an option, or nothing
  tail ${2-} -n "$lines" -- "$log" 2>/dev/null | daemon_clean || [[ ${interrupted-} ]]
}

seen() { # <name>...: 77 where one of them is not ours to read
  local name
  for name; do
    ! daemon_hidden "$name" >/dev/null || return 77
  done
}

act() {
  # shellcheck disable=SC2086 # an option, or nothing
  case $action in
    status)
      if [[ $json ]]; then daemon_states "${names[@]}"; else screen_table "${names[@]}"; fi
      seen "${names[@]}"
      ;;
    start) daemons_start $legacy "${names[@]}" ;;
    stop)
      [[ ! $all ]] || sure 'Stop all daemons?' || return 0
      daemons_stop "${names[@]}"
      ;;
    restart)
      [[ ! $all ]] || sure 'Restart all daemons?' || return 0
      daemons_restart $legacy "${names[@]}"
      ;;
    logs) show_log "${names[0]}" $follow ;;
    health)
      health_check || return
      # shellcheck disable=SC2154 # daemon-health.sh sets it
      if ((${#health_bad[@]} == 0)); then
        seen "${daemon_names[@]}"
      elif [[ $yes ]]; then
        daemons_restart "${health_bad[@]}"
      else
        return 69
      fi
      ;;
  esac
}

main() { # <argument>...
  arguments "$@"
  home
  check
  screen_open "${plain:-${action:+--plain}}"
  if [[ $action && $action != menu ]]; then
    [[ $action == status ]] || trap 'interrupted=1' INT
    act
  else
    menu
  fi
}

main "$@"
