"""JSON text is checked strictly and kept as it was given."""

import json

import pytest

from hookline.model.errors import BadData
from hookline.model.jsontext import compact, dumps, members

KEPT = [
    b"{}",
    b"[]",
    b'""',
    b"0",
    b"-0",
    b"-0.0",
    b"true",
    b"false",
    b"null",
    b"9007199254740993",
    b"18446744073709551616",
    b"0.1000000000000000055511151231257827",
    b"1E5",
    b"1e-400",
    b"1.7976931348623157e308",
    b"1" + b"0" * 308,
    rb'"\/\u0041\u00e9\"\\\b\f\n\r\t\ud83d\ude00"',
    '"é→😀\u00a0\uffff\u200a\u2010\u202f\u2065\u206a"'.encode(),
    b'{"__proto__":1,"":2,"id":"3"}',
    b'"a b  c"',
    rb'"\\u0000 \\ud800"',
    b'["{\\"specversion\\""]',
    b'{"specversions":1}',
    b'["specversion"]',
    b"[" * 64 + b"]" * 64,
    b'{"a":' * 63 + b"[]" + b"}" * 63,
    b'"' + b"[" * 100 + b'"',
    b'["]","[","\\"","[["]',
]

REFUSED = [
    b"",
    b" ",
    b'{"a":',
    b'{"a":1}{"b":2}',
    b"[1,]",
    b'{"a":1,}',
    b"{'a':1}",
    b"[1 2]",
    b"[1]]",
    b"[[1]",
    b"{]",
    b"[}",
    b'{"a"}',
    b"{1:2}",
    b"[,1]",
    b"// no\n1",
    b"01",
    b"+1",
    b".5",
    b"1.",
    b"1.e5",
    b"1e",
    b"-",
    b"- 1",
    b"0x10",
    b"1_000",
    "\u0661".encode(),
    b"NaN",
    b"[Infinity]",
    b"-Infinity",
    b"nul",
    b"True",
    b'"a',
    b'"\n"',
    b'"\t"',
    b'"\x1f"',
    b'"a\0b"',
    b"[1]\0",
    rb'"\x41"',
    rb'"\u00g0"',
    rb'"\u004"',
    rb'"\U00000041"',
    b"\xef\xbb\xbf1",
    '"a"'.encode("utf-16"),
    '"a"'.encode("utf-32-le"),
    b"\x0b1",
    b"1\x0c",
    "\u00a01".encode(),
]

REFUSED_BY_THIS_FORMAT = [
    (b'{"a":1,"a":2}', "'a' stands twice"),
    (b'[{"x":{"a":1,"b":2,"a":1}}]', "'a' stands twice"),
    (rb'{"a":1,"\u0061":2}', "'a' stands twice"),
    (rb'{"\ud83d\ude00":1,"' + "😀".encode() + b'":2}', "stands twice"),
    (b"1e400", "beyond"),
    (b"-1E+309", "beyond"),
    (b"[1" + b"0" * 309 + b"]", "beyond"),
    (b"1" + b"0" * 250 + b"e99", "beyond"),
    (b"9" * 5000, "beyond"),
    (rb'"\u0000"', "NUL"),
    (rb'"\\\u0000"', "NUL"),
    (rb'{"\u0000":1}', "NUL"),
    (rb'"\ud800"', "surrogate"),
    (rb'"\uDC00"', "surrogate"),
    (rb'"\ude00\ud83d"', "surrogate"),
    (rb'"\ud83d\\ude00"', "surrogate"),
    (rb'"\ud83d x"', "surrogate"),
    (rb'{"\ud800":1}', "surrogate"),
    (b"[" * 65 + b"]" * 65, "64 levels"),
    (b'{"a":' * 64 + b"[]" + b"}" * 64, "64 levels"),
    (b"[" * 100_000 + b"]" * 100_000, "64 levels"),
    (b"[" * 100_000, "64 levels"),
    (b'{"a":' * 100_000, "64 levels"),
    (b'"\xff\xfe"', "UTF-8"),
    (b'"\xc0\xaf"', "UTF-8"),
    (b'"\xed\xa0\x80"', "UTF-8"),
    (b'"\xf5\x80\x80\x80"', "UTF-8"),
    (b'"\xe2\x82', "UTF-8"),
]


def _short(value):
    return repr(value)[:32]


@pytest.mark.parametrize("text", KEPT, ids=_short)
def test_what_is_compact_already_is_kept_to_the_byte(text):
    assert compact(text) == text


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_json_is_refused(text):
    with pytest.raises(BadData, match=r"^(not JSON: |a NUL|not UTF-8)"):
        compact(text)


