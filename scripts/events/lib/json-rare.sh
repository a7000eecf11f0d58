# shellcheck shell=bash disable=SC2004,SC2034,SC2154 # see event-logger.sh
# The part of the JSON grammar that few texts need: rare words, huge numbers, and what to say about
# a text that is not JSON. Reads and writes the variables of the scan in json-grammar.sh.

[[ -z ${_hookline_json_rare_loaded-} ]] || return 0
_hookline_json_rare_loaded=1

# 2^1024 - 2^970, where IEEE 754 doubles round up to infinity: 309 digits.
_HOOKLINE_OVERFLOW='17976931348623158079372897140530341507993413271003782693617377898044496829'
_HOOKLINE_OVERFLOW+='2764750946649017977587207096330286416692887910946555547851940402630657488671'
_HOOKLINE_OVERFLOW+='5058206819089020007083836762738548458177115317644757302700698555713669596228'
_HOOKLINE_OVERFLOW+='42914819860834936475292719074168444365510704342711559699508093042880177904174'
_HOOKLINE_OVERFLOW+='497792'

_hookline_json_bad() { # <what is wrong>
  _hookline_fail 65 "not JSON as this format has it: $1"
}

_hookline_json_deep() {
  _hookline_json_bad "more than $_HOOKLINE_LEVELS_MAX levels of arrays and objects"
}

_hookline_json_check() { # finds out what the scan's last line wondered about
  if [[ $_top != '~' || $_i -ne ${#_hookline_parts[@]} ]]; then
    _word='~"'
    _hookline_json_unexpected || return
  fi
  ((${#_words[@]} == ${#_hookline_keys[@]} + 1)) || _hookline_json_twice || return
  [[ $_hookline_found != *e* ]] || _hookline_json_decode_keys
}

_hookline_json_unexpected() { # says why _word cannot stand where it stands
  local _wanted _rest
  ((${#_hookline_parts[@]} % 2)) || _hookline_json_bad 'a string is not closed' || return
  case $_top in
    '{') _wanted='a key and its value' ;;
    '$') _wanted='the end' ;;
    *) _wanted='a value' ;;
  esac
  case $_word in
    '') _rest='nothing' ;;
    '~"') _rest='the end' ;;
    '":'*) _hookline_excerpt "${_word:2}" && _rest="a key with $_hookline_excerpt" ;;
    '"') _rest='a string' ;;
    '"'*) _rest='a string and more' ;;
    *) _hookline_excerpt "${_word%%[\"~]*}" && _rest=$_hookline_excerpt ;;
  esac
  _hookline_json_bad "expected $_wanted, found $_rest"
}

_hookline_json_twice() { # names a key whose place was taken by a second one
  local _j
  local -a _taken=()
  for _j in "${_hookline_keys[@]}"; do _taken[_j]=1; done
  for ((_j = 1; _j < ${#_hookline_parts[@]}; _j += 2)); do
    [[ ${_hookline_parts[_j + 1]} != :* || ${_taken[_j]-} ]] || break
  done
  _hookline_excerpt "${_hookline_parts[_j]}"
  _hookline_json_bad "the key $_hookline_excerpt stands twice in one object"
}

# Escaped keys get an entry under d<object>/<plain name> too, so that "a" and "\u0061" are the same.
_hookline_json_decode_keys() {
  local _key _hookline_decoded
  for _key in "${!_hookline_keys[@]}"; do
    [[ $_key == *\\* ]] || continue
    _hookline_json_decode "$_key"
    if [[ ${_hookline_keys[d$_hookline_decoded]+x} ||
      $_hookline_decoded != *\\* && ${_hookline_keys[$_hookline_decoded]+x} ]]; then
      _hookline_excerpt "${_hookline_decoded#*/}"
      _hookline_json_bad "the key $_hookline_excerpt stands twice in one object" || return
    fi
    _hookline_keys[d$_hookline_decoded]=${_hookline_keys[$_key]}
  done
}

_hookline_json_rare() { # <levels-max>: checks a word that is not among the frequent ones
  local _scalar=$_word
  case $_top$_word in
    '^"') _top='$' _i=$((_i + 2)) && return ;;
    '{":'*) _scalar=${_word:2} ;;
    [[^]*) ;;
    *) _hookline_json_unexpected || return ;;
  esac
  if [[ $_scalar == % && $_hookline_found == *%* ]]; then
    ((_level < $1)) || _hookline_json_deep || return
  else
    _hookline_json_scalar "$_scalar" || return
  fi
  case $_top in
    '{') _hookline_keys[$_object${_hookline_parts[_i]}]=$_i _i=$((_i + 2)) ;;
    ^) _top='$' ;;
  esac
}

_hookline_json_scalar() { # <text>
  local _whole=${1#-} _rest _fraction='' _exponent=''
  case $1 in true | false | null) return 0 ;; esac
  _whole=${_whole%%[.eE]*}
  _rest=${1#-}
  _rest=${_rest:${#_whole}}
  if [[ $_rest == .* ]]; then
    _fraction=${_rest#.}
    _fraction=${_fraction%%[eE]*}
    _rest=${_rest:${#_fraction}+1}
    [[ $_fraction ]] || _rest=.
  fi
  case $_rest in
    '') ;;
    [eE]*)
      _exponent=${_rest:1}
      _exponent=${_exponent#[-+]}
      [[ $_exponent ]] || _exponent=.
      ;;
    *) _exponent=. ;;
  esac
  if [[ $_whole == '' || $_whole == 0?* || $_whole$_fraction$_exponent == *[!0-9]* ]]; then
    _hookline_json_unexpected || return
  fi
  [[ -z $_exponent && ${#_whole} -lt 309 ]] || _hookline_json_magnitude "${_rest:1}"
}

# Refuses the number in the caller's _whole, _fraction and _exponent when no double can hold it.
_hookline_json_magnitude() { # <exponent with its sign, or nothing>
  local _digits=$_whole$_fraction _sign='' _power _zeros
  [[ $1 != -* ]] || _sign=-
  _zeros=${_digits%%[!0]*}
  _digits=${_digits:${#_zeros}}
  [[ $_digits ]] || return 0
  _zeros=$((${#_whole} - ${#_zeros}))
  _power=${_exponent%%[!0]*}
  _exponent=${_exponent:${#_power}}
  ((${#_exponent} < 18)) || _exponent=999999999999999999
  _power=$((_zeros + ${_sign}10#${_exponent:-0}))
  ((_power >= 309)) || return 0
  if ((_power == 309)); then
    builtin printf -v _digits '%-309s' "${_digits:0:309}"
    # shellcheck disable=SC2071 # as strings: 309 digits are too many for arithmetic
    [[ ${_digits// /0} > $_HOOKLINE_OVERFLOW || ${_digits// /0} == "$_HOOKLINE_OVERFLOW" ]] ||
      return 0
  fi
  _hookline_json_bad 'a number too large for a double; write it as a string'
}
