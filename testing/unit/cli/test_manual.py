import shutil
import subprocess

import pytest

from hookline.cli.catalog import entries
from hookline.cli.main import main


@pytest.fixture
def manual(capsys):
    """Calls the command; what it printed."""

    def call(*arguments, status=0):
        assert main(["manual", *arguments]) == status
        told = capsys.readouterr()
        call.err = told.err
        return told.out

    return call


def test_every_command_and_script_has_a_page_that_man_takes(manual, tmp_path):
    assert manual("--write", str(tmp_path)) == manual("--write", str(tmp_path))
    pages = {path.name for path in (tmp_path / "man1").iterdir()}
    expected = {f"hookline-{entry.name.replace(' ', '-')}.1" for entry in entries()}
    assert {"hookline.1", "event-logger.sh.1", "event-dispatcher.sh.1", *expected} <= pages
    assert not [page for page in pages if page.startswith("on-")]
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed; that the pages say all is tested")
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-z", *(tmp_path / "man1").iterdir()],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_a_page_says_what_the_help_says(manual):
    page = manual("emit")
    for part in (
        "append an event and print its id",
        r"\-\-correlation ID",
        "such as worker.started",
    ):
        assert part in page


def test_of_a_command_behind_a_command(manual):
    assert r"hookline\-schedule\-export" in manual("schedule", "export")


def test_a_script_has_its_own_help_for_a_page(manual):
    page = manual("event-logger.sh")
    assert r"event\-logger.sh [\-\-sync] EVENT" in page
    assert "emit_event TYPE SOURCE DATA" in page


def test_the_overview_lists_the_commands(manual):
    assert r"hookline\-dead\-letters" in manual()


def test_what_there_is_not_is_said(manual):
    assert manual("fly", status=65) == ""
    assert manual.err == "hookline manual: no command 'fly': hookline --help lists them\n"
    manual("emit", "--write", "x", status=64)


def test_where_it_cannot_write_it_says_so(manual, tmp_path):
    (tmp_path / "man1").touch()
    manual("--write", str(tmp_path), status=73)
