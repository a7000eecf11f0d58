# shellcheck shell=bash disable=SC2034,SC2154 # the parts share variables
# What the wizard shows: on a terminal as wide as it is, with colours only where they are wanted;
# in a pipe, plain lines.
#
#   screen_open [--plain]   what there is to show things on; sets screen_is_live (a terminal), and
#                           screen_has_dialogs (whiptail)
#   screen_size             how large it is now; sets screen_lines and screen_columns
#   screen_table [NAME...]  the daemons, as wide as that
#   screen_clear, tell TEXT..., progress TEXT
#   ask PROMPT              a line into REPLY; fails at the end of the input
#   dialog KIND TEXT [...]  whiptail; what was chosen is in REPLY
#
# Needs daemon-state.sh.

[[ -z ${_hookline_daemon_screen_loaded-} ]] || return 0
_hookline_daemon_screen_loaded=1

screen_is_live='' screen_has_dialogs=''
screen_told=()
_screen_progress=''
_SCREEN_COLUMNS_MAX=4096
# Dialogs that would not fit are not shown at all.
_SCREEN_DIALOG_COLUMNS=60 _SCREEN_DIALOG_LINES=20
_SCREEN_KEYS='Arrow keys: move; Tab: buttons; Enter: choose; Esc: back'

screen_open() { # [--plain]
  [[ ! -t 0 || ! -t 1 || ${TERM:-dumb} == dumb ]] || screen_is_live=1
  _screen_colours=() _screen_normal=''
  if [[ -t 1 && ${TERM:-dumb} != dumb && ! ${NO_COLOR-} ]]; then
    _screen_colours=([running]=$'\e[32m' ["standing by"]=$'\e[32m' [failed]=$'\e[31m'
      [stopped]=$'\e[2m' [requested]=$'\e[33m' [starting]=$'\e[33m' [restarting]=$'\e[33m'
      [unknown]=$'\e[33m')
    _screen_normal=$'\e[0m'
  fi
  screen_size
  screen_has_dialogs=''
  if [[ ${1-} != --plain && $screen_is_live ]] && command -v whiptail >/dev/null &&
    ((screen_columns >= _SCREEN_DIALOG_COLUMNS && screen_lines >= _SCREEN_DIALOG_LINES)); then
    screen_has_dialogs=1
    # In a dialog, a colour would be text.
    _screen_colours=() _screen_normal=''
  fi
}
declare -gA _screen_colours=()

# A pipe is as wide as its lines; a terminal may not know how wide it is.
screen_size() { # sets screen_lines and screen_columns
  local lines='' columns=''
  if [[ -t 1 ]]; then
    { read -r lines columns < <(stty size <&3 2>/dev/null) || :; } 3>&1
    [[ $columns =~ ^[1-9][0-9]{0,3}$ ]] || columns=80
  fi
  [[ $lines =~ ^[1-9][0-9]{0,3}$ ]] || lines=24
  screen_lines=$lines screen_columns=${columns:-$_SCREEN_COLUMNS_MAX}
}

screen_clear() {
  [[ ! $screen_is_live ]] || printf '\e[H\e[2J\e[3J'
}

