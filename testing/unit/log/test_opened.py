"""An opened segment."""

import os
import resource
from pathlib import Path

import pytest

from hookline.log.opened import Opened, open_read
from hookline.model.errors import NotAllowed, TryAgain
from testing.unit.log.clocks import HandClock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "log"
    path.write_bytes(b"abc\n")
    return path


@pytest.fixture
def opened(path: Path) -> Opened:
    return Opened(open_read(str(path)), 1, HandClock(), closed=False)


def test_it_reads_at_any_offset_and_grows(path: Path, opened: Opened) -> None:
    assert (opened.read(1, 2), opened.read(3, 99), opened.read(4, 9)) == (b"bc", b"\n", b"")
    with open(path, "ab") as file:
        file.write(b"d")
    assert (opened.size(), opened.read(4, 9)) == (5, b"d")


def test_it_knows_its_file_by_more_than_the_name(path: Path, opened: Opened) -> None:
    assert opened.is_at(str(path))
    path.rename(path.parent / "other")
    assert not opened.is_at(str(path))
    assert opened.is_at(str(path.parent / "other"))
    path.write_bytes(b"abc\n")
    assert not opened.is_at(str(path))


def test_a_link_to_it_is_not_it(path: Path, opened: Opened) -> None:
    (path.parent / "link").symlink_to(path)
    assert not opened.is_at(str(path.parent / "link"))


def test_it_closes_itself_when_forgotten(path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    Opened(open_read(str(path)), 1, HandClock(), closed=False)
    assert os.listdir("/proc/self/fd") == before


def test_no_descriptors_left_is_try_again(path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(TryAgain):
            open_read(str(path))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_told(path: Path) -> None:
    path.chmod(0)
    with pytest.raises(NotAllowed, match="Permission denied"):
        open_read(str(path))
