"""Laws of the learning cycle's fold."""

from dataclasses import dataclass

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from hookline.orchestrate.beta import Beta, chances_of_being_best
from hookline.orchestrate.evidence import Evidence
from hookline.orchestrate.learning import Lesson, lesson
from testing.unit.orchestrate.tale import moment, told

NOW = 20
QUICK = settings(max_examples=30, deadline=None)
_TASKS = st.sampled_from(["t1", "t2", "t3", "t4"])
_EXPERTS = st.sampled_from(["a", "b", "c"])
_DAYS = st.integers(0, NOW * 8).map(lambda eighth: eighth / 8)
_CLAIMS = st.none() | st.floats(0, 1)
_DECISIONS = st.builds(
    lambda task, expert, claim: (
        "routing.decision_made",
        {"task_id": task, "master": expert, "confidence": claim},
    ),
    _TASKS, _EXPERTS, _CLAIMS,
)  # fmt: skip
_ENDS = st.builds(
    lambda end, task, kind: (end, {"task_id": task, "error_type": kind}),
    st.sampled_from(["task.completed", "task.failed", "worker.completed", "worker.failed"]),
    _TASKS,
    st.sampled_from(["disk", "timeout"]),
)
_KINDS = st.builds(
    lambda task, kind: ("task.created", {"task_id": task, "type": kind}),
    _TASKS, st.sampled_from(["code", "scan"]),
)  # fmt: skip


@dataclass(frozen=True)
class Story:
    """Events that nobody has told twice, and an order to tell them in."""

    events: list
    order: list


@st.composite
def stories(draw):
    """Up to thirty events, in the order of their drawing, and mixed."""
    tellings = draw(st.lists(st.tuples(_DAYS, _DECISIONS | _ENDS | _ENDS | _KINDS), max_size=30))
    events = [told(type, day, data, id=f"e{n}") for n, (day, (type, data)) in enumerate(tellings)]
    return Story(events, draw(st.permutations(events)))


def learned(events, at=NOW) -> Lesson:
    evidence = Evidence()
    for event, data in events:
        evidence.add(event, data)
    return lesson(evidence, as_of=moment(at), since=moment(0))


@QUICK
@given(stories())
def test_neither_the_order_nor_a_repetition_changes_a_byte(story):
    once = msgspec.json.encode(learned(story.events))
    assert msgspec.json.encode(learned(story.order)) == once
    assert msgspec.json.encode(learned(story.events + story.order)) == once


@QUICK
@given(stories())
def test_every_rate_is_one_and_every_mean_within_its_interval(story):
    found = learned(story.events)
    for expert in found.experts.values():
        for each in (expert, *expert.task_types.values()):
            assert 0 <= each.low <= each.mean <= each.high <= 1
            assert each.successes + each.failures <= each.outcomes + 1e-3
            assert each.claimed is None or 0 <= each.claimed <= 1
    shares = [each.share for each in found.experts.values()]
    assert all(0 <= share <= 1 for share in shares)
    assert not shares or abs(sum(shares) - 1) < 0.001


@QUICK
@given(stories())
def test_each_decision_has_one_outcome_at_most(story):
    found = learned(story.events)
    assert (
        found.outcomes <= found.decisions == sum(each.decisions for each in found.experts.values())
    )
    for each in found.experts.values():
        assert each.outcomes <= each.decisions


@QUICK
@given(stories(), st.integers(1, 60))
def test_what_is_known_fades_towards_not_knowing(story, later):
    """Without anything new, every weight shrinks and every confidence comes nearer to a half."""
    now, then = learned(story.events), learned(story.events, NOW + later)
    for name, each in now.experts.items():
        faded = then.experts[name]
        assert faded.successes <= each.successes
        assert faded.failures <= each.failures
        assert abs(faded.mean - 0.5) <= abs(each.mean - 0.5) + 1e-4
        assert faded.high - faded.low >= each.high - each.low - 2e-4 or each.mean != 0.5


@QUICK
@given(stories(), _EXPERTS, st.booleans())
def test_another_success_never_lowers_a_confidence_nor_a_failure_raises_one(story, expert, good):
    end = "task.completed" if good else "task.failed"
    more = [
        told("routing.decision_made", NOW - 1, {"task_id": "new", "master": expert}),
        told(end, NOW - 0.5, {"task_id": "new"}),
    ]
    before, after = learned(story.events), learned(story.events + more)
    was = before.experts[expert].mean if expert in before.experts else 0.5
    assert (after.experts[expert].mean > was) == good
    for other in before.experts.keys() - {expert}:
        assert after.experts[other].mean == before.experts[other].mean


@QUICK
@given(st.floats(1, 1e5), st.floats(1, 1e5), st.floats(0, 1), st.floats(0, 1))
def test_a_cdf_rises_from_0_to_1_and_its_quantile_goes_back(a, b, one, other):
    belief = Beta(a, b)
    low, high = sorted((one, other))
    assert 0 <= belief.cdf(low) <= belief.cdf(high) + 1e-9 <= 1 + 2e-9
    assert abs(belief.cdf(high) + Beta(b, a).cdf(1 - high) - 1) < 1e-9
    assert abs(belief.quantile(0.05) + Beta(b, a).quantile(0.95) - 1) < 1e-8


@QUICK
@given(st.lists(st.tuples(st.floats(1, 1e4), st.floats(1, 1e4)), min_size=1, max_size=5))
def test_chances_of_being_the_best_are_shares_of_one(counts):
    chances = chances_of_being_best([Beta(*each) for each in counts])
    assert abs(sum(chances) - 1) < 1e-9
    assert all(0 <= each <= 1 for each in chances)
