"""What a power cut may leave of a recorded run: every file system that keeps its promises, and none
beyond them (after ALICE, Pillai et al., OSDI 2014).

strace records what programs do to the files of a folder. A crash state is a moment in that record
and, of what no sync had brought to disk by then, some part: writes may be missing, torn at any byte
or have become NULs (the size was on disk, the data was not); new names, renames and removals may be
missing as long as their folder was not synced. What is on disk is only what was synced: a file's
bytes by fsync or fdatasync of the file, a name by fsync of its folder. Two changes of one name keep
their order; nothing else does.
"""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final, Literal

_TRACED: Final = (
    "openat", "write", "pwrite64", "ftruncate", "fsync", "fdatasync", "rename", "renameat",
    "renameat2", "unlink", "unlinkat", "rmdir", "mkdir", "mkdirat",
)  # fmt: skip
_CALL: Final = re.compile(r"(\d+) +(?:(\w+)\(|<\.\.\. (\w+) resumed>)(.*)")
_ENDED: Final = re.compile(r"(.*)\) += (-?\d+)")
_OPENED: Final = re.compile(r"-?\w+<([^>]*)>(\(deleted\))?")
# What only matters to processes that are alive: SQLite makes it anew.
_VOLATILE: Final = ("-shm",)

Kind = Literal["make", "mkdir", "write", "truncate", "sync", "rename", "remove", "mark"]
_BYTES: Final = frozenset({"write", "truncate"})
_NAMES: Final = frozenset({"make", "mkdir", "rename", "remove"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that a program did. `file` is a number that a file keeps whatever its name is; 0
    for a folder. A mark is what was written to a file outside, which no crash takes."""

    kind: Kind
    path: str = ""
    to: str = ""
    file: int = 0
    offset: int = 0
    data: bytes = b""

    def __str__(self) -> str:
        shown = f"{self.kind} {self.path}"
        if self.kind == "write":
            shown += f" [{self.offset}, {self.offset + len(self.data)})"
        return f"{shown} to {self.to}" if self.to else shown


@dataclass(slots=True)
class Tree:
    """Names and texts of the files below a folder."""

    names: dict[str, int] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    texts: dict[int, bytearray] = field(default_factory=dict)

    @classmethod
    def of(cls, root: Path) -> "Tree":
        """What lies below a folder."""
        tree = cls(folders={""})
        for path in sorted(root.rglob("*")):
            name = str(path.relative_to(root))
            if path.is_dir():
                tree.folders.add(name)
            elif path.is_file():
                tree.names[name] = len(tree.names) + 1
                tree.texts[tree.names[name]] = bytearray(path.read_bytes())
        return tree

    def copy(self) -> "Tree":
        """Another one that is the same."""
        text = {file: bytearray(data) for file, data in self.texts.items()}
        return Tree(dict(self.names), set(self.folders), text)

    def items(self) -> Iterator[tuple[str, bytes]]:
        """The files, by their names."""
        for name, file in self.names.items():
            yield name, bytes(self.texts.get(file, b""))

    def apply(self, change: Change) -> None:
        """Let a change happen."""
        text = self.texts.setdefault(change.file, bytearray())
        match change.kind:
            case "make":
                self.names[change.path] = change.file
            case "mkdir":
                self.folders.add(change.path)
            case "write":
                text.extend(bytes(max(0, change.offset - len(text))))
                text[change.offset : change.offset + len(change.data)] = change.data
            case "truncate":
                text.extend(bytes(max(0, change.offset - len(text))))
                del text[change.offset :]
            case "rename":
                if self.names.get(change.path) == change.file:
                    del self.names[change.path]
                self.names[change.to] = change.file
            case "remove":
                self.names.pop(change.path, None)
                self.folders.discard(change.path)

    def write(self, root: Path) -> None:
        """Make it, below an empty folder: files whose folder is missing are missing too."""
        for folder in sorted(self.folders):
            if os.path.dirname(folder) in self.folders:
                (root / folder).mkdir(exist_ok=True, mode=0o755)
        for name, text in self.items():
            path = root / name
            if path.parent.is_dir():
                path.write_bytes(text)
                path.chmod(0o750 if name.startswith("scripts/") else 0o640)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """A crash state: of the changes before a `moment`, those that were not synced are as they are
    in `left`, or missing; None: all of them were made. `what` says it in words."""

    moment: int
    what: str
    left: Mapping[int, Change] | None


class Recording:
    """What programs did to the files of a folder."""

    def __init__(self, before: Tree, changes: Sequence[Change]) -> None:
        self.before = before
        self.changes = changes

    def marks(self, moment: int) -> Iterator[tuple[str, bytes]]:
        """What was noted outside until then: the file's name, and the text."""
        for change in self.changes[:moment]:
            if change.kind == "mark":
                yield os.path.basename(change.path), change.data

    def tree(self, crash: Crash) -> Tree:
        """The files after a crash."""
        tree = self.before.copy()
        pending = self._pending(crash.moment)
        for number, change in enumerate(self.changes[: crash.moment]):
            if crash.left is None or number not in pending:
                tree.apply(change)
            elif number in crash.left:
                tree.apply(crash.left[number])
        return tree

    def crashes(self, chance: Random) -> Iterator[Crash]:
        """Crash states without end, each at a moment and with a loss drawn by chance."""
        while True:
            moment = chance.randrange(1, len(self.changes) + 1)
            pending = self._pending(moment)
            what, left = chance.choice(list(_losses(pending, chance)))
            yield Crash(moment=moment, what=what, left=self._ordered(left, pending))

    def _pending(self, moment: int) -> dict[int, Change]:
        """The changes before a moment that no sync had brought to disk, by their number."""
        pending: dict[int, Change] = {}
        for number, change in enumerate(self.changes[:moment]):
            if change.kind in _BYTES or change.kind in _NAMES:
                pending[number] = change
            elif change.kind == "sync":
                for old, other in list(pending.items()):
                    if _brings(change, other):
                        del pending[old]
        return pending

    @staticmethod
    def _ordered(left: Mapping[int, Change], pending: Mapping[int, Change]) -> dict[int, Change]:
        """Without the changes of a name whose last one is missing: a folder has one entry for a
        name, and its changes do not overtake each other."""
        missing: set[str] = set()
        kept = dict(left)
        for number, change in sorted(pending.items()):
            if change.kind in _NAMES:
                touched = {change.path, change.to} - {""}
                if number not in kept or touched & missing:
                    kept.pop(number, None)
                    missing |= touched
        return kept


def _brings(sync: Change, change: Change) -> bool:
    """Whether a sync brings a change to disk."""
    if sync.file:
        return change.kind in _BYTES and change.file == sync.file
    folders = {os.path.dirname(change.path), os.path.dirname(change.to or change.path)}
    return change.kind in _NAMES and sync.path in folders


def _losses(
    pending: Mapping[int, Change], chance: Random
) -> Iterator[tuple[str, dict[int, Change]]]:
    """What may be left of the changes that are not synced: one of each kind of loss."""
    numbers = sorted(pending)
    yield "all of it", dict(pending)
    if not numbers:
        return
    yield "nothing of it", {}
    one = chance.choice(numbers)
    yield f"all but: {pending[one]}", {n: pending[n] for n in numbers if n != one}
    yield f"nothing but: {pending[one]}", {one: pending[one]}
    yield f"what came before: {pending[one]}", {n: pending[n] for n in numbers if n < one}
    yield "names without bytes", {n: c for n, c in pending.items() if c.kind in _NAMES}
    yield "bytes without names", {n: c for n, c in pending.items() if c.kind in _BYTES}
    writes = [n for n in numbers if pending[n].kind == "write" and pending[n].data]
    if writes:
        one = chance.choice(writes)
        torn = _torn(pending[one], chance)
        yield f"torn: {torn}", {**pending, one: torn}
        one = chance.choice(writes)
        yield f"NULs: {pending[one]}", {**pending, one: _nuls(pending[one])}
    some = {n: pending[n] for n in numbers if chance.random() < 0.5}
    torn_too = {
        n: _torn(c, chance) for n, c in some.items() if n in writes and not chance.randrange(3)
    }
    yield "some of it", some | torn_too


def _torn(write: Change, chance: Random) -> Change:
    return Change(
        kind="write",
        path=write.path,
        file=write.file,
        offset=write.offset,
        data=write.data[: chance.randrange(len(write.data))],
    )


def _nuls(write: Change) -> Change:
    return Change(
        kind="write",
        path=write.path,
        file=write.file,
        offset=write.offset,
        data=bytes(len(write.data)),
    )


# -- recording -------------------------------------------------------------------------------


def record(
    command: Sequence[str | os.PathLike[str]], root: Path, env: Mapping[str, str], trace: Path
) -> Recording:
    """Run a command and record what it, and all that it starts, does below `root`; what is written
    to files beside `root` are marks."""
    before = Tree.of(root)
    subprocess.run(
        [
            "strace", "-f", "-qq", "-y", "-xx", "--seccomp-bpf", "-s", "1000000",
            "-e", f"trace={','.join(_TRACED)}", "-e", "signal=none", "-o", trace, "--", *command,
        ],
        env=dict(env),
        check=True,
        timeout=120,
    )  # fmt: skip
    return Recording(before, list(_Reader(root, before.copy()).changes(trace)))


class _Reader:
    """Understands a trace: knows the files as they were at each moment of it."""

    def __init__(self, root: Path, tree: Tree) -> None:
        self._root = str(root)
        self._tree = tree
        self._files = len(tree.names)

    def changes(self, trace: Path) -> Iterator[Change]:
        for name, args, result in _calls(trace):
            change = self._change(name, args, result)
            if change is not None:
                if change.kind not in ("sync", "mark"):
                    self._tree.apply(change)
                yield change

    def _change(self, name: str, args: list[str], result: int) -> Change | None:
        match name:
            case "openat":
                return self._open(self._name(args[1], args[0]), args[2])
            case "write" | "pwrite64":
                return self._write(args, result)
            case "ftruncate":
                path, file = self._opened(args[0])
                size = int(args[1])
                return Change(kind="truncate", path=path, file=file, offset=size) if file else None
            case "fsync" | "fdatasync":
                return self._sync(args[0])
            case "mkdir" | "mkdirat":
                path = self._name(args[-2], args[0])
                return Change(kind="mkdir", path=path) if path else None
            case "unlink" | "unlinkat" | "rmdir":
                path = self._name(args[1] if name == "unlinkat" else args[0], args[0])
                return Change(kind="remove", path=path) if path else None
            case _:
                pair = args[:2] if name == "rename" else [args[1], args[3]]
                return self._rename(self._name(pair[0], args[0]), self._name(pair[1], args[-2]))

    def _open(self, path: str, flags: str) -> Change | None:
        if not path or "O_TMPFILE" in flags:
            return None
        known = self._tree.names.get(path)
        if known is None and "O_CREAT" in flags:
            self._files += 1
            return Change(kind="make", path=path, file=self._files)
        if known and "O_TRUNC" in flags:
            return Change(kind="truncate", path=path, file=known)
        return None

    def _write(self, args: list[str], result: int) -> Change | None:
        path, file = self._opened(args[0])
        data = _text(args[1])[:result]
        if not file:
            beside = os.path.dirname(_text_of(args[0])) == os.path.dirname(self._root)
            return Change(kind="mark", path=_text_of(args[0]), data=data) if beside else None
        # All but SQLite append, or write a file from its start to its end.
        end = len(self._tree.texts.get(file, b""))
        offset = int(args[3]) if len(args) > 3 else end
        return Change(kind="write", path=path, file=file, offset=offset, data=data)

    def _sync(self, fd: str) -> Change | None:
        path, file = self._opened(fd)
        if not file and path not in self._tree.folders:
            return None
        return (
            Change(kind="sync", path=path, file=file) if file or path or self._is_root(fd) else None
        )

    def _rename(self, old: str, new: str) -> Change | None:
        file = self._tree.names.get(old, 0)
        if file and new:
            return Change(kind="rename", path=old, to=new, file=file)
        if new:
            # From outside, whole and on disk by then, as far as this folder can tell.
            raise AssertionError(f"{new} came from outside: where are its bytes?")
        return Change(kind="remove", path=old) if file else None

    def _is_root(self, fd: str) -> bool:
        return _text_of(fd) == self._root

    def _opened(self, fd: str) -> tuple[str, int]:
        """The name below the root of what a descriptor leads to, and its file."""
        path = self._below(_text_of(fd))
        return path, self._tree.names.get(path, 0)

    def _name(self, text: str, folder: str) -> str:
        path = os.path.join(_text_of(folder), _text(text).decode())
        return self._below(os.path.normpath(path))

    def _below(self, path: str) -> str:
        below = path.startswith(self._root + "/") and not path.endswith(_VOLATILE)
        return path[len(self._root) + 1 :] if below else ""


def _calls(trace: Path) -> Iterator[tuple[str, list[str], int]]:
    """The calls that succeeded, each at the moment when it ended."""
    begun: dict[str, str] = {}
    for line in trace.read_text().splitlines():
        found = _CALL.match(line)
        if found is None:
            continue
        pid, name, resumed, rest = found.groups()
        if rest.endswith("<unfinished ...>"):
            begun[pid] = rest.removesuffix("<unfinished ...>")
            continue
        ended = _ENDED.match(begun.pop(pid, "") + rest if resumed else rest)
        if ended is not None and int(ended[2]) >= 0:
            yield name or resumed, ended[1].split(", "), int(ended[2])


def _text(quoted: str) -> bytes:
    """The bytes of a string: strace writes all of them as hexadecimal."""
    return bytes.fromhex(quoted.strip(' "').replace("\\x", ""))


def _text_of(fd: str) -> str:
    """What a descriptor leads to; nothing for a removed file or for none."""
    found = _OPENED.match(fd.strip())
    if found is None or found[2]:
        return ""
    return bytes.fromhex(found[1].replace("\\x", "")).decode() if found[1].startswith("\\x") else ""
