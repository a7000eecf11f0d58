"""Each rule fires on what it forbids, and only on that."""

import pytest

from testing.tidy.checkout import Source
from testing.tidy.rules import RULES, Rule

HEADER = "#!/usr/bin/env bash\n# Usage: a\n# Summary: b\n# Exit: c\n"
GUARD = "[[ -z ${_hookline_x_loaded-} ]] || return 0\n"
LONG_BODY = "  :\n" * 69
# Written in two parts, because the rules also read this file.
ELSEWHERE = "/" + "work/main/x"
SOMEBODY = "/" + "home/ann/x"
REGISTRY = "py" + "pi.org"
INDEX = "--index" + "-url"
LATER = "TO" + "DO"

# For each rule: files that break it, and files next to them that do not.
BAD: dict[str, list[tuple[str, str]]] = {
    "long line": [("a.sh", "x" * 101 + "\n"), ("a.toml", "é" * 101 + "\n")],
    "machine path": [("a.md", f"see {ELSEWHERE}\n"), ("a.py", f"x = '{SOMEBODY}'\n")],
    "registry address": [
        ("a.md", f"https://{REGISTRY}/simple\n"),
        ("requirements.lock", f"{INDEX} x\n"),
        ("a.sh", f"pip install {INDEX}=x y\n"),
    ],
    "unfinished": [("a.py", f"# {LATER}: later\n")],
    "blank at the end of a line": [("a.md", "x \n"), ("a.md", "x\r\n"), ("a.md", "x")],
    "module name": [("src/utils.py", ""), ("scripts/lib/common.sh", ""), ("src/base/x.py", "")],
    "unargued ignore": [
        ("a.py", "import x  # noqa: F401\n"),
        ("a.py", "import x  # noqa\n"),
        ("a.py", "x = 1  # type: ignore\n"),
        ("a.py", "x = 1  # type: ignore[assignment]\n"),
        ("a.sh", ":\n# shellcheck disable=SC2034\nx=1\n"),
    ],
    "synonym": [
        ("src/a.py", "class EventConsumer:\n    pass\n"),
        ("src/a.py", "self.dlq_path = 1\n"),
        ("src/a.py", "def f(topics):\n    pass\n"),
        ("a.sh", "  local -a topics=()\n"),
        ("a.sh", "check_dlq() {\n"),
    ],
    "long Python file": [("a.py", "x = 1\n" * 500)],
    "long Python function": [("a.py", "def f():\n" + "    x = 1\n" * 70)],
    "second clock": [
        ("src/a.py", "datetime.now(UTC)\n"),
        ("src/a.py", "datetime.datetime.utcnow()\n"),
        ("src/a.py", "date.today()\n"),
    ],
    "sleep in a test": [
        ("testing/unit/test_a.py", "time.sleep(1)\n"),
        ("testing/unit/test_a.py", "sleep(1)\n"),
        ("testing/unit/test_a.py", "async def f():\n    await asyncio.sleep(1)\n"),
    ],
    "sleep in bats": [("a.bats", "@test 'x' {\n  sleep 1\n}\n"), ("a.bats", "x && sleep 1\n")],
    "package with contents": [
        ("src/hookline/x/__init__.py", "def f():\n    pass\n"),
        ("src/hookline/x/__init__.py", "class A:\n    pass\n"),
        ("src/hookline/x/__init__.py", "from a import b\nb()\n"),
    ],
    "long shell file": [("a.sh", ":\n" * 250), ("a.bats", ":\n" * 500)],
    "long shell function": [
        ("a.sh", "f() { # <x>\n" + LONG_BODY + "}\n"),
        ("a.bats", "@test 'a b' {\n" + LONG_BODY + "}\n"),
    ],
    "eval": [("a.sh", 'eval "$x"\n'), ("a.sh", 'if x; then eval "$y"; fi\n')],
    "count as a command": [("a.sh", "  ((n++))\n"), ("a.sh", "if x; then (( n-- )); fi\n")],
    "echo": [("a.sh", "  echo x\n"), ("a.sh", "x && echo y\n"), ("a.sh", 'x=$(echo "$y")\n')],
    "script without header": [
        ("a.sh", "#!/bin/sh\n# Usage: a\n# Exit: b\n# Summary: c\n"),
        ("a.sh", "#!/bin/sh\n:\n"),
    ],
    "script not executable": [("a.sh", HEADER)],
    "library without guard": [("scripts/events/lib/a.sh", "# shellcheck shell=bash\nf() { :; }\n")],
}
BAD_EXECUTABLE = {"executable library": [("scripts/events/lib/a.sh", GUARD)]}

