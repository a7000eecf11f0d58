"""A layer: a job of several steps, as its file says it. Pure."""

import hashlib
import re
import tomllib
from collections.abc import Iterable
from typing import Annotated, Final, Literal

import msgspec

from hookline.model.duration import seconds
from hookline.model.errors import BadData, shown
from hookline.model.size import size_bytes
from hookline.schedule import yaml_text
from hookline.schedule.table import NAME

SUFFIXES: Final = (".toml", ".yaml", ".yml")
FILE_BYTES_MAX: Final = 256 << 10
STEPS_MAX: Final = 100
EVENT: Final = "event"
"""`from`: the event that made the layer due; of a run that somebody asked for, its own begin."""
TARGET: Final = "target"
"""`from`: the target that the steps are run for."""
_TEXT_BYTES_MAX: Final = 64 << 10
_TIMEOUT_S_MAX: Final = 7 * 86400.0
_OUTPUT_BYTES_MAX: Final = 1 << 30
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}\Z")
_OURS: Final = ("HOOKLINE_", "EVENT_", "LAYER")
_ELSEWHERE: Final = {
    "nodes": "write each as one of `steps`, with a command in `run`",
    "schedule": "[schedule.NAME] with layer = … in schedules.toml says when",
    "trigger_threshold": "`after` of [schedule.NAME] in schedules.toml counts events",
    "target_category": "the command of targets.run chooses",
    "target_filter": "the command of targets.run chooses",
}
"""What Zos calls otherwise, or has in another place."""
_UNKNOWN: Final = re.compile(r"unknown field `(\w+)`")

Run = str | tuple[str, ...]
"""A text for bash, or a program and its arguments."""
Text = Annotated[str, msgspec.Meta(max_length=4096)]


