# shellcheck shell=bash disable=SC2004,SC2034,SC1003,SC2141,SC2154,SC2206 # see event-logger.sh
# Bytes beyond ASCII and escapes. Reads and writes the variables of the scan in json-grammar.sh.

[[ -z ${_hookline_json_text_loaded-} ]] || return 0
_hookline_json_text_loaded=1

_hookline_json_bytes() { # checks _text as bytes; masks its escaped quotes
  [[ $_text != *[$'\x01'-$'\x08\x0b\x0c\x0e'-$'\x1f']* ]] ||
    _hookline_json_bad 'a control byte; write it as \u00XX inside a string' || return
  [[ $_text != *[$'\t\n\r']* ]] || _hookline_found=' '
  [[ $_text != *[$'\x7f'-$'\xff']* ]] || _hookline_found+=b
  [[ $_text != *[$'\x80'-$'\xff']* ]] || _hookline_utf8 "$_text" || return
  [[ $_text != *\\* ]] || _hookline_json_escapes
}

# Each legal sequence is replaced by a letter, and then no byte beyond ASCII may be left. Overlong
# forms, surrogates and what is above U+10FFFF differ from the legal ones in the second byte. Each
# pattern has a fixed length, so that it is one pass; most texts need one or two of them.
_hookline_utf8() { # <text>
  local _t=$1 _c=[$'\x80'-$'\xbf']
  _t=${_t//[$'\xc2'-$'\xdf']$_c/x}
  [[ $_t == *[$'\x80'-$'\xff']* ]] || return 0
  _t=${_t//[$'\xe1'-$'\xec\xee\xef']$_c$_c/x}
  [[ $_t == *[$'\x80'-$'\xff']* ]] || return 0
  _t=${_t//$'\xe0'[$'\xa0'-$'\xbf']$_c/x}
  _t=${_t//$'\xed'[$'\x80'-$'\x9f']$_c/x}
  _t=${_t//[$'\xf1'-$'\xf3']$_c$_c$_c/x}
  _t=${_t//$'\xf0'[$'\x90'-$'\xbf']$_c$_c/x}
  _t=${_t//$'\xf4'[$'\x80'-$'\x8f']$_c$_c/x}
  [[ $_t != *[$'\x80'-$'\xff']* ]] ||
    _hookline_fail 65 'not UTF-8; convert the text first, for instance with iconv'
}

_hookline_json_escapes() { # checks the escapes in _text; masks \" as \q
  local _j _n _escape _quotes='' _x='[0-9a-fA-F]'
  local -a _runs
  _hookline_found+=e IFS='\'
  _runs=($_text.) # an empty run is an escaped backslash
  _n=${#_runs[@]}
  for ((_j = 1; _j < _n; _j++)); do
    _escape=${_runs[_j]}
    case $_escape in
      '') _j=$((_j + 1)) ;;
      '"'*) _runs[_j]=q${_escape:1} _quotes=q ;;
      [/bfnrt]*) ;;
      u0000*) _hookline_json_bad '\u0000 in a string' || return ;;
      u[dD][89abAB]$_x$_x*)
        [[ ${#_escape} -eq 5 && ${_runs[_j + 1]-} == u[dD][c-fC-F]$_x$_x* ]] ||
          _hookline_json_bad "the lone surrogate \\${_escape:0:5}" || return
        _j=$((_j + 1))
        ;;
      u[dD][c-fC-F]$_x$_x*) _hookline_json_bad "the lone surrogate \\${_escape:0:5}" || return ;;
      u$_x$_x$_x$_x*) ;;
      *)
        _hookline_excerpt "\\${_escape:0:1}"
        _hookline_json_bad "no such escape: $_hookline_excerpt" || return
        ;;
    esac
  done
  _text="${_runs[*]}"
  _text=${_text%.} _hookline_found+=$_quotes
}

_hookline_json_unmask() { # turns \q in _hookline_json back into \"
  local _j _n
  local -a _runs
  IFS='\'
  _runs=($_hookline_json.)
  _n=${#_runs[@]}
  for ((_j = 1; _j < _n; _j++)); do
    case ${_runs[_j]} in
      '') _j=$((_j + 1)) ;;
      q*) _runs[_j]='"'${_runs[_j]:1} ;;
    esac
  done
  _hookline_json="${_runs[*]}"
  _hookline_json=${_hookline_json%.}
}

_hookline_json_decode() { # <inside of a checked string>: sets _hookline_decoded
  local _j _n _run _code _byte
  local -a _runs
  IFS='\'
  _runs=($1.)
  _n=${#_runs[@]}
  for ((_j = 1; _j < _n; _j++)); do
    _run=${_runs[_j]}
    case $_run in
      '') _j=$((_j + 1)) && _runs[_j]=\\${_runs[_j]} ;;
      q*) _runs[_j]='"'${_run:1} ;;
      b*) _runs[_j]=$'\b'${_run:1} ;;
      f*) _runs[_j]=$'\f'${_run:1} ;;
      n*) _runs[_j]=$'\n'${_run:1} ;;
      r*) _runs[_j]=$'\r'${_run:1} ;;
      t*) _runs[_j]=$'\t'${_run:1} ;;
      '"'* | /*) ;;
      u*)
        _code=$((16#${_run:1:4}))
        if ((_code >= 0xd800 && _code < 0xdc00)); then
          _runs[_j]='' _j=$((_j + 1)) _run=${_runs[_j]}
          _code=$((0x10000 + (_code - 0xd800) * 0x400 + 16#${_run:1:4} - 0xdc00))
        fi
        _hookline_utf8_byte "$_code"
        _runs[_j]=$_byte${_run:5}
        ;;
    esac
  done
  IFS=
  _hookline_decoded="${_runs[*]}"
  _hookline_decoded=${_hookline_decoded%.}
}

# Bash knows \u itself, but only in a UTF-8 locale.
_hookline_utf8_byte() { # <code point>: sets _byte to its bytes
  local _c=$1 _text
  if ((_c < 0x80)); then
    builtin printf -v _text '\\x%02x' "$_c"
  elif ((_c < 0x800)); then
    builtin printf -v _text '\\x%02x\\x%02x' $((0xc0 | _c >> 6)) $((0x80 | _c & 63))
  elif ((_c < 0x10000)); then
    builtin printf -v _text '\\x%02x\\x%02x\\x%02x' $((0xe0 | _c >> 12)) $((0x80 | _c >> 6 & 63)) \
      $((0x80 | _c & 63))
  else
    builtin printf -v _text '\\x%02x\\x%02x\\x%02x\\x%02x' $((0xf0 | _c >> 18)) \
      $((0x80 | _c >> 12 & 63)) $((0x80 | _c >> 6 & 63)) $((0x80 | _c & 63))
  fi
  builtin printf -v _byte %b "$_text"
}

# A log is safe to print: what moves a cursor, hides or turns text round is stored as an escape.
_hookline_json_escape() { # rewrites _hookline_json
  local _c _byte _hex
  local -a _codes=()
  [[ $_hookline_json != *$'\x7f'* ]] || _codes+=(127)
  [[ $_hookline_json != *$'\xc2'[$'\x80'-$'\x9f']* ]] || _codes+=({128..159})
  [[ $_hookline_json != *$'\xe2\x80'[$'\x8b'-$'\x8f']* ]] || _codes+=({8203..8207})
  [[ $_hookline_json != *$'\xe2\x80'[$'\xa8'-$'\xae']* ]] || _codes+=({8232..8238})
  [[ $_hookline_json != *$'\xe2\x81'[$'\xa6'-$'\xa9']* ]] || _codes+=({8294..8297})
  [[ $_hookline_json != *$'\xef\xbb\xbf'* ]] || _codes+=(65279)
  for _c in "${_codes[@]}"; do
    _hookline_utf8_byte "$_c"
    builtin printf -v _hex '\\u%04x' "$_c"
    _hookline_json=${_hookline_json//"$_byte"/"$_hex"}
  done
}

_hookline_json_encode() { # <UTF-8 without control bytes>: sets _hookline_json, with its quotes
  _hookline_json=${1//\\/\\\\}
  _hookline_json=\"${_hookline_json//\"/'\"'}\"
  [[ $_hookline_json != *[$'\x7f'-$'\xff']* ]] || _hookline_json_escape
}

_hookline_json_guard() { # makes _hookline_json safe to print and safe to split
  [[ $_hookline_json != *[$'\x7f'-$'\xff']* ]] || _hookline_json_escape
  [[ $_hookline_json != *'{"specversion"'* ]] ||
    _hookline_json=${_hookline_json//'{"specversion"'/'{"\u0073pecversion"'}
}

# The text of some parts of what was scanned, with the writer's escapes.
_hookline_json_text() { # <first-part> <number-of-parts>: sets _hookline_json
  IFS='"'
  _hookline_json="${_hookline_parts[*]:$1:$2}"
  _hookline_json=${_hookline_json%,\~}
  [[ $_hookline_found != *q* ]] || _hookline_json_unmask
  _hookline_json_guard
}
