"""From decisions and what became of them to what is believed of each expert. Pure.

An expert's success rate is held as a beta distribution (`hookline.orchestrate.beta`). An outcome of
age t counts 2^(-t / half-life): exponential forgetting, which follows a rate that changes (Russo et
al., "A Tutorial on Thompson Sampling", 2018, section 6.3). With the counts S and F so weighed, the
belief is Beta(1 + S, 1 + F): the confidence is its mean, (1 + S) / (2 + S + F), and the true rate
lies with 90 % between its 5 % and its 95 % quantile.

Sums are correctly rounded (`math.fsum`), so no order of the events changes a digit.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from hookline.model.clock import stored_s
from hookline.orchestrate.beta import Beta, chances_of_being_best
from hookline.orchestrate.evidence import Evidence
from hookline.orchestrate.failures import TAIL, Failure, failures
from hookline.orchestrate.stories import Outcome, Stories

HALF_LIFE_S: Final = 14 * 86_400.0
CLAIMS_MIN: Final = 10
"""Of fewer claimed confidences nothing is said."""
EXPERTS_MAX: Final = 100
SHARED_MAX: Final = 32
TASK_TYPES_MAX: Final = 20
"""The names in events may be endless; those with the most outcomes are listed, and so many of them
have a share."""

_DIGITS: Final = 4


class Rating(msgspec.Struct, frozen=True, kw_only=True):
    """What is believed of a success rate, and what was claimed of it."""

    mean: float
    low: float
    high: float
    successes: float
    """Their weight; `failures` likewise."""
    failures: float
    outcomes: int
    """How many there were, of whatever age."""
    claims: int
    """Of so many it was said beforehand how sure they were."""
    claimed: float | None
    """The mean of that; None where it never was."""
    claimed_low: float | None
    """From here to `claimed_high`, with 90 %, is the success rate of those."""
    claimed_high: float | None


class Expert(Rating, frozen=True, kw_only=True):
    """An expert, over all its tasks and by their type."""

    decisions: int
    share: float
    """How likely its success rate is the highest of all."""
    task_types: dict[str, Rating]


class Pattern(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something worth telling: the data of a `learning.pattern_detected`."""

    pattern_type: str
    optimization: str
    master: str = ""
    error_type: str = ""
    recent: float | None = None
    before: float | None = None
    claimed: float | None = None
    learned: float | None = None


class Lesson(msgspec.Struct, frozen=True, kw_only=True):
    """All that is concluded as of a moment; times are in the stored form."""

    as_of: str
    since: str
    half_life_s: float
    decisions: int
    outcomes: int
    """Decisions of which it is known what became of them."""
    undecided: int
    """Ends of tasks for which nobody was chosen, as far as the log tells."""
    left_out: int
    """Experts that are not listed."""
    experts: dict[str, Expert]
    shares_by_task_type: dict[str, dict[str, float]]
    failures: tuple[Failure, ...]
    patterns: tuple[Pattern, ...]


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """What a router needs: how often to choose whom, in all and by the type of the task."""

    as_of: str
    weights: dict[str, float]
    by_task_type: dict[str, dict[str, float]]

    @classmethod
    def of(cls, lesson: Lesson) -> "Weights":
        """The part of a lesson that says it."""
        return cls(
            as_of=lesson.as_of,
            weights={name: each.share for name, each in lesson.experts.items() if each.share},
            by_task_type=lesson.shares_by_task_type,
        )


def lesson(
    evidence: Evidence, *, as_of: str, since: str, half_life_s: float = HALF_LIFE_S
) -> Lesson:
    """What there is to learn from evidence of before that moment."""
    now_s, stories = stored_s(as_of), Stories(evidence)
    outcomes: dict[str, list[Outcome]] = defaultdict(list)
    for each in stories.outcomes(now_s, half_life_s):
        outcomes[each.decision.expert].append(each)
    decided = Counter(decision.expert for decision in evidence.decisions)
    kept = _most({name: (len(outcomes[name]), decided[name]) for name in decided}, EXPERTS_MAX)
    shares = _shares({name: outcomes[name] for name in sorted(kept[:SHARED_MAX])})
    experts = {
        name: _expert(outcomes[name], decided[name], shares.get(name, 0.0)) for name in sorted(kept)
    }
    failed = tuple(failures(evidence.ends, stories, now_s))
    return Lesson(
        as_of=as_of,
        since=since,
        half_life_s=half_life_s,
        decisions=len(evidence.decisions),
        outcomes=sum(map(len, outcomes.values())),
        undecided=sum(stories.number_of(end) is None for end in evidence.ends),
        left_out=len(decided) - len(kept),
        experts=experts,
        shares_by_task_type=_shares_by_task_type(sorted(shares), outcomes, experts),
        failures=failed,
        patterns=(*_risen(failed), *_miscalibrated(experts)),
    )


