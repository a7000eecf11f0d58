"""Every row of the fault matrix has a test that is there, or a reason."""

import ast
import re
import tomllib
from typing import Any

from testing.tidy.checkout import source, sources

MATRIX: dict[str, dict[str, Any]] = tomllib.loads(source("testing/faults/matrix.toml").text)
ROWS_BY_LETTER = {"W": 26, "R": 11, "C": 11, "D": 27, "F": 2, "T": 7}
ROWS = [f"{letter}{n:02d}" for letter, last in ROWS_BY_LETTER.items() for n in range(1, last + 1)]


def named_by(row: dict[str, Any]) -> list[str]:
    """The tests that a row names."""
    named = row.get("test", [])
    return [named] if isinstance(named, str) else list(named)


def names_in(path: str) -> set[str]:
    """The names of the tests of a file; empty when there is no such file."""
    if path not in {each.path for each in sources()}:
        return set()
    text = source(path).text
    if path.endswith(".bats"):
        return set(re.findall(r'^@test "(.*)" \{$', text, re.MULTILINE))
    return {node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)}


def offences(matrix: dict[str, dict[str, Any]]) -> list[str]:
    """What is wrong with the rows that are there."""
    found = [f"{name} is no row of the matrix" for name in matrix if name not in ROWS]
    for name, row in matrix.items():
        if not named_by(row) and not row.get("refused"):
            found.append(f"{name} has neither a test nor a reason")
        for test in named_by(row):
            path, _, called = test.partition("::")
            if called not in names_in(path):
                found.append(f"{name}: there is no test {test}")
    return found


def test_every_row_has_tests_that_are_there_or_a_reason():
    assert offences(MATRIX) == []


def test_no_row_is_missing():
    assert sorted(MATRIX) == sorted(ROWS)


def test_a_row_without_test_or_with_a_wrong_one_is_found():
    here = "testing/tidy/test_fault_matrix.py"
    matrix = {
        "W01": {"test": f"{here}::test_every_row_has_tests_that_are_there_or_a_reason"},
        "W02": {"test": [f"{here}::test_none", "testing/none.py::test_none"]},
        "W03": {"refused": ""},
        "W04": {"refused": "it cannot be"},
        "X01": {"refused": "it cannot be"},
    }
    assert offences(matrix) == [
        "X01 is no row of the matrix",
        f"W02: there is no test {here}::test_none",
        "W02: there is no test testing/none.py::test_none",
        "W03 has neither a test nor a reason",
    ]
