"""The three services as processes, and the three ways in which a member is erased, for tests on a real Kafka."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from demo.london import SOURCE
from demo.processes import Process, port_or_free
from services.notifier.links import LinkPurpose, Links
from shared import ids, topics
from shared.clock import system_clock
from shared.contracts import Erasure, ErasureOrder, Service
from shared.kafka.connection import new_producer
from shared.kafka.latest import read_latest
from shared.kafka.publishing import publish
from shared.outgoing import outgoing
from shared.settings import KafkaSettings

ROOT = Path(__file__).parents[2]
KEY, SECRET = "a-key-for-the-tests", "a secret for the tests only"
READY_SECONDS_MAX = 300.0
"""A first start compiles the matcher's kernels, for minutes where others want the processor too."""
_LINK_MS = 600_000


class Services:
    """Intake, matcher and notifier, in a hurry; what they log is in `folder`."""

    def __init__(
        self, settings: KafkaSettings, folder: Path, *, smtp_port: int, environment: Mapping[str, str] | None = None
    ) -> None:
        folder.mkdir()
        taken = {smtp_port}
        self.port = {name: port_or_free(0x7200 + number, taken=taken) for number, name in enumerate(Service)}
        self.environment = {
            "KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap_servers,
            "KAFKA_SESSION_TIMEOUT_MS": str(settings.session_timeout_ms),
            "KAFKA_COMPACTION_LAG_MS_MAX": str(settings.compaction_lag_ms_max),
            "KAFKA_ERASED_WITHIN_MS": str(settings.erased_within_ms),
            "INTAKE_API_KEYS": json.dumps({SOURCE: KEY}),
            "MATCHER_ROUND_INTERVAL_SECONDS": "0.5",
            "NOTIFIER_LINK_SECRET": SECRET,
            "NOTIFIER_PUBLIC_URL": self.url(Service.NOTIFIER),
            "NOTIFIER_KEEPS_QUIET_HOURS": "false",
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(smtp_port),
            **{f"{name.upper()}_HTTP_PORT": str(self.port[name]) for name in Service},
            **(environment or {}),
        }
        self.process = {
            name: Process(name, [sys.executable, "-m", "connection", name], environment=self.environment, folder=folder)
            for name in Service
        }

    def url(self, name: Service) -> str:
        return f"http://127.0.0.1:{self.port[name]}"

    async def start(self) -> None:
        for process in self.process.values():
            process.start()
        for name in Service:
            await self.ready(name)

    async def ready(self, name: Service) -> None:
        await self.process[name].ready(f"{self.url(name)}/readyz", within_seconds=READY_SECONDS_MAX)

    def stop(self) -> None:
        for process in self.process.values():
            process.kill()

    async def command(self, *arguments: str, stdin: str = "") -> tuple[int | None, str]:
        """`connection ...`, as an operator types it: its status, and what it said."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "connection", *arguments, cwd=ROOT,
            env={**os.environ, **self.environment, "PYTHONPATH": str(ROOT)},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, _ = await process.communicate(stdin.encode())
        return process.returncode, said.decode()

    def erase_link(self, community: str, member: str) -> str:
        """What every email to a member leads to."""
        return self._link(LinkPurpose.ERASE, community, member)

    def data_link(self, community: str, member: str) -> str:
        """The same, of all that the notifier knows of them."""
        return self._link(LinkPurpose.DATA, community, member)

    def _link(self, purpose: LinkPurpose, community: str, member: str) -> str:
        return Links(SECRET, self.url(Service.NOTIFIER)).sign(
            purpose, community=community, member=member, introduction=ids.suggestion_id([member], 0),
            expires_at_ms=system_clock() + _LINK_MS,
        )  # fmt: skip


async def order(settings: KafkaSettings, members: Iterable[str], *, community: str = "london") -> None:
    """As `connection erase` does, without waiting."""
    producer = new_producer(settings)
    await producer.start()
    try:
        orders = [ErasureOrder(community=community, member=one, ordered_at_ms=system_clock()) for one in members]
        records = [outgoing(topics.ERASURE_ORDERS, one) for one in orders]
        await publish(producer, records, partitions=settings.partitions)
    finally:
        await producer.stop()


async def acknowledgements(settings: KafkaSettings) -> dict[str, Erasure]:
    """By key, which is the member and the service: what the services have said."""
    latest = (await read_latest(settings, topics.ERASURES)).values()
    return {one.key: one for one in latest if isinstance(one, Erasure)}
