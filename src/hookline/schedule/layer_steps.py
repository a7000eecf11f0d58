"""The steps of a layer, one after the other, for each target."""

import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec

from hookline.dispatch.process import null, write_all
from hookline.model import jsontext
from hookline.model.errors import BadData, told
from hookline.schedule.layer import EVENT, TARGET, Input, Plan, Run, Step, Targets
from hookline.schedule.runs import NO_TARGET, Counts, Status, StepRun, Trouble
from hookline.schedule.step import Command, Ended, argv_of, perform

TARGETS_BYTES_MAX: Final = 16 << 20
TARGET_BYTES_MAX: Final = 32 << 10
"""It is an environment variable of the steps, too."""
_ERROR_CHARACTERS: Final = 500
_READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

Outcome = Literal["clean", "flawed", "stopped"]
"""How the steps went once: all well; one failed, and they went on; one failed and ended them."""


class CannotRun(Exception):
    """What a step or the targets ask for cannot be had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """Where the commands of one run are run, and what all of them get."""

    root: Path
    """Their working folder: the home."""
    folder: Path
    """Of this run alone."""
    mark: str
    """`NAME=value` in the environment of all of them."""
    env: Mapping[str, str]
    event: bytes
    """What a step with `from = "event"` reads."""

    def run(
        self,
        run: Run,
        *,
        env: Mapping[str, str],
        stdin: int,
        output: Path,
        output_bytes_max: int,
        timeout_s: float,
    ) -> Ended:
        """Run a command to its end. Raises CannotRun."""
        name, _, value = self.mark.partition("=")
        settings = {**self.env, **env, name: value}
        try:
            argv = argv_of(run, self.root, settings["PATH"])
            return perform(
                Command(
                    argv, settings, self.root, self.mark, stdin, output, output_bytes_max, timeout_s
                )
            )
        except OSError as error:
            raise CannotRun(told(error)) from error

    def open_input(self, given: Input, outputs: Path, target: bytes | None) -> int:
        """What a step reads from stdin. Raises CannotRun."""
        try:
            if given.text is not None:
                return _memory(given.text.encode())
            if given.file is not None:
                return _open(self.root / given.file)
            if given.of is None:
                return os.dup(null())
            if given.of == EVENT:
                return _memory(self.event + b"\n")
            if given.of == TARGET:
                return _memory((target or b"null") + b"\n")
            return _open(outputs / given.of)
        except FileNotFoundError as error:
            what = f"the file {given.file}"
            if given.of:
                what = f"the output of {given.of}: it failed, or printed more than it may"
            raise CannotRun(f"there is no input, {what}") from error
        except OSError as error:
            raise CannotRun(f"the input cannot be read: {told(error)}") from error


class Steps:
    """The way of one run, as far as it has come."""

    def __init__(self, plan: Plan, place: Workplace, tell: Callable[[str], None]) -> None:
        """`tell` hears how it goes on."""
        self.done: list[StepRun] = []
        self.errors: list[Trouble] = []
        self.counts: Counts | None = None
        self._plan = plan
        self._place = place
        self._tell = tell

    def perform(self, given: Sequence[bytes] = ()) -> Status:
        """Run them for each target, those that are given or else the layer's; what it came to."""
        if self._plan.targets is None:
            return status_of([self._once(None, 0)])
        chosen = self.choose(given)
        if chosen is None:
            return "failed"
        outcomes: list[Outcome] = []
        for number, target in enumerate(chosen):
            outcomes.append(self._once(target, number))
            self._count(len(outcomes), outcomes.count("stopped"))
        return status_of(outcomes)

    def choose(self, given: Sequence[bytes] = ()) -> list[bytes] | None:
        """The targets that there are room for; None when they cannot be had."""
        targets = self._plan.targets
        if targets is None:
            return []
        try:
            found = list(given) or self._found(targets)
        except CannotRun as error:
            self._failed("targets", NO_TARGET, str(error))
            return None
        self.counts = Counts(matched=len(found), skipped=len(found))
        return found[: self._plan.max_targets]

    def _count(self, processed: int, failed: int) -> None:
        matched = self.counts.matched if self.counts else 0
        self.counts = Counts(
            matched=matched, processed=processed, failed=failed, skipped=matched - processed
        )

    def _found(self, targets: Targets) -> list[bytes]:
        """Raises CannotRun."""
        if targets.list is not None:
            return [bytes(each) for each in targets.list]
        assert targets.run is not None
        self._tell("targets")
        path = self._place.folder / "targets"
        stdin = self._place.open_input(Input(of=EVENT), self._place.folder, None)
        try:
            ended = self._place.run(
                targets.run,
                env={"LAYER_STEP": "targets"},
                stdin=stdin,
                output=path,
                output_bytes_max=TARGETS_BYTES_MAX,
                timeout_s=targets.timeout_s,
            )
        finally:
            os.close(stdin)
        if ended.error:
            raise CannotRun(ended.error)
        if ended.cut:
            raise CannotRun(f"they take more than {TARGETS_BYTES_MAX >> 20} MiB")
        return list(_lines(path.read_bytes()))

    def _once(self, target: bytes | None, number: int) -> Outcome:
        """All steps, for one target if there are any."""
        outputs = self._place.folder / f"outputs.{number}"
        outputs.mkdir(0o700)
        outcome: Outcome = "clean"
        raw = NO_TARGET if target is None else msgspec.Raw(target)
        for step in self._plan.steps:
            self._tell(_where(step.name, raw))
            ran, error = self._step(step, outputs, target)
            if ran is None:
                self.done.append(StepRun(step=step.name, target=raw))
            else:
                self.done.append(
                    StepRun(
                        step=step.name, target=raw, exit=ran.exit, signal=ran.signal, ms=ran.ms,
                        output_bytes=ran.output_bytes,
                    )
                )  # fmt: skip
            if not error:
                continue
            # What a later step would take is whole or not there.
            (outputs / step.name).unlink(missing_ok=True)
            self._failed(step.name, raw, error)
            if step.on_error == "stop":
                return "stopped"
            outcome = "flawed"
        return outcome

    def _failed(self, step: str, target: msgspec.Raw, error: str) -> None:
        self._tell(f"{_where(step, target)}: {error}")
        self.errors.append(Trouble(step=step, target=target, error=error[:_ERROR_CHARACTERS]))

    def _step(self, step: Step, outputs: Path, target: bytes | None) -> tuple[Ended | None, str]:
        """How it ended, and what is wrong with that."""
        settings = {**step.env, "LAYER_STEP": step.name, "LAYER_OUTPUTS": str(outputs)}
        if target is not None:
            settings["LAYER_TARGET"] = target.decode()
        try:
            stdin = self._place.open_input(step.input, outputs, target)
            try:
                ended = self._place.run(
                    step.run,
                    env=settings,
                    stdin=stdin,
                    output=outputs / step.name,
                    output_bytes_max=step.output_bytes_max,
                    timeout_s=step.timeout_s,
                )
            finally:
                os.close(stdin)
        except CannotRun as error:
            return None, str(error)
        return ended, ended.error


