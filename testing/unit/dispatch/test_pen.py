"""The journal's lines stay whole, whoever else writes to it, and whatever becomes of the file."""

import os

import pytest

from hookline.dispatch.pen import Pen


@pytest.fixture(name="pen")
def make_pen(home):
    pen = Pen(home.deliveries, home.locked_append)
    yield pen
    pen.close()


@pytest.fixture(name="home")
def make_home(bench):
    return bench.home


def lines(home):
    return home.deliveries.read_bytes().split(b"\n")


def test_it_appends_line_by_line_and_in_stretches(pen, home):
    for text in (b"one", b"two\nthree", b"four"):
        pen.append(text)
    assert lines(home) == [b"one", b"two", b"three", b"four", b""]


def test_a_line_of_somebody_else_stays_where_it_is(pen, home):
    pen.append(b"one")
    with home.deliveries.open("ab") as file:
        file.write(b"theirs\n")
    pen.append(b"two")
    pen.append(b"three")
    assert lines(home) == [b"one", b"theirs", b"two", b"three", b""]


def test_it_is_never_glued_to_what_somebody_has_torn(pen, home):
    pen.append(b"one")
    with home.deliveries.open("ab") as file:
        file.write(b'{"torn')
    pen.append(b"two")
    assert lines(home) == [b"one", b'{"torn', b"two", b""]


def test_nor_to_what_is_torn_between_its_look_and_its_write(pen, home, monkeypatch):
    pen.append(b"one")
    look = Pen._is_as_left

    def torn_just_after(self):
        found = look(self)
        with home.deliveries.open("ab") as file:
            file.write(b'{"torn')
        return found

    with monkeypatch.context() as patch:
        patch.setattr(Pen, "_is_as_left", torn_just_after)
        pen.append(b"two")
    pen.append(b"three")
    assert lines(home) == [b"one", b'{"torntwo', b"two", b"three", b""]


@pytest.mark.parametrize("how", ["removed", "renamed", "emptied", "replaced"])
def test_it_writes_to_the_file_that_is_there(pen, home, how, tmp_path):
    pen.append(b"one")
    match how:
        case "removed":
            home.deliveries.unlink()
        case "renamed":
            home.deliveries.rename(tmp_path / "old")
        case "emptied":
            os.truncate(home.deliveries, 0)
        case "replaced":
            (tmp_path / "other").write_bytes(b"theirs\n")
            (tmp_path / "other").replace(home.deliveries)
    pen.append(b"two")
    pen.append(b"three")
    before = [b"theirs"] if how == "replaced" else []
    assert lines(home) == [*before, b"two", b"three", b""]
    if how == "renamed":
        assert (tmp_path / "old").read_bytes() == b"one\n"


def test_a_home_that_is_to_be_locked_is_locked_from_then_on(pen, home):
    pen.append(b"one")
    home.locked_append.parent.mkdir(parents=True, exist_ok=True)
    home.locked_append.touch()
    pen.append(b"two")
    assert pen._fd < 0
    assert lines(home) == [b"one", b"two", b""]
