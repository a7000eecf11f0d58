"""What the pages show is what happens."""

import os
from pathlib import Path

import pytest

from testing.docs.console import CHECKOUT, commands, page_commands, run, shape

PAGES = sorted(
    path.relative_to(CHECKOUT)
    for path in [CHECKOUT / "README.md", *(CHECKOUT / "docs").rglob("*.md")]
    if "```console" in path.read_text()
)


@pytest.mark.timeout(540)
@pytest.mark.parametrize("page", PAGES, ids=str)
def test_the_output_in_a_page_is_true(page, tmp_path):
    old = os.umask(0o022)
    try:
        (tmp_path / "here").mkdir(mode=0o755)
        shown = page_commands(CHECKOUT / page)
        outputs = run([each.typed for each in shown], tmp_path / "here")
    finally:
        os.umask(old)
    for each, output in zip(shown, outputs, strict=True):
        assert (each.typed, shape(output)) == (each.typed, shape(each.printed))


def test_a_block_is_cut_into_its_commands():
    first, second = commands("$ echo one\none\n$ cat <<END\n> two\n>\n> END\ntwo\n")
    assert (first.typed, first.printed) == ("echo one", "one")
    assert (second.typed, second.printed) == ("cat <<END\ntwo\n\nEND", "two")


def test_a_lie_would_be_seen(tmp_path: Path):
    (output,) = run(["echo one"], tmp_path)
    assert shape(output) != shape("two")
    assert shape("2026-11-21T03:02:30.422167Z took 12 ms") == shape(
        "2027-01-01T00:00:00.000000Z took 7 ms"
    )
