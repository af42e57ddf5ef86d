"""What a partner's webhook, and contacts that are sealed, cost a sign-up: beside one without, in the same run."""

from __future__ import annotations

import asyncio
import base64
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import orjson

from benchmarks import intake
from benchmarks.figures import Figure, Findings, spread
from benchmarks.intake import BATCH_EVENTS, CONNECTIONS, KEY, Side, measure
from benchmarks.load import MARK
from benchmarks.processes import Running, service
from demo.kafka import EmbeddedKafka
from demo.london import SOURCE, synthesize
from services.intake.envelopes import BATCH, STRUCTURED
from services.intake.keyring import partner_with_key
from shared.kafka.admin import ensure_topics
from shared.kafka.connection import new_producer
from shared.settings import KafkaSettings
from shared.topics import PARTNERS

HOOKED_SOURCE, HOOKED_KEY = "hooked-app", "lc_hooked-benchmark"
MASTER_KEY = base64.b64encode(bytes(32)).decode()
KINDS = {STRUCTURED: "event by event", BATCH: f"in batches of {BATCH_EVENTS}"}


@dataclass(frozen=True, slots=True)
class Bounds(intake.Bounds):
    """How long it is measured."""

    rounds: int = 5
    warm_up_seconds: float = 0.7
    seconds: float = 2.0


QUICK = Bounds(people=500, rounds=2, warm_up_seconds=0.3, seconds=0.7)


class _Way(NamedTuple):
    """One way to be signed up."""

    name: str
    sealed: bool = False
    hooked: bool = False
    new: bool = False
    """Every sign-up is of somebody new; otherwise the same people sign up again and again."""


PLAIN, PLAIN_NEW = _Way("neither"), _Way("neither, new members", new=True)
BESIDE = {
    _Way("with a webhook", hooked=True): PLAIN,
    _Way("sealed, members who have a key", sealed=True): PLAIN,
    _Way("sealed, new members", sealed=True, new=True): PLAIN_NEW,
}
"""Each way, and what it is compared with."""


@dataclass(frozen=True, slots=True)
class _Program:
    """An intake, and the broker that it has to itself: of another instance's work it sees nothing."""

    intake: Running
    kafka_pid: int


def run(bounds: Bounds, tell: Callable[[str], None]) -> Findings:
    """Measure all ways in turns. Takes rounds x 10 x (warm-up + seconds), and 30 s."""
    ways = [PLAIN, PLAIN_NEW, *BESIDE]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-")))
        programs = {sealed: _start(stack, sealed=sealed) for sealed in (False, True)}
        sides = {(kind, way): Side(programs[way.sealed].intake) for kind in KINDS for way in ways}
        bodies = {(kind, way): _write_bodies(folder, kind, way, bounds.people) for kind, way in sides}
        for number in range(bounds.rounds):
            for kind in KINDS:
                for way in ways if number % 2 == 0 else ways[::-1]:
                    key = HOOKED_KEY if way.hooked else KEY
                    kafka_pid = programs[way.sealed].kafka_pid
                    measure(sides[kind, way], kind, bodies[kind, way], bounds, kafka_pid, key=key)
            tell(f"round {number + 1} of {bounds.rounds}")
        return _findings(sides)


def _start(stack: ExitStack, *, sealed: bool) -> _Program:
    kafka = stack.enter_context(EmbeddedKafka())
    settings = KafkaSettings(bootstrap_servers=kafka.bootstrap_servers)
    asyncio.run(_make_ready(settings))
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "INTAKE_API_KEYS": orjson.dumps({SOURCE: KEY}).decode(),
        "INTAKE_EVENTS_PER_SECOND_MAX": "1000000",
        **({"CONTACTS_KEYS": orjson.dumps({"benchmark": MASTER_KEY}).decode()} if sealed else {}),
    }
    assert kafka.pid is not None
    return _Program(stack.enter_context(service("intake", environment)), kafka.pid)


async def _make_ready(settings: KafkaSettings) -> None:
    """The topics, and a partner with a webhook that is never called: there is no news of anybody."""
    await ensure_topics(settings)
    hooked = partner_with_key(HOOKED_SOURCE, HOOKED_KEY).model_copy(
        update={"webhook_url": "https://hooked-app.example/news", "webhook_since_ms": 1}
    )
    async with new_producer(settings) as producer:
        await producer.send_and_wait(PARTNERS.name, hooked.model_dump_json().encode(), key=HOOKED_SOURCE.encode())


def _write_bodies(folder: Path, kind: str, way: _Way, people: int) -> Path:
    mark = MARK.decode()
    events = [
        event
        | {"id": f"{number}-{mark}"}
        | ({"source": HOOKED_SOURCE} if way.hooked else {})
        | ({"subject": f"{number}-{mark}"} if way.new else {})
        for number, event in enumerate(synthesize(people, 1))
    ]
    file = folder / f"{kind.rpartition('/')[2]} {way.name}"
    size = BATCH_EVENTS if kind == BATCH else 1
    parcels = [events[start : start + size] for start in range(0, people, size)]
    file.write_bytes(b"\n".join(orjson.dumps(parcel if kind == BATCH else parcel[0]) for parcel in parcels))
    return file


def _findings(sides: dict[tuple[str, _Way], Side]) -> Findings:
    figures = []
    for kind, how in KINDS.items():
        for way, plain in BESIDE.items():
            ours, beside = sides[kind, way], sides[kind, plain]
            name = f"{way.name}, {how}"
            figures.append(Figure(name, "sign-ups/s", spread(ours.rates), spread(beside.rates)))
            figures.append(Figure(f"{name}, processor time", "us/sign-up", spread(ours.micros), spread(beside.micros)))
    return Findings(
        "extras",
        f"sign-ups over HTTP to acknowledged in Kafka, one process, {CONNECTIONS} connections, beside plain ones",
        tuple(figures),
        (
            "A webhook: a third record, the partner's reference; the same process reads it back for its courier.",
            "Sealed: AES-256-GCM under the member's key, and for new members a key that is written and acknowledged "
            "first. A broker each, so that no instance sees the other's claims.",
        ),
    )
