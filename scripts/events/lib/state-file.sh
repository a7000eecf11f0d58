# shellcheck shell=bash
# Applies an event to JSON state files: once, whole, whatever is killed, however many run at once.
#
#   state_apply <handler> <event-file> <shapes> <jq-program> <state-file>... [-- <jq-argument>...]
#
# Paths are relative to coordination/. The shapes say, for each state file, how that looks which the
# program reads of it (see state-plan.sh): it meets nothing else there. The program, written in the
# words of state-plan.sh, yields effects. They are performed under the locks of all the state files,
# in this order:
#
#   1. Lines are appended, events are emitted, state files are written beside the old ones.
#   2. All is synced, then renamed into place; the first state file last, since it carries the
#      identity of the event among its `_applied`.
#
# A second delivery finds the identity there and changes nothing. A run that was killed on the way
# left `_applied` as it was: the next one repeats all, but a line that is there already is not
# appended again, and an event with the same source and id is delivered once.
#
# The event file may hold a batch (`# batch:`, docs/HANDLERS.md), an event a line: all are applied
# at once, or none. Where one of them is bad, nothing is stored, and they come again one by one.

[[ -n ${_hookline_state_file_loaded-} ]] && return
_hookline_state_file_loaded=1

_HOOKLINE_LOCK_WAIT_S=10
# So many identities of events are remembered. A program that does the work while no dispatcher runs
# remembers more: the dispatcher that comes back has them all to deliver yet.
_HOOKLINE_REMEMBERED=${_HOOKLINE_REMEMBERED:-500}
# Far enough back to find the line of a killed run behind those of the runs that came between.
_HOOKLINE_LOOK_BACK_BYTES=65536
_HOOKLINE_WRITE_BYTES_MAX=262144

# shellcheck source=state-plan.sh
source "${BASH_SOURCE[0]%/*}/state-plan.sh"
# shellcheck source=event-fallback.sh
source "${BASH_SOURCE[0]%/*}/event-fallback.sh"

