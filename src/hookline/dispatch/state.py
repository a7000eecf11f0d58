"""The index of the journal in SQLite: what a dispatcher needs to go on after any death, without
reading it all again.

It may be deleted: the ledger is then folded from the journal's beginning. WAL with
`synchronous=NORMAL` keeps a commit through the death of the process; a power cut may take the last
commits, and the journal's tail tells them again.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import apsw

from hookline.dispatch.ledger import Ledger, Pending, Progress
from hookline.dispatch.subscription import Cursor, Delivery
from hookline.model.errors import BadConfig, WriteFailed
from hookline.model.position import Position

VERSION: Final = 2

_SCHEMA: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE handler (name TEXT PRIMARY KEY, since REAL, paused TEXT, paused_at REAL,
  held TEXT) WITHOUT ROWID;
CREATE TABLE cursor (handler TEXT, domain TEXT, segment INT, offset INT, mark INT, event TEXT,
  source TEXT, PRIMARY KEY (handler, domain)) WITHOUT ROWID;
CREATE TABLE settled (handler TEXT, domain TEXT, segment INT, offset INT, event TEXT,
  PRIMARY KEY (handler, domain, segment, offset)) WITHOUT ROWID;
CREATE TABLE pending (handler TEXT, domain TEXT, segment INT, offset INT, replay INT, event TEXT,
  source TEXT, type TEXT, attempt INT, due REAL, running INT,
  PRIMARY KEY (handler, domain, segment, offset, replay)) WITHOUT ROWID;
CREATE TABLE closed (letter TEXT PRIMARY KEY) WITHOUT ROWID;
"""

_PUT_PENDING: Final = "INSERT OR REPLACE INTO pending VALUES (?,?,?,?,?,?,?,?,?,?,?)"
_DEL_PENDING: Final = (
    "DELETE FROM pending WHERE handler=? AND domain=? AND segment=? AND offset=? AND replay=?"
)
_PUT_CURSOR: Final = "INSERT OR REPLACE INTO cursor VALUES (?,?,?,?,?,?,?)"
_PUT_SETTLED: Final = "INSERT OR REPLACE INTO settled VALUES (?,?,?,?,?)"
_PRUNE_SETTLED: Final = (
    "DELETE FROM settled WHERE handler=? AND domain=? AND (segment, offset) < (?, ?)"
)


class IndexFailed(WriteFailed):
    """The index cannot be read or written; the logs and the journal have all of it."""


