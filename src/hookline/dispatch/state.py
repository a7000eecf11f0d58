"""The index of the journal in SQLite: what a dispatcher needs to go on after any death, without
reading it all again.

It may be deleted, damaged, old: whatever cannot be used is set aside and the ledger is folded from
the journal again. WAL with `synchronous=NORMAL` keeps a commit through the death of the process; a
power cut may take the last commits, and the journal's tail tells them again.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import apsw

from hookline.dispatch.ledger import Ledger, Pending, Progress, Standing
from hookline.dispatch.subscription import Cursor, Delivery, end_of
from hookline.model.errors import (
    BadConfig,
    HooklineError,
    NotAllowed,
    TryAgain,
    WriteFailed,
)
from hookline.model.position import Position

VERSION: Final = 6

_SCHEMA: Final = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE handler (name TEXT PRIMARY KEY, since REAL, paused TEXT, held TEXT, failures INT,
  installed REAL) WITHOUT ROWID;
CREATE TABLE start (handler TEXT, domain TEXT, segment INT, offset INT,
  PRIMARY KEY (handler, domain)) WITHOUT ROWID;
CREATE TABLE cursor (handler TEXT, domain TEXT, segment INT, offset INT, mark INT, event TEXT,
  source TEXT, PRIMARY KEY (handler, domain)) WITHOUT ROWID;
CREATE TABLE settled (handler TEXT, domain TEXT, segment INT, offset INT, event TEXT,
  PRIMARY KEY (handler, domain, segment, offset)) WITHOUT ROWID;
CREATE TABLE pending (handler TEXT, domain TEXT, segment INT, offset INT, replay TEXT, event TEXT,
  source TEXT, type TEXT, attempt INT, due REAL, running INT, at INT, end_segment INT,
  end_offset INT,  PRIMARY KEY (handler, domain, segment, offset, replay)) WITHOUT ROWID;
CREATE TABLE closed (letter TEXT PRIMARY KEY) WITHOUT ROWID;
PRAGMA user_version={VERSION};
"""

_PENDING: Final = (
    "handler, domain, segment, offset, replay, event, source, type, attempt, due, running, "
    "at, end_segment, end_offset"
)
_PUT_PENDING: Final = "INSERT OR REPLACE INTO pending VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
_PUT_ASKED: Final = "INSERT OR IGNORE INTO pending VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
_DEL_PENDING: Final = (
    "DELETE FROM pending WHERE handler=? AND domain=? AND segment=? AND offset=? AND replay=?"
)
_PUT_START: Final = "INSERT OR IGNORE INTO start VALUES (?,?,?,?)"
_PUT_FIRST_CURSOR: Final = "INSERT OR IGNORE INTO cursor VALUES (?,?,?,?,0,'','')"
_PUT_CURSOR: Final = "INSERT OR REPLACE INTO cursor VALUES (?,?,?,?,?,?,?)"
_REWIND_CURSOR: Final = (
    "UPDATE cursor SET segment=?3, offset=?4, mark=0, event='', source='' "
    "WHERE handler=?1 AND domain=?2 AND (segment, offset) >= (?3, ?4)"
)
_PUT_SETTLED: Final = "INSERT OR REPLACE INTO settled VALUES (?,?,?,?,?)"
_PRUNE_SETTLED: Final = (
    "DELETE FROM settled WHERE handler=? AND domain=? AND (segment, offset) < (?, ?)"
)
_PRUNE_PENDING: Final = (
    "DELETE FROM pending WHERE handler=? AND domain=? AND (segment, offset) < (?, ?) AND replay=''"
)
_DAMAGED: Final = (apsw.NotADBError, apsw.CorruptError)
_PERHAPS_SHORT: Final = (apsw.CantOpenError, apsw.ReadOnlyError, apsw.NoMemError)
_LOG: Final = "-wal"
_COMPANIONS: Final = (_LOG, "-shm", "-journal")
_BUSY_MS: Final = 5000


class IndexFailed(WriteFailed):
    """The index cannot be read or written; the logs and the journal have all of it."""


