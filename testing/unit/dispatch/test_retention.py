"""Which segments may go, and who needs one."""

import shutil

import pytest

from hookline.dispatch.handlers import discover
from hookline.dispatch.ledger import Ledger, Pending, Progress
from hookline.dispatch.retention import Need, Segment, needs, plan
from hookline.dispatch.subscription import Cursor
from hookline.log.rotate import remove_segment, rotate
from hookline.log.stream import Stream
from hookline.model.position import Position

LONG_AGO_S = 1000.0


def segments(*written_s):
    return [Segment(ordinal=i, size=1, written_s=at_s) for i, at_s in enumerate(written_s, 1)]


def need(ordinal, handler="on-a-b.sh"):
    return Need(handler=handler, position=Position(ordinal, 0), why="cursor")


def ordinals_of(plan):
    return [each.ordinal for each in plan.delete], [each.segment.ordinal for each in plan.held]


def test_old_segments_go_but_never_the_newest():
    assert ordinals_of(plan(segments(1, 2, 3), [], LONG_AGO_S)) == ([1, 2], [])


def test_a_young_segment_ends_the_deleting():
    assert ordinals_of(plan(segments(1, 2000, 3, 4), [], LONG_AGO_S)) == ([1], [])


def test_a_segment_stays_for_a_handler_in_it_or_before_it():
    planned = plan(segments(1, 2, 3, 4), [need(2), need(3, "on-slow.sh")], LONG_AGO_S)
    assert ordinals_of(planned) == ([1], [2, 3])
    assert [[each.handler for each in held.by] for held in planned.held] == [
        ["on-a-b.sh"],
        ["on-a-b.sh", "on-slow.sh"],
    ]


@pytest.fixture
def closed(bench):
    """A home with three closed segments of two events each."""
    for _ in range(3):
        bench.emit("a.b")
        bench.emit("a.b")
        rotate(bench.home, "a")
    return bench


def needed(bench, ledger=None):
    found = discover(bench.home.handlers, lambda _: ())
    with Stream.of_domain(bench.home, "a") as stream:
        return needs(bench.home, "a", stream, found, ledger or Ledger())


def at(segment, offset=0, domain="a", **more):
    return Progress(cursors={domain: Cursor(Position(segment, offset))}, **more)


def waiting(segment, domain="a"):
    position = Position(segment, 0)
    pending = Pending(
        domain=domain, position=position, event="x", source="s", type="a.b", attempt=1
    )
    return {pending.place: pending}


def test_a_handler_needs_what_lies_behind_its_cursor(closed):
    closed.shell("on-a-b.sh", "exit 0")
    kept, gone = needed(closed, Ledger(handlers={"on-a-b.sh": at(2, 7)}))
    assert kept == [Need(handler="on-a-b.sh", position=Position(2, 7), why="cursor")]
    assert gone == []


def test_a_delivery_that_is_not_settled_needs_its_line(closed):
    closed.shell("on-a-b.sh", "exit 0")
    ledger = Ledger(handlers={"on-a-b.sh": at(3, pending=waiting(1))})
    assert needed(closed, ledger)[0] == [
        Need(handler="on-a-b.sh", position=Position(1, 0), why="waiting")
    ]


@pytest.mark.parametrize(
    ("start", "position"), [("beginning", Position(1, 0)), ("now", Position(4, 0))]
)
def test_a_handler_that_no_dispatcher_has_seen_needs_what_it_would_start_with(
    closed, start, position
):
    closed.shell("on-a-b.sh", "exit 0", header=f"# from: {start}")
    assert needed(closed)[0] == [Need(handler="on-a-b.sh", position=position, why="start")]


def test_a_new_handler_needs_the_events_since_it_was_installed(closed):
    closed.shell("on-a-b.sh", "exit 0")
    closed.emit("a.b")
    rotate(closed.home, "a")
    assert needed(closed)[0] == [Need(handler="on-a-b.sh", position=Position(4, 0), why="start")]


def test_a_handler_of_another_domain_needs_nothing(closed):
    closed.shell("on-c-d.sh", "exit 0", header="# from: beginning")
    assert needed(closed, Ledger(handlers={"on-c-d.sh": at(1, domain="c")})) == ([], [])


def test_a_handler_that_listens_to_the_domain_no_more_keeps_only_what_it_was_given(closed):
    closed.shell("on-c-d.sh", "exit 0")
    ledger = Ledger(handlers={"on-c-d.sh": at(1, pending=waiting(2))})
    assert needed(closed, ledger) == (
        [Need(handler="on-c-d.sh", position=Position(2, 0), why="waiting")],
        [Need(handler="on-c-d.sh", position=Position(1, 0), why="cursor")],
    )


def test_a_handler_that_is_refused_keeps_what_its_cursor_needs(closed):
    closed.shell("on-a-b.sh", "exit 0").chmod(0o600)
    kept, _ = needed(closed, Ledger(handlers={"on-a-b.sh": at(2)}))
    assert [each.position for each in kept] == [Position(2, 0)]


def test_a_handler_that_is_gone_keeps_nothing_and_is_named(closed):
    ledger = Ledger(handlers={"on-a-b.sh": at(2), "on-c-d.sh": at(1, domain="c")})
    kept, gone = needed(closed, ledger)
    assert (kept, [each.handler for each in gone]) == ([], ["on-a-b.sh"])


def test_without_a_handlers_folder_every_cursor_counts(closed):
    closed.home.handlers.rmdir()
    kept, gone = needed(closed, Ledger(handlers={"on-a-b.sh": at(2)}))
    assert ([each.handler for each in kept], gone) == (["on-a-b.sh"], [])


def test_a_start_after_old_segments_went_runs_nothing_again(bench):
    """The index of identities may lie behind every cursor when the dispatcher was killed."""
    bench.shell("on-a-b.sh", 'jq -r .id "$1" >>"$OUT"', header="# from: beginning")
    identities = bench.home.state / "identities"
    events = [bench.emit("a.b")]
    bench.drain()
    shutil.copytree(identities, bench.home.root / "early")
    for _ in range(2):
        rotate(bench.home, "a")
        events.append(bench.emit("a.b"))
        bench.drain()
    shutil.rmtree(identities)
    (bench.home.root / "early").rename(identities)
    with Stream.of_domain(bench.home, "a") as stream:
        assert remove_segment(stream, 1)
    events.append(bench.emit("a.b"))
    bench.drain()
    assert bench.said() == events
    assert bench.spectator.notes == []
