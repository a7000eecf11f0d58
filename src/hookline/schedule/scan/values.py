"""What a Python expression comes to, as far as the file itself says it. Nothing is run."""

import ast
from collections.abc import Iterator
from typing import Final

Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module
FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)

_DEPTH_MAX: Final = 12
_FACTORS_S: Final = {
    "weeks": 604800.0, "days": 86400.0, "hours": 3600.0, "minutes": 60.0, "seconds": 1.0,
    "milliseconds": 0.001, "microseconds": 0.000001,
}  # fmt: skip
_SPAN_MAX_S: Final = 1e12


def dotted(node: ast.AST) -> str:
    """`a.b.c` of names and attributes; of a call what is called; empty for all else."""
    parts: list[str] = []
    while True:
        match node:
            case ast.Attribute(value=node, attr=attr):
                parts.append(attr)
            case ast.Call(func=node):
                pass
            case ast.Name(id=name):
                return ".".join([name, *reversed(parts)])
            case _:
                return ".".join(["", *reversed(parts)]) if parts else ""


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """The argument of that name."""
    return next((each.value for each in call.keywords if each.arg == name), None)


def inside(scope: ast.AST) -> Iterator[ast.AST]:
    """All nodes of a scope in the order of the text, but not those of the functions and classes in
    it."""
    waiting = list(reversed(list(ast.iter_child_nodes(scope))))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, (*FUNCTIONS, ast.ClassDef, ast.Lambda)):
            waiting.extend(reversed(list(ast.iter_child_nodes(node))))


class Values:
    """What the names of one module stand for."""

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._classes = {
            node.name: node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
        }
        self._known: dict[int, dict[str, list[ast.expr | None]]] = {}
        self._numbers: dict[tuple[int, str], float | None] = {}
        self._options: dict[str, ast.expr] | None = None

    def number(
        self, node: ast.expr | None, scopes: tuple[Scope, ...], depth: int = 0
    ) -> float | None:
        """The number that an expression always is; None when that is not said.

        `scopes`: those around it, the innermost last.
        """
        if node is None or depth > _DEPTH_MAX:
            return None
        match node:
            case ast.Constant(value=int() | float() | str() as value):
                return _constant(value)
            case ast.BinOp(left=left, op=op, right=right):
                a = self.number(left, scopes, depth + 1)
                b = self.number(right, scopes, depth + 1)
                return None if a is None or b is None else _calculated(op, a, b)
            case ast.BoolOp(op=ast.Or(), values=values):
                # `interval or 60`: 60 is what it is unless somebody says otherwise.
                return self.number(values[-1], scopes, depth + 1)
            case ast.Call():
                return self._call(node, scopes, depth + 1)
            case ast.Name(id=name):
                return self._name(name, scopes, depth + 1)
            case ast.Attribute(value=ast.Name(id=name), attr=attr):
                return self._attribute_of(name, attr, scopes, depth + 1)
            case ast.Subscript(value=value, slice=ast.Constant(value=str() as key)):
                return self.number(self._item(value, key, scopes, depth + 1), scopes, depth + 1)
        return None

    def _call(self, call: ast.Call, scopes: tuple[Scope, ...], depth: int) -> float | None:
        name = dotted(call.func)
        last = name.rpartition(".")[2]
        if last == "timedelta":
            days = [
                ast.keyword(arg=unit, value=value)
                for unit, value in zip(("days", "seconds"), call.args, strict=False)
            ]
            return self.span([*days, *call.keywords], scopes, depth)
        if last == "total_seconds" and isinstance(call.func, ast.Attribute):
            return self.number(call.func.value, scopes, depth)
        if name in ("float", "int") and len(call.args) == 1:
            return self.number(call.args[0], scopes, depth)
        if last in ("get", "getenv", "getint", "getfloat") and len(call.args) > 1:
            return self.number(call.args[-1], scopes, depth)
        if last in ("field", "Field"):
            default = keyword(call, "default") or (call.args[0] if call.args else None)
            return self.number(default, scopes, depth)
        return None

    def span(
        self, given: list[ast.keyword], scopes: tuple[Scope, ...], depth: int = 0
    ) -> float | None:
        """The seconds of `minutes=5, seconds=30`; None where there are none, or not known."""
        total_s = 0.0
        for each in given:
            if each.arg in _FACTORS_S:
                value = self.number(each.value, scopes, depth + 1)
                if value is None:
                    return None
                total_s += value * _FACTORS_S[each.arg]
        return total_s or None

    def _name(self, name: str, scopes: tuple[Scope, ...], depth: int) -> float | None:
        for index in range(len(scopes) - 1, -1, -1):
            scope = scopes[index]
            # From within a function, the names of the class around it are not seen.
            if isinstance(scope, ast.ClassDef) and index < len(scopes) - 1:
                continue
            said = self._assigned(scope).get(name)
            if said is not None:
                return self._same(name, said, scopes[: index + 1], depth)
        return None

    def _attribute_of(
        self, name: str, attr: str, scopes: tuple[Scope, ...], depth: int
    ) -> float | None:
        if name in ("self", "cls"):
            owner = next((each for each in scopes if isinstance(each, ast.ClassDef)), None)
            return self._attribute(owner, attr, depth)
        if name in self._classes:
            return self._attribute(self._classes[name], attr, depth)
        return self.number(self._option(attr), (self._tree,), depth)

    def _attribute(self, owner: ast.ClassDef | None, name: str, depth: int) -> float | None:
        seen: set[str] = set()
        while owner is not None and owner.name not in seen:
            seen.add(owner.name)
            found: list[float | None] = []
            key = id(owner), f"self.{name}"
            if key in self._numbers:
                return self._numbers[key]
            self._numbers[key] = None
            for method in (each for each in owner.body if isinstance(each, FUNCTIONS)):
                for said in self._assigned(method).get(f"self.{name}", ()):
                    found.append(self.number(said, (self._tree, owner, method), depth))
            if not found:
                # What a method assigns hides what the class says.
                for said in self._assigned(owner).get(name, ()):
                    found.append(self.number(said, (self._tree, owner), depth))
            if found:
                self._numbers[key] = found[0] if len(set(found)) == 1 else None
                return self._numbers[key]
            del self._numbers[key]
            owner = next(
                (self._classes[base] for base in map(dotted, owner.bases) if base in self._classes),
                None,
            )
        return None

    def assigned(self, scope: Scope, name: str) -> list[ast.expr | None]:
        """All that a name (`x` or `self.x`) is set to in a scope; None: something unknown."""
        return self._assigned(scope).get(name, [])

    def _same(
        self, name: str, said: list[ast.expr | None], scopes: tuple[Scope, ...], depth: int
    ) -> float | None:
        key = id(scopes[-1]), name
        if key not in self._numbers:
            # What stands for itself is nothing.
            self._numbers[key] = None
            found = {self.number(each, scopes, depth) for each in said}
            self._numbers[key] = found.pop() if len(found) == 1 else None
        return self._numbers[key]

    def _assigned(self, scope: Scope) -> dict[str, list[ast.expr | None]]:
        if id(scope) not in self._known:
            said: dict[str, list[ast.expr | None]] = {}
            self._known[id(scope)] = said
            if isinstance(scope, FUNCTIONS):
                _parameters(scope, said)
            for node in inside(scope):
                _assignment(node, said)
        return self._known[id(scope)]

    def _item(
        self, value: ast.expr, key: str, scopes: tuple[Scope, ...], depth: int
    ) -> ast.expr | None:
        """What a dictionary that is written out in the file has under a key."""
        if depth > _DEPTH_MAX:
            return None
        match value:
            case ast.Name(id=name):
                said = self._assigned(self._tree).get(name, [])
                found = said[0] if len(said) == 1 else None
                return None if found is None else self._item(found, key, scopes, depth + 1)
            case ast.Subscript(value=outer, slice=ast.Constant(value=str() as outer_key)):
                found = self._item(outer, outer_key, scopes, depth + 1)
                return None if found is None else self._item(found, key, scopes, depth + 1)
            case ast.Dict(keys=keys, values=values):
                for each, what in zip(keys, values, strict=True):
                    if isinstance(each, ast.Constant) and each.value == key:
                        return what
        return None

    def _option(self, name: str) -> ast.expr | None:
        """The default of a command-line option `--name`, where argparse is told one."""
        if self._options is None:
            self._options = {}
            for node in ast.walk(self._tree):
                if isinstance(node, ast.Call) and dotted(node).endswith(".add_argument"):
                    default = keyword(node, "default")
                    for arg in node.args:
                        if default is not None and isinstance(arg, ast.Constant):
                            option = str(arg.value).lstrip("-").replace("-", "_")
                            self._options[option] = default
        return self._options.get(name)


