"""From a verdict to what is written down: the plan comes from `decide`, this performs it."""

from collections import deque
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from hookline.dispatch.books import Books
from hookline.dispatch.dead_letter import DeadLetter
from hookline.dispatch.decide import PAUSE_AFTER, Outcome, Plan, decide, failures_after
from hookline.dispatch.fingerprint import fingerprint
from hookline.dispatch.ledger import Entry, letter_of
from hookline.dispatch.listener import Listener
from hookline.dispatch.runner import Ended
from hookline.dispatch.spectator import Spectator
from hookline.dispatch.subscription import Delivery, Subscription
from hookline.model.clock import Clock, rfc3339
from hookline.model.errors import HooklineError
from hookline.model.position import Position

Alert = Callable[[str, str, str], None]
"""Says that a handler needs somebody: kind of alert, handler, reason."""

Jitter = Callable[[], float]
"""Spreads retries: a number in [0, 1), drawn anew each time."""

_ROUND_MS: Final = 3


class Settlement:
    """Writes down what runs came to, and tells their listeners what follows."""

    def __init__(
        self,
        books: Books,
        clock: Clock,
        jitter: Jitter,
        alert: Alert,
        spectator: Spectator,
        pause_after: int = PAUSE_AFTER,
    ) -> None:
        self._books = books
        self._clock = clock
        self._jitter = jitter
        self._alert_outside = alert
        self._spectator = spectator
        self._pause_after = pause_after
        self.settled = 0
        self.letters = 0

    def ended(self, listener: Listener, deliveries: list[Delivery], ended: Ended) -> None:
        """A run is over: the first `ended.done` events are done, the next came to `ended.outcome`,
        the rest did not run."""
        is_known = len(deliveries) == 1 or ended.outcome.verdict in ("done", "broken")
        if ended.of_all and not is_known:
            self._batch_failed(listener, deliveries, ended.outcome)
            return
        done, rest = parted(listener.subscription, deliveries, ended.done)
        if ended.done > 1:
            self._batch(listener, done, ended.outcome)
        elif done:
            self.one(listener, done[0], _only_done(ended, alone=not rest))
        if rest:
            self.one(listener, rest[0], ended.outcome)
            for delivery in rest[1:]:
                listener.subscription.unbegin(delivery, 0.0)

    def one(self, listener: Listener, delivery: Delivery, outcome: Outcome) -> None:
        """One delivery's run came to this."""
        now, now_s = self._clock.now(), self._clock.monotonic_s()
        plan = decide(outcome, delivery.attempt, listener.handler.policy, self._jitter())
        delivery.due_at_s = now.timestamp() + plan.wait_s if plan.then == "retry" else 0.0
        if plan.then == "dead-letter":
            self._bury(listener, delivery, outcome, rfc3339(now))
        entry = _entry(listener, delivery, outcome, plan, rfc3339(now))
        self._count(listener, entry)
        self._enter(entry)
        if plan.then in ("settled", "dead-letter"):
            self._books.settled(listener.name, [delivery])
            self.settled += 1
        listener.subscription.settle(delivery, plan, now_s)
        if plan.then in ("retry", "held"):
            self._books.waiting(listener.name, delivery)
        if not delivery.replay:
            listener.moved.add(delivery.domain)
        if entry.failures:
            self._despair(listener, entry.failures, outcome)
        self._mind(listener, plan, now_s)

    def pause(self, listener: Listener, reason: str) -> None:
        """Stop a handler until it is resumed or its file changes."""
        listener.standing.pause(reason, listener.handler.installed_s)
        self._stand("paused", listener, reason)

    def resume(self, listener: Listener, reason: str) -> None:
        """Let a paused handler go on."""
        listener.standing.resume()
        self._stand("resumed", listener, reason)

    def rewound(self, handler: str, domain: str, resume: Position, cursor: Position) -> None:
        """A handler reads a domain again from `resume` on: its log is not the one that it read.
        Before that nothing is settled from `cursor` on."""
        self._books.rewound(handler, domain, cursor, self._clock)
        where = f"segment {resume.segment}, offset {resume.offset}"
        reason = f"the {domain} log was replaced or lost its end: it is read again from {where}"
        self._alert("log_replaced", handler, reason)

    def _alert(self, kind: str, handler: str, reason: str) -> None:
        """Say it to whoever listens; that it cannot be said must not stop the settling."""
        try:
            self._alert_outside(kind, handler, reason)
        except (HooklineError, OSError) as error:
            self._spectator.noted(f"{kind}: {handler}: {reason} (and no event says so: {error})")

    def _mind(self, listener: Listener, plan: Plan, now_s: float) -> None:
        if plan.then == "held":
            news = listener.hold(plan.pause, now_s)
            self._books.handler(listener.name, listener.standing)
            if news:
                self._alert("handler_broken", listener.name, plan.pause)
            return
        self._free(listener)
        if plan.pause and not listener.standing.paused:
            self.pause(listener, plan.pause)
            self._alert("handler_paused", listener.name, plan.pause)

    def _count(self, listener: Listener, entry: Entry) -> None:
        """Count the dead letters in a row; the entry says how many, where that changes."""
        standing = listener.standing
        failures = failures_after(standing.failures, entry.verdict, entry.then)
        if failures != standing.failures:
            entry.failures, entry.installed = failures, listener.handler.installed_s
            standing.count(failures, entry.installed)
            self._books.handler(listener.name, standing)

    def _despair(self, listener: Listener, failures: int, outcome: Outcome) -> None:
        """A handler that fails everything is not fed any more."""
        if 0 < self._pause_after <= failures and not listener.standing.paused:
            fault = fingerprint_of(listener.name, outcome)
            reason = f"{failures} dead letters in a row, the last one {fault}: {outcome.error}"
            self.pause(listener, reason)
            self._alert("handler_paused", listener.name, reason)

    def _free(self, listener: Listener) -> None:
        """It has run: whatever held it is gone."""
        if listener.standing.held:
            listener.standing.held = ""
            self._books.handler(listener.name, listener.standing)

    def _stand(self, action: Literal["paused", "resumed"], listener: Listener, reason: str) -> None:
        entry = Entry(
            action=action,
            time=rfc3339(self._clock.now()),
            handler=listener.name,
            reason=reason,
            installed=listener.handler.installed_s,
        )
        self._enter(entry)
        self._books.handler(listener.name, listener.standing)

    def _batch(self, listener: Listener, done: list[Delivery], outcome: Outcome) -> None:
        entry = self._of_batch(listener, done, msgspec.structs.replace(outcome, verdict="done"))
        entry.then = "settled"
        if outcome.verdict == "done":
            entry.stdout, entry.stderr = outcome.stdout, outcome.stderr
        self._count(listener, entry)
        self._enter(entry)
        plan = Plan(then="settled")
        for delivery in done:
            listener.subscription.settle(delivery, plan, 0.0)
        self._books.settled(listener.name, done)
        self.settled += entry.events
        self._free(listener)
        listener.moved.add(entry.domain)

    def _batch_failed(
        self, listener: Listener, deliveries: list[Delivery], outcome: Outcome
    ) -> None:
        """Nobody knows which of them is to blame: none loses an attempt, and each runs alone."""
        entry = self._of_batch(listener, deliveries, outcome)
        entry.then, entry.error = "retry", outcome.error
        entry.exit, entry.signal = outcome.exit, outcome.signal
        entry.stdout, entry.stderr = outcome.stdout, outcome.stderr
        self._enter(entry)
        for delivery in deliveries:
            listener.subscription.unbegin(delivery, 0.0, alone=True)
        self._books.waiting(listener.name, deliveries[0])

    def _of_batch(self, listener: Listener, deliveries: list[Delivery], outcome: Outcome) -> Entry:
        first, last = deliveries[0], deliveries[-1]
        return Entry(
            action="batch",
            time=rfc3339(self._clock.now()),
            handler=listener.name,
            domain=first.domain,
            segment=first.position.segment,
            offset=first.position.offset,
            end=last.end,
            mark=last.behind.mark,
            event=last.behind.event,
            source=last.behind.source,
            events=sum(delivery.events for delivery in deliveries),
            verdict=outcome.verdict,
            ms=outcome.ms,
        )

    def _bury(self, listener: Listener, delivery: Delivery, outcome: Outcome, time: str) -> None:
        self.letters += 1
        self._books.bury(
            DeadLetter(
                letter=letter_of(
                    listener.name, delivery.domain, delivery.source, delivery.event, delivery.replay
                ),
                time=time,
                handler=listener.name,
                domain=delivery.domain,
                segment=delivery.position.segment,
                offset=delivery.position.offset,
                attempts=delivery.attempt,
                replay=delivery.replay,
                verdict=outcome.verdict,
                exit=outcome.exit,
                signal=outcome.signal,
                error=outcome.error,
                stdout=outcome.stdout,
                stderr=outcome.stderr,
                traceback=outcome.traceback,
                fingerprint=fingerprint_of(listener.name, outcome),
                event=msgspec.Raw(delivery.raw or b"null"),
            )
        )

    def _enter(self, entry: Entry) -> None:
        self._books.write(entry)
        self._spectator.entered(entry)


