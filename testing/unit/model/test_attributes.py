"""What each attribute may hold."""

import pytest

from hookline.model import attributes
from hookline.model.errors import BadData

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize("value", ["a", " ", "é→😀", "x" * 256, "é" * 128, "\u202e", "a/b:c?d='1'"])
def test_a_string_has_1_to_256_bytes(value):
    assert attributes.check_string("source", value) == value


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "is empty"),
        ("x" * 257, "longer"),
        ("é" * 129, "longer"),
        ("a\nb", "control"),
        ("\x7f", "control"),
        ("\0", "control"),
        ("\x1b[2J", "control"),
        ("\ud800", "UTF-8"),
    ],
)
def test_no_other_text_is_a_string_attribute(value, reason):
    with pytest.raises(BadData, match=f"^source .*{reason}") as refused:
        attributes.check_string("source", value)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("value", ["../x", "", "a b", "x" * 129])
def test_an_id_is_checked(value):
    with pytest.raises(BadData, match=r"^id "):
        attributes.check_id(value)


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-21T01:35:31Z",
        "2026-11-21T01:35:31.123456+00:00",
        "2026-02-30T01:35:31.123456Z",
        "2026-11-21T25:35:31.123456Z",
        "2026-11-21T01:35:31.123456Z\n",
        "0000-11-21T01:35:31.123456Z",
        "",
    ],
)
def test_a_stored_time_has_one_form_and_exists(value):
    assert attributes.check_time("2024-02-29T23:59:59.999999Z")
    with pytest.raises(BadData, match=r"^time "):
        attributes.check_time(value)


def test_any_rfc_3339_time_gets_the_stored_form():
    assert attributes.stored_time("2026-11-21T02:35:31+01:00") == "2026-11-21T01:35:31.000000Z"


@pytest.mark.parametrize("value", ["URGENT", "", "Low", "high "])
def test_a_priority_is_one_of_four(value):
    assert [attributes.check_priority(each) for each in attributes.PRIORITIES] == [
        "low",
        "medium",
        "high",
        "critical",
    ]
    with pytest.raises(BadData, match=r"^priority "):
        attributes.check_priority(value)


@pytest.mark.parametrize(
    "raw", [b"0", b"-1", b"1001", b"01", b"1.0", b"1e2", b'"1"', b"null", b"9" * 5000]
)
def test_hops_are_an_integer_from_1_to_1000(raw):
    assert (attributes.hops(b"1"), attributes.hops(b"1000")) == (1, 1000)
    with pytest.raises(BadData, match=r"^hops "):
        attributes.hops(raw)


@pytest.mark.parametrize(
    "value",
    [
        "",
        TRACEPARENT.upper(),
        "01" + TRACEPARENT[2:],
        TRACEPARENT + "-x",
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-" + "0" * 16 + "-01",
        TRACEPARENT + "\n",
    ],
)
def test_a_traceparent_is_of_version_00(value):
    assert attributes.check_traceparent(TRACEPARENT) == TRACEPARENT
    with pytest.raises(BadData, match=r"^traceparent "):
        attributes.check_traceparent(value)


@pytest.mark.parametrize(
    "value", ["data/other.json", "data/../e.json", "/data/e.json", "data/e", ""]
)
def test_a_dataref_is_the_events_own(value):
    assert attributes.check_dataref("data/e.json", "e") == "data/e.json"
    with pytest.raises(BadData, match=r"^dataref "):
        attributes.check_dataref(value, "e")


@pytest.mark.parametrize("value", ["", "high", "NaN", "1,2", "01", "1\n", '"1"', "-", "٣"])
def test_an_intensity_is_the_text_of_a_number(value):
    assert attributes.check_intensity("-1.50e3") == "-1.50e3"
    with pytest.raises(BadData, match=r"^intensity "):
        attributes.check_intensity(value)


def test_a_string_is_decoded_and_nothing_else_is_one():
    assert attributes.string("source", rb'"\u00e9\""') == 'é"'
    for raw in (b"1", b"null", b"[]", b"{}", b"true"):
        with pytest.raises(BadData, match=r"^source is not a string"):
            attributes.string("source", raw)


def test_the_unknown_key_is_named():
    attributes.refuse_unknown({"a": b"1"}, frozenset({"a"}), "it")
    with pytest.raises(BadData, match=r"^key 'b\\u000a' is unknown in it$"):
        attributes.refuse_unknown({"a": b"1", "b\n": b"2"}, frozenset({"a"}), "it")
