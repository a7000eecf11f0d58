"""Bash and Python say the same of every text: the same verdict, the same bytes to store."""

import os
import select
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings

from hookline.model.errors import BadData
from hookline.model.jsontext import compact
from testing.property.json_texts import TEXTS

VALIDATOR = Path(__file__).parents[2] / "scripts" / "events" / "lib" / "event-validator.sh"
EXAMPLES = 20_000 if float(os.environ.get("HOOKLINE_SOAK", "0")) else 400
ANSWER_S = 60.0


class Bash:
    """One bash that validates text after text."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [VALIDATOR, "--json-lines"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )

    def verdict(self, text: bytes) -> bytes | None:
        """The compact text; None for one that is refused."""
        assert self._process.stdin
        self._process.stdin.write(text + b"\0")
        kind, _, rest = self._line().partition(b" ")
        assert kind in (b"ok", b"bad"), (kind, rest)
        return rest if kind == b"ok" else None

    def _line(self) -> bytes:
        assert self._process.stdout
        found = b""
        while not found.endswith(b"\n"):
            ready, _, _ = select.select([self._process.stdout], [], [], ANSWER_S)
            assert ready, f"no answer within {ANSWER_S:.0f} s"
            piece = self._process.stdout.read(1 << 16)
            assert piece, "bash is gone"
            found += piece
        return found[:-1]

    def close(self) -> None:
        """End it by closing its input."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        assert self._process.wait(ANSWER_S) == 0


@pytest.fixture(scope="module")
def bash() -> Iterator[Bash]:
    """The one process that all examples share."""
    process = Bash()
    yield process
    process.close()


def python_verdict(text: bytes) -> bytes | None:
    """The compact text; None for one that is refused."""
    try:
        return compact(text)
    except BadData:
        return None


@pytest.mark.timeout(600)
@settings(max_examples=EXAMPLES, deadline=None)
@given(text=TEXTS)
@example(text=b"")
@example(text=b'{ "specversion" : [ { "specversion":1 } ] }')
@example(text=rb'{"a":1,"\u0061":2}')
@example(text=b'"' + rb"\"\\" * 40 + b'"')
@example(text=b"[" * 65 + b"]" * 65)
@example(text=b"[" * 64 + b"]" * 64)
@example(
    text=b"179769313486231580793728971405303415079934132710037826936173778980444968292764750946649"
    b"01797758720709633028641669288791094655554785194040263065748867150582068190890200070838367"
    b"627385484581771153176447573027006985557136695962284291481986083493647529271907416844436551"
    b"07043427115596995080930428801779041744977919"
)
def test_both_grammars_agree(bash, text):
    assert bash.verdict(text) == python_verdict(text)
