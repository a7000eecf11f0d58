"""What can be wrong with a log that is being read."""

from hookline.model.errors import BadData
from hookline.model.position import Position


class LogReplaced(BadData):
    """The log is not the one that was read so far; `resume` is where reading can go on."""

    def __init__(self, message: str, resume: Position) -> None:
        super().__init__(message)
        self.resume = resume


class SegmentGone(LogReplaced):
    """A closed segment was deleted before it was read."""


class SegmentDamaged(LogReplaced):
    """A compressed segment cannot be unpacked to its end."""