class State:
    """The index file. One writer: the dispatcher; others open it read-only."""

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self.path = path
        try:
            self._open(readonly=readonly)
        except (apsw.NotADBError, apsw.CorruptError):
            if readonly:
                raise IndexFailed(
                    f"{path} is damaged; the next dispatcher makes it again"
                ) from None
            # It is derived: what it said is said by the journal too.
            path.rename(path.with_suffix(".damaged"))
            for rest in ("-wal", "-shm"):
                path.with_name(path.name + rest).unlink(missing_ok=True)
            self._open(readonly=False)
        except apsw.Error as error:
            raise IndexFailed(f"{path}: {error}") from error

    def _open(self, *, readonly: bool) -> None:
        flags = (
            apsw.SQLITE_OPEN_READONLY
            if readonly
            else (apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
        )
        self._db = apsw.Connection(str(self.path), flags=flags)
        self._db.set_busy_timeout(5000)
        if not readonly:
            self._db.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL")
        version = self._db.pragma("user_version")
        if version == 0 and not readonly:
            with self._db:
                self._db.execute(_SCHEMA + f"PRAGMA user_version={VERSION}")
        elif version not in (0, VERSION):
            self._db.close()
            raise BadConfig(
                f"{self.path} was written by another version ({version}, not {VERSION}): "
                "delete it, and it is made again from the journal"
            )

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing of it. Raises IndexFailed: a full disk, most likely."""
        try:
            with self._db:
                yield
        except apsw.Error as error:
            raise IndexFailed(f"{self.path}: {error}") from error

    def begun(self, handler: str, deliveries: Iterable[Delivery]) -> None:
        """Runs are about to start: whatever dies now, they count."""
        self._db.executemany(_PUT_PENDING, [_row(handler, each, 1) for each in deliveries])

    def waiting(self, handler: str, deliveries: Iterable[Delivery]) -> None:
        """These have been tried and will be again."""
        self._db.executemany(_PUT_PENDING, [_row(handler, each, 0) for each in deliveries])

    def settled(self, handler: str, deliveries: Iterable[Delivery]) -> None:
        """These are over."""
        deliveries = list(deliveries)
        self._db.executemany(
            _DEL_PENDING, [(handler, d.domain, *d.position, d.replay) for d in deliveries]
        )
        self._db.executemany(
            _PUT_SETTLED,
            [(handler, d.domain, *d.position, d.event) for d in deliveries if not d.replay],
        )

    def move(self, handler: str, domain: str, cursor: Cursor) -> None:
        """Everything before the cursor is settled."""
        self._db.execute(
            _PUT_CURSOR,
            (handler, domain, *cursor.position, cursor.mark, cursor.event, cursor.source),
        )
        self._db.execute(_PRUNE_SETTLED, (handler, domain, *cursor.position))

    def handler(
        self, name: str, since_s: float, paused: str, paused_at_s: float, held: str
    ) -> None:
        """Since when a handler listens, and why it is paused or held, if it is."""
        self._db.execute(
            "INSERT OR REPLACE INTO handler VALUES (?,?,?,?,?)",
            (name, since_s, paused, paused_at_s, held),
        )

    def close_letters(self, letters: Iterable[str]) -> None:
        """Somebody decided on these dead letters."""
        self._db.executemany("INSERT OR IGNORE INTO closed VALUES (?)", [(x,) for x in letters])

    def folded(self, position: Position) -> None:
        """The journal is in the index up to here."""
        self._db.execute(
            "INSERT OR REPLACE INTO meta VALUES ('segment', ?), ('offset', ?)", position
        )

    def save(self, ledger: Ledger) -> None:
        """Replace everything by this ledger."""
        with self.transaction():
            for table in ("handler", "cursor", "settled", "pending", "closed"):
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608  # our own names
            for name, progress in ledger.handlers.items():
                self._save_progress(name, progress)
            self.close_letters(ledger.closed)
            self.folded(ledger.folded)

    def load(self) -> Ledger:
        """The ledger as it was committed last."""
        if self._db.pragma("user_version") == 0:
            return Ledger()
        meta = dict(self._rows("SELECT name, value FROM meta"))
        ledger = Ledger(folded=Position(int(meta.get("segment", 1)), int(meta.get("offset", 0))))
        ledger.closed = {row[0] for row in self._rows("SELECT letter FROM closed")}
        for name, since, paused, paused_at, held in self._rows("SELECT * FROM handler"):
            ledger.handlers[name] = Progress(
                since_s=since, paused=paused, paused_at_s=paused_at, held=held
            )
        for handler, domain, segment, offset, mark, event, source in self._rows(
            "SELECT * FROM cursor"
        ):
            cursor = Cursor(Position(segment, offset), mark, event, source)
            ledger.handlers.setdefault(handler, Progress()).cursors[domain] = cursor
        for handler, domain, segment, offset, event in self._rows("SELECT * FROM settled"):
            settled = ledger.handlers.setdefault(handler, Progress()).settled
            settled.setdefault(domain, {})[Position(segment, offset)] = event
        for handler, pending in self._pending():
            ledger.handlers.setdefault(handler, Progress()).pending[pending.place] = pending
        return ledger

    def _save_progress(self, name: str, progress: Progress) -> None:
        self.handler(name, progress.since_s, progress.paused, progress.paused_at_s, progress.held)
        for domain, cursor in progress.cursors.items():
            self.move(name, domain, cursor)
        for domain, places in progress.settled.items():
            self._db.executemany(
                _PUT_SETTLED, [(name, domain, *place, event) for place, event in places.items()]
            )
        self._db.executemany(
            _PUT_PENDING,
            [
                (
                    name, p.domain, *p.position, p.replay, p.event, p.source, p.type,
                    p.attempt, p.due_at_s, int(p.running),
                )
                for p in progress.pending.values()
            ],
        )  # fmt: skip

    def _pending(self) -> Iterator[tuple[str, Pending]]:
        for row in self._rows("SELECT * FROM pending"):
            handler, domain, segment, offset, replay, event, source, kind, attempt, due, running = (
                row
            )
            yield (
                handler,
                Pending(
                    domain=domain,
                    position=Position(segment, offset),
                    replay=replay,
                    event=event,
                    source=source,
                    type=kind,
                    attempt=attempt,
                    due_at_s=due,
                    running=bool(running),
                ),
            )

    def _rows(self, query: str) -> Iterator[tuple]:  # type: ignore[type-arg]  # rows are heterogeneous
        return iter(self._db.execute(query).fetchall())


def _row(handler: str, delivery: Delivery, running: int) -> tuple[object, ...]:
    return (
        handler, delivery.domain, *delivery.position, delivery.replay, delivery.event,
        delivery.source, delivery.type, delivery.attempt, delivery.due_at_s, running,
    )  # fmt: skip
