"""The log of a domain as a feed wants it: a stream that also knows where a new handler starts, and
what to do with a piece that is no event."""

from hookline.dispatch.handlers import Handler
from hookline.dispatch.start import start_position
from hookline.log.home import Home, log_stem
from hookline.log.read import Record
from hookline.log.rejected import reject
from hookline.log.stream import Stream
from hookline.model.position import Position


class DomainLog(Stream):
    """The log of one domain of a home."""

    def __init__(self, home: Home, domain: str) -> None:
        super().__init__(home.live(domain), home.segments, log_stem(domain))
        self._home = home
        self._domain = domain

    def start(self, handler: Handler) -> Position:
        """Where a handler that was never seen before begins."""
        return start_position(self, handler)

    def reject(self, record: Record) -> None:
        """Set aside what is no event, once. Raises HooklineError."""
        reject(self._home, self._domain, record.position, record.raw, record.why)