tell() { # <text>...
  local text="$*"
  text=${text//[[:cntrl:]]/?}
  screen_told+=("$text")
  _screen_wipe
  printf '%s\n' "$text"
}

# One that stays would be in the way of the next line.
progress() { # <text>
  [[ $screen_is_live ]] || return 0
  screen_size
  _screen_wipe
  _screen_progress=1
  printf '%s' "${1:0:screen_columns-1}"
}

_screen_wipe() {
  [[ ! $_screen_progress ]] || printf '\r\e[K'
  _screen_progress=''
}

# shellcheck disable=SC2016 # a jq program
_SCREEN_AGO='
def ago: (now - (.[:19] + "Z" | fromdateiso8601) | floor) as $s
  | if $s < 60 then "\([$s, 0] | max) s" elif $s < 3600 then "\($s / 60 | floor) min"
    elif $s < 172800 then "\($s / 3600 | floor) h" else "\($s / 86400 | floor) d" end;
'
_SCREEN_ROW='[.name, if .standing_by then "standing by" else .state end,
  (.since | if . then (ago? // "?") else "" end), (.pid // ""), .label,
  # That it was told to end is no news.
  if .state == "stopped" and .since and (.is_lost | not) then "" else .reason end]'

screen_table() { # [<name>...]
  # A dialog has a frame, and folds what is too long; folded rows would be no table.
  local screen_columns=$((screen_has_dialogs ? screen_columns - 8 : screen_columns))
  local row state counts='' number=0 name since pid label reason wide=5
  local -a rows states=()
  local -A count=()
  mapfile -t rows < <(daemon_fields "$_SCREEN_AGO$_SCREEN_ROW" "$@")
  for row in "${rows[@]}"; do
    IFS=$'\x1f' read -r name state _ <<<"$row"
    ((${#name} <= wide)) || wide=${#name}
    [[ ${count[$state]-} ]] || states+=("$state")
    count[$state]=$((${count[$state]-0} + 1))
  done
  for state in "${states[@]}"; do counts+="${counts:+, }${count[$state]} $state"; done
  _screen_line "Daemons of ${HOOKLINE_HOME/#"${HOME:-/nowhere}"/\~}: $counts"
  if dispatcher_runs "$HOOKLINE_HOME"; then
    _screen_line 'The event system serves: a dispatcher runs.'
  elif dispatcher_comes "$HOOKLINE_HOME"; then
    _screen_line 'No dispatcher runs just now; one did minutes ago, as from cron.'
  else
    _screen_line 'No dispatcher runs: what is asked for as an event waits for one.'
  fi
  printf '\n'
  _screen_row '' '#' NAME STATE SINCE PROCESS ABOUT
  for row in "${rows[@]}"; do
    IFS=$'\x1f' read -r name state since pid label reason <<<"$row"
    number=$((number + 1))
    _screen_row "${_screen_colours[$state]-}" "$number" "$name" "$state" "$since" "$pid" \
      "${reason:-$label}"
  done
}

_screen_line() { # <text>
  local columns=$screen_columns
  [[ ! $screen_has_dialogs ]] || columns=$_SCREEN_COLUMNS_MAX
  printf '%s\n' "${1:0:columns}"
}

# What there is no room for is left out from the right: bash pads by bytes, so we do it.
_screen_row() { # <colour> <number> <name> <state> <since> <process> <what>
  local row rest blanks='                                                                '
  row="${blanks:0:3-${#2}}$2 $3${blanks:0:wide+1-${#3}}"
  rest="$5${blanks:0:7-${#5}}$6${blanks:0:9-${#6}}$7"
  row=${row:0:screen_columns}
  local state="$4${blanks:0:12-${#4}}"
  state=${state:0:screen_columns-${#row}}
  rest=${rest:0:screen_columns-${#row}-${#state}}
  while [[ $rest == *' ' ]]; do rest=${rest% }; done
  printf '%s%s%s%s%s\n' "$row" "$1" "$state" "${1:+$_screen_normal}" "$rest"
}

ask() { # <prompt>
  local status
  printf '%s' "$1"
  # Only in this mode does Ctrl-C end a read whose script has a trap for it.
  set -o posix
  REPLY=''
  IFS= read -r REPLY
  status=$?
  set +o posix
  # What was typed in a pipe shows nowhere.
  [[ $screen_is_live && $status == 0 ]] || printf '\n'
  REPLY=${REPLY#"${REPLY%%[![:space:]]*}"}
  REPLY=${REPLY%"${REPLY##*[![:space:]]}"}
  return "$status"
}

dialog() { # <kind> <text> [<argument>...]
  local kind=$1 text=$2 lines
  local -a options=()
  shift 2
  screen_size
  # Where there is something to scroll, keys are for that first.
  lines=$(wc -l <<<"$text")
  ((lines < screen_lines - 9)) || options=(--scrolltext)
  REPLY=$(whiptail --title 'Hookline daemons' --backtitle "$_SCREEN_KEYS" \
    "${options[@]}" "--$kind" "$text" \
    "$((screen_lines - 4))" "$((screen_columns - 4))" "$@" 3>&1 1>&2 2>&3)
}
