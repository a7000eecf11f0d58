"""Who keeps a segment open."""

import os
import subprocess
from pathlib import Path

from hookline.log.holders import Holder, holders


def test_those_who_write_are_named_and_those_who_read_are_not(tmp_path: Path) -> None:
    path = tmp_path / "segment"
    path.touch()
    assert holders(path) == []
    script = f'exec 8<"{path}" 9>>"{path}"; echo; read _; exec 9>&-; echo; read _'
    with subprocess.Popen(
        ["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        assert holders(path) == [Holder(process.pid, "sh")]
        process.stdin.write(b"\n")
        process.stdin.flush()
        process.stdout.readline()
        assert holders(path) == []
        process.communicate(b"\n")


def test_a_file_that_was_renamed_is_still_the_same(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with open(path, "ab"):
        path.rename(tmp_path / "closed")
        path.touch()
        assert [each.pid for each in holders(tmp_path / "closed")] == [os.getpid()]
        assert holders(path) == []
