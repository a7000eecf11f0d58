# shellcheck shell=bash disable=SC2034,SC2154 # the parts share variables
# Reads coordination/config/daemons.toml with bash and grep: [daemon.NAME], keys with a text in
# double quotes or a list of such texts on one line, comments. Whatever else TOML has is an error
# that names its line: a daemon that is half understood is not started.
#
#   daemon_table FILE    sets daemon_names, in the order of the file, and daemon_of[NAME.KEY]; a
#                        list has a line for each of its texts. 78: FILE cannot be read or is wrong

[[ -z ${_hookline_daemon_table_loaded-} ]] || return 0
_hookline_daemon_table_loaded=1

daemon_names=()
declare -gA daemon_of=()

# What a line may look like; a blank is a space or a tab.
_DAEMON_BLANKS='[[:blank:]]*'
_DAEMON_TEXT='"([^"\\[:cntrl:]]*)"'
_DAEMON_END="$_DAEMON_BLANKS(#([^[:cntrl:]]|"$'\t'")*)?$"
_DAEMON_HEAD_LINE="^$_DAEMON_BLANKS\[daemon\.([a-z0-9][a-z0-9_-]{0,63})\]$_DAEMON_END"
_DAEMON_KEY="^$_DAEMON_BLANKS([a-z_]+)$_DAEMON_BLANKS=$_DAEMON_BLANKS"
_DAEMON_COMMA="$_DAEMON_BLANKS,$_DAEMON_BLANKS"
_DAEMON_TEXTS="($_DAEMON_TEXT($_DAEMON_COMMA$_DAEMON_TEXT)*($_DAEMON_COMMA)?)?"
_DAEMON_TEXT_LINE="$_DAEMON_KEY$_DAEMON_TEXT$_DAEMON_END"
_DAEMON_LIST_LINE="$_DAEMON_KEY\[$_DAEMON_BLANKS$_DAEMON_TEXTS$_DAEMON_BLANKS\]$_DAEMON_END"

daemon_table() { # <file>
  # In another locale, ranges and character classes are other ones.
  local LC_ALL=C file=$1 line number=0 name='' wrong=''
  local -A known=()
  daemon_names=() daemon_of=()
  if ! { exec {_daemon_table_fd}<"$file"; } 2>/dev/null; then
    _daemon_table_wrong "$file" "it cannot be read: hookline init makes one"
    return
  fi
  # Whoever starts them reads text only.
  line=$(LC_ALL=C.UTF-8 grep -axnv -m 1 '.*' -- "$file" 2>/dev/null | cut -d : -f 1)
  [[ ! $line ]] || wrong="line $line: it is not UTF-8"
  while [[ ! $wrong ]] && { { IFS= read -r line && line=${line%$'\r'}; } || [[ $line ]]; }; do
    number=$((number + 1))
    _daemon_line ||
      wrong="line $number: ${wrong:-it is not understood: a key, =, and its text in double quotes}"
  done <&"$_daemon_table_fd"
  exec {_daemon_table_fd}<&-
  [[ $wrong ]] || _daemon_whole || :
  [[ ! $wrong ]] || _daemon_table_wrong "$file" "$wrong"
}

_daemon_table_wrong() { # <file> <what is wrong>
  daemon_names=() daemon_of=()
  printf 'ERROR: %s: %s\n' "$1" "$2" >&2
  return 78
}

_daemon_line() { # of daemon_table: one line
  local key
  if [[ $line =~ ^$_DAEMON_END ]]; then
    return
  elif [[ $line =~ $_DAEMON_HEAD_LINE ]]; then
    name=${BASH_REMATCH[1]}
    [[ ! ${known[$name]-} ]] || { wrong="a second daemon.$name" && return 1; }
    daemon_names+=("$name")
    known[$name]=1
  elif [[ $line =~ $_DAEMON_TEXT_LINE ]]; then
    _daemon_key "${BASH_REMATCH[1]}" text || return
    daemon_of["$name.$key"]=${BASH_REMATCH[2]}
    _daemon_value "$key" "${daemon_of["$name.$key"]}"
  elif [[ $line =~ $_DAEMON_LIST_LINE ]]; then
    _daemon_key "${BASH_REMATCH[1]}" list || return
    _daemon_list "${BASH_REMATCH[2]}"
  else
    return 1
  fi
}

_daemon_key() { # <key> <text|list>: of _daemon_line
  key=$1
  [[ $name ]] || { wrong="$key comes before the first [daemon.NAME]" && return 1; }
  case $key:$2 in
    label:text | about:text | script:text | start:text | run:text | alive_for:text) ;;
    replaces:list) ;;
    label:* | about:* | script:* | start:* | run:* | alive_for:*) wrong="$key takes one text" ;;
    replaces:*) wrong="$key takes a list of texts: [\"...\"]" ;;
    *) wrong="$key is not known" ;;
  esac
  [[ ! ${known["$name.$key"]-} ]] || wrong="a second $key"
  known["$name.$key"]=1
  [[ ! $wrong ]]
}

_daemon_value() { # <key> <text>: of _daemon_line
  case $1 in
    start) [[ $2 == @(event|direct) ]] || wrong='start is "event" or "direct"' ;;
    run) [[ $2 == @(asked|always) ]] || wrong='run is "asked" or "always"' ;;
    script)
      [[ $2 != /* && /$2/ != */../* && $2 == *[!./]* ]] ||
        wrong="script is the path of a program in the home, not \"$2\""
      ;;
    alive_for)
      [[ ! $2 || $2 =~ ^[0-9]{1,9}(\.[0-9]{1,9})?(ms|s|m|h|d)$ ]] ||
        wrong='alive_for is like "5s"'
      ;;
  esac
  [[ ! $wrong ]]
}

_daemon_list() { # <texts>: of _daemon_line
  local rest=$1 found=''
  while [[ $rest =~ ^[[:blank:],]*$_DAEMON_TEXT ]]; do
    found+=${BASH_REMATCH[1]}$'\n'
    rest=${rest#"${BASH_REMATCH[0]}"}
  done
  daemon_of["$name.$key"]=${found%$'\n'}
}

_daemon_whole() { # of daemon_table: what each daemon needs
  for name in "${daemon_names[@]}"; do
    [[ ${daemon_of["$name.script"]-} ]] || { wrong="daemon.$name has no script" && return 1; }
    : "${daemon_of["$name.label"]:=$name}" "${daemon_of["$name.start"]:=event}" \
      "${daemon_of["$name.run"]:=asked}"
  done
}
