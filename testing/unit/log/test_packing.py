"""Compressing segments, and reading compressed ones."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hookline.log.packing import Unpacked, pack

TEXT = b"".join(b"line %d of a segment\n" % number for number in range(50_000))


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    (tmp_path / "plain").write_bytes(TEXT)
    assert pack(str(tmp_path / "plain"), str(tmp_path / "packed")) == len(TEXT)
    return tmp_path / "packed"


@pytest.fixture
def unpack() -> Iterator[Callable[[Path], Unpacked]]:
    opened: list[tuple[Unpacked, int]] = []

    def unpack(path: Path) -> Unpacked:
        fd = os.open(path, os.O_RDONLY)
        opened.append((Unpacked(fd, str(path.parent)), fd))
        return opened[-1][0]

    yield unpack
    for unpacked, fd in opened:
        unpacked.close()
        os.close(fd)


def test_it_reads_the_same_at_any_offset(packed: Path, unpack: Callable[[Path], Unpacked]) -> None:
    unpacked = unpack(packed)
    for offset in (0, len(TEXT) - 7, 12_345, 600_000, 1):
        assert unpacked.read(offset, 1000) == TEXT[offset : offset + 1000]
    assert unpacked.read(len(TEXT) + 5, 10) == b""
    assert (unpacked.size(), unpacked.damage) == (len(TEXT), "")


def test_it_unpacks_no_further_than_it_must(
    packed: Path, unpack: Callable[[Path], Unpacked], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = 0
    real = os.write

    def write(fd: int, data: bytes) -> int:
        nonlocal written
        written += len(data)
        return real(fd, data)

    unpacked = unpack(packed)
    monkeypatch.setattr(os, "write", write)
    unpacked.read(0, 10)
    assert 0 < written < len(TEXT) / 2
    unpacked.read(0, 1000)
    unpacked.read(len(TEXT) - 1, 1)
    unpacked.read(0, len(TEXT))
    assert written == len(TEXT)


def test_what_is_unpacked_has_no_name(packed: Path, unpack: Callable[[Path], Unpacked]) -> None:
    before = sorted(os.listdir(packed.parent))
    unpack(packed).read(0, 10)
    assert sorted(os.listdir(packed.parent)) == before


def test_who_may_not_write_beside_it_unpacks_elsewhere(
    packed: Path, monkeypatch: pytest.MonkeyPatch, unpack: Callable[[Path], Unpacked]
) -> None:
    real = os.open

    def open_(path: str, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE and path == str(packed.parent):
            raise PermissionError(13, "Permission denied")
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", open_)
    assert unpack(packed).read(7, 10) == TEXT[7:17]


@pytest.mark.parametrize("spoil", ["flip", "cut", "other"])
def test_damage_ends_the_text_and_is_told(
    packed: Path, unpack: Callable[[Path], Unpacked], spoil: str
) -> None:
    data = bytearray(packed.read_bytes())
    if spoil == "flip":
        data[len(data) // 2] ^= 1
    packed.write_bytes({"flip": bytes(data), "cut": bytes(data[:-9]), "other": b"text"}[spoil])
    unpacked = unpack(packed)
    text = unpacked.read(0, 2 * len(TEXT))
    assert unpacked.damage
    assert spoil != "other" or text == b""
    assert unpacked.read(0, 2 * len(TEXT)) == text
