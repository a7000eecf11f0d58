"""What holds for every text and every value."""

import json
import re

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from hookline.model.errors import BadData
from hookline.model.jsontext import compact, dumps, members
from testing.property.json_texts import HIDDEN, RENDERED, TEXTS, VALUES

NEVER = re.compile(f"[\x00-\x1f{HIDDEN}]")


def _same(one: object, other: object) -> bool:
    """Equal, and of the same kinds: Python takes 1, 1.0 and True for equal."""
    return repr(one) == repr(other)


@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_a_value_comes_back(value, ensure_ascii, indent):
    text = json.dumps(value, ensure_ascii=ensure_ascii, indent=indent).encode()
    assert _same(json.loads(compact(text)), value)


@given(VALUES)
def test_dumps_gives_what_compact_would(value):
    text = dumps(value)
    assert compact(text) == text
    assert compact(json.dumps(value, ensure_ascii=False).encode()) == text
    assert _same(json.loads(text), value)


@given(TEXTS | st.binary(max_size=40))
def test_a_text_is_refused_or_means_what_it_meant(text):
    try:
        result = compact(text)
    except BadData as refused:
        reason = str(refused)
    else:
        assert _same(json.loads(result), json.loads(text.decode()))
        assert compact(result) == result
        reason = "none"
    assert reason.isprintable()


@given(RENDERED)
def test_a_result_is_safe_to_store_and_to_print(text):
    result = compact(text)
    assert not NEVER.search(result.decode())
    assert b'{"specversion"' not in result


@given(RENDERED)
def test_other_parsers_agree_on_a_result(text):
    result = compact(text)
    assert _same(msgspec.json.decode(result), json.loads(result))


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), VALUES
    )
)
def test_members_are_the_text_of_each_value(value):
    found = members(dumps(value))
    assert _same({key: json.loads(raw) for key, raw in found.items()}, value)
    assert all(compact(raw) == raw for raw in found.values())
