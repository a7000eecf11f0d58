# shellcheck shell=bash disable=SC2154 # see daemon-loop.sh
# What is new since the last round, for daemons that poll files.
#
#   daemon_has_news WHAT FILE...   whether one of them may have changed since that was asked of WHAT
#                                  before, or a round has failed since; without a process
#   daemon_each_new DO TYPE...     calls DO with the path of the newest events of these types that
#                                  this process has not done yet: with all of them, as a batch, or,
#                                  where one of them is bad (65), one by one

[[ -z ${_daemon_news_loaded-} ]] || return 0
_daemon_news_loaded=1

# Less than state_apply remembers: of what is in there, nothing is done twice. What is more than
# that in one round is left to a dispatcher.
_DAEMON_EVENTS_MAX=400
_DAEMON_LOG_LINES_MAX=20000

declare -gA _daemon_looked=() _daemon_done=()

daemon_look_again() { _daemon_looked=() _daemon_done=(); }

daemon_has_news() { # <what> <file>...
  local file stamp=$_daemon_folder/looked-$1 is_new=${_daemon_looked[$1]-1}
  for file in "${@:2}"; do
    # Of the same moment: it may have changed after we looked.
    [[ ! -e $file || $stamp -nt $file ]] || is_new=1
  done
  [[ $is_new ]] || return
  : >|"$stamp"
  _daemon_looked[$1]=''
}

daemon_each_new() { # <do> <type>...
  local events=$HOOKLINE_HOME/coordination/events type line all status=0
  local -a files=() new=()
  local -A given=()
  for type in "${@:2}"; do files+=("$events/${type%%.*}-events.jsonl"); done
  daemon_has_news events "${files[@]}" "$events/queue" || return 0
  all=$(_daemon_newest "${@:2}") || return
  while IFS= read -r line; do
    [[ $line ]] || continue
    given[$line]=1
    [[ ${_daemon_done[$line]-} ]] || new+=("$line")
  done <<<"$all"
  ((${#new[@]})) || return 0
  _daemon_do "$1" "${new[@]}" || status=$?
  if ((status == 65)); then
    for line in "${new[@]}"; do
      status=0
      _daemon_do "$1" "$line" || status=$?
      [[ $status == @(0|65) ]] || return "$status"
    done
  fi
  ((status == 0 || status == 65)) || return "$status"
  _daemon_done=()
  for line in "${!given[@]}"; do _daemon_done[$line]=1; done
}

_daemon_do() { # <do> <event>...
  printf '%s\n' "${@:2}" >|"$_daemon_folder/events.jsonl" || return
  "$1" "$_daemon_folder/events.jsonl"
}

# A line that is no event, or whose payload lies beside the log, is left to a dispatcher. What has
# just been rotated away is still there to read; what is compressed is not.
_daemon_newest() { # <type>...
  local type log
  local -a words=() files=()
  for type; do
    words+=(-e "\"type\":\"$type\"")
    for log in "$events/segments/${type%%.*}"-events.*.jsonl; do :; done
    for log in "$log" "$events/${type%%.*}-events.jsonl"; do
      [[ ! -f $log || " ${files[*]} " == *" $log "* ]] || files+=("$log")
    done
  done
  {
    ((${#files[@]} == 0)) || tail -q -n "$_DAEMON_LOG_LINES_MAX" -- "${files[@]}" |
      tr -d '\000' | grep -aF "${words[@]}"
    [[ ! -d $events/queue ]] || find "$events/queue" -maxdepth 1 -name '*.json' -type f \
      -exec grep -ahF "${words[@]}" -- {} +
    :
  } | jq -cR '[try fromjson catch empty][] | objects
    | select(.type | IN($ARGS.positional[])) | select(.dataref == null)
    | select([.id, .source, .time | strings] | length == 3)' --args -- "$@" |
    tail -n "$_DAEMON_EVENTS_MAX"
}
