"""Files that must agree: links and their ends, modules and tests, pins and wishes."""

import os
import re
import subprocess
import tomllib
from pathlib import PurePosixPath
from typing import Any

import pytest
from packaging.requirements import Requirement

import hookline
from testing.tidy.checkout import ROOT, Source, source, sources

LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)")
PIN = re.compile(r"^([\w.-]+)==(\S+)", re.MULTILINE)

# Modules without a unit test file of their own, each with the tests that hold it.
ELSEWHERE: dict[str, list[str]] = tomllib.loads(source("testing/tidy/tested_elsewhere.toml").text)


def broken_links(page: Source) -> list[str]:
    folder = (ROOT / page.path).parent
    return [link for link in LINK.findall(page.text) if not (folder / link).exists()]


def pins(lock: str) -> dict[str, str]:
    return {name.replace("_", "-").lower(): version for name, version in PIN.findall(lock)}


def unpinned(requirements: list[str], lock: str) -> list[str]:
    pinned = pins(lock)
    missing = []
    for requirement in map(Requirement, requirements):
        version = pinned.get(requirement.name.replace(".", "-").lower())
        if version is None or version not in requirement.specifier:
            missing.append(f"{requirement} (pinned: {version})")
    return missing


def unhashed(lock: str) -> list[str]:
    blocks = re.split(r"\n(?=\w)", lock)
    return [block for block in blocks if PIN.match(block) and "--hash=sha256:" not in block]


def modules() -> list[str]:
    """As <layer>/<module>."""
    return [
        each.path.removeprefix("src/hookline/").removesuffix(".py")
        for each in sources()
        if each.path.startswith("src/hookline/") and each.is_python and each.name[:2] != "__"
    ]


def unit_tests() -> list[str]:
    """As <layer>/<what is tested>."""
    names = [each.path for each in sources() if each.path.startswith("testing/unit/")]
    return [
        re.sub(r"(^|/)test_", r"\1", name.removeprefix("testing/unit/")).removesuffix(".py")
        for name in names
        if "/test_" in name
    ]


def is_test_of(test: str, module: str) -> bool:
    """test_<module>.py, or test_<module>_<aspect>.py."""
    return test == module or test.startswith(f"{module}_")


def without_test(modules: list[str], tests: list[str]) -> list[str]:
    return [module for module in modules if not any(is_test_of(test, module) for test in tests)]


def without_module(tests: list[str], modules: list[str]) -> list[str]:
    return [test for test in tests if not any(is_test_of(test, module) for module in modules)]


def scripts() -> list[str]:
    return [each.path for each in sources() if each.is_script]


def project() -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads(source("pyproject.toml").text)["project"]
    return table


def test_links_lead_somewhere():
    pages = [each for each in sources() if each.path.endswith(".md")]
    broken = {page.path: links for page in pages if (links := broken_links(page))}
    assert broken == {}


def test_a_broken_link_is_found():
    text = "[a](LICENSE) [b](no/such#x) [c](https://x.example) [d](#there)"
    assert broken_links(Source(path="x.md", text=text)) == ["no/such"]


@pytest.mark.parametrize("path", scripts())
def test_help_prints_the_header(path: str, tmp_path):
    done = subprocess.run(
        ["bash", ROOT / path, "--help"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "HOOKLINE_HOME": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    starts = [line.partition(" ")[0] for line in done.stdout.splitlines()[:3]]
    assert starts == ["Usage:", "Summary:", "Exit:"]


def test_every_module_has_a_unit_test():
    missing = [each for each in without_test(modules(), unit_tests()) if each not in ELSEWHERE]
    if missing:
        pytest.fail("\n".join(["neither a test file nor an entry:", *missing]), pytrace=False)


def test_every_unit_test_has_a_module():
    together = {
        path.removeprefix("unit/").replace("/test_", "/").removesuffix(".py")
        for paths in ELSEWHERE.values()
        for path in paths
    }
    assert set(without_module(unit_tests(), modules())) - together == set()


def test_a_module_without_test_and_a_test_without_module_are_found():
    tests, modules = ["log/stream", "log/read_torn", "log/old"], ["log/stream", "log/read", "a/b"]
    assert without_test(modules, tests) == ["a/b"]
    assert without_module(tests, modules) == ["log/old"]


def test_what_is_tested_elsewhere_is_still_there():
    assert ELSEWHERE.keys() - set(modules()) == set()
    named = {path for paths in ELSEWHERE.values() for path in paths}
    assert {path for path in named if not (ROOT / "testing" / path).is_file()} == set()


def test_every_handler_has_a_test_file():
    missing = []
    for path in (PurePosixPath(each.path) for each in sources() if each.is_handler):
        test = f"bats/handlers/{path.stem}.bats"
        if path.suffix == ".py":
            test = f"handlers/test_{path.stem.replace('-', '_')}.py"
        if not (ROOT / "testing" / test).exists():
            missing.append(test)
    assert missing == []


def test_handlers_that_are_executed_can_be():
    """A Python handler is imported; all others are executed."""
    executed = [each for each in sources() if each.is_handler and not each.path.endswith(".py")]
    assert [each.path for each in executed if not each.executable] == []


def test_the_version_is_the_same_everywhere():
    assert hookline.__version__ == project()["version"]


def test_the_lock_has_what_the_project_asks_for():
    assert unpinned(project()["dependencies"], source("requirements.lock").text) == []


def test_the_test_lock_has_what_the_tests_ask_for():
    wanted = project()["optional-dependencies"]["dev"]
    assert unpinned(wanted, source("requirements-dev.lock").text) == []


def test_the_bench_lock_has_what_the_bench_asks_for():
    wanted = project()["optional-dependencies"]["bench"]
    assert unpinned(wanted, source("requirements-bench.lock").text) == []


def test_a_pin_that_does_not_fit_is_found():
    lock = "a==1.0 \\\n    --hash=sha256:x\nb==2.0"
    assert unpinned(["a>=1", "b>=3", "c"], lock) == ["b>=3 (pinned: 2.0)", "c (pinned: None)"]


def test_the_locks_agree():
    kinds = ("", "-dev", "-bench")
    base, dev, bench = (pins(source(f"requirements{kind}.lock").text) for kind in kinds)
    assert base.items() <= dev.items() <= bench.items()


@pytest.mark.parametrize("kind", ["", "-dev", "-bench"])
def test_every_pin_has_hashes(kind: str):
    assert unhashed(source(f"requirements{kind}.lock").text) == []


def test_a_pin_without_hash_is_found():
    assert unhashed("# x\na==1 \\\n    --hash=sha256:x\nb==2\nc==3 \\\n    --hash=sha256:y") == [
        "b==2"
    ]


def test_the_checkout_is_what_git_knows():
    assert os.access(ROOT / ".git", os.R_OK)
    assert "testing/tidy/test_tree.py" in {each.path for each in sources()}
