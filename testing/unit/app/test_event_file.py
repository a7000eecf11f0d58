import errno
import os

import pytest

from hookline.app.event_file import read_event_file
from hookline.model.errors import BadData, TryAgain

LINE = (
    b'{"specversion":"1.0","id":"0199f8a0-0000-7000-8000-000000000001","source":"t",'
    b'"type":"a.b","time":"2026-11-21T03:02:30.422167Z"}'
)


def test_a_file_is_its_line_and_the_event(tmp_path):
    path = tmp_path / "event.json"
    path.write_bytes(LINE + b"\n")
    line, event = read_event_file(path)
    assert line == LINE
    assert (event.type, event.source) == ("a.b", "t")


@pytest.mark.parametrize("text", [b"", b"{}", LINE[:-1], LINE + b"\n" + LINE])
def test_what_is_no_event_is_bad_data(tmp_path, text):
    path = tmp_path / "event.json"
    path.write_bytes(text)
    with pytest.raises(BadData):
        read_event_file(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BadData, match=r"event\.json: No such file"):
        read_event_file(tmp_path / "event.json")


def test_a_machine_that_is_short_of_descriptors_can_be_asked_again(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(TryAgain, match="Too many open files"):
        read_event_file(tmp_path / "event.json")
