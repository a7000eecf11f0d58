"""Closing a live log, and compressing closed segments once nobody can write to them."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from hookline.log.files import LOCK_WAIT_S, append_line, flock_within, make_folder, sync_folder
from hookline.log.home import Home
from hookline.log.lease import Quiescence, is_open_for_writing
from hookline.log.opened import open_read
from hookline.log.packing import pack
from hookline.log.segments import Segments, after
from hookline.log.stream import Stream
from hookline.model.clock import Clock, SystemClock
from hookline.model.errors import BadConfig, CannotCreate, NotAllowed, TryAgain, WriteFailed
from hookline.model.position import ORDINAL_MAX, Position


def rotate(home: Home, domain: str, *, larger_than: int = 0) -> Position | None:
    """Close the live log of a domain if it has more bytes than that; where the next one begins.

    None when there was nothing to close. Raises TryAgain, NotAllowed, CannotCreate, WriteFailed,
    BadConfig when the ordinals have come to their end.
    """
    with Stream.of_domain(home, domain) as stream:
        return rotate_stream(stream, larger_than=larger_than)


def seal(home: Home, domain: str) -> list[int]:
    """Compress all closed segments of a domain that nobody can write to; the ordinals of these."""
    with Stream.of_domain(home, domain) as stream:
        return seal_stream(stream)


def rotate_stream(stream: Stream, *, larger_than: int = 0) -> Position | None:
    """`rotate` for any stream, the journal's for one."""
    segments = stream.segments
    make_folder(segments.folder)
    try:
        lock = os.open(segments.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if not flock_within(lock, LOCK_WAIT_S):
                raise TryAgain(f"another process has locked {segments.folder}: try again")
            return _rotate_locked(segments, larger_than)
        finally:
            os.close(lock)
    except OSError as error:
        raise WriteFailed(f"cannot rotate {segments.live}: {error.strerror}") from error


def _rotate_locked(segments: Segments, larger_than: int) -> Position | None:
    try:
        fd = open_read(segments.live)
    except FileNotFoundError:
        return None
    try:
        status = os.fstat(fd)
        if status.st_size <= larger_than:
            return None
        if status.st_nlink != 1:
            raise CannotCreate(f"{segments.live} is a hard link to another file: remove it")
        ordinal = after(segments.ordinals())
        if ordinal > ORDINAL_MAX:
            raise BadConfig(
                f"{segments.stem} has no ordinal left: move what does not belong to it out of "
                f"{segments.folder}"
            )
        os.rename(segments.live, segments.plain(ordinal))
        # Whoever syncs the live log for its writers looks at the next one from now on.
        os.fdatasync(fd)
        # A cursor may name the next ordinal from now on: it must not go back in a power cut.
        sync_folder(segments.folder)
        sync_folder(os.path.dirname(segments.live))
        return Position(ordinal + 1, 0)
    finally:
        os.close(fd)


def seal_stream(stream: Stream, *, clock: Clock | None = None) -> list[int]:
    """`seal` for any stream."""
    try:
        ordinals = stream.ordinals()
    except OSError as error:
        raise WriteFailed(f"cannot list {stream.segments.folder}: {error.strerror}") from error
    return [ordinal for ordinal in ordinals if seal_segment(stream, ordinal, clock=clock)]


def seal_segment(stream: Stream, ordinal: int, *, clock: Clock | None = None) -> bool:
    """Compress one closed segment; False when there is nothing to do, or somebody can write to it.

    Raises BadData when the compressed text is not that of the segment, which then stays as it is;
    WriteFailed.
    """
    segments = stream.segments
    try:
        with _owned(segments, ordinal, clock or SystemClock()) as fd:
            return fd is not None and _seal_locked(segments, ordinal, fd)
    except OSError as error:
        which = segments.packed(ordinal)
        raise WriteFailed(f"cannot compress to {which}: {error.strerror}") from error


def remove_segment(stream: Stream, ordinal: int, *, clock: Clock | None = None) -> bool:
    """Delete a closed segment that is older than the newest one; False when somebody can write to
    it.

    Whether anybody still wants to read it, the caller knows. Raises WriteFailed.
    """
    segments = stream.segments
    if ordinal >= max(stream.ordinals(), default=0):
        raise ValueError(f"segment {ordinal} is the newest: ordinals would start again")
    try:
        if os.path.lexists(segments.plain(ordinal)):
            with _owned(segments, ordinal, clock or SystemClock()) as fd:
                if fd is None:
                    return False
                os.unlink(segments.plain(ordinal))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(segments.packed(ordinal))
        sync_folder(segments.folder)
    except OSError as error:
        which = segments.plain(ordinal)
        raise WriteFailed(f"cannot delete {which}: {error.strerror}") from error
    return True


@contextmanager
def _owned(segments: Segments, ordinal: int, clock: Clock) -> Iterator[int | None]:
    """A closed segment that is not compressed, open to read and nobody else's for so long; None
    when there is none, or when it is, or may be written to."""
    try:
        fd = open_read(segments.plain(ordinal))
    except (FileNotFoundError, NotAllowed):
        yield None
        return
    try:
        # One at a time. A writer that locks its appends and was paused holds this one too.
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        yield None
        return
    try:
        # Without a name: somebody else was quicker.
        is_ours = os.fstat(fd).st_nlink > 0 and Quiescence(clock).wait_s(fd) <= 0.0
        yield fd if is_ours else None
    finally:
        os.close(fd)


def _seal_locked(segments: Segments, ordinal: int, fd: int) -> bool:
    plain, packed = segments.plain(ordinal), segments.packed(ordinal)
    # There is nothing to gain, and zstd makes no frame of nothing.
    if os.fstat(fd).st_size == 0:
        return False
    _end_last_line(fd, plain)
    # The name is always the same, so that one left by a crash is overwritten by the next sealer.
    temporary = os.path.join(segments.folder, f".{os.path.basename(packed)}.tmp")
    try:
        size = pack(plain, temporary)
        if is_open_for_writing(fd) or os.fstat(fd).st_size != size:
            return False
        os.replace(temporary, packed)
        sync_folder(segments.folder)
    finally:
        if os.path.lexists(temporary):
            os.unlink(temporary)
    os.unlink(plain)
    sync_folder(segments.folder)
    return True


def _end_last_line(fd: int, plain: str) -> None:
    size = os.fstat(fd).st_size
    if size and os.pread(fd, 1, size - 1) != b"\n":
        append_line(plain, b"", sync=True)
