"""The mail as operators run it, on a real Kafka: two notifiers, a mailbox, the commands, and bounces by both ways."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiosmtplib
import httpx
import pytest
import yaml
from bounce_samples import BOUNCES
from notifier_samples import suggestion

from demo.inbox import Inbox
from demo.kafka import EmbeddedKafka
from demo.mailbox import Mailbox
from demo.processes import Process, port_or_free
from services.notifier.verp import ReturnPaths
from shared import ids, topics
from shared.clock import system_clock
from shared.contracts import Contact, Record, Suppression, Unreachable
from shared.kafka.admin import ensure_topics
from shared.kafka.connection import new_producer
from shared.kafka.latest import read_latest
from shared.kafka.publishing import publish
from shared.outgoing import outgoing
from shared.settings import KafkaSettings

ROOT = Path(__file__).parents[2]
SECRET = "a secret for the tests only"  # noqa: S105
BOUNCES_AT = "bounces@london-connection.example"
TOWNS = [f"town-{number}" for number in range(8)]
IN_FORCE_SECONDS = 10.0
READY_SECONDS_MAX = 90.0


class Town:
    """Two notifiers, and what they need."""

    def __init__(self, settings: KafkaSettings, folder: Path, mailbox: Mailbox, smtp_port: int) -> None:
        self.settings = settings
        self.mailbox = mailbox
        self.planned = 0
        communities = folder / "communities"
        communities.mkdir()
        london = yaml.safe_load((ROOT / "communities" / "london.yaml").read_text())
        for name in TOWNS:
            (communities / f"{name}.yaml").write_text(yaml.safe_dump({**london, "community": name, "name": name}))
        taken: set[int] = set()
        self.ports = [port_or_free(0x7100, taken=taken), port_or_free(0x7101, taken=taken)]
        self.bounce_ports = [port_or_free(0x7110, taken=taken), port_or_free(0x7111, taken=taken)]
        self.environment = {
            "KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap_servers,
            "KAFKA_SESSION_TIMEOUT_MS": "6000",
            "COMMUNITIES_DIR": str(communities),
            "NOTIFIER_LINK_SECRET": SECRET,
            "NOTIFIER_BOUNCE_ADDRESS": BOUNCES_AT,
            "NOTIFIER_KEEPS_QUIET_HOURS": "false",
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(smtp_port),
        }
        self.notifiers = [
            Process(
                f"notifier-{number}",
                [sys.executable, "-m", "connection", "notifier"],
                environment={
                    **self.environment,
                    "NOTIFIER_HTTP_PORT": str(self.ports[number]),
                    "NOTIFIER_BOUNCE_SMTP_PORT": str(self.bounce_ports[number]),
                },
                folder=folder,
            )
            for number in range(2)
        ]

    async def ready(self) -> None:
        for number, process in enumerate(self.notifiers):
            await process.ready(f"http://127.0.0.1:{self.ports[number]}/readyz", within_seconds=READY_SECONDS_MAX)

    async def invite(self, pairs: int, *, towns: list[str] = TOWNS) -> list[str]:
        """Suggest so many new pairs in each town; gives their addresses."""
        now_ms, written, addresses = system_clock(), [], []
        for town in towns:
            for _ in range(pairs):
                self.planned += 2
                number = self.planned
                members = sorted(ids.member_id(town, "app", f"{number}-{side}") for side in "ab")
                for member in members:
                    addresses.append(f"{member}@inbox.example")
                    person = Contact(
                        community=town, member=member, first_name="Amara", email=addresses[-1], locale="en-GB",
                        consent_wording="2026-11", accepted_at_ms=now_ms,
                    )  # fmt: skip
                    written.append((topics.CONTACTS, person))
                idea = suggestion(*members, at_ms=now_ms).model_copy(update={"community": town})
                written.append((topics.SUGGESTIONS, idea))
        await self.publish(written)
        return addresses

    async def publish(self, written: list[tuple[topics.TopicSpec, Record]]) -> None:
        producer = new_producer(self.settings)
        await producer.start()
        try:
            await publish(producer, [outgoing(*one) for one in written], partitions=self.settings.partitions)
        finally:
            await producer.stop()

    async def metric(self, name: str, labels: str = "") -> float:
        """A metric's sum over both instances."""
        total = 0.0
        async with httpx.AsyncClient(timeout=20) as client:
            for port in self.ports:
                text = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
                pattern = rf"^{name}{re.escape(labels)} (\S+)$"
                total += sum(float(value) for value in re.findall(pattern, text, re.MULTILINE))
        return total

    async def order(self, *arguments: str, stdin: bytes = b"") -> str:
        """`connection mail ...`, as an operator types it."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "connection", "mail", *arguments, cwd=ROOT, env={**_environ(), **self.environment},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, complained = await process.communicate(stdin)
        assert process.returncode == 0, complained.decode()
        return said.decode()


def _environ() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(ROOT)}


@asynccontextmanager
async def a_town(kafka: EmbeddedKafka, folder: Path) -> AsyncIterator[Town]:
    settings = KafkaSettings(bootstrap_servers=kafka.bootstrap_servers)
    await ensure_topics(settings)
    loop = asyncio.get_running_loop()
    mailbox = Mailbox()
    smtp = await loop.create_server(lambda: Inbox(mailbox, system_clock, loop), "127.0.0.1", 0)
    town = Town(settings, folder, mailbox, smtp.sockets[0].getsockname()[1])
    async with smtp:
        try:
            for process in town.notifiers:
                process.start()
            await town.ready()
            yield town
        finally:
            for process in town.notifiers:
                process.kill()


async def until(condition: Callable[[], bool], *, within_seconds: float = 60.0) -> None:
    async with asyncio.timeout(within_seconds):
        while not condition():
            await asyncio.sleep(0.02)


def arrived(town: Town) -> dict[str, int]:
    """By recipient: how many messages."""
    counts: dict[str, int] = {}
    for stored in town.mailbox.page(0, len(town.mailbox)):
        counts[stored.recipients[0]] = counts.get(stored.recipients[0], 0) + 1
    return counts


@pytest.mark.timeout(600)
async def test_stop_and_start_hold_on_all_instances_and_over_restarts_and_lose_nothing(
    fresh_kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    async with a_town(fresh_kafka, tmp_path) as town:
        everybody = await town.invite(2)
        await until(lambda: len(town.mailbox) == len(everybody))

        before = time.monotonic()
        await town.order("stop", "--note", "a test")
        while await town.metric("notifier_mail_stopped") < len(TOWNS):
            assert time.monotonic() - before < IN_FORCE_SECONDS, "in force within seconds"
            await asyncio.sleep(0.05)
        assert "stopped" in await town.order("status")
        waiting = await town.invite(3)
        async with asyncio.timeout(60):
            while await town.metric("notifier_emails_waiting", '{why="stopped"}') < len(waiting):
                await asyncio.sleep(0.05)
        assert len(town.mailbox) == len(everybody), "not one has left"

        # One instance dies and another comes in its place: stopped is stopped.
        town.notifiers[0].kill()
        town.notifiers[0].start()
        await town.ready()
        async with asyncio.timeout(60):
            while await town.metric("notifier_emails_waiting", '{why="stopped"}') < len(waiting):
                await asyncio.sleep(0.05)
        assert len(town.mailbox) == len(everybody)

        await town.order("start")
        await until(lambda: len(town.mailbox) == len(everybody) + len(waiting))
        assert arrived(town) == dict.fromkeys([*everybody, *waiting], 1), "each once"
        assert "Nothing is stopped" in await town.order("status")

        # One community alone.
        await town.order("stop", "--community", TOWNS[0])
        async with asyncio.timeout(IN_FORCE_SECONDS):
            while await town.metric("notifier_mail_stopped") < 1:
                await asyncio.sleep(0.05)
        held, others = await town.invite(1, towns=TOWNS[:1]), await town.invite(1, towns=TOWNS[1:])
        await until(lambda: set(others) <= arrived(town).keys())
        assert not set(held) & arrived(town).keys()
        await town.order("start", "--community", TOWNS[0])
        await until(lambda: set(held) <= arrived(town).keys())

        await bounces_come_back(town, held, others)


async def bounces_come_back(town: Town, held: list[str], others: list[str]) -> None:
    """By SMTP at an instance that is not the master as likely as not, and by an MTA's pipe."""
    paths = ReturnPaths(BOUNCES_AT, SECRET)
    by_smtp, by_pipe, complains, forged = held[0], others[0], others[1], others[2]
    path_of = {}
    for record in (await read_latest(town.settings, topics.OUTBOX)).values():
        email = json.loads(record.to_bytes())
        path_of[f"{email['member']}@inbox.example"] = paths.for_email(email["email"], email["community"])

    def report(name: str, address: str, path: str | None = None) -> bytes:
        raw = BOUNCES[name][0].replace("{path}", path or path_of[address]).replace("{who}", address)
        return raw.replace("\n", "\r\n").encode()

    async def bounce(number: int, raw: bytes, recipient: str) -> None:
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=town.bounce_ports[number], start_tls=False) as client:
            await client.sendmail("", [recipient], raw)

    await bounce(0, report("postfix: no such user", by_smtp), path_of[by_smtp])
    await bounce(1, report("a complaint", complains), BOUNCES_AT)
    fake = path_of[forged].replace("+", "+a", 1)
    await bounce(1, report("postfix: no such user", forged, fake), fake)
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused):
        await bounce(0, b"Subject: x\r\n\r\nbuy", "somebody@elsewhere.example")
    said = await town.order("bounce", "--recipient", path_of[by_pipe], stdin=report("qmail", by_pipe))
    assert said == "address 5.1.1\n"

    wanted = {ids.address_id(address, SECRET): address for address in (by_smtp, by_pipe, complains)}
    suppressed: dict[str, Suppression] = {}
    async with asyncio.timeout(60):
        while suppressed.keys() != wanted.keys():
            found = (await read_latest(town.settings, topics.SUPPRESSIONS)).values()
            suppressed = {one.address: one for one in found if isinstance(one, Suppression)}
    assert suppressed[ids.address_id(complains, SECRET)].reason == "complaint"
    preferences = (await read_latest(town.settings, topics.PREFERENCES)).keys()
    assert [key for _, key in preferences] == [f"{complains.partition('@')[0]}/unsubscribe"]

    async def unreachable() -> set[str]:
        found = (await read_latest(town.settings, topics.UNREACHABLE)).values()
        return {f"{one.member}@inbox.example" for one in found if isinstance(one, Unreachable)}

    async with asyncio.timeout(60):
        while await unreachable() != {by_smtp, by_pipe, complains}:
            pass
    listed = await town.order("suppressions")
    assert all(address in listed for address in wanted)
    assert "@" not in listed
    await town.order("lift", by_pipe)
    async with asyncio.timeout(60):
        while await unreachable() != {by_smtp, complains}:
            pass
    assert "2 suppressed" in await town.order("suppressions")
    assert await town.metric("notifier_reports_total", '{genuine="no",kind="address"}') == 1
    assert await town.metric("notifier_suppressions_total", '{reason="no-such-address"}') >= 2