def _parameters(
    function: ast.FunctionDef | ast.AsyncFunctionDef, said: dict[str, list[ast.expr | None]]
) -> None:
    given = function.args
    names = [*given.posonlyargs, *given.args]
    defaults = [*[None] * (len(names) - len(given.defaults)), *given.defaults]
    for name, default in zip(
        [*names, *given.kwonlyargs], [*defaults, *given.kw_defaults], strict=True
    ):
        said[name.arg] = [default]


def _assignment(node: ast.AST, said: dict[str, list[ast.expr | None]]) -> None:
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                _target(target, value, said)
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            _target(target, value, said)
        case ast.NamedExpr(target=target, value=value):
            _target(target, value, said)
        case ast.AugAssign(target=target):
            _target(target, None, said)
        case ast.For(target=target) | ast.AsyncFor(target=target):
            _target(target, None, said)
        case ast.Global(names=names):
            for name in names:
                said.setdefault(name, []).append(None)


def _target(
    target: ast.expr, value: ast.expr | None, said: dict[str, list[ast.expr | None]]
) -> None:
    match target:
        case ast.Name(id=name):
            said.setdefault(name, []).append(value)
        case ast.Attribute(value=ast.Name(id="self"), attr=attr):
            said.setdefault(f"self.{attr}", []).append(value)
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            parts: list[ast.expr | None] = [None] * len(elements)
            if isinstance(value, ast.Tuple) and len(value.elts) == len(elements):
                parts = list(value.elts)
            for each, part in zip(elements, parts, strict=True):
                _target(each, part, said)


def _constant(given: float | str) -> float | None:
    try:
        value = float(given)
    except (ValueError, OverflowError):
        return None
    return value if 0 <= value <= _SPAN_MAX_S else None


def _calculated(op: ast.operator, a: float, b: float) -> float | None:
    match op:
        case ast.Add():
            return a + b
        case ast.Sub():
            return a - b
        case ast.Mult():
            return a * b
        case ast.Div() if b:
            return a / b
    return None
