"""What a cycle concludes, as a page for people. Pure."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from hookline.model.duration import text_of
from hookline.orchestrate.learning import Expert, Lesson, Rating

_MARKUP: Final = re.compile(r"[\\`*_<>|\[\]]")
_ROWS_MAX: Final = 20


def markdown(lesson: Lesson, title: str) -> str:
    """The page: the same lesson gives the same text."""
    parts = [
        f"# {title}",
        _summary(lesson),
        _experts(lesson),
        _task_types(lesson.experts),
        _failures(lesson),
        _patterns(lesson),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _summary(lesson: Lesson) -> str:
    return (
        f"As of {lesson.as_of}, from events since {lesson.since}: {lesson.decisions} decisions, "
        f"{lesson.outcomes} of them with an outcome; {lesson.undecided} ends of tasks that nobody "
        f"was chosen for. An outcome counts half after {text_of(lesson.half_life_s)}."
    )


def _experts(lesson: Lesson) -> str:
    if not lesson.experts:
        return "## Experts\n\nNo decision names an expert."
    rows = [
        [
            name, f"{each.mean:.2f}", _interval(each), f"{each.outcomes} of {each.decisions}",
            _claim(each), f"{each.share:.0%}",
        ]
        for name, each in sorted(lesson.experts.items(), key=lambda item: (-item[1].mean, item[0]))
    ]  # fmt: skip
    heads = ["expert", "confidence", "90 % interval", "outcomes", "claimed", "share"]
    left = f"\n\nAnd {lesson.left_out} more." if lesson.left_out else ""
    return "## Experts\n\n" + _table(heads, rows) + left


def _task_types(experts: dict[str, Expert]) -> str:
    rows = [
        [name, task_type, f"{each.mean:.2f}", _interval(each), each.outcomes]
        for name, expert in experts.items()
        for task_type, each in expert.task_types.items()
    ]
    heads = ["expert", "type of task", "confidence", "90 % interval", "outcomes"]
    return "## By the type of the task\n\n" + _table(heads, rows) if rows else ""


def _failures(lesson: Lesson) -> str:
    rows = [
        [
            each.error_type or "(any)", each.expert or "(all)",
            f"{each.recent} of {each.recent_of}", f"{each.before} of {each.before_of}",
            "risen" if each.risen else "",
        ]
        for each in lesson.failures[:_ROWS_MAX]
    ]  # fmt: skip
    heads = ["failure", "expert", "last day", "seven days before", ""]
    return "## Failures\n\n" + (_table(heads, rows) if rows else "None in eight days.")


def _patterns(lesson: Lesson) -> str:
    lines = [
        f"- {_plain(each.pattern_type)}: {_plain(each.optimization)}\n" for each in lesson.patterns
    ]
    return "## What to look into\n\n" + ("".join(lines).rstrip("\n") or "Nothing.")


def _interval(rating: Rating) -> str:
    return f"{rating.low:.2f} to {rating.high:.2f}"


def _claim(rating: Rating) -> str:
    return "" if rating.claimed is None else f"{rating.claimed:.2f} in {rating.claims}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [heads, ["---"] * len(heads), *([_plain(str(cell)) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _plain(text: str) -> str:
    """Names come from anybody's events: none of them is markup."""
    return _MARKUP.sub(r"\\\g<0>", text)
