"""Bounces over SMTP: taken when they are durable, put off when they are not, and nothing else is taken."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiosmtplib
import pytest
from bounce_samples import BOUNCES

from services.notifier.bounce_listener import BounceTaker, listening_for_bounces
from services.notifier.bounces import Report
from services.notifier.verp import ReturnPaths
from shared import ids
from shared.contracts import Bounce, BounceKind

PATHS = ReturnPaths("bounces@london-connection.example", "a secret for the tests only")
EMAIL = ids.email_id("s_1", "m_1", "invitation")
PATH = PATHS.for_email(EMAIL, "london")
RAW = BOUNCES["postfix: no such user"][0].replace("{path}", PATH).replace("{who}", "amara@example.org").encode()


@dataclass
class Kafka:
    """Takes bounces, or does not."""

    is_down: bool = False
    bounces: list[Bounce] = field(default_factory=list)
    counted: list[Report] = field(default_factory=list)

    async def record(self, bounce: Bounce) -> None:
        if self.is_down:
            raise ConnectionError("an address that must not be logged: amara@example.org")
        self.bounces.append(bounce)


@asynccontextmanager
async def listening(kafka: Kafka, *, bytes_max: int = 100_000, connections_max: int = 5) -> AsyncIterator[int]:
    taker = BounceTaker(PATHS, ["london"], kafka.record, lambda: 42, kafka.counted.append)
    async with listening_for_bounces(
        taker, host="127.0.0.1", port=0, bytes_max=bytes_max, connections_max=connections_max
    ) as port:
        yield port


async def send(port: int, raw: bytes = RAW, to: str = PATH, sender: str = "") -> None:
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False, timeout=5) as client:
        await client.sendmail(sender, [to], raw)


async def test_a_bounce_is_recorded_before_it_is_acknowledged() -> None:
    kafka = Kafka()
    async with listening(kafka) as port:
        await send(port)
    assert kafka.bounces == [
        Bounce(community="london", email=EMAIL, kind=BounceKind.ADDRESS, status="5.1.1", received_at_ms=42)
    ]
    assert len(kafka.counted) == 1


async def test_what_cannot_be_recorded_is_to_come_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    kafka = Kafka(is_down=True)
    async with listening(kafka) as port:
        with pytest.raises(aiosmtplib.SMTPDataError) as refused:
            await send(port)
        assert refused.value.code == 451
        assert kafka.counted == []
        kafka.is_down = False
        await send(port)
    assert len(kafka.bounces) == 1
    assert "amara" not in caplog.text


@pytest.mark.parametrize("to", ["amara@example.org", "hello@london-connection.example", "bounces@elsewhere.example"])
async def test_it_is_no_relay_and_no_mailbox(to: str) -> None:
    kafka = Kafka()
    async with listening(kafka) as port:
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused):
            await send(port, to=to)
    assert kafka.counted == []


async def test_a_forged_one_is_taken_counted_and_changes_nothing() -> None:
    """It is not refused: whoever forges must not learn which tags are genuine."""
    kafka = Kafka()
    forged = PATH.replace("+", "+a").replace("@", "x@")
    async with listening(kafka) as port:
        await send(port, RAW.replace(PATH.encode(), forged.encode()), forged)
    assert kafka.bounces == []
    assert [report.about for report in kafka.counted] == [None]


async def test_what_is_too_big_is_refused() -> None:
    kafka = Kafka()
    async with listening(kafka, bytes_max=20_000) as port:
        with pytest.raises(aiosmtplib.SMTPResponseException) as refused:
            await send(port, RAW + b"x" * 30_000)
        assert refused.value.code == 552
        await send(port)
    assert len(kafka.bounces) == 1


async def test_no_more_connections_than_allowed() -> None:
    kafka = Kafka()
    async with listening(kafka, connections_max=2) as port:
        clients = [aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False, timeout=5) for _ in range(3)]
        await clients[0].connect()
        await clients[1].connect()
        with pytest.raises(aiosmtplib.SMTPException):
            await clients[2].connect()
        clients[0].close()
        async with asyncio.timeout(5):
            while True:
                try:
                    await send(port)
                    break
                except aiosmtplib.SMTPException:
                    await asyncio.sleep(0.01)
        clients[1].close()
    assert len(kafka.bounces) == 1