def status_of(outcomes: Sequence[Outcome]) -> Status:
    """What a run came to, from how the steps went for each target; for none of them, well."""
    if all(each == "clean" for each in outcomes):
        return "success"
    return "failed" if all(each == "stopped" for each in outcomes) else "partial"


def check_target(text: bytes) -> bytes:
    """A target, one JSON value, as it is handed on. Raises BadData."""
    target = jsontext.compact(text)
    if len(target) > TARGET_BYTES_MAX:
        raise BadData(f"a target takes {len(target)} bytes, at most {TARGET_BYTES_MAX}")
    return target


def _where(step: str, target: msgspec.Raw) -> str:
    return f"{step} {bytes(target).decode()}".rstrip()


def _lines(printed: bytes) -> Iterable[bytes]:
    for number, line in enumerate(printed.split(b"\n"), 1):
        if line.strip():
            try:
                yield check_target(line)
            except BadData as wrong:
                raise CannotRun(f"line {number} is no target: {wrong}") from wrong


def _memory(text: bytes) -> int:
    """A descriptor from which this is read."""
    fd = os.memfd_create("input", os.MFD_CLOEXEC)
    try:
        write_all(fd, text)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _open(path: Path) -> int:
    fd = os.open(path, _READ)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(f"{path} is not a regular file")
    os.set_blocking(fd, True)
    return fd
