"""What else lives in the dispatcher's process and loop."""

from typing import Protocol


class Companion(Protocol):
    """Something that wants a turn in each round, and to hear of processes that ended."""

    def turn(self, now_s: float) -> float | None:
        """Do what is due at this monotonic time; when the next turn is due, None for no matter."""

    def exited(self, pid: int, status: int) -> bool:
        """A process has ended with this wait status; whether it was one of its own."""

    @property
    def busy(self) -> bool:
        """Whether something of its own runs that was asked to end and is waited for."""

    def stop(self) -> None:
        """Begin nothing more and ask what runs to end."""

    def close(self) -> None:
        """End what still runs; more than once is no harm."""
