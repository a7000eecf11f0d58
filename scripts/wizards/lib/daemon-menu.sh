# shellcheck shell=bash disable=SC2034,SC2154 # the parts share variables
# The menu of the wizard: numbers and names on any terminal or in a pipe, dialogs of whiptail where
# it is. Ctrl-C ends what is waited for; at the menu itself it
# ends the wizard.
#
#   menu    until 0, or the end of the input
#
# Needs daemon-actions.sh, daemon-screen.sh, daemon-health.sh, and show_log.

[[ -z ${_hookline_daemon_menu_loaded-} ]] || return 0
_hookline_daemon_menu_loaded=1

_MENU=(1 'refresh' 2 'start a daemon' 3 'stop a daemon' 4 'restart a daemon' 5 'logs of a daemon'
  6 'start all' 7 'stop all' 8 'health check' 0 'exit')
_MENU_KEYS=('1 refresh' '2 start' '3 stop' '4 restart' '5 logs' '6 start all' '7 stop all'
  '8 health check' '0 exit')
_MENU_COLUMNS_MAX=66
# Where the screen is too short for all daemons: the first one that is shown, and how many are.
_menu_first=0 _menu_room=0

menu() {
  trap 'interrupted=1' INT
  while :; do
    interrupted='' screen_told=() daemons_unserved=()
    _menu_choose && [[ ! $interrupted ]] || break
    case ${REPLY,,} in
      '' | 1 | refresh) _menu_refresh ;;
      +) _menu_first=$((_menu_first + _menu_room)) ;;
      2 | start) _menu_one start && _menu_start "$REPLY" ;;
      3 | stop) _menu_one stop && _menu_do daemons_stop "$REPLY" ;;
      4 | restart) _menu_one restart && _menu_start --restart "$REPLY" ;;
      5 | logs) _menu_one 'show the log of' && _menu_log "$REPLY" ;;
      6 | 'start all') _menu_start "${daemon_names[@]}" ;;
      7 | 'stop all')
        _menu_sure 'Stop all daemons?' && _menu_do daemons_stop "${daemon_names[@]}"
        ;;
      8 | health | 'health check') _menu_health ;;
      0 | q | quit | exit) break ;;
      *) _menu_do tell "${REPLY@Q} is none of these: a number from 0 to 8" ;;
    esac
  done
  return 0
}

_menu_choose() { # into REPLY
  local text rows
  local -a table
  screen_size
  text=$(screen_table)
  # Ctrl-C has ended what it is made with.
  [[ ! $interrupted ]] || return
  mapfile -t table <<<"$text"
  if [[ $screen_has_dialogs ]]; then
    # Or there would be none for the text, of up to four.
    rows=$((screen_lines - 15))
    ((rows < ${#_MENU[@]} / 2)) || rows=$((${#_MENU[@]} / 2))
    dialog menu "${table[0]}"$'\n'"${table[1]}" "$rows" "${_MENU[@]}"
    return
  fi
  screen_clear
  _menu_show "${table[@]}"
  ask 'Your choice: '
}

_menu_show() { # <line of the table>...: and what may be chosen
  local -a keys=() rows=("${@:5}")
  local line count=$(($# - 4)) last
  _menu_keys
  # Besides the rows: four lines above them, a blank one, and the one where the choice is made.
  _menu_room=$((screen_lines - 6 - ${#keys[@]}))
  if [[ ! $screen_is_live ]] || ((count <= _menu_room)); then
    printf '%s\n' "$@" ''
  else
    # Without the blank lines; one says what is left out.
    ((_menu_room++ > 0)) || _menu_room=1
    ((_menu_first < count)) || _menu_first=0
    last=$((_menu_first + _menu_room))
    ((last <= count)) || last=$count
    printf '%s\n' "$1" "$2" "$4" "${rows[@]:_menu_first:_menu_room}"
    ((count <= _menu_room)) ||
      _screen_line "  + shows more: $((_menu_first + 1)) to $last of $count"
  fi
  for line in "${keys[@]}"; do _screen_line "$line"; done
}

_menu_keys() { # of _menu_show: into keys, as many on a line as have room
  local key line='' columns=$_MENU_COLUMNS_MAX
  ((screen_columns >= columns)) || columns=$screen_columns
  for key in "${_MENU_KEYS[@]}"; do
    if ((${#line} + 2 + ${#key} > columns)); then
      keys+=("$line")
      line=''
    fi
    line+="  $key"
  done
  keys+=("$line")
}

_menu_refresh() {
  [[ ! $screen_has_dialogs ]] || dialog msgbox "$(screen_table)" || :
}

_menu_one() { # <what with it>: its name into REPLY
  local name number=0
  local -a items=()
  if [[ $screen_has_dialogs ]]; then
    while IFS=$'\x1f' read -r name number; do
      items+=("$name" "$number")
    done < <(daemon_fields '[.name, "\(.label): \(.state)"]')
    dialog menu "Which daemon to $1?" "$((screen_lines - 12))" "${items[@]}"
    return
  fi
  ask "Which daemon to $1 (number or name; Enter: none)? " || return
  [[ ! $interrupted && $REPLY ]] || return
  for name in "${daemon_names[@]}"; do
    number=$((number + 1))
    [[ $REPLY != "$number" && $REPLY != "$name" ]] || { REPLY=$name && return; }
  done
  _menu_do tell "${REPLY@Q} is none of them"
  return 1
}

_menu_do() { # <command>...: and let it be read
  [[ ! $screen_has_dialogs ]] || screen_clear
  "$@"
  _menu_back || :
}

_menu_start() { # [--restart] <name>...
  local how=daemons_start
  [[ $1 != --restart ]] || { how=daemons_restart && shift; }
  [[ ! $screen_has_dialogs ]] || screen_clear
  "$how" "$@"
  if ((${#daemons_unserved[@]} == 0)); then
    _menu_back || :
  elif _menu_back l "start ${daemons_unserved[*]} without it"; then
    screen_told=()
    _menu_do daemons_start --legacy "${daemons_unserved[@]}"
  fi
}

_menu_log() { # <name>
  local name=$1
  if [[ $screen_has_dialogs ]]; then
    screen_told=("$(show_log "$name")")
  else
    show_log "$name"
  fi
  if _menu_back f 'follow it, until Ctrl-C'; then
    screen_clear
    show_log "$name" -F
  fi
}

_menu_health() {
  local name
  [[ ! $screen_has_dialogs ]] || screen_clear
  health_check || return 0
  for name in "${health_bad[@]}"; do
    [[ ! $interrupted ]] && _menu_sure "Restart $name?" && daemons_restart "$name"
  done
  _menu_back || :
}

_menu_sure() { # <question>
  if [[ $screen_has_dialogs ]]; then
    dialog yesno "$(printf '%s\n' "${screen_told[@]}" '' "$1")" --defaultno
  else
    ask "$1 (y/n) " && [[ ! $interrupted && $REPLY == [yY]* ]]
  fi
}

# On a terminal what was told is read before the menu takes its place.
_menu_back() { # [<key> <what it does>]: whether that is wanted
  [[ $screen_is_live ]] || return
  if [[ $screen_has_dialogs ]]; then
    if (($#)); then
      dialog yesno "$(printf '%s\n' "${screen_told[@]}" '' "${2^}?")" --defaultno
    else
      dialog msgbox "$(printf '%s\n' "${screen_told[@]}")"
      return 1
    fi
  else
    interrupted=''
    ask "Enter: back to the menu${1:+; $1: $2} " && [[ ! $interrupted && ${1-} && $REPLY == "$1" ]]
  fi
}
