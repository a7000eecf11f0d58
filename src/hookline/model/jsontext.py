"""JSON as text: checked strictly, made compact, and otherwise kept as it was given.

docs/FORMAT.md section 3 is the rule. Nothing is decoded and written anew, so that a number keeps
every digit and a string its escapes. Only the standard library: `hookline emit` stands on this.
"""

import json
import math
import re
from itertools import accumulate

from hookline.model.errors import BadData, printable, shown

LEVELS_MAX = 64

# Possessive, because a backtracking group would keep a frame for each escape of a long string.
_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_STRINGS = re.compile(_STRING, re.DOTALL)
_TOKENS = re.compile(_STRING + rb'|[^ \t\n\r"]++', re.DOTALL)
_SPACE = re.compile(rb"[ \t\n\r]")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")

# Only a number with a three-digit exponent or hundreds of digits can overflow a double.
_MAY_OVERFLOW = re.compile(rb"[eE]\+?0*[1-9][0-9]{2}|[0-9]{200}")
# Checked on text that is JSON already, where backslashes stand in strings only: an odd run escapes.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*+\\u0000")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

_HIDDEN = re.compile("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_PREFIX = b'{"specversion"'
_PREFIX_ESCAPED = b'{"\\u0073pecversion"'


def compact(text: bytes, levels_max: int = LEVELS_MAX) -> bytes:
    """The one JSON value in the text, in the form that a log holds.

    Whitespace between tokens goes, invisible characters and the record prefix are escaped, all else
    stays. Applying it again changes nothing. Raises BadData with the reason for anything that is
    not strict JSON in UTF-8, has more than `levels_max` levels of arrays and objects, a key twice,
    a NUL, a lone surrogate or a number beyond a double. Time and memory are linear in the text.
    """
    if _levels(text, levels_max) > levels_max:
        raise BadData(f"more than {levels_max} levels of arrays and objects")
    checked = _checked(text)
    if _SPACE.search(text):
        text = b"".join(_TOKENS.findall(text))
        checked = text.decode()
    return _stored(text, checked)


def dumps(value: object, levels_max: int = LEVELS_MAX) -> bytes:
    """A Python value as the JSON text that a log holds; the counterpart of `json.loads`.

    Takes dict with str keys, list, tuple, str, int, float, bool and None. Raises BadData for
    anything else, and for what `compact` refuses: nothing is altered to make it fit.
    """
    _check_value(value, levels_max)
    checked = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text = checked.encode()
    except UnicodeEncodeError:
        raise BadData("a lone surrogate in a string") from None
    if _NUL.search(text):
        raise BadData("a NUL in a string")
    return _stored(text, checked)


def members(compact_object: bytes) -> dict[str, bytes]:
    """The members of a compact object, each value as its raw text, in order.

    The text comes from `compact`; raises BadData when it is a value of another kind.
    """
    text = compact_object.decode()
    if not text.startswith("{"):
        raise BadData("not a JSON object")
    found: dict[str, bytes] = {}
    at = 1
    while text[at] != "}":
        key, at = _SCANNER.raw_decode(text, at)
        _, end = _SCANNER.raw_decode(text, at + 1)
        found[key] = text[at + 1 : end].encode()
        at = end + (text[end] == ",")
    return found


def _levels(text: bytes, enough: int) -> int:
    """How deep the arrays and objects of a text go at most; exact for JSON."""
    if text.count(b"[") + text.count(b"{") <= enough:
        return 0
    steps = _STRINGS.sub(b"", text).translate(_STEPS, _NOT_BRACKETS)
    return max(accumulate(memoryview(steps).cast("b")), default=0)


def _checked(text: bytes) -> str:
    """The decoded text, once it is known to be strict JSON."""
    try:
        decoded = text.decode()
    except UnicodeDecodeError as wrong:
        raise BadData(f"not UTF-8 (byte {wrong.start})") from None
    decoder = _EXACT if _MAY_OVERFLOW.search(text) else _PLAIN
    try:
        value = decoder.decode(decoded)
    except json.JSONDecodeError as wrong:
        raise BadData(_why(wrong, text)) from None
    if b"\\" in text:
        _check_escapes(text, value)
    return decoded


def _why(wrong: json.JSONDecodeError, text: bytes) -> str:
    if not text.strip(b" \t\n\r"):
        return "not JSON: the text is empty"
    if text.startswith(b"\xef\xbb\xbf"):
        return "not JSON: a byte order mark"
    reason = wrong.msg[:1].lower() + wrong.msg[1:].removesuffix(" at")
    return f"not JSON: {printable(reason)} (byte {len(wrong.doc[: wrong.pos].encode())})"


def _check_escapes(text: bytes, value: object) -> None:
    if _NUL.search(text):
        raise BadData("a NUL in a string")
    if not _SURROGATE.search(text):
        return
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise BadData("a lone surrogate in a string") from None


def _stored(text: bytes, checked: str) -> bytes:
    """The compact text with what may not stand in a log escaped; `checked` is the same, decoded."""
    if not checked.isascii() or "\x7f" in checked:
        escaped = _HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", checked)
        text = escaped.encode()
    # A quote behind a bracket opens a string: this meets keys, never the inside of a string.
    return text.replace(_PREFIX, _PREFIX_ESCAPED)


def _check_value(value: object, levels_left: int) -> None:
    if isinstance(value, dict | list | tuple):
        if not levels_left:
            raise BadData("too many levels of arrays and objects")
        if isinstance(value, dict):
            _check_keys(value)
        for item in value.values() if isinstance(value, dict) else value:
            _check_value(item, levels_left - 1)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise BadData(f"{value!r} is not a JSON number")
    elif isinstance(value, int):
        _check_integer(value)
    elif not (value is None or isinstance(value, str)):
        raise BadData(f"a value of type {type(value).__name__} is not JSON")


def _check_keys(value: dict[object, object]) -> None:
    for key in value:
        if not isinstance(key, str):
            raise BadData(f"a key of type {type(key).__name__}: keys are strings")


def _check_integer(value: int) -> None:
    try:
        float(value)
    except OverflowError:
        raise BadData("a number beyond an IEEE 754 double") from None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadData(f"key {shown(_first_twice(pairs))} stands twice in one object")
    return found


def _first_twice(pairs: list[tuple[str, object]]) -> str:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            return key
        seen.add(key)
    raise AssertionError("called for pairs that have a key twice")


def _number(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise BadData("a number beyond an IEEE 754 double")
    return number


def _constant(name: str) -> object:
    raise BadData(f"not JSON: {name}")


_PLAIN = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)
_EXACT = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_constant, parse_float=_number, parse_int=_number
)
_SCANNER = json.JSONDecoder(parse_float=str, parse_int=str)
