"""Sign-up to the mailbox: through all three services, at a steady rate."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson

from benchmarks.figures import Figure, Findings, percentile, spread
from benchmarks.processes import answer_of
from demo.kafka import EmbeddedKafka
from demo.london import SOURCE, synthesize
from demo.observer import Observer
from demo.stack import Pace, Stack
from services.intake.envelopes import STRUCTURED
from shared.contracts import Contact, Delivery, DeliveryState, Record, Suggestion

_CATCH_UP_SECONDS_MAX = 120.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many people sign up, how fast."""

    per_second: int = 100
    seconds: int = 60
    after_seconds: float = 10.0
    """How long to wait for the last emails."""


QUICK = Bounds(per_second=20, seconds=5, after_seconds=5.0)


class _Times:
    """When each member was accepted, and when a server first took an email for them; both from the topics."""

    def __init__(self) -> None:
        self.accepted_ms: dict[str, int] = {}
        self.first_ms: dict[str, int] = {}
        self.suggested_ms: dict[str, int] = {}
        self.sent: list[tuple[str, int]] = []
        """Of every email: its introduction, and when a server took it."""

    def observe(self, record: Record) -> None:
        if isinstance(record, Contact):
            self.accepted_ms.setdefault(record.member, record.accepted_at_ms)
        elif isinstance(record, Suggestion):
            self.suggested_ms[record.suggestion] = record.suggested_at_ms
        elif isinstance(record, Delivery) and record.state is DeliveryState.SENT:
            known = self.first_ms.get(record.member, record.recorded_at_ms)
            self.first_ms[record.member] = min(known, record.recorded_at_ms)
            self.sent.append((record.introduction, record.recorded_at_ms))


def run(bounds: Bounds, tell: Callable[[str], None]) -> Findings:
    """Everything as in the demo, real processes all; nobody answers."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, EmbeddedKafka() as kafka:
        return asyncio.run(_run(bounds, tell, Path(folder), kafka.bootstrap_servers))


async def _run(bounds: Bounds, tell: Callable[[str], None], folder: Path, bootstrap_servers: str) -> Findings:
    times = _Times()
    pace = Pace(answer_within_seconds=24 * 3600, waiting_round_seconds=24 * 3600)
    async with Stack(folder, bootstrap_servers, partners=[SOURCE], pace=pace) as stack:
        observer = Observer(stack.kafka, times.observe)
        watching = asyncio.create_task(observer.run())
        events = synthesize(bounds.per_second * bounds.seconds, 1)
        tell(f"{bounds.per_second} sign-ups a second for {bounds.seconds} s")
        bodies = folder / "bodies"
        bodies.write_bytes(b"\n".join(map(orjson.dumps, events)))
        answered = await asyncio.to_thread(_sign_up, stack, bodies, bounds.per_second)
        await asyncio.sleep(bounds.after_seconds)
        await observer.caught_up(within_seconds=_CATCH_UP_SECONDS_MAX)
        watching.cancel()
    waits = [(first - times.accepted_ms[member]) / 1000 for member, first in times.first_ms.items()]
    ways = [(sent - times.suggested_ms[introduction]) / 1000 for introduction, sent in times.sent]
    return Findings(
        "latency",
        f"sign-up to the mail server's 250 for its first email, {bounds.per_second} sign-ups a second",
        (
            Figure("p50", "s", spread([percentile(waits, 0.5)])),
            Figure("p99", "s", spread([percentile(waits, 0.99)])),
            Figure("p50 of the part from the beginning of the round on", "s", spread([percentile(ways, 0.5)])),
            Figure("p99 of that part", "s", spread([percentile(ways, 0.99)])),
            Figure("written to within the run", "of all", spread([len(waits) / len(events)])),
            Figure("p99 of the answer over HTTP", "s", spread([answered["p99_ms"] / 1000])),
            Figure("sign-ups a second, as sent", "1/s", spread([len(events) / answered["seconds"]])),
        ),
        (
            "A member waits for a round (every second), and for somebody who suits them: that is part of it. Who is "
            "left over by every round gets no email and is not in the percentiles: see `written to within the run`.",
            "The long tail is people whom nobody who had signed up yet suited; the part from the round on is the "
            "pipeline's own: propose, commit, invite, record, send.",
            "From Contact.accepted_at_ms to Delivery.recorded_at_ms on the topics. One community, one partition. "
            "Kafka, inbox, services, load and observer share the machine's cores.",
        ),
    )


def _sign_up(stack: Stack, bodies: Path, per_second: int) -> dict[str, Any]:
    """One request each, at a steady rate whether or not answers come, from a process of its own."""
    port = httpx.URL(stack.intake_url).port
    options = {
        "port": port,
        "bodies": bodies,
        "content-type": STRUCTURED,
        "key": stack.key_of[SOURCE],
        "rate": per_second,
    }
    found = answer_of(
        ["-m", "benchmarks.load", *(text for name in options for text in (f"--{name}", str(options[name])))]
    )
    if set(found["statuses"]) != {"202"}:
        raise RuntimeError(f"not everything was accepted: {found['statuses']}")
    return found
