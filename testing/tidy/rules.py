"""All the rules: each has a name, the files that it is for, and what it finds there."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from testing.tidy import python_rules, shell_rules, text_rules
from testing.tidy.checkout import Source

Finder = Callable[[Source], Iterator[tuple[int, str]]]


@dataclass(frozen=True, slots=True)
class Rule:
    """`find` yields the line and the offence, for a file that it `is_for`."""

    name: str
    is_for: Callable[[Source], bool]
    find: Finder

    def offences(self, source: Source) -> list[str]:
        """What this file does against the rule, as `path:line: what`."""
        if not self.is_for(source):
            return []
        return [f"{source.path}:{line}: {what}" for line, what in self.find(source)]


def _any(_: Source) -> bool:
    return True


def _written_by_hand(source: Source) -> bool:
    return not source.path.endswith(".lock") and "/vectors/" not in source.path


def _python(source: Source) -> bool:
    return source.is_python


def _shell(source: Source) -> bool:
    return source.is_shell


def _code(source: Source) -> bool:
    # These name tests, and a name cannot be broken.
    names = source.path in {"testing/faults/matrix.toml", "testing/tidy/event_logger.toml"}
    return source.is_shell or (source.path.endswith((".toml", ".js", ".css")) and not names)


def _bats(source: Source) -> bool:
    return source.is_bats


def _test(source: Source) -> bool:
    return source.is_python and source.is_test


def _script(source: Source) -> bool:
    return source.is_script


def _library(source: Source) -> bool:
    return source.is_library


def _package(source: Source) -> bool:
    return source.name == "__init__.py"


def _names(source: Source) -> bool:
    return (source.is_python or source.is_shell) and not source.path.startswith("testing/tidy/")


RULES = (
    Rule("long line", _code, text_rules.long_lines),
    Rule("machine path", _written_by_hand, text_rules.machine_paths),
    Rule("registry address", _any, text_rules.registry_addresses),
    Rule("unfinished", _written_by_hand, text_rules.unfinished),
    Rule("blank at the end of a line", _written_by_hand, text_rules.trailing_blanks),
    Rule("module name", _any, text_rules.module_names),
    Rule("unargued ignore", _names, text_rules.unargued_ignores),
    Rule("synonym", _names, text_rules.synonyms),
    Rule("long Python file", _python, python_rules.long_file),
    Rule("long Python function", _python, python_rules.long_functions),
    Rule("second clock", _python, python_rules.clock_reads),
    Rule("sleep in a test", _test, python_rules.sleeps),
    Rule("sleep in bats", _bats, shell_rules.sleeps),
    Rule("package with contents", _package, python_rules.package_contents),
    Rule("long shell file", _shell, shell_rules.long_file),
    Rule("long shell function", _shell, shell_rules.long_functions),
    Rule("eval", _shell, shell_rules.evals),
    Rule("count as a command", _shell, shell_rules.counts),
    Rule("echo", _shell, shell_rules.echoes),
    Rule("script without header", _script, shell_rules.headers),
    Rule("script not executable", _script, shell_rules.not_executable),
    Rule("library without guard", _library, shell_rules.guards),
    Rule("executable library", _library, shell_rules.executable),
)
