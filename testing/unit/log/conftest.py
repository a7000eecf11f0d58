"""What tests of the log share."""

from collections.abc import Callable

import pytest

from hookline.log.append import append_line_to_log
from hookline.log.home import Home
from hookline.model.envelope import line
from hookline.model.jsontext import dumps

Emit = Callable[..., bytes]


def event_line(number: int, type: str = "test.done", **said: object) -> bytes:
    """The line of an event with a small number, a second after the one before."""
    minute, second = divmod(number, 60)
    data = said.pop("data", {"n": number})
    return line(
        id=f"e{number}",
        source="test",
        type=type,
        time=f"2026-11-21T01:{minute:02d}:{second:02d}.000000Z",
        data=dumps(data),
    )


@pytest.fixture
def emit(home: Home) -> Emit:
    """Appends a numbered event and gives its line."""

    def emit(number: int, type: str = "test.done", **said: object) -> bytes:
        text = event_line(number, type, **said)
        append_line_to_log(home.root, type.partition(".")[0], text)
        return text

    return emit
