"""Texts for the tests of both JSON grammars: sound ones, damaged ones, and token soup."""

import json

from hypothesis import strategies as st

HIDDEN = (
    "".join(map(chr, (*range(0x7F, 0xA0), *range(0x200B, 0x2010), *range(0x2028, 0x202F))))
    + "".join(map(chr, range(0x2066, 0x206A)))
    + "\ufeff"
)

_CHARACTERS = st.one_of(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    st.sampled_from('"\\/{}[]:, \n\t\x1bé😀' + HIDDEN),
)
STRINGS = st.text(_CHARACTERS, max_size=12) | st.just("specversion")
NUMBERS = (
    st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(2**53, 2**80)
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | STRINGS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(STRINGS, inner, max_size=4),
    max_leaves=12,
)

_WORDS = rb"""
    { } [ ] , : " "" "a" "b" \ \" \\ \/ \b \x \u00 \u0041 \u0061 \u0000 \ud83d \ude00 \ud83d\ude00
    \uD800 0 -0 1 12 01 -1 - + . 1.5 .5 1. e E 1e5 1E+308 1e309 -1e400 1e-400 9007199254740993
    true false null nul NaN Infinity -Infinity specversion "specversion" {"specversion" // /* ' #
"""
_TOKENS = st.sampled_from(
    [
        *_WORDS.split(),
        *(b" ", b"\t", b"\n", b"\r", b"\v", b"\f", b"\x1b", b"\x01", b"\x7f", b"\xc2\x9b"),
        *(b"\xe2\x80\xae", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xc0\xaf", b"\xff", b"\xe2\x82"),
        *("é→😀\u00a0\u0660".encode(), b"9" * 310, b"[" * 40, b"]" * 40, b'{"a":' * 33, b"}" * 33),
        b"17976931348623158" + b"0" * 292,
        b"17976931348623157" + b"0" * 292,
    ]
)
_BYTES = st.binary(min_size=1, max_size=4).filter(lambda some: 0 not in some)


@st.composite
def _rendered(draw: st.DrawFn) -> bytes:
    """A sound value: ASCII or not, compact or with whitespace."""
    return json.dumps(
        draw(VALUES),
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, 0, "\t", " \r\n"])),
        separators=draw(st.sampled_from([(",", ":"), (" , ", " :\n")])),
    ).encode()


@st.composite
def _damaged(draw: st.DrawFn) -> bytes:
    """A sound value with some bytes taken out or put in."""
    text = draw(_rendered())
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(text)))
        upto = at + draw(st.integers(0, 2))
        text = text[:at] + draw(st.just(b"") | _TOKENS | _BYTES) + text[upto:]
    return text


RENDERED = _rendered()
SOUP = st.lists(_TOKENS, max_size=12).map(b"".join)
TEXTS = _rendered() | _damaged() | SOUP | st.binary(max_size=20).filter(lambda some: 0 not in some)
