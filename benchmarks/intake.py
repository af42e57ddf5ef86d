"""Sign-ups over HTTP to acknowledged in Kafka: one intake process beside a bare ASGI app."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from benchmarks.figures import Figure, Findings, spread
from benchmarks.load import MARK
from benchmarks.processes import Running, answer_of, free_port, running, service
from demo.kafka import EmbeddedKafka
from demo.london import SOURCE, synthesize
from services.intake.envelopes import BATCH, STRUCTURED
from shared.kafka.admin import ensure_topics
from shared.settings import KafkaSettings

CONNECTIONS = 64
BATCH_EVENTS = 100
KEY = "benchmark"


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked for, and on how many connections at once."""

    name: str
    content_type: str
    connections: int
    needed: float
    """Of what the bare side does."""


LOADS = (
    Load("event by event", STRUCTURED, CONNECTIONS, 0.6),
    Load("event by event, 256 connections", STRUCTURED, 256, 0.6),
    Load(f"in batches of {BATCH_EVENTS}", BATCH, CONNECTIONS, 0.85),
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long it is measured."""

    people: int = 10_000
    rounds: int = 7
    warm_up_seconds: float = 1.0
    seconds: float = 3.0


QUICK = Bounds(people=500, rounds=2, warm_up_seconds=0.3, seconds=0.7)


@dataclass(slots=True)
class Side:
    """What was measured of one program with one kind of request, round by round."""

    process: Running
    rates: list[float] = field(default_factory=list)
    """Sign-ups acknowledged a second."""
    micros: list[float] = field(default_factory=list)
    """Processor time of the program, microseconds a sign-up."""
    milliseconds: list[float] = field(default_factory=list)
    """Median time of one request."""
    shares: list[tuple[float, float, float]] = field(default_factory=list)
    """Cores in use: by the program, by Kafka, by the load generator."""


def run(bounds: Bounds, tell: Callable[[str], None]) -> Findings:
    """Measure both sides, one after the other, in turns. Takes rounds x 6 x (warm-up + seconds), and 15 s."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, EmbeddedKafka() as kafka:
        asyncio.run(ensure_topics(KafkaSettings(bootstrap_servers=kafka.bootstrap_servers)))
        files = _write_bodies(Path(folder), bounds.people)
        environment = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "INTAKE_API_KEYS": orjson.dumps({SOURCE: KEY}).decode(),
            "INTAKE_EVENTS_PER_SECOND_MAX": "1000000",
        }
        port = free_port()
        with (
            service("intake", environment) as ours,
            running(["-m", "benchmarks.bare_app", "--port", str(port)], port=port, environment=environment) as bare,
        ):
            assert kafka.pid is not None
            sides = {(load, who.pid): Side(who) for load in LOADS for who in (ours, bare)}
            for number in range(bounds.rounds):
                for load in LOADS:
                    bodies, connections = files[load.content_type], load.connections
                    # Who goes first alternates: what is left over from one side falls on both.
                    for who in (ours, bare) if number % 2 == 0 else (bare, ours):
                        side = sides[load, who.pid]
                        measure(side, load.content_type, bodies, bounds, kafka.pid, connections=connections)
                tell(f"round {number + 1} of {bounds.rounds}")
            return _findings({load: (sides[load, ours.pid], sides[load, bare.pid]) for load in LOADS})


def _write_bodies(folder: Path, people: int) -> dict[str, Path]:
    events = [event | {"id": f"{number}-{MARK.decode()}"} for number, event in enumerate(synthesize(people, 1))]
    files = {STRUCTURED: folder / "one", BATCH: folder / "batch"}
    files[STRUCTURED].write_bytes(b"\n".join(map(orjson.dumps, events)))
    starts = range(0, people, BATCH_EVENTS)
    files[BATCH].write_bytes(b"\n".join(orjson.dumps(events[start : start + BATCH_EVENTS]) for start in starts))
    return files


def measure(
    side: Side,
    kind: str,
    bodies: Path,
    bounds: Bounds,
    kafka_pid: int,
    *,
    key: str = KEY,
    connections: int = CONNECTIONS,
) -> None:
    """Load one program for one round. Raises `RuntimeError` if not everything was accepted."""
    arguments: dict[str, Any] = {
        "port": side.process.port,
        "bodies": bodies,
        "content-type": kind,
        "key": key,
        "connections": connections,
        "warm-up": bounds.warm_up_seconds,
        "seconds": bounds.seconds,
    }
    options = [text for name, value in arguments.items() for text in (f"--{name}", str(value))]
    found = answer_of(["-m", "benchmarks.load", *options, "--watch", str(side.process.pid), str(kafka_pid)])
    if set(found["statuses"]) != {"202"}:
        raise RuntimeError(f"not everything was accepted: {found['statuses']}")
    sign_ups = found["answered"] * (BATCH_EVENTS if kind == BATCH else 1)
    side.rates.append(sign_ups / found["seconds"])
    side.milliseconds.append(found["p50_ms"])
    program, kafka = (seconds or 0.0 for seconds in found["watched_processor_seconds"])
    side.micros.append(program / sign_ups * 1e6)
    cores = (program, kafka, found["own_processor_seconds"])
    side.shares.append((cores[0] / found["seconds"], cores[1] / found["seconds"], cores[2] / found["seconds"]))


def _findings(sides: dict[Load, tuple[Side, Side]]) -> Findings:
    figures, notes = [], []
    for load, (ours, bare) in sides.items():
        name = load.name
        figures.append(Figure(name, "sign-ups/s", spread(ours.rates), spread(bare.rates), needed=load.needed))
        figures.append(Figure(f"{name}, median answer", "ms", spread(ours.milliseconds), spread(bare.milliseconds)))
        figures.append(Figure(f"{name}, processor time", "us/sign-up", spread(ours.micros), spread(bare.micros)))
        for who, side in (("ours", ours), ("bare", bare)):
            used = [spread([share[place] for share in side.shares]).median for place in range(3)]
            notes.append(
                f"{name}, {who}: cores used by the program {used[0]:.2f}, by Kafka {used[1]:.2f}, "
                f"by the load generator {used[2]:.2f}"
            )
    return Findings(
        "intake",
        f"sign-ups over HTTP to acknowledged in Kafka, one process, {CONNECTIONS} connections unless told",
        tuple(figures),
        (
            "Program, Kafka and load generator are processes of their own and share the machine's cores, unpinned.",
            "Both send two records for each sign-up, acks=all and idempotent, to the same topics of the same broker. "
            "The bare app neither routes, nor knows keys, nor parses or checks an event (batches it parses). It awaits "
            "aiokafka's send() for each record; ours shares batches between requests, and also claims each event: "
            "one more entry on a topic, read back before its records go. Its garbage collector is as "
            "Python sets it, ours as shared/serving.py does.",
            *notes,
        ),
    )