class Input(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a step reads from stdin: one of these, or nothing."""

    of: str | None = msgspec.field(default=None, name="from")
    """`event`, `target`, or the name of an earlier step, whose output it is."""
    file: str | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        """Raises ValueError."""
        said = [each for each in (self.of, self.file, self.text) if each is not None]
        if len(said) > 1:
            raise ValueError("one of from, file and text says what the input is")
        if self.file is not None and (not self.file or "\0" in self.file):
            raise ValueError("file is empty, or has a NUL in it")


class Targets(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the steps are run for, once for each: a list, or what a command prints, one JSON value a
    line."""

    run: Run | None = None
    list: tuple[msgspec.Raw, ...] | None = None
    timeout: str = "1m"

    def __post_init__(self) -> None:
        """Raises ValueError."""
        if (self.run is None) == (self.list is None):
            raise ValueError("one of run and list says what the targets are")
        if self.run is not None:
            _check_run(self.run)
        _timeout_s(self.timeout)

    @property
    def timeout_s(self) -> float:
        """How long the command may take."""
        return _timeout_s(self.timeout)


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One command of a layer."""

    name: str
    run: Run
    input: Input = Input()
    env: dict[str, str] = {}
    timeout: str = "10m"
    output: str = "1MiB"
    """So much of what it prints is kept for later steps, or nothing if there is more."""
    on_error: Literal["stop", "continue"] = "stop"
    """Whether the steps behind it are run when it has failed."""

    def __post_init__(self) -> None:
        """Raises ValueError."""
        if not NAME.match(self.name) or self.name in (EVENT, TARGET):
            raise ValueError(
                f"name = {shown(self.name)}: it is made of lower-case letters, digits, - and _, at "
                f"most 64, and neither {EVENT} nor {TARGET}"
            )
        _check_run(self.run)
        _timeout_s(self.timeout)
        if _size("output", self.output) > _OUTPUT_BYTES_MAX:
            raise ValueError(f"output = {shown(self.output)} is more than 1GiB")
        for name, value in self.env.items():
            if not _VARIABLE.match(name) or name.startswith(_OURS):
                raise ValueError(f"env.{shown(name)[1:-1]} is no name for a variable of a step")
            if "\0" in value:
                raise ValueError(f"env.{name} has a NUL in it")

    @property
    def timeout_s(self) -> float:
        """How long it may take."""
        return _timeout_s(self.timeout)

    @property
    def output_bytes_max(self) -> int:
        """How much of its output is kept."""
        return _size("output", self.output)


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the file of a layer says."""

    name: str | None = None
    category: Text = ""
    description: Text = ""
    goal: Text = ""
    targets: Targets | None = None
    max_targets: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 10
    steps: Annotated[tuple[Step, ...], msgspec.Meta(min_length=1, max_length=STEPS_MAX)]

    def __post_init__(self) -> None:
        """Raises ValueError for a step that takes what is not there."""
        before: list[str] = []
        for step in self.steps:
            if step.name in before:
                raise ValueError(f"two steps have the name {step.name}")
            self._check_input(step, before)
            before.append(step.name)

    def _check_input(self, step: Step, before: list[str]) -> None:
        of = step.input.of
        if of is None or of == EVENT or of in before:
            return
        if of == TARGET:
            if self.targets is not None:
                return
            raise ValueError(f"step {step.name}: input.from = 'target', and there are no targets")
        if of in (each.name for each in self.steps):
            raise ValueError(f"step {step.name}: input.from = {shown(of)} is no earlier step")
        known = ", ".join([EVENT, *([TARGET] if self.targets else []), *before])
        raise ValueError(f"step {step.name}: input.from = {shown(of)} is none of: {known}")


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """A layer that can be run."""

    name: str
    hash: str
    """Of the file's content: which version of the layer a run was of."""
    plan: Plan


def is_layer_name(name: str) -> bool:
    """Whether a layer may be called so."""
    return NAME.match(name) is not None


def parse(name: str, suffix: str, text: bytes) -> Layer:
    """The layer in a file `<name><suffix>`. Raises BadData with what is wrong and where, BadConfig
    where YAML cannot be read here."""
    if len(text) > FILE_BYTES_MAX:
        raise BadData(f"it has more than {FILE_BYTES_MAX >> 10} KiB")
    try:
        value = tomllib.loads(text.decode()) if suffix == ".toml" else yaml_text.decode(text)
        plan = _plan(value)
    except UnicodeDecodeError as wrong:
        raise BadData("it is not UTF-8") from wrong
    except (tomllib.TOMLDecodeError, RecursionError) as wrong:
        raise BadData(f"it is no TOML: {wrong}") from wrong
    except (msgspec.MsgspecError, ValueError) as wrong:
        raise BadData(f"{wrong}{_hint(str(wrong))}") from wrong
    if plan.name not in (None, name):
        raise BadData(f"name = {shown(plan.name or '')}, and the file is called {name}{suffix}")
    return Layer(name=name, hash=hashlib.sha256(text).hexdigest()[:16], plan=plan)


def _plan(value: object) -> Plan:
    # By way of JSON: the targets of a list are kept as they are.
    return msgspec.json.decode(msgspec.json.encode(value), type=Plan)


def _hint(wrong: str) -> str:
    found = _UNKNOWN.search(wrong)
    instead = _ELSEWHERE.get(found[1]) if found else None
    return f" ({instead})" if instead else ""


def _check_run(run: Run) -> None:
    words: Iterable[str] = (run,) if isinstance(run, str) else run
    if not run or not next(iter(words)).strip():
        raise ValueError("run is empty: it is a text for bash, or a program and its arguments")
    if sum(len(word.encode()) for word in words) > _TEXT_BYTES_MAX:
        raise ValueError(f"run takes more than {_TEXT_BYTES_MAX >> 10} KiB: make it a script")
    if any("\0" in word for word in words):
        raise ValueError("run has a NUL in it")


def _timeout_s(text: str) -> float:
    try:
        span_s = seconds(text)
    except BadData as wrong:
        raise ValueError(f"timeout = {wrong}") from wrong
    if not 0 < span_s <= _TIMEOUT_S_MAX:
        raise ValueError(f"timeout = {shown(text)} is not from 1ms to 7d")
    return span_s


def _size(key: str, text: str) -> int:
    try:
        return size_bytes(text)
    except BadData as wrong:
        raise ValueError(f"{key} = {wrong}") from wrong
