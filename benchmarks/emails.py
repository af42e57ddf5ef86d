"""Emails a second: the notifier's sending path beside a bare aiosmtplib loop, to the same mail server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.figures import Figure, Findings, spread
from benchmarks.processes import ROOT, answer_of
from demo.kafka import EmbeddedKafka
from shared.kafka.admin import ensure_topics
from shared.settings import KafkaSettings

NEEDED = 0.8


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is sent, how often, over how many connections."""

    emails: int = 6_000
    rounds: int = 7
    pool: int = 16


QUICK = Bounds(emails=400, rounds=2)


def run(bounds: Bounds, tell: Callable[[str], None]) -> Findings:
    """Send the same emails again and again, the two sides in turns, each time in a new process."""
    import asyncio

    rates: dict[str, list[float]] = {"service": [], "bare": []}
    micros: dict[str, list[float]] = {"service": [], "bare": []}
    size = 0.0
    with EmbeddedKafka() as kafka, a_sink() as smtp_port:
        asyncio.run(ensure_topics(KafkaSettings(bootstrap_servers=kafka.bootstrap_servers)))
        environment = {"KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers}
        for number in range(bounds.rounds):
            for side in ("service", "bare") if number % 2 == 0 else ("bare", "service"):
                found = answer_of(
                    ["-m", "benchmarks.sending", side, f"--emails={bounds.emails}", f"--smtp-port={smtp_port}",
                     f"--pool={bounds.pool}"], environment,
                )  # fmt: skip
                rates[side].append(found["emails"] / found["seconds"])
                micros[side].append(found["processor_seconds"] / found["emails"] * 1e6)
                size = found.get("message_bytes", size)
            tell(f"round {number + 1} of {bounds.rounds}")
    return Findings(
        "emails",
        f"{bounds.emails:,} invitations of {size / 1000:.0f} kB over {bounds.pool} connections, one process",
        (
            Figure("sent and recorded", "emails/s", spread(rates["service"]), spread(rates["bare"]), NEEDED),
            Figure("processor time", "us/email", spread(micros["service"]), spread(micros["bare"])),
        ),
        (
            "Ours: from the outbox to the ledger. Gate, stops, rates, a transaction with `sending` (200 emails at "
            "most), the words put in, SMTP with a signed return path, a transaction with `sent`.",
            "Bare: aiosmtplib's `sendmail` with the same messages, ready as bytes; one connection for each task.",
            "The mail server is a process of its own that keeps nothing, so that it is not what is measured. It has "
            "no pipelining. Kafka on the same cores.",
        ),
    )


@contextmanager
def a_sink() -> Iterator[int]:
    """A mail server in a process of its own; gives its port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.sink"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        yield int(json.loads(process.stdout.readline())["port"])
    finally:
        if process.stdin is not None:
            process.stdin.close()
        process.wait(timeout=20)
