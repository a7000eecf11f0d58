"""Whether a Python program appends events or hears of them, by what it calls."""

import ast
import re
from typing import Final

from hookline.schedule.scan.values import dotted

_EMITTING: Final = frozenset(
    {"emit", "emit_event", "publish", "append_event", "create_and_log_event", "log_event"}
)
_SUBSCRIBING: Final = frozenset({
    "subscribe", "ChemSub", "UMNSub", "follow", "wait_for_tick", "psubscribe", "on",
})  # fmt: skip
_LOGS: Final = re.compile(r"(?:^|[._])(?:log|bus|events)$")
_COMMAND: Final = re.compile(r"event-logger\.sh|\bhookline\b.*\bemit\b|^emit$")
_FOLLOWING: Final = re.compile(r"wait-for-tick\.sh|\bhookline\b.*\blog\b.*--follow")


class Names:
    """What of a module has to do with the bus."""

    def __init__(self, tree: ast.Module) -> None:
        self._imports_bus = any(
            "hookline" in name or "chem_bus" in name or "umn_bus" in name
            for node in ast.walk(tree)
            for name in _imported(node)
        )
        self.used = self._imports_bus or self.emits(tree) or self.subscribes(tree)

    def emits(self, node: ast.AST) -> bool:
        """Whether something there appends an event."""
        return any(self._emits(each) for each in ast.walk(node))

    def subscribes(self, node: ast.AST) -> bool:
        """Whether something there asks to be given events."""
        return any(_subscribes(each) for each in ast.walk(node))

    def _emits(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return _COMMAND.search(node.value) is not None
        if not isinstance(node, ast.Call):
            return False
        owner, _, last = dotted(node.func).rpartition(".")
        if last in _EMITTING:
            return True
        # A list has an `append` too, but no source.
        return last == "append" and (
            any(each.arg == "source" for each in node.keywords)
            or (self._imports_bus and _LOGS.search(owner.lower()) is not None)
        )


def _subscribes(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _FOLLOWING.search(node.value) is not None
    return isinstance(node, ast.Call) and dotted(node).rpartition(".")[2] in _SUBSCRIBING


def _imported(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [each.name for each in names]
        case ast.ImportFrom(module=str() as module):
            return [module]
    return []