# <handler> <event-file> <shapes> <jq-program> <state-file>... [-- <jq-argument>...]
state_apply() {
  local handler=$1 event_file=$2 shapes=$3 program=$4 home=${HOOKLINE_HOME-} status
  local -a files=() locks=() arguments=() plan=()
  shift 4
  while (($#)) && [[ $1 != -- ]]; do files+=("$1") && shift; done
  arguments=("${@:2}")
  home=${home:-${BASH_SOURCE[0]%/*}/../../..}/coordination
  case $event_file in
    --help) state_help && return ;;
    '') _state_fail 64 "no event; usage: $handler.sh EVENT-FILE" || return ;;
  esac
  [[ -r $event_file ]] || _state_fail 66 "cannot read the event ${event_file@Q}" || return
  if _state_lock && _state_plan /dev/null && _state_perform; then status=0; else status=$?; fi
  _state_unlock
  return "$status"
}

state_help() { # prints lines 2 to 4 of the script
  local -a header
  mapfile -t -s 1 -n 3 header <"${BASH_SOURCE[-1]}"
  printf '%s\n' "${header[@]#\# }"
}

_state_tell() { printf '%s: %s\n' "$handler" "$1" >&2; }

_state_fail() { # <exit> <message>
  _state_tell "$2"
  return "$1"
}

# Always in the same order, or two handlers that share two files wait for each other.
_state_lock() {
  local LC_ALL=C file other
  local -a sorted=() larger smaller
  for file in "${files[@]}"; do
    larger=() smaller=()
    for other in "${sorted[@]}"; do
      if [[ $other < $file ]]; then smaller+=("$other"); else larger+=("$other"); fi
    done
    sorted=("${smaller[@]}" "$file" "${larger[@]}")
  done
  [[ -d $home/state/locks ]] || mkdir -p -- "$home/state/locks" || return 73
  for file in "${sorted[@]}"; do
    _state_lock_one "$home/state/locks/${file//\//%}.lock" || return
  done
}

# Whoever deletes state/ deletes our lock with it: a lock counts only while its name leads to it.
_state_lock_one() { # <lock-file>
  local lock=$1 fd deadline=$((SECONDS + _HOOKLINE_LOCK_WAIT_S))
  while :; do
    if [[ -L $lock ]] || ! { exec {fd}>>"$lock"; } 2>/dev/null; then
      _state_fail 73 "cannot open the lock ${lock@Q}" || return
    fi
    locks+=("$fd")
    if ! flock --wait "$((deadline > SECONDS ? deadline - SECONDS : 0))" "$fd"; then
      _state_fail 75 "somebody held ${lock@Q} for $_HOOKLINE_LOCK_WAIT_S s" || return
    fi
    [[ /proc/self/fd/$fd -ef $lock ]] && return
  done
}

_state_unlock() {
  local fd
  for fd in "${locks[@]}"; do exec {fd}>&-; done
}

_state_plan() { # <payload-file>: fills plan; runs jq once, twice for a payload beside the log
  local text status=0 file raw='' number=0
  local -a states=()
  for file in "${files[@]}"; do
    file=$home/$file
    if [[ ! -e $file ]]; then
      file=/dev/null
    elif [[ ! -f $file ]]; then
      _state_fail 73 "${file@Q} is not a plain file; move it away" || return
    fi
    raw+="${raw:+, }\$state$number"
    states+=(--rawfile "state$number" "$file")
    number=$((number + 1))
  done
  # jq would read a ~/.jq, and version 1.6 counts in local time.
  text=$(HOME=/dev/null TZ=UTC jq -nj --rawfile event_text "$event_file" --slurpfile payload "$1" \
    --arg handler "$handler" --argjson shapes "$shapes" "${states[@]}" "${arguments[@]}" \
    --argjson remembered "$_HOOKLINE_REMEMBERED" --argjson clock "${EPOCHREALTIME/[!0-9]/.}" \
    "[$raw] as \$raw | $_HOOKLINE_STATE_FRAME $_HOOKLINE_STATE_WORDS
      $program $_HOOKLINE_STATE_END") || status=$?
  case $status in
    0) ;;
    65 | 75 | 78) return "$status" ;;
    *) _state_fail 70 "jq failed with exit $status" || return ;;
  esac
  # mapfile would read a here-string byte by byte.
  local - IFS=$_HOOKLINE_STATE_END_OF_EFFECT
  set -f
  # shellcheck disable=SC2206 # to be split is what it is there for
  plan=($text)
  [[ ${plan[0]-} != payload$'\t'* ]] || _state_plan_payload "${plan[0]#*$'\t'}"
}

_state_plan_payload() { # <dataref>
  local file=$home/events/$1
  if [[ ! $1 =~ ^data/[A-Za-z0-9][A-Za-z0-9._:-]*$ || ! -f $file ]]; then
    _state_fail 65 "the event's payload is not at ${file@Q}" || return
  fi
  plan=()
  _state_plan "$file"
}

_state_perform() {
  local effect word name
  local -a written=() synced=() folders=()
  local -A tails=() lines=()
  for effect in "${plan[@]}"; do
    word=${effect%%$'\t'*} effect=${effect#*$'\t'}
    name=${effect%%$'\t'*} effect=${effect#*$'\t'}
    case $word in
      print) printf '%s\n' "$name" ;;
      damaged) _state_set_aside "$home/${files[name]}" ;;
      append) _state_append "$home/$name" "${effect%%$'\t'*}" "${effect#*$'\t'}" ;;
      emit) _state_emit "$name" "${effect%%$'\t'*}" "${effect#*$'\t'}" ;;
      state) _state_write "${files[name]}" "$effect" ;;
      text) _state_write "$name" "$effect" ;;
      *) return 70 ;;
    esac || return
  done
  _state_commit
}

_state_set_aside() { # <state-file>: kept for a person to look at
  local aside
  printf -v aside '%s.corrupt-%(%Y%m%dT%H%M%SZ)T' "$1" -1
  _state_tell "${1@Q} is damaged: kept as ${aside@Q}, what is sound in it goes on"
  mv -T -- "$1" "$aside" || return 73
}

_state_append() { # <file> <key> <line>: what is to be appended, unless it is there already
  local LC_ALL=C file=$1 key=$2 line=$3
  if [[ ! -v tails[$file] ]]; then
    _state_room_for "$file" || return
    tails[$file]=''
    # The x keeps the last newline, which says whether the line before is whole.
    [[ ! -s $file ]] ||
      tails[$file]=$(tail -c "$_HOOKLINE_LOOK_BACK_BYTES" -- "$file" && printf x) || return 74
    synced+=("$file")
    [[ ! ${tails[$file]} || ${tails[$file]} == *$'\n'x ]] || lines[$file]=$'\n'
  fi
  [[ ${tails[$file]} != *"$key"* ]] || return 0
  if ((${#lines[$file]} + ${#line} >= _HOOKLINE_WRITE_BYTES_MAX)); then
    _state_append_all || return
  fi
  lines[$file]+=$line$'\n'
}

# Bash hands a longer text to the kernel in pieces, and a reader may see the first of them alone.
_state_append_all() {
  local LC_ALL=C file text
  for file in "${!lines[@]}"; do
    text=${lines[$file]%$'\n'}
    if ((${#text} < 4096)); then
      printf '%s\n' "$text" >>"$file" || return 74
    else
      dd bs="$_HOOKLINE_WRITE_BYTES_MAX" iflag=fullblock oflag=append conv=notrunc status=none \
        of="$file" <<<"$text" || return 74
    fi
  done
  lines=()
}

# An id of our own making, so that the event of a repeated run is the same event. A handler is run
# again when it cannot be logged; of a program that polls, nobody but a person would ever know.
_state_emit() { # <type> <attributes> <data>
  local event="{\"specversion\":\"1.0\",\"type\":\"$1\",$2,\"data\":$3}"
  if has_event_logger; then
    ! log_event "$event" >/dev/null || return 0
    [[ ! ${HOOKLINE_ATTEMPT-} ]] || return 75
  fi
  drop_event "$event" || return 75
}

_state_room_for() { # <file>: makes its folder, refuses what is not a file
  [[ -d ${1%/*} ]] || mkdir -p -- "${1%/*}" || return 73
  if [[ -L $1 || (-e $1 && ! -f $1) ]]; then
    _state_fail 73 "${1@Q} is not a plain file; move it away"
  fi
}

# The temporary name is fixed: only the holder of the lock writes there, and what a killed run
# left is overwritten by the next one.
_state_write() { # <file> <text>
  local file=$home/$1 temporary
  temporary=${file%/*}/.${file##*/}.tmp
  _state_room_for "$temporary" || return
  printf '%s\n' "$2" >|"$temporary" || return 74
  written+=("$file")
  synced+=("$temporary")
}

_state_commit() {
  local number file
  _state_append_all || return
  ((${#synced[@]} == 0)) || sync --data -- "${synced[@]}" || return 74
  for ((number = ${#written[@]} - 1; number >= 0; number--)); do
    file=${written[number]}
    mv -fT -- "${file%/*}/.${file##*/}.tmp" "$file" || return 74
    folders+=("${file%/*}")
  done
  ((${#folders[@]} == 0)) || sync -- "${folders[@]}" || return 74
}
