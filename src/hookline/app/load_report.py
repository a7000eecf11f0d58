"""What a load test has come to, in figures."""

from collections import Counter
from collections.abc import Iterable, Sequence
from math import ceil, inf

import msgspec

from hookline.app.load_account import HEARTBEAT, Account, Delivered
from hookline.app.survey import find_handlers
from hookline.model.types import matches

GRACE_S = 1.0
"""So long after the threshold a worker that has fallen silent must have been told of."""


class Spread(msgspec.Struct, kw_only=True):
    """Percentiles by nearest rank (Hyndman and Fan, "Sample Quantiles", 1996, definition 1)."""

    p50: float
    p90: float
    p99: float
    max: float


class Deliveries(msgspec.Struct, kw_only=True):
    """How one handler had the heartbeats."""

    handler: str
    delivered: int
    missing: int
    """In the log, and neither delivered nor a dead letter."""
    dead_letters: int
    doubled: int
    disorder: int
    """Delivered behind a later one of the same worker."""
    latency_ms: Spread | None
    """From the event's time to the end of its delivery."""


class Silence(msgspec.Struct, kw_only=True):
    """A worker that was stopped on purpose."""

    worker: str
    told_after_s: float | None
    """From its last heartbeat; null: nobody has told of it."""


class Usage(msgspec.Struct, kw_only=True):
    """What it took of the machine, in processors (1.0: one of them, all the time) and MiB."""

    dispatcher_cpu: float
    with_handlers_cpu: float
    workers_cpu: float
    dispatcher_mib: float
    with_handlers_mib: float


class LoadReport(msgspec.Struct, kw_only=True):
    """The figures of one load test."""

    run: str
    workers: int
    lasted_s: float
    """From the first heartbeat to the last."""
    said: int
    failed: int
    """Said, and neither log nor drop box took it."""
    logged: int
    replaced: int
    """Said without a logger, and replaced in the drop box by a newer one before anybody came."""
    lost: int
    doubled: int
    disorder: int
    """In the log behind a later one of the same worker."""
    per_s: float
    emit_us: Spread | None
    served: bool
    """Whether a dispatcher was there when it began."""
    deliveries: list[Deliveries]
    threshold_s: float
    silent: list[Silence]
    false_alarms: int
    """Workers that were told of and have never been silent."""
    usage: Usage | None
    problems: list[str]


def report_of(account: Account) -> LoadReport:
    """Judge what the account has read."""
    plan, beats = account.plan, account.beats
    times = Counter(beat.event for beat in beats)
    said = [each for each in account.said if each.how != "failed"]
    missing = [each for each in said if each.event not in times]
    lasted_s = max((b.time_s for b in beats), default=0) - min((b.time_s for b in beats), default=0)
    handlers = find_handlers(account.home).handlers if account.served else []
    report = LoadReport(
        run=plan.run,
        workers=plan.workers,
        lasted_s=round(lasted_s, 1),
        said=len(account.said),
        failed=len(account.said) - len(said),
        logged=len(times),
        replaced=sum(1 for each in missing if each.how == "dropped"),
        lost=sum(1 for each in missing if each.how == "logged"),
        doubled=len(beats) - len(times),
        disorder=_disorder((beat.worker, beat.number) for beat in beats),
        per_s=round((len(beats) - 1) / lasted_s, 2) if lasted_s else 0.0,
        emit_us=spread([each.us for each in said]),
        served=account.served,
        deliveries=[
            _deliveries(account, each.name)
            for each in handlers
            if any(matches(pattern, HEARTBEAT) for pattern in each.patterns)
        ],
        threshold_s=plan.threshold_s,
        silent=_silences(account),
        false_alarms=_false_alarms(account),
        usage=_usage(account.usage()),
        problems=[],
    )
    report.problems = _problems(report)
    return report


def spread(values: Sequence[float]) -> Spread | None:
    """None: there are none."""
    if not values:
        return None
    ranked = sorted(values)

    def at(part: float) -> float:
        return round(ranked[max(ceil(part * len(ranked)), 1) - 1], 3)

    return Spread(p50=at(0.5), p90=at(0.9), p99=at(0.99), max=at(1.0))


def _deliveries(account: Account, handler: str) -> Deliveries:
    ends = account.delivered.get(handler, [])
    well = [each for each in ends if each.well]
    times = Counter(each.beat for each in well)
    return Deliveries(
        handler=handler,
        delivered=len(times),
        missing=len(account.beats) - len({each.beat for each in ends}),
        dead_letters=len(ends) - len(well),
        doubled=len(well) - len(times),
        disorder=_disorder((account.beats[each.beat].worker, each.beat) for each in well),
        latency_ms=spread([_latency_ms(account, each) for each in well]),
    )


def _latency_ms(account: Account, end: Delivered) -> float:
    return (end.time_s - account.beats[end.beat].time_s) * 1000


def _disorder(found: Iterable[tuple[str, int]]) -> int:
    """How many come behind a later one of their worker."""
    newest: dict[str, int] = {}
    behind = 0
    for worker, number in found:
        behind += number < newest.get(worker, number)
        newest[worker] = max(number, newest.get(worker, number))
    return behind


def _silences(account: Account) -> list[Silence]:
    found = []
    for worker, stopped_s in sorted(account.stopped().items()):
        last_s = max(
            (b.time_s for b in account.beats if b.worker == worker and b.time_s <= stopped_s),
            default=stopped_s,
        )
        told_s = min((each.time_s for each in account.told if each.worker == worker), default=inf)
        after_s = None if told_s == inf else round(told_s - last_s, 3)
        found.append(Silence(worker=worker, told_after_s=after_s))
    return found


def _false_alarms(account: Account) -> int:
    stopped, ended_s = account.stopped(), account.ended_s()
    told = {each.worker for each in account.told if each.time_s < ended_s}
    return len(told - stopped.keys())


def _usage(samples: list[list[float]]) -> Usage | None:
    """Each sample: time, CPU seconds of the dispatcher, of it and its handlers, of the workers, and
    KiB of the first two."""
    if len(samples) < 2:
        return None
    lasted_s = samples[-1][0] - samples[0][0]
    # What has ended is seen no more.
    most = [max(sample[n] for sample in samples) - samples[0][n] for n in (1, 2, 3)]
    cpu = [round(each / lasted_s, 3) for each in most]
    mib = [round(max(sample[n] for sample in samples) / 1024, 1) for n in (4, 5)]
    return Usage(
        dispatcher_cpu=cpu[0], with_handlers_cpu=cpu[1], workers_cpu=cpu[2],
        dispatcher_mib=mib[0], with_handlers_mib=mib[1],
    )  # fmt: skip


def _problems(report: LoadReport) -> list[str]:
    found = [
        (report.failed, "heartbeats could not be said"),
        (report.lost, "heartbeats are not in the log"),
        (report.doubled, "heartbeats are in the log twice"),
        (report.disorder, "heartbeats are in the log behind a later one"),
        (report.false_alarms, "workers were told to be silent and were not"),
    ]
    for each in report.deliveries:
        found += [
            (each.missing, f"heartbeats were not delivered to {each.handler}"),
            (each.dead_letters, f"heartbeats are dead letters of {each.handler}"),
            (each.disorder, f"heartbeats came to {each.handler} behind a later one"),
        ]
    if report.served:
        limit_s = report.threshold_s + GRACE_S
        late = sum(
            each.told_after_s is None or each.told_after_s > limit_s for each in report.silent
        )
        found.append((late, f"silent workers were not told of within {limit_s:g} s"))
    silence = [] if report.said else ["no worker has said anything"]
    return silence + [f"{count} {what}" for count, what in found if count]