def parted(
    subscription: Subscription, deliveries: list[Delivery], done: int
) -> tuple[list[Delivery], list[Delivery]]:
    """The deliveries of the first `done` events, and the others; the first of those is of one."""
    behind = deque(deliveries)
    before: list[Delivery] = []
    while behind and done:
        if behind[0].events > done:
            behind.insert(1, subscription.split(behind[0], done))
        done -= behind[0].events
        before.append(behind.popleft())
    if behind and behind[0].events > 1:
        behind.insert(1, subscription.split(behind[0], 1))
    return before, list(behind)


def _only_done(ended: Ended, *, alone: bool) -> Outcome:
    """The outcome of the one event that was done; what was said belongs to the one that was not, if
    there is one."""
    if alone:
        return ended.outcome
    return Outcome(verdict="done", ms=ended.outcome.ms)


def _entry(
    listener: Listener, delivery: Delivery, outcome: Outcome, plan: Plan, time: str
) -> Entry:
    return Entry(
        action="attempt",
        time=time,
        handler=listener.name,
        domain=delivery.domain,
        segment=delivery.position.segment,
        offset=delivery.position.offset,
        event=delivery.event,
        source=delivery.source,
        type=delivery.type,
        attempt=delivery.attempt,
        verdict=outcome.verdict,
        exit=outcome.exit,
        signal=outcome.signal,
        ms=round(outcome.ms, _ROUND_MS),
        then=plan.then,
        due=delivery.due_at_s if plan.then == "retry" else None,
        replay=delivery.replay,
        error=outcome.error,
        stdout=outcome.stdout,
        stderr=outcome.stderr,
        traceback=outcome.traceback,
    )


def fingerprint_of(handler: str, outcome: Outcome) -> str:
    """What tells this fault from others."""
    return fingerprint(handler, outcome.verdict, outcome.exit, outcome.signal, outcome.error)
