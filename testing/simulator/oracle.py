"""What a world must not have come to: the oracle's word on each handler, and on the index."""

import json
from collections import Counter, defaultdict

from hookline.app.selftest.history import History
from hookline.dispatch.ledger import Ledger
from hookline.dispatch.paper import catch_up
from hookline.model.position import Position

DECISIONS = ("replay", "drop")


def problems(world):
    """What should not be."""
    found = []
    again = _read_again(world)
    buried = [letter for letter, _ in world.paper.letters_ever()]
    for name, handler in world.handlers.items():
        history = History(
            acknowledged=_wanted(world, handler),
            runs=world.runs_of[name],
            known=world.known,
            letters={_event_id(each) for each in buried if each.handler == name},
            order={} if world.power_cuts else _order(world, handler, again),
            attempts_max=handler.policy.attempts,
            replayed=set(world.replayed),
        )
        # What a power cut took of the index were attempts, too.
        told = [each for each in history.problems() if not _is_unbounded(world, again, each)]
        if not world.crashes:
            told += _doubled(world, name, again)
        found += [f"{name}: {each}" for each in told]
    kept = world.index.load()
    found += _unsettled(world, kept)
    return found + _unanswered(world) + differences(world, kept)


def _unsettled(world, kept):
    """What waits in the index, and is not an event that its log has lost."""
    there = {
        (domain, record.position, record.event.id)
        for domain, log in world.logs.items()
        for record in log.events()
    }
    return [
        f"{name}: {each.event} is open in the index"
        for name in world.handlers
        for each in kept.progress(name).pending.values()
        if each.replay or (each.domain, each.position, each.event) in there
    ]


def _wanted(world, handler):
    return {
        each
        for each, (domain, _) in world.acknowledged.items()
        if handler.wants(f"{domain}.happened")
    }


def _event_id(letter):
    """Of what has no line any more, the letter's name tells it."""
    return letter.letter.removeprefix(f"{letter.handler}:").partition("~")[0]


def _read_again(world):
    """The events that may be delivered again, at any time and out of their order: somebody has
    changed the log in which they lie, or they were stored twice in such a log."""
    found = set(world.reread)
    for domain, log in world.logs.items():
        shaken = [segment for name, segment in world.shaken if name == domain]
        times = Counter()
        for record in log.events():
            times[record.event.id] += 1
            if record.position.segment in shaken or (shaken and times[record.event.id] > 1):
                found.add(record.event.id)
    return found


def _is_unbounded(world, again, problem):
    """Whether it says that there were too many runs of an event that may have had as many."""
    if " runs of " not in problem:
        return False
    event = problem.split(" runs of ")[1].split(":")[0]
    if world.power_cuts or event in again or world.replayed[event] > 1:
        return True
    # While a closed segment of the journal has a writer, every start folds what stands behind it
    # once more: a run that was given back there is not told from a later one of the same number.
    return world.was_late and any(
        entry.event == event and entry.then == "held" for entry in world.paper.entries()
    )


def _order(world, handler, again):
    order = {}
    for domain, log in world.logs.items():
        for record in log.events():
            identity = record.event.id
            # A replay comes outside the order, and may be an event's first run.
            if identity in world.replayed or identity not in world.acknowledged:
                continue
            if handler.wants(record.event.type) and identity not in again:
                key = json.loads(record.raw)["data"]["key"] if handler.key else "None"
                order.setdefault(f"{domain} {key}", []).append(identity)
    return {key: list(dict.fromkeys(events)) for key, events in order.items()}


def _doubled(world, name, again):
    done = Counter(run.event for run in world.runs_of[name] if run.exit == 0 and run.ended_ns)
    twice = [each for each, times in done.items() if times > 1]
    may = again | set(world.replayed)
    return [f"{each} was done twice" for each in sorted(set(twice) - may)]