GOOD: dict[str, list[tuple[str, str]]] = {
    "long line": [("a.sh", "é" * 100 + "\n"), ("a.md", "x" * 200)],
    "machine path": [("a.py", "x = tmp / 'work/x'\ny = \"rework\"\n")],
    "registry address": [("a.md", "https://example.org\n"), ("requirements.lock", "a==1\n")],
    "unfinished": [("a.py", "# to do it later is fine\n")],
    "blank at the end of a line": [("a.md", "x\n\n"), ("a.md", "")],
    "module name": [("testing/bats/test_helper.bash", ""), ("src/database.py", "")],
    "unargued ignore": [
        ("a.py", "import x  # noqa: F401  # for its effect\n"),
        ("a.sh", "# jq's own variable\n# shellcheck disable=SC2016\nx='$y'\n"),
    ],
    "synonym": [
        ("src/a.py", '# a consumer group in Kafka\nx = "topic"\n'),
        ("a.sh", "# a topic (prose)\nprintf 'a topic=1'\n"),
    ],
    "long Python file": [("a.py", "x = 1\n" * 499)],
    "long Python function": [("a.py", "def f():\n" + "    x = 1\n" * 69)],
    "second clock": [("src/hookline/model/clock.py", "datetime.now(UTC)\n"), ("a.py", "now()\n")],
    "sleep in a test": [
        ("src/a.py", "time.sleep(1)\n"),
        ("testing/a.py", "done.wait(1)\ntime.sleep(1)  # the load, not a wait\n"),
    ],
    "sleep in bats": [
        ("a.sh", "sleep 1\n"),
        ("a.bats", "sleep 1 # nothing shows that it is idle\n"),
    ],
    "package with contents": [
        ("src/hookline/__init__.py", '"""A."""\n\nfrom a import b\n\n__all__ = ["b"]\n'),
        ("src/hookline/x.py", "def f():\n    pass\n"),
    ],
    "long shell file": [("a.sh", ":\n" * 249), ("a.bats", ":\n" * 499)],
    "long shell function": [("a.sh", "f() {\n" + LONG_BODY[4:] + "}\n" + LONG_BODY)],
    "eval": [("a.sh", "# no eval here\njq 'evaluate'\n"), ("a.py", "eval('1')\n")],
    "count as a command": [("a.sh", "for ((i = 0; i < 3; i++)); do :; done\nn=$((n + 1))\n")],
    "echo": [("a.sh", "stty -echo\nprintf 'an echo\\n'\n# echo\n")],
    "script without header": [("a.sh", HEADER), ("lib/a.sh", ":\n"), ("a.bats", "#!/bin/bats\n")],
    "script not executable": [("a.sh", ":\n"), ("a.bats", "#!/bin/bats\n")],
    "library without guard": [("scripts/events/lib/a.sh", GUARD)],
    "executable library": [("scripts/events/lib/a.sh", GUARD)],
}

BY_NAME = {rule.name: rule for rule in RULES}


def _cases(table: dict[str, list[tuple[str, str]]]):
    return [
        pytest.param(BY_NAME[name], path, text, id=f"{name} {number}")
        for name, samples in table.items()
        for number, (path, text) in enumerate(samples)
    ]


@pytest.mark.parametrize(("rule", "path", "text"), _cases(BAD))
def test_the_rule_fires(rule: Rule, path: str, text: str):
    assert rule.offences(Source(path=path, text=text))


@pytest.mark.parametrize(("rule", "path", "text"), _cases(BAD_EXECUTABLE))
def test_the_rule_fires_on_an_executable(rule: Rule, path: str, text: str):
    assert rule.offences(Source(path=path, text=text, executable=True))


@pytest.mark.parametrize(("rule", "path", "text"), _cases(GOOD))
def test_the_rule_is_silent(rule: Rule, path: str, text: str):
    assert rule.offences(Source(path=path, text=text)) == []


def test_every_rule_has_samples_of_both_kinds():
    assert {**BAD, **BAD_EXECUTABLE}.keys() == GOOD.keys() == BY_NAME.keys()


def test_an_offence_says_where_it_is():
    offences = BY_NAME["eval"].offences(Source(path="a.sh", text=':\neval "$x"\n'))
    assert offences == ['a.sh:2: eval "$x"']
