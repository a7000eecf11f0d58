# shellcheck shell=bash disable=SC2004,SC2034,SC2154,SC2206 # see event-logger.sh
# The JSON grammar (RFC 8259 and FORMAT.md section 3) in linear time: no fork, no loop over
# characters. A text is split at its quotes, so that every second part is a string. What is left
# when each string shrinks to one quote is the skeleton. With a comma after each opening and before
# each closing bracket it falls into words (" ":" ":1 ":{ }), and the grammar is a table of which
# word may stand where. The caller has LC_ALL=C, noglob, and an IFS of its own to give away.

[[ -z ${_hookline_json_grammar_loaded-} ]] || return 0
_hookline_json_grammar_loaded=1

_HOOKLINE_LEVELS_MAX=64
_HOOKLINE_SCALAR='@(true|false|null|?(-)@(0|[1-9]*([0-9]))?(.+([0-9])))'

# Checks a text. Leaves it in _hookline_parts (outside and inside of strings by turns, whitespace
# between tokens gone, an escaped quote masked as \q, ",~" at the end) and says in _hookline_keys
# in which part each key lies (<object>/<key>; an outermost object is 1). What it came across is in
# _hookline_found: a space for line breaks or tabs, e escapes, q masked quotes, b bytes beyond
# ASCII, s whitespace taken out, % empty arrays and objects.
_hookline_json_scan() { # <text> <levels-max>
  local _text=$1 _skeleton _word _top=^ _level=0 _object=1/ _objects=1 _i=1
  local -a _words _tops_of _objects_of
  # Printable ASCII without a backslash needs no look inside the strings.
  [[ $_text != *[!\ -[\]-~]* ]] || _hookline_json_bytes || return
  IFS='"'
  _hookline_parts=($_text',~') # the end keeps an empty last part, and is a word of its own
  builtin printf -v _skeleton '%s%.0s"' "${_hookline_parts[@]}"
  [[ $_hookline_found$_skeleton != *[$' \t\n\r']* ]] || _hookline_json_squeeze || return
  [[ $_skeleton != *['{[']* ]] || _hookline_json_spread || return
  IFS=,
  _words=($_skeleton)
  for _word in "${_words[@]}"; do
    case $_top$_word in
      '{":"') _hookline_keys[$_object${_hookline_parts[_i]}]=$_i _i=$((_i + 4)) ;;
      '["') _i=$((_i + 2)) ;;
      '{}' | '[]')
        _level=$((_level - 1)) _top=${_tops_of[_level]} _object=${_objects_of[_level]}
        ;;
      '^{') _tops_of[0]='$' _level=1 _top='{' ;;
      '$~"') _top='~' ;;
      '{":{' | '[{' | '{":[' | '[[' | '^[') _hookline_json_open "$2" || return ;;
      *)
        if [[ ${#_word} -lt 24 && $_top$_word == @('{":'|'[')$_HOOKLINE_SCALAR ]]; then
          [[ $_top == '[' ]] || _hookline_keys[$_object${_hookline_parts[_i]}]=$_i _i=$((_i + 2))
        else
          _hookline_json_rare "$2" || return
        fi
        ;;
    esac
  done
  IFS=:
  _words=($_skeleton) # a colon a key
  [[ $_top == '~' && $_hookline_found != *e* && $_i -eq ${#_hookline_parts[@]} &&
    ${#_words[@]} -eq ${#_hookline_keys[@]}+1 ]] || _hookline_json_check
}

_hookline_json_spread() { # puts the commas around the brackets of _skeleton
  if [[ $_skeleton == *'[]'* || $_skeleton == *'{}'* ]]; then
    [[ $_skeleton != *%* ]] || _hookline_json_bad "found '%'" || return
    _hookline_found+=% _skeleton=${_skeleton//'[]'/%}
    _skeleton=${_skeleton//'{}'/%}
  fi
  if [[ $_skeleton == *'{'* ]]; then
    _skeleton=${_skeleton//'{'/'{,'}
    _skeleton=${_skeleton//'}'/',}'}
  fi
  if [[ $_skeleton == *'['* ]]; then
    _skeleton=${_skeleton//'['/'[,'}
    _skeleton=${_skeleton//']'/',]'}
  fi
}

_hookline_json_open() { # <levels-max>: enters the array or object that _word opens
  ((_level < $1)) || _hookline_json_deep || return
  [[ $_word == ? ]] || _hookline_keys[$_object${_hookline_parts[_i]}]=$_i _i=$((_i + 2))
  [[ $_top != ^ ]] || _top='$' _objects=0
  _tops_of[_level]=$_top _objects_of[_level]=$_object _level=$((_level + 1)) _top='['
  [[ $_word == *'[' ]] || _top='{' _objects=$((_objects + 1)) _object=$_objects/
}

# Takes whitespace out of _skeleton and of the parts, unless it holds two values apart.
_hookline_json_squeeze() {
  local _piece _j=0
  local -a _pieces
  if [[ $_hookline_found == ' '* ]]; then
    builtin printf -v _piece '%.0s%s' "${_hookline_parts[@]}"
    [[ $_piece != *[$'\t\n\r']* ]] ||
      _hookline_json_bad 'a line break or tab inside a string; write \n or \t' || return
  fi
  IFS=$' \t\n\r'
  _pieces=($_skeleton)
  IFS=' '
  _skeleton="${_pieces[*]}"
  [[ $_skeleton != *[!'][{}:,']' '[!'][{}:,']* ]] ||
    _hookline_json_bad 'two values with nothing but whitespace between them' || return
  IFS=
  _skeleton="${_pieces[*]}"
  IFS='"'
  _pieces=($_skeleton)
  for _piece in "${_pieces[@]}"; do
    _hookline_parts[_j]=$_piece _j=$((_j + 2))
  done
  _hookline_found+=s
}

# The compact text, with the writer's escapes, of the payload that was scanned.
_hookline_json_compact() { # <payload>: sets _hookline_json
  _hookline_json=$1
  if [[ $_hookline_found == *s* ]]; then
    IFS='"'
    _hookline_json="${_hookline_parts[*]}"
    _hookline_json=${_hookline_json:0:${#_hookline_json}-2}
    [[ $_hookline_found != *q* ]] || _hookline_json_unmask
  fi
  [[ $_hookline_found != *b* && $_hookline_json != *'{"specversion"'* ]] || _hookline_json_guard
}
