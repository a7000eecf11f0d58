"""A line of the dead-letter queue (docs/FORMAT.md section 10)."""

from typing import Annotated, Final

import msgspec

from hookline.dispatch.ledger import can_be
from hookline.model.position import Count, Ordinal
from hookline.model.types import TYPE_BYTES_MAX

_NO_EVENT: Final = b"null"


class DeadLetter(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A line of dead-letters.jsonl."""

    letter: str
    time: str
    handler: str
    domain: Annotated[str, msgspec.Meta(max_length=TYPE_BYTES_MAX)]
    segment: Ordinal | None = None
    offset: Count | None = None
    attempts: Count
    replay: str = msgspec.field(default="", name="replayof")
    verdict: str
    exit: int | None = None
    signal: int | None = None
    error: str = ""
    stdout: str = ""
    stderr: str = ""
    traceback: str = ""
    fingerprint: str = ""
    """See `hookline.dispatch.fingerprint`."""
    event: msgspec.Raw = msgspec.Raw(_NO_EVENT)

    @property
    def identity(self) -> "Identity | None":
        """What its event says of itself; None when the letter has no event any more."""
        try:
            return msgspec.json.decode(self.event, type=Identity)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None


class Identity(msgspec.Struct, frozen=True):
    """What of an event is needed to ask for it again."""

    id: str
    source: str
    type: str


_DECODER = msgspec.json.Decoder(DeadLetter)


def decode_letter(line: bytes) -> DeadLetter | None:
    """The dead letter of a line, or None for a line that is none: a torn one, one with bytes or an
    event that are damaged, or one that says what cannot be."""
    try:
        # The decoder takes the event as it is, and does not look whether it is UTF-8.
        line.decode()
        letter = _DECODER.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if letter.identity is None and bytes(letter.event) != _NO_EVENT:
        return None
    return letter if can_be(letter.time, letter.handler, letter.domain) else None
