"""The figures of DESIGN.md section 10, each with its peers and its limit."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from testing.bench import limits, shell
from testing.bench.figure import OURS, Figure, Measure, Paced, Scale, Target
from testing.bench.load import Contender, append_rate, drain_rate, latency_ms
from testing.bench.ours import IN_LOTS, STREAM, Hookline
from testing.bench.peers import celery_redis, huey_sqlite, jetstream, redis_streams, rq_redis
from testing.bench.peers.celery_redis import Celery
from testing.bench.peers.huey_sqlite import Huey
from testing.bench.peers.jetstream import JetStream
from testing.bench.peers.redis_streams import RedisStreams
from testing.bench.peers.rq_redis import Rq

REDIS: Final = redis_streams.NAME
NATS: Final = jetstream.NAME
ALONE: Final = f"{REDIS}, one XADD a call"
PUSHED: Final = f"{NATS}, pushed"
WRITE: Final = "one write(2) a line"
READ: Final = "read and parse"
PRINTF: Final = "printf of the line"
BASH: Final = "bash -c :"
EMIT: Final = "hookline emit"
REDIS_CLI: Final = "redis-cli XADD"
XARGS: Final = f"xargs -P {shell.AT_ONCE}, bash"

# The peers, and about how many events each of them takes and hands over in a second.
PEERS: Final[dict[str, tuple[Contender, int, int]]] = {
    REDIS: (RedisStreams(), 60_000, 50_000),
    NATS: (JetStream(), 30_000, 20_000),
    huey_sqlite.NAME: (Huey(), 20_000, 10_000),
    celery_redis.NAME: (Celery(), 1_500, 1_000),
    rq_redis.NAME: (Rq(), 1_500, 50),
}


def figures(scale: Scale, folder: Path) -> list[Figure]:
    """All of them; what they leave behind while they run lies in `folder`."""
    return [
        *_emitting(scale),
        *_appending(scale, folder),
        *_draining(scale, folder / "notes"),
        *_waiting(scale, folder / "notes"),
        *_shell_handlers(scale, folder / "notes"),
    ]


def _emitting(scale: Scale) -> list[Figure]:
    def loop(measure: Callable[[int], float], guess: float) -> Measure:
        return Paced(measure, "ms", guess, scale.seconds)

    return [
        Figure(
            name="emit-function",
            title="`emit_event` in a sourcing shell, 200 bytes, validated",
            unit="ms",
            contenders={OURS: loop(shell.emit_function_ms, 2_000),
                        PRINTF: loop(shell.printf_ms, 20_000)},
            targets=(Target(at="<=", bound=0.4),),
            limit=PRINTF,
        ),
        Figure(
            name="emit-command",
            title="`event-logger.sh --emit` as a process",
            unit="ms",
            contenders={OURS: loop(shell.emit_command_ms, 150),
                        REDIS_CLI: loop(shell.redis_cli_ms, 200),
                        EMIT: loop(shell.hookline_emit_ms, 30),
                        BASH: loop(shell.bash_ms, 400)},
            targets=(Target(at="<=", bound=0.8, against=REDIS_CLI),),
            limit=BASH,
        ),
    ]  # fmt: skip


def _appending(scale: Scale, folder: Path) -> list[Figure]:
    def append(contender: Contender, guess: float) -> Measure:
        return _rate(partial(append_rate, contender), guess, scale)

    peers = {name: append(peer, guess) for name, (peer, guess, _) in PEERS.items()}
    limit = {WRITE: _rate(partial(limits.write_rate, folder), 500_000, scale)}
    targets = (Target(at=">=", bound=4, against=REDIS),)
    return [
        Figure(
            name="append",
            title="Python `append`, one by one",
            unit="events/s",
            contenders={OURS: append(Hookline(in_batch=False), 100_000), **peers,
                        ALONE: append(RedisStreams(lot=1), 8_000), **limit},
            targets=targets,
            limit=WRITE,
        ),
        Figure(
            name="append-batch",
            title="Python `append` in a `batch()`",
            unit="events/s",
            contenders={OURS: append(Hookline(), 200_000), REDIS: peers[REDIS], **limit},
            targets=targets,
            limit=WRITE,
        ),
    ]  # fmt: skip


def _draining(scale: Scale, notes: Path) -> list[Figure]:
    def drain(contender: Contender, guess: float) -> Measure:
        return _rate(partial(drain_rate, contender, notes), guess, scale)

    peers = {name: drain(peer, guess) for name, (peer, _, guess) in PEERS.items()}
    limit = {READ: _rate(limits.read_rate, 300_000, scale)}
    return [
        Figure(
            name="drain",
            title="drain through a Python handler, one by one",
            unit="events/s",
            contenders={OURS: drain(Hookline(), 50_000), **peers,
                        PUSHED: drain(JetStream("push"), 50_000), **limit},
            targets=(Target(at=">=", bound=5, against=REDIS),
                     Target(at=">=", bound=15, against=NATS)),
            limit=READ,
        ),
        Figure(
            name="drain-batch",
            title="drain through a Python handler, 100 at a time",
            unit="events/s",
            contenders={OURS: drain(Hookline(IN_LOTS), 50_000), REDIS: peers[REDIS], **limit},
            limit=READ,
        ),
        Figure(
            name="drain-stream",
            title="drain through a stream handler (a Python program)",
            unit="events/s",
            contenders={OURS: drain(Hookline(STREAM), 20_000), REDIS: peers[REDIS], **limit},
            limit=READ,
        ),
    ]  # fmt: skip


def _waiting(scale: Scale, notes: Path) -> list[Figure]:
    def wait(contender: Contender) -> Measure:
        return partial(latency_ms, contender, notes, scale.waits)

    def wait_in_shell(kind: str) -> Measure:
        return partial(shell.shell_latency_ms, kind, notes, scale.waits)

    peers = {name: wait(peer) for name, (peer, _, _) in PEERS.items()}
    return [
        Figure(
            name="latency",
            title="append to Python handler, p50",
            unit="ms",
            contenders={OURS: wait(Hookline()), **peers, PUSHED: wait(JetStream("push"))},
            targets=(Target(at="<=", bound=0.5, against=REDIS),),
        ),
        Figure(
            name="latency-warm",
            title="append to warm shell handler, p50",
            unit="ms",
            contenders={OURS: wait_in_shell("warm")},
            targets=(Target(at="<=", bound=0.8),),
        ),
        Figure(
            name="latency-exec",
            title="append to exec shell handler, p50",
            unit="ms",
            contenders={OURS: wait_in_shell("exec"), BASH: partial(shell.bash_ms, scale.waits)},
            limit=BASH,
        ),
    ]


def _shell_handlers(scale: Scale, notes: Path) -> list[Figure]:
    return [
        Figure(
            name=f"handlers-{kind}",
            title=f"shell handlers a second, {kind}",
            unit="events/s",
            contenders={OURS: _rate(partial(shell.handlers_rate, kind, notes), 500, scale),
                        XARGS: _rate(partial(shell.xargs_rate, kind, notes), 500, scale)},
            targets=(Target(at=">=", bound=bound, against=XARGS),),
        )
        for kind, bound in (("exec", 0.95), ("warm", 3))
    ]  # fmt: skip


def _rate(measure: Callable[[int], float], guess: float, scale: Scale) -> Measure:
    return Paced(measure, "events/s", guess, scale.seconds)
