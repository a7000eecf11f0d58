"""The lines that a stream handler's program says."""

import pytest

from hookline.dispatch.stream_program import Answer, Junk, answer_of


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"e1 0", Answer("e1", 0)),
        (b"e1 65 not  a number ", Answer("e1", 65, "not  a number ")),
        (b"e1 65 ", Answer("e1", 65)),
        ("é 255 à".encode(), Answer("é", 255, "à")),
        (b'{"id":"a b","status":75,"error":"later","after_s":2}', Answer("a b", 75, "later", 2.0)),
        (b'{"status":0,"id":"a b","more":true}', Answer("a b", 0)),
    ],
)
def test_an_answer(line, answer):
    assert answer_of(line) == answer


@pytest.mark.parametrize(
    "line",
    [
        b"", b" ", b"e1", b"e1 ", b"e1  0", b" e1 0", b"e1 x", b"e1 -1", b"e1 256", b"e1 0x",
        b"e1\t0", b"\xff 0", b"e1 1 \xff", b"{", b"{}", b'{"id":"e1","status":256}',
        b'{"id":1,"status":0}', b'{"id":"\\ud800","status":0}', b"e1 \xd9\xa3",
        b'{"id":"e1","status":0,"after_s":NaN}',
    ],
)  # fmt: skip
def test_what_is_none(line):
    with pytest.raises(Junk, match="descriptor 3"):
        answer_of(line)