def _unanswered(world):
    """What was asked for and never came to anything, or more often; and what was refused, though
    its line is there."""
    asked, answered, dropped, found = defaultdict(set), defaultdict(set), set(), []
    for entry in world.paper.entries():
        place = entry.handler, entry.domain, entry.position, entry.replay
        if entry.action == "drop":
            dropped.add(entry.letter)
        elif entry.action == "replay":
            asked[place].add("" if entry.letter else entry.time)
        elif entry.action == "attempt" and entry.then in ("settled", "dead-letter"):
            # By its time: what a full disk took a part of stands there twice.
            answered[place].add(entry.time)
            is_whole = ":" in entry.replay or not _is_shaken(world, *place[1:3])
            if entry.error.startswith("its line is not") and is_whole and not world.power_cuts:
                found.append(f"{entry.handler}: {entry.event} was refused for want of its line")
    for place, times in asked.items():
        came = len(answered[place])
        if not came and place[-1] not in dropped:
            found.append("{}: the replay of {} {} as {} never came".format(*place))
        if came > len(times) and not world.crashes:
            found.append("{}: the replay of {} {} as {} came again".format(*place))
    return found


def differences(world, kept):
    """What a ledger that came of the index says otherwise than the journal alone."""
    found = []
    folded = catch_up(Ledger(), world.paper)
    # A snapshot keeps silent about those that were purged.
    there = {letter.letter for letter in world.paper.dead()}
    if kept.closed & there != folded.closed & there:
        found.append("the index knows other letters as decided on than the journal")
    for name, handler in world.handlers.items():
        ours, theirs = kept.progress(name), folded.progress(name)
        more = _owed(world, handler, ours) ^ _owed(world, handler, theirs)
        # A stretch that is done moves the journal's cursor at once, the index's when its log is on
        # disk: where a power cut took that, whoever begins with the journal reads it again.
        more = {each for each in more if _is_there(world, each[0], theirs.cursors.get(each[0]))}
        if more:
            found.append(f"{name}: the index owes other events than the journal: {min(more)}")
        # A power cut may take of the journal what the index had of it already.
        more = _waiting(world, ours) ^ _waiting(world, theirs)
        if more and world.was_late:
            more = {each for each in more if each[0][-1] not in _contested(world)}
        if more and not world.power_cuts:
            found.append(f"{name}: other events wait in the index than in the journal: {min(more)}")
        for what in _comparable(world):
            if getattr(ours, what) != getattr(theirs, what):
                found.append(f"{name}: {what} is not in the index what it is in the journal")
    return found


def _comparable(world):
    """What of a handler index and journal must agree on."""
    yield from ("since_s", "starts")
    # A late command stands before what was obeyed before it.
    if not world.was_late:
        yield from ("paused", "held", "failures")


def _contested(world):
    """The letters that were both replayed and dropped: the first word counts, and a late one stands
    in the journal before the one that was obeyed."""
    entries = world.paper.entries()
    said = {action: {x.letter for x in entries if x.action == action} for action in DECISIONS}
    return set.intersection(*said.values())


def _waiting(world, progress):
    """What was tried, and how often. Of a run under way the journal knows what was before."""
    return {
        (place, each.attempt - each.running)
        for place, each in progress.pending.items()
        if each.replay or (each.attempt > each.running and not _is_shaken(world, *place[:2]))
    }


def _is_shaken(world, domain, position):
    return (domain, position.segment) in world.shaken


def _is_there(world, domain, cursor):
    """Whether the log has the event that the cursor tells it by."""
    if cursor is None or not cursor.event:
        return True
    mark = Position(cursor.position.segment, cursor.mark)
    found = (each for each in world.logs[domain].events() if each.position == mark)
    return any(each.event.id == cursor.event for each in found)


def _owed(world, handler, progress):
    """The events that are not settled. A cursor may lag where nothing is wanted."""
    owed = set()
    for domain, cursor in progress.cursors.items():
        settled, seen = progress.settled.get(domain, {}), set()
        for record in world.logs[domain].events():
            is_twin = record.event.id in seen
            seen.add(record.event.id)
            is_other = _is_shaken(world, domain, record.position)
            if is_twin or is_other or not handler.wants(record.event.type):
                continue
            is_settled = settled.get(record.position) == record.event.id
            if record.position >= cursor.position and not is_settled:
                owed.add((domain, record.event.id))
    return owed
