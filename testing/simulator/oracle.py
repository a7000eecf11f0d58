"""What a world must not have come to: the oracle's word on each handler, and on the index."""

import json
from collections import Counter

from hookline.app.selftest.history import History
from hookline.dispatch.books import catch_up
from hookline.dispatch.ledger import Ledger


def problems(world):
    """What should not be."""
    found = []
    logged = [record.event.id for log in world.logs.values() for record in log.events()]
    for name, handler in world.handlers.items():
        history = History(
            acknowledged=_wanted(world, handler),
            runs=world.runs_of[name],
            known=set(logged) | {run.event for run in world.runs_of[name]},
            letters={_event(each) for each in world.paper.dead() if each.handler == name},
            order={} if world.power_cuts else _order(world, handler),
            attempts_max=handler.policy.attempts,
            replayed=world.replayed,
        )
        # What a power cut took of the index were attempts, too.
        bounded = not world.power_cuts
        told = [each for each in history.problems() if bounded or " runs of " not in each]
        if not world.crashes:
            told += _doubled(world, name)
        found += [f"{name}: {each}" for each in told]
    kept = world.index.load()
    for name in world.handlers:
        left = [each.event for each in kept.progress(name).pending.values()]
        found += [f"{name}: {event} is open in the index" for event in left]
    return found + differences(world, kept)


def _wanted(world, handler):
    return {
        each
        for each, (domain, _) in world.acknowledged.items()
        if handler.wants(f"{domain}.happened")
    }


def _event(letter):
    return json.loads(bytes(letter.event))["id"]


def _order(world, handler):
    order = {}
    for domain, log in world.logs.items():
        for record in log.events():
            identity = record.event.id
            # A replay comes outside the order, and may be an event's first run.
            if identity in world.replayed or identity not in world.acknowledged:
                continue
            if handler.wants(record.event.type):
                key = json.loads(record.raw)["data"]["key"] if handler.key else "None"
                order.setdefault(f"{domain} {key}", []).append(identity)
    return {key: list(dict.fromkeys(events)) for key, events in order.items()}


def _doubled(world, name):
    done = Counter(run.event for run in world.runs_of[name] if run.exit == 0 and run.ended_ns)
    twice = [each for each, times in done.items() if times > 1 and each not in world.replayed]
    return [f"{each} was done twice" for each in sorted(twice)]


def differences(world, kept):
    """What a ledger that came of the index says otherwise than the journal alone."""
    found = []
    folded = catch_up(Ledger(), world.paper)
    if kept.closed != folded.closed:
        found.append("the index knows other letters as decided on than the journal")
    for name, handler in world.handlers.items():
        ours, theirs = kept.progress(name), folded.progress(name)
        if _owed(world, handler, ours) != _owed(world, handler, theirs):
            found.append(f"{name}: the index owes other events than the journal")
        # A power cut may take of the journal what the index had of it already.
        if not world.power_cuts and _waiting(ours) != _waiting(theirs):
            found.append(f"{name}: other events wait in the index than in the journal")
        for what in ("since_s", "starts", "paused", "held", "failures"):
            if getattr(ours, what) != getattr(theirs, what):
                found.append(f"{name}: {what} is not in the index what it is in the journal")
    return found


def _waiting(progress):
    """What was tried, and how often. Of a run under way the journal knows what was before."""
    tried = {place: each.attempt - each.running for place, each in progress.pending.items()}
    return {place: attempts for place, attempts in tried.items() if attempts or place[-1]}


def _owed(world, handler, progress):
    """The events that are not settled. A cursor may lag where nothing is wanted."""
    owed = set()
    for domain, cursor in progress.cursors.items():
        settled, seen = progress.settled.get(domain, {}), set()
        for record in world.logs[domain].events():
            is_twin = record.event.id in seen
            seen.add(record.event.id)
            if is_twin or not handler.wants(record.event.type):
                continue
            is_settled = settled.get(record.position) == record.event.id
            if record.position >= cursor.position and not is_settled:
                owed.add((domain, record.event.id))
    return owed
