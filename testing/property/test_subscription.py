"""Whatever fails, waits and overlaps: keys keep their order, attempts are bounded, the cursor never
lies."""

from hypothesis import given, settings
from hypothesis import strategies as st

from hookline.dispatch.decide import Outcome, Policy, decide
from hookline.dispatch.settlement import parted
from hookline.dispatch.subscription import SERIAL_BYTES_MAX, Cursor, Delivery, Subscription
from hookline.log.stretch import Stretch
from hookline.model.event import Event
from hookline.model.position import Position

POLICY = Policy(attempts=3, backoff_s=1.0)
VERDICTS = st.sampled_from(["done", "done", "done", "failed", "retry", "rejected", "skipped"])
LINE_BYTES = 100


def deliveries(keys):
    for number, key in enumerate(keys):
        yield Delivery(
            domain="d",
            position=Position(1, number * LINE_BYTES),
            end=Position(1, (number + 1) * LINE_BYTES),
            event=f"e{number}",
            source="s",
            type="d.t",
            key=key,
        )


class History:
    """What one subscription did under drawn verdicts, in virtual time."""

    def __init__(self, subscription, draw):
        self.subscription = subscription
        self.draw = draw
        self.runs = []
        self.running = []
        self.settled = []
        self.now_s = 0.0

    def start(self):
        for delivery in self.subscription.startable(self.now_s):
            assert not any(other.key == delivery.key for other in self.running)
            self.subscription.begin(delivery)
            self.runs.append((delivery.event, delivery.attempt))
            self.running.append(delivery)

    def end_one(self):
        delivery = self.running.pop(self.draw(st.integers(0, len(self.running) - 1)))
        outcome = Outcome(verdict=self.draw(VERDICTS), ms=0.0)
        plan = decide(outcome, delivery.attempt, POLICY, self.draw(st.floats(0, 0.99)))
        self.subscription.settle(delivery, plan, self.now_s)
        if plan.then != "retry":
            self.settled.append(delivery)

    def work(self):
        while True:
            self.start()
            if self.running:
                self.end_one()
                self.check_cursor()
                continue
            due_s = self.subscription.next_due_s()
            if due_s is None:
                return
            self.now_s = max(self.now_s, due_s)

    def check_cursor(self):
        cursor = self.subscription.cursor("d").position
        unsettled = [each.position for each in self.subscription.unsettled()]
        assert all(position >= cursor for position in unsettled)


@settings(max_examples=150, deadline=None)
@given(
    data=st.data(),
    keys=st.lists(st.sampled_from("abc"), max_size=30),
    keyed=st.booleans(),
    concurrency=st.integers(1, 4),
)
def test_every_event_is_settled_in_the_order_of_its_key(data, keys, keyed, concurrency):
    subscription = Subscription(concurrency=concurrency, keyed=keyed)
    subscription.track("d", Cursor(Position(1, 0)), {})
    events = list(deliveries(keys))
    for delivery in events:
        assert subscription.admit(delivery)
    history = History(subscription, data.draw)
    history.work()

    assert len(history.settled) == len(events)
    for key in set(keys) if keyed else {None}:
        order = [each.position for each in history.settled if each.key == key]
        assert order == sorted(order)
    assert all(attempt <= POLICY.attempts for _, attempt in history.runs)
    assert len(set(history.runs)) == len(history.runs)
    assert subscription.cursor("d").position == Position(1, len(events) * LINE_BYTES)
    assert (subscription.open, subscription.running) == (0, 0)


def stretches(sizes):
    """The same as deliveries, in stretches of these sizes."""
    number = 0
    for size in sizes:
        numbers = range(number, number + size)
        events = [Event(id=f"e{each}", source="s", type="d.t", time="") for each in numbers]
        bounds = [(each * LINE_BYTES, (each + 1) * LINE_BYTES) for each in numbers]
        text = b"".join(b"%99d\n" % each for each in numbers)
        yield Delivery.of("d", Stretch(1, bounds, text, events))
        number += size


def lines_of(run):
    return b"".join(each.lines for each in run).splitlines()