@pytest.mark.parametrize(("text", "reason"), REFUSED_BY_THIS_FORMAT, ids=_short)
def test_what_other_parsers_would_read_differently_is_refused(text, reason):
    with pytest.raises(BadData, match=reason):
        compact(text)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        (
            b' { "a" : [ 1 , -2.50 , " x  y " ] ,\r\n\t"b" : { } } \n',
            b'{"a":[1,-2.50," x  y "],"b":{}}',
        ),
        (b"\n1\n", b"1"),
        (b'"a b" ', b'"a b"'),
        (b'[ "\\" , \\"" , 1 ]', b'["\\" , \\"",1]'),
    ],
)
def test_whitespace_between_tokens_goes(text, result):
    assert compact(text) == result


@pytest.mark.parametrize(
    "code_point",
    [
        *range(0x7F, 0xA0),
        *range(0x200B, 0x2010),
        *range(0x2028, 0x202F),
        *range(0x2066, 0x206A),
        0xFEFF,
    ],
)
def test_what_a_terminal_would_obey_is_escaped(code_point):
    text = f'{{"a{chr(code_point)}":"{chr(code_point)}b"}}'
    escape = f"\\u{code_point:04x}"
    assert compact(text.encode()) == f'{{"a{escape}":"{escape}b"}}'.encode()


def test_the_record_prefix_stands_nowhere_inside():
    text = b'[{ "specversion" : "1.0","id":"x"},{"a":{"specversion":1}}]'
    result = compact(text)
    assert b'{"specversion"' not in result
    assert json.loads(result) == json.loads(text)


def test_the_levels_are_the_callers():
    assert compact(b"[[1]]", levels_max=2) == b"[[1]]"
    with pytest.raises(BadData, match="more than 1 levels"):
        compact(b"[[1]]", levels_max=1)


def test_the_reason_says_where_and_shows_nothing_raw():
    with pytest.raises(BadData, match=r"^not JSON: expecting value \(byte 8\)$"):
        compact('["é",1,\x1b]'.encode())
    with pytest.raises(BadData) as refused:
        compact(b'{"\x7f\xc2\x9b":1,"\x7f\xc2\x9b":2}')
    assert str(refused.value).isprintable()


def test_a_million_brackets_or_escapes_take_no_stack():
    wide = b"[" + b"[]," * 200_000 + b"1]"
    assert compact(wide) == wide
    escapes = b'"' + rb"\"\n" * 200_000 + b'"'
    assert compact(escapes + b" ") == escapes


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        2**63,
        -(10**300),
        0.1,
        -0.0,
        'é\n"\\\x1b😀',
        "\u202e\x7f\u2028",
        [],
        {},
        {"specversion": {"": [1, "a", None]}},
        [[1, 2.5], {"a": "b"}],
    ],
)
def test_a_python_value_comes_back_from_its_text(value):
    text = dumps(value)
    assert json.loads(text) == value
    assert compact(text) == text


def test_a_tuple_is_an_array():
    assert dumps({"a": (1, 2)}) == b'{"a":[1,2]}'


ENDLESS: list[object] = []
ENDLESS.append(ENDLESS)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (float("nan"), "nan"),
        ([float("inf")], "inf"),
        ({"a": -float("inf")}, "-inf"),
        ({1: 2}, "type int: keys"),
        ({None: 2}, "type NoneType: keys"),
        ([{True: 1}], "type bool: keys"),
        ({1, 2}, "type set"),
        ([b"bytes"], "type bytes"),
        ({"a": object()}, "type object"),
        ("\ud800", "surrogate"),
        ({"\udfff": 1}, "surrogate"),
        ("a\0b", "NUL"),
        ({"\0": 1}, "NUL"),
        (10**309, "beyond"),
        (ENDLESS, "levels"),
    ],
)
def test_a_python_value_is_never_altered_to_fit(value, reason):
    with pytest.raises(BadData, match=reason):
        dumps(value)


def test_an_integer_of_thousands_of_digits_is_refused_without_printing_it():
    with pytest.raises(BadData, match="beyond"):
        dumps([1 << 20_000])


def test_a_python_value_may_have_64_levels():
    value = 1
    for _ in range(64):
        value = [value]
    assert dumps(value) == b"[" * 64 + b"1" + b"]" * 64
    with pytest.raises(BadData, match="levels"):
        dumps([value])


def test_members_are_raw_and_in_order():
    text = compact(rb'{"b":1.50,"\u0061":{"x":[1,"}"]},"c d":"\u00e9","n":null,"e":[]}')
    assert list(members(text).items()) == [
        ("b", b"1.50"),
        ("a", b'{"x":[1,"}"]}'),
        ("c d", rb'"\u00e9"'),
        ("n", b"null"),
        ("e", b"[]"),
    ]
    assert members(b"{}") == {}


@pytest.mark.parametrize("text", [b"[]", b"1", b'"{}"', b"null"])
def test_only_an_object_has_members(text):
    with pytest.raises(BadData, match="not a JSON object"):
        members(text)