class State:
    """The index file. One writer: the dispatcher; others open it read-only."""

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self.path = path
        self._readonly = readonly
        self._lost: Ledger | None = None
        """What a deleted file said, until there is another one."""
        self.is_fresh = False
        """Whether nothing was ever saved in it: to be done before anything else is."""
        self.news = ""
        """What became of an index that could not be used; empty when it could."""
        if not readonly and path.exists() and not os.access(path, os.R_OK | os.W_OK):
            raise NotAllowed(
                f"{path} is not this user's to write: run as its owner, or remove it, and it is "
                "made again from the journal"
            )
        try:
            self._open()
        except _DAMAGED as error:
            self._give_up(error)
            self._open()
        except apsw.Error as error:
            raise self._why(error) from error

    def _why(self, error: apsw.Error) -> HooklineError:
        """Why the file cannot be used. Of a shortage SQLite says no more than that it cannot open,
        or can only read: when nothing else is in the way."""
        if isinstance(error, apsw.FullError):
            return WriteFailed(f"{self.path}: {error}: make room, then start again")
        if self._readonly or not isinstance(error, _PERHAPS_SHORT):
            return IndexFailed(f"{self.path}: {error}: hookline rebuild makes it again")
        folder = self.path.parent
        if not os.access(folder, os.W_OK | os.X_OK):
            return NotAllowed(f"{folder} is not this user's to write: run as its owner")
        if os.path.lexists(self.path) and not self.path.is_file():
            return IndexFailed(f"{self.path} is no file: remove it")
        return TryAgain(f"{self.path}: {error}: the machine was short of something")

    def _open(self) -> None:
        self._connect()
        version = self._db.pragma("user_version")
        if isinstance(version, int) and version > VERSION:
            self._db.close()
            raise BadConfig(
                f"{self.path} was written by a newer Hookline (version {version} of the index, "
                f"this one knows {VERSION}): run that one, or hookline rebuild makes it again"
            )
        if self._readonly:
            if version not in (0, VERSION):
                self._db.close()
                raise IndexFailed(f"{self.path} is of an older version; the next dispatcher mends")
            return
        if version not in (0, VERSION):
            self._set_aside(".old", f"it is of version {version}, and {VERSION} is needed")
            self._connect()
        elif self._db.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise apsw.CorruptError("a check found damage")
        with self._db:
            if self._db.pragma("user_version") == 0:
                self._db.execute(_SCHEMA)
        self.is_fresh = not self._meta()

    def _connect(self) -> None:
        if self._readonly:
            self._db = _reader(self.path)
        else:
            self.path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            # SQLite would let everybody read it; what stands in the way, SQLite says.
            with suppress(OSError):
                self.path.touch(0o640, exist_ok=False)
            self._db = apsw.Connection(str(self.path))
            self._db.set_busy_timeout(_BUSY_MS)
            self._db.pragma("journal_mode", "WAL")
            self._db.pragma("synchronous", "NORMAL")
        self._inode = self._inode_at_path()

    def _inode_at_path(self) -> tuple[int, int] | None:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    # -- what cannot be used ---------------------------------------------------------------

    def reappear(self) -> bool:
        """Make the file again if somebody has deleted it; whether that was so.

        Raises IndexFailed while that is not possible, and can be called again.
        """
        if self._lost is None and self._inode_at_path() == self._inode:
            return False
        if self._lost is None:
            self.give_up()
            self._lost = self.load()
            # At its end SQLite deletes the log of that name: the new one must not be there yet.
            self._db.close()
        try:
            self._remove_companions()
            self._open()
            self.save(self._lost)
        except (apsw.Error, OSError) as error:
            raise IndexFailed(f"{self.path} was deleted and cannot be made: {error}") from error
        self._lost = None
        return True

    def _give_up(self, why: Exception) -> None:
        """Put an empty index in the place of a damaged one."""
        if self._readonly:
            raise IndexFailed(f"{self.path} is damaged: the next dispatcher makes it again")
        self._set_aside(".damaged", str(why))

    def _set_aside(self, suffix: str, why: str) -> None:
        self._db.close()
        fresh, kept = self.path.with_suffix(".new"), self.path.with_suffix(suffix)
        fresh.unlink(missing_ok=True)
        db = apsw.Connection(str(fresh))
        db.execute(_SCHEMA)
        db.close()
        kept.unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            os.link(self.path, kept)
        # Before the new file comes: what they hold belongs to the old one.
        self._remove_companions()
        fresh.replace(self.path)
        self.news = f"the index is made again from the journal ({why}); the old one is {kept}"

    def _remove_companions(self) -> None:
        for rest in _COMPANIONS:
            self.path.with_name(self.path.name + rest).unlink(missing_ok=True)

    # -- writing ---------------------------------------------------------------------------

    @contextmanager
    def prepared(self) -> Iterator[None]:
        """What is written within waits for `commit`, if it is not written in vain: then nothing
        does. Raises IndexFailed: a full disk, most likely.

        After a damage the index is fresh, and can be written to again.
        """
        with self._guarded():
            self.give_up()
            self._db.execute("BEGIN IMMEDIATE")
            yield

    def commit(self) -> bool:
        """Have what is prepared, all of it; False when it was given up since, with the file that
        it was in, say. Raises IndexFailed: nothing was written."""
        with self._guarded():
            if not self._db.in_transaction:
                return False
            self._db.execute("COMMIT")
        return True

    def give_up(self) -> None:
        """Nothing is prepared any more."""
        # Nor is there in a file that was closed.
        with suppress(apsw.Error):
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing of it, at once; what is prepared is given up. Raises IndexFailed."""
        with self.prepared():
            yield
        self.commit()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Nothing is left open by what fails."""
        try:
            yield
        except _DAMAGED as error:
            self._give_up(error)
            self._open()
            raise IndexFailed(f"{self.path}: {error}: it is made again") from error
        except BaseException as error:
            self.give_up()
            if isinstance(error, apsw.Error):
                raise IndexFailed(f"{self.path}: {error}") from error
            raise

    def running(self, handler: str, deliveries: list[Delivery]) -> None:
        """One run of these is under way."""
        row = _row(handler, deliveries[0], running=True, end=end_of(deliveries))
        self._db.execute(_PUT_PENDING, row)

    def asked(self, handler: str, deliveries: Iterable[Delivery]) -> None:
        """Somebody wants these once more; those that are there already stay as they are."""
        self._db.executemany(_PUT_ASKED, [_row(handler, each) for each in deliveries])

    def waiting(self, handler: str, deliveries: Iterable[Delivery]) -> None:
        """These have been tried and will be again."""
        deliveries = list(deliveries)
        self._drop(handler, (d for d in deliveries if not d.attempt and not d.replay))
        self._db.executemany(
            _PUT_PENDING, [_row(handler, d) for d in deliveries if d.attempt or d.replay]
        )

    def settled(self, handler: str, deliveries: Iterable[Delivery]) -> None:
        """These are over."""
        deliveries = list(deliveries)
        self._drop(handler, deliveries)
        self._db.executemany(
            _PUT_SETTLED,
            [(handler, d.domain, *d.position, d.event) for d in deliveries if not d.replay],
        )

    def _drop(self, handler: str, deliveries: Iterable[Delivery]) -> None:
        self._db.executemany(
            _DEL_PENDING, [(handler, d.domain, *d.position, d.replay) for d in deliveries]
        )

    def start(self, handler: str, domain: str, position: Position) -> None:
        """A handler begins to listen to a domain there, if it did not before."""
        self._db.execute(_PUT_START, (handler, domain, *position))
        self._db.execute(_PUT_FIRST_CURSOR, (handler, domain, *position))

    def move(self, handler: str, domain: str, cursor: Cursor) -> None:
        """Everything before the cursor is settled."""
        self._db.execute(
            _PUT_CURSOR,
            (handler, domain, *cursor.position, cursor.mark, cursor.event, cursor.source),
        )
        for prune in (_PRUNE_SETTLED, _PRUNE_PENDING):
            self._db.execute(prune, (handler, domain, *cursor.position))

    def rewind(self, handler: str, domain: str, position: Position) -> None:
        """A cursor that is not before this position goes back to it."""
        self._db.execute(_REWIND_CURSOR, (handler, domain, *position))

    def handler(self, name: str, standing: Standing) -> None:
        """How a handler stands."""
        columns = (getattr(standing, field) for field in Standing.__struct_fields__)
        self._db.execute("INSERT OR REPLACE INTO handler VALUES (?,?,?,?,?,?)", (name, *columns))

    def close_letters(self, letters: Iterable[str]) -> None:
        """Somebody decided on these dead letters."""
        self._db.executemany("INSERT OR IGNORE INTO closed VALUES (?)", [(x,) for x in letters])

    def folded(self, position: Position, journal: str) -> None:
        """The journal of that name is in the index up to here."""
        self._db.execute(
            "INSERT OR REPLACE INTO meta VALUES ('segment', ?), ('offset', ?), ('journal', ?)",
            (*position, journal),
        )

    def save(self, ledger: Ledger) -> None:
        """Replace everything by this ledger."""
        with self.transaction():
            for table in ("handler", "start", "cursor", "settled", "pending", "closed"):
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608  # our own names
            for name, progress in ledger.handlers.items():
                self._save_progress(name, progress)
            self.close_letters(ledger.closed)
            self.folded(ledger.folded, ledger.journal)
        self.is_fresh = False

    def _save_progress(self, name: str, progress: Progress) -> None:
        self.handler(name, progress)
        for domain, position in progress.starts.items():
            self.start(name, domain, position)
        for domain, cursor in progress.cursors.items():
            self.move(name, domain, cursor)
        for domain, places in progress.settled.items():
            self._db.executemany(
                _PUT_SETTLED, [(name, domain, *place, event) for place, event in places.items()]
            )
        self._db.executemany(
            _PUT_PENDING,
            [
                _row(name, p, running=p.running, at=p.at, end=p.end)
                for p in progress.pending.values()
            ],
        )

    # -- reading ---------------------------------------------------------------------------

    def load(self) -> Ledger:
        """The ledger as it was committed last; nothing, of a fresh index. Raises IndexFailed."""
        try:
            return self._load()
        except _DAMAGED as error:
            self._give_up(error)
            self._open()
            return self._load()
        except apsw.Error as error:
            raise IndexFailed(f"{self.path}: {error}") from error

    def _load(self) -> Ledger:
        if self._db.pragma("user_version") == 0:
            return Ledger()
        meta = self._meta()
        ledger = Ledger(
            folded=Position(int(meta.get("segment", 1)), int(meta.get("offset", 0))),
            journal=str(meta.get("journal", "")),
        )
        ledger.closed = {row[0] for row in self._rows("SELECT letter FROM closed")}
        for name, *columns in self._rows("SELECT * FROM handler"):
            fields = dict(zip(Standing.__struct_fields__, columns, strict=True))
            ledger.handlers[name] = Progress(**fields)
        for handler, domain, segment, offset in self._rows("SELECT * FROM start"):
            ledger.progress(handler).starts[domain] = Position(segment, offset)
        for handler, domain, segment, offset, mark, event, source in self._rows(
            "SELECT * FROM cursor"
        ):
            cursor = Cursor(Position(segment, offset), mark, event, source)
            ledger.progress(handler).cursors[domain] = cursor
        for handler, domain, segment, offset, event in self._rows("SELECT * FROM settled"):
            settled = ledger.progress(handler).settled
            settled.setdefault(domain, {})[Position(segment, offset)] = event
        for row in self._rows(f"SELECT {_PENDING} FROM pending"):  # noqa: S608  # our own names
            pending = _pending(*row[1:])
            ledger.progress(row[0]).pending[pending.place] = pending
        return ledger

    def replays(self, handler: str) -> tuple[int, int, str, str, Position]:
        """How many replays a handler was asked for and has not settled, how much it has running,
        why it is paused and why it is held, as of that place in the journal."""
        ((waiting, running, paused, held),) = self._rows(
            "SELECT count(nullif(replay, '')), total(running), coalesce(max(paused), ''), "
            "coalesce(max(held), '') FROM pending "
            "LEFT JOIN handler ON name = pending.handler WHERE pending.handler = ?",
            handler,
        )
        meta = self._meta()
        folded = Position(int(meta.get("segment", 1)), int(meta.get("offset", 0)))
        return waiting, int(running), paused, held, folded

    def _meta(self) -> dict[str, Any]:
        return dict(self._rows("SELECT name, value FROM meta"))

    def _rows(self, query: str, *bindings: str) -> Iterator[tuple]:  # type: ignore[type-arg]  # rows are heterogeneous
        return iter(self._db.execute(query, bindings).fetchall())