def _expert(outcomes: Sequence[Outcome], decisions: int, share: float) -> Expert:
    by_type = _by_task_type(outcomes)
    kept = _most({name: (len(each),) for name, each in by_type.items()}, TASK_TYPES_MAX)
    return Expert(
        **msgspec.structs.asdict(_rating(outcomes)),
        decisions=decisions,
        share=share,
        task_types={name: _rating(by_type[name]) for name in sorted(kept)},
    )


def _rating(outcomes: Sequence[Outcome]) -> Rating:
    belief = _belief(outcomes)
    low, high = _interval(belief)
    claims = [each for each in outcomes if each.decision.confidence is not None]
    claimed_low, claimed_high = _interval(_belief(claims)) if claims else (None, None)
    return Rating(
        mean=_rounded(belief.mean),
        low=low,
        high=high,
        successes=_rounded(belief.a - 1),
        failures=_rounded(belief.b - 1),
        outcomes=len(outcomes),
        claims=len(claims),
        claimed=_claimed(claims) if claims else None,
        claimed_low=claimed_low,
        claimed_high=claimed_high,
    )


def _belief(outcomes: Iterable[Outcome]) -> Beta:
    weights: tuple[list[float], list[float]] = [], []
    for each in outcomes:
        weights[each.has_failed].append(each.weight)
    return Beta().after(math.fsum(weights[False]), math.fsum(weights[True]))


def _interval(belief: Beta) -> tuple[float, float]:
    return _rounded(belief.quantile(TAIL)), _rounded(belief.quantile(1 - TAIL))


def _claimed(claims: Sequence[Outcome]) -> float:
    weight = math.fsum(each.weight for each in claims)
    claimed = math.fsum(each.weight * (each.decision.confidence or 0.0) for each in claims)
    return _rounded(claimed / weight)


def _by_task_type(outcomes: Iterable[Outcome]) -> dict[str, list[Outcome]]:
    found: dict[str, list[Outcome]] = defaultdict(list)
    for each in outcomes:
        if each.task_type:
            found[each.task_type].append(each)
    return found


def _shares(outcomes: Mapping[str, Iterable[Outcome]]) -> dict[str, float]:
    chances = chances_of_being_best([_belief(each) for each in outcomes.values()])
    return {name: _rounded(each) for name, each in zip(outcomes, chances, strict=True)}


def _shares_by_task_type(
    names: Sequence[str], outcomes: Mapping[str, Sequence[Outcome]], experts: Mapping[str, Expert]
) -> dict[str, dict[str, float]]:
    """Of each type of task that several have outcomes of, the share of each of these."""
    found: dict[str, dict[str, list[Outcome]]] = defaultdict(dict)
    for name in names:
        for task_type, each in _by_task_type(outcomes[name]).items():
            if task_type in experts[name].task_types:
                found[task_type][name] = each
    return {each: _shares(found[each]) for each in sorted(found) if len(found[each]) > 1}


def _most(sizes: Mapping[str, tuple[int, ...]], limit: int) -> list[str]:
    """The names with the greatest sizes, the greatest first."""
    ranked = sorted(sizes, key=lambda name: ([-size for size in sizes[name]], name))
    return ranked[:limit]


def _rounded(value: float) -> float:
    return round(value, _DIGITS)


def _risen(failed: Iterable[Failure]) -> Iterator[Pattern]:
    """Kinds of failures that have risen over all experts, and experts over all kinds."""
    for each in failed:
        if not each.risen or (each.expert is None) == (each.error_type is None):
            continue
        what = each.error_type or f"failures of {each.expert}"
        yield Pattern(
            pattern_type="expert_decline" if each.expert else "failure_rise",
            optimization=f"look into {what}: {each.recent} of {each.recent_of} in the last day, "
            f"{each.before} of {each.before_of} in the seven days before",
            master=each.expert or "",
            error_type=each.error_type or "",
            recent=_rounded(each.recent / each.recent_of),
            before=_rounded(each.before / each.before_of) if each.before_of else 0.0,
        )


def _miscalibrated(experts: Mapping[str, Expert]) -> Iterator[Pattern]:
    """Experts whose claimed confidence lies outside the interval of what came of those claims."""
    for name, each in experts.items():
        claimed, low, high = each.claimed, each.claimed_low, each.claimed_high
        if claimed is None or low is None or high is None or each.claims < CLAIMS_MIN:
            continue
        if not low <= claimed <= high:
            yield Pattern(
                pattern_type="miscalibrated_confidence",
                optimization=f"trust {name} {'less' if claimed > high else 'more'}: "
                f"{claimed:.0%} claimed in {each.claims} decisions, {low:.0%} to {high:.0%} shown",
                master=name,
                claimed=claimed,
                learned=each.mean,
            )