@settings(max_examples=100, deadline=None)
@given(data=st.data(), sizes=st.lists(st.integers(1, 9), max_size=12), limit=st.integers(1, 20))
def test_a_run_that_stops_in_the_middle_gives_the_rest_back(data, sizes, limit):
    subscription = Subscription()
    subscription.track("d", Cursor(Position(1, 0)), {})
    for delivery in stretches(sizes):
        assert subscription.admit(delivery)
    order, now_s, tried = [], 0.0, {}
    while subscription.open:
        assert subscription.cursor("d").position == Position(1, len(order) * LINE_BYTES)
        started = list(subscription.startable(now_s))
        if not started:
            now_s = subscription.next_due_s()
            continue
        (first,) = started
        run = subscription.run_of(first, limit)
        for delivery in run:
            subscription.begin(delivery)
        events = [single for each in run for single in each.singles()]
        assert len(events) == sum(each.events for each in run) <= limit
        assert [int(line) for line in lines_of(run)] == [int(each.event[1:]) for each in events]
        done = data.draw(st.integers(0, len(events)))
        before, behind = parted(subscription, run, done)
        assert sum(each.events for each in before) == done
        assert sum(each.events for each in before + behind) == len(events)
        for index, delivery in enumerate(before + behind[:1]):
            failed = index == len(before)
            verdict = data.draw(st.sampled_from(["failed", "skipped"])) if failed else "done"
            for single in delivery.singles():
                tried[single.event] = tried.get(single.event, 0) + failed
                assert not failed or delivery.attempt == tried[single.event]
            plan = decide(Outcome(verdict=verdict, ms=0.0), delivery.attempt, POLICY, 0.5)
            if plan.then != "retry":
                order += [each.position for each in delivery.singles()]
            subscription.settle(delivery, plan, now_s)
        for delivery in behind[1:]:
            subscription.unbegin(delivery, 0.0)
        assert subscription.running == 0
    assert order == [Position(1, number * LINE_BYTES) for number in range(sum(sizes))]
    assert subscription.kept_bytes == 0
    assert subscription.cursor("d").position == Position(1, sum(sizes) * LINE_BYTES)


def test_a_stretch_of_which_something_is_known_is_not_taken_whole():
    (stretch,) = stretches([5])
    serial, keyed, known = Subscription(), Subscription(keyed=True), Subscription()
    for subscription in (serial, keyed):
        subscription.track("d", Cursor(Position(1, 0)), {})
    known.track("d", Cursor(Position(1, 0)), {Position(1, 4 * LINE_BYTES): "e4"})
    taken = [each.takes_whole("d", stretch.stretch) for each in (serial, keyed, known)]
    assert taken == [True, False, False]
    serial.admit(stretch)
    assert not serial.takes_whole("d", stretch.stretch)


def test_lines_that_are_kept_are_bounded_by_their_bytes():
    subscription = Subscription()
    subscription.track("d", Cursor(Position(1, 0)), {})
    for delivery in stretches([100] * 500):
        if subscription.room <= 0:
            break
        subscription.admit(delivery)
    assert SERIAL_BYTES_MAX <= subscription.kept_bytes < SERIAL_BYTES_MAX + 100 * LINE_BYTES


def test_what_was_settled_before_a_restart_is_not_offered_again():
    subscription = Subscription(concurrency=2, keyed=True)
    subscription.track("d", Cursor(Position(1, 0)), {Position(1, LINE_BYTES): "e1"})
    admitted = [subscription.admit(each) for each in deliveries(["a", "b", "c"])]
    assert admitted == [True, False, True]


def test_a_replay_is_taken_once():
    subscription = Subscription()
    (letter,) = deliveries(["a"])
    letter.replay = "h:e0"
    subscription.replay(letter)
    subscription.replay(letter)
    assert subscription.open == 1


def test_replays_take_turns_with_the_log_and_leave_it_its_room():
    subscription = Subscription()
    subscription.track("d", Cursor(Position(1, 0)), {})
    room = subscription.room
    events = list(deliveries([None] * 6))
    for again in events[:4]:
        again.replay = "weekly"
        subscription.replay(again)
    assert subscription.room == room
    for event in events[4:]:
        subscription.admit(event)
    order = []
    while subscription.open:
        (delivery,) = subscription.startable(0.0)
        subscription.begin(delivery)
        subscription.settle(delivery, decide(Outcome(verdict="done", ms=0.0), 1, POLICY, 0.0), 0.0)
        order.append(delivery.replay)
    assert order == ["weekly", "", "weekly", "", "weekly", "weekly"]
    assert subscription.room == room


def test_a_blocked_key_holds_up_no_other():
    subscription = Subscription(concurrency=4, keyed=True)
    subscription.track("d", Cursor(Position(1, 0)), {})
    for delivery in deliveries(["a", "a", "b"]):
        subscription.admit(delivery)
    first, other = list(subscription.startable(0.0))
    for delivery in (first, other):
        subscription.begin(delivery)
    failed = decide(Outcome(verdict="failed", ms=0.0), 1, POLICY, 0.9)
    subscription.settle(first, failed, 0.0)
    assert [each.key for each in (first, other)] == ["a", "b"]
    assert list(subscription.startable(0.0)) == []
    assert subscription.next_due_s() > 0.0