def _reader(path: Path) -> apsw.Connection:
    """The index for somebody who only looks, and who may not be allowed to write beside it."""
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    db.set_busy_timeout(_BUSY_MS)
    try:
        db.pragma("user_version")
    except (apsw.CantOpenError, apsw.ReadOnlyError):
        db.close()
        if path.with_name(path.name + _LOG).exists():
            raise
        # It is whole, since no log lies beside it; SQLite wants to make one all the same, unless it
        # is told that nobody writes.
        uri = f"{path.absolute().as_uri()}?immutable=1"
        db = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    return db


def health(path: Path) -> str:
    """What is wrong with an index, as far as one can see who does not change it; empty: nothing."""
    try:
        db = _reader(path)
        try:
            version = db.pragma("user_version")
            (found,) = db.execute("PRAGMA quick_check(1)").fetchone() or ("nothing to check",)
        finally:
            db.close()
    except apsw.Error as error:
        return str(error)
    if version not in (0, VERSION):
        return f"it is of version {version}, and this Hookline knows {VERSION}"
    return "" if found == "ok" else str(found)


def _pending(
    domain: str, segment: int, offset: int, replay: str, event: str, source: str, type: str,
    attempt: int, due: float, running: int, at: int | None, end_segment: int | None,
    end_offset: int | None,
) -> Pending:  # fmt: skip
    return Pending(
        domain=domain,
        position=Position(segment, offset),
        replay=replay,
        event=event,
        source=source,
        type=type,
        attempt=attempt,
        due_at_s=due,
        running=bool(running),
        at=at,
        end=Position(end_segment, end_offset or 0) if end_segment else None,
    )


def _row(
    handler: str,
    known: Delivery | Pending,
    *,
    running: bool = False,
    at: int | None = None,
    end: Position | None = None,
) -> tuple[object, ...]:
    return (
        handler, known.domain, *known.position, known.replay, known.event, known.source,
        known.type, known.attempt, known.due_at_s, int(running), at, *(end or (None, None)),
    )  # fmt: skip
