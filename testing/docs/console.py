"""Runs the `console` blocks of a page, in one shell and one folder, and tells what they print.

`python -m testing.docs.console --write PAGE` puts the true output into the page; the test holds the
page to it. What differs from run to run (ids, times, durations, folders) is compared by its shape.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_MARK = "\x1eend of output\x1e"

_SHAPES = [
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[78][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"), "ID"),
    (re.compile(r"\bevt_\d{8}_\d{6}_[0-9a-f]{12}\b"), "ID"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?"), "TIME"),
    (re.compile(r"\b\d\d:\d\d:\d\d\.\d{3}\b"), "TIME"),
    (re.compile(r"\b\d+(?:\.\d+)? +ms\b|\"ms\":[\d.]+"), "MS"),
    (re.compile(r" {2,}"), "  "),
    (re.compile(r"\b\d+ (?:B|bytes)\b|\b\d{3,}\b"), "N"),
]


class Command:
    """One command of a block: what is typed, and what the page says that it prints."""

    def __init__(self, typed: str, printed: str) -> None:
        self.typed, self.printed = typed, printed


def commands(block: str) -> Iterator[Command]:
    """The commands of a block: `$ ` begins one, `> ` goes on, all else is output."""
    typed: list[str] = []
    printed: list[str] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            if typed:
                yield Command("\n".join(typed), "\n".join(printed))
            typed, printed = [line[2:]], []
        elif (line == ">" or line.startswith("> ")) and not printed:
            typed.append(line[2:])
        else:
            printed.append(line)
    if typed:
        yield Command("\n".join(typed), "\n".join(printed))


def run(typed: list[str], folder: Path) -> list[str]:
    """What each command prints (stdout and stderr), run one after another in one bash."""
    script = "".join(f"{{ {text}\n}} 2>&1\nprintf '%s\\n' '{_MARK}'\n" for text in typed)
    env = {
        "PATH": f"{CHECKOUT}/.venv/bin:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "COLUMNS": "120",
    }
    done = subprocess.run(
        ["bash"], input=script, cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    outputs = done.stdout.split(f"{_MARK}\n")
    if len(outputs) != len(typed) + 1:
        raise RuntimeError(f"the shell ended early: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return [output.replace(str(folder), "~").rstrip("\n") for output in outputs[:-1]]


def shape(output: str) -> str:
    """The output with what differs from run to run made equal."""
    for pattern, word in _SHAPES:
        output = pattern.sub(word, output)
    return output


def page_commands(page: Path) -> list[Command]:
    """All commands of a page, in order."""
    return [each for block in _BLOCK.findall(page.read_text()) for each in commands(block)]


def write(page: Path) -> None:
    """Put the true output into the page."""
    with tempfile.TemporaryDirectory() as folder:
        outputs = iter(run([each.typed for each in page_commands(page)], Path(folder)))

    def block(match: re.Match[str]) -> str:
        lines: list[str] = []
        for each in commands(match[1]):
            lines.append("$ " + each.typed.replace("\n", "\n> ").replace("\n> \n", "\n>\n"))
            output = next(outputs)
            if output:
                lines.append(output)
        return "```console\n" + "\n".join(lines) + "\n```"

    page.write_text(_BLOCK.sub(block, page.read_text()))


if __name__ == "__main__":
    os.umask(0o022)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, required=True, metavar="PAGE")
    write(parser.parse_args().write)
    sys.exit(0)
