"""Everything that the demo runs on: Kafka, the inbox and the three services, each a process of its own.

    with EmbeddedKafka() as kafka:
        async with Stack(folder, kafka.bootstrap_servers, partners=("demo-app",)) as stack:
            ...  # stack.intake_url, stack.key_of["demo-app"], stack.services["matcher"].kill()

The services get what they would get anywhere: environment variables.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from demo.processes import Process, port_or_free
from shared.kafka.admin import ensure_topics
from shared.settings import KafkaSettings

SERVICES = ("intake", "matcher", "notifier")
_PORTS = {"intake": 8001, "matcher": 8002, "notifier": 8003, "smtp": 8025, "inbox": 8026}
_HOST = "127.0.0.1"
_READY_SECONDS_MAX = 300.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast time passes in the demo's community, in seconds."""

    answer_within_seconds: int = 20
    settle_seconds: int = 24 * 3600
    """Long: who is in a standing group is left in peace for as long as anybody watches."""
    meeting_over_after_seconds: int = 2
    """A date is over so soon, whatever the calendar says: a rehearsal."""
    check_in_within_seconds: int = 5
    round_interval_seconds: float = 1.0
    waiting_round_seconds: float = 1.0
    """So long a wait counts as a round waited in vain: wishes are relaxed soon."""


class Stack:
    """Starts in order and stops in order; whatever happens, nothing is left running.

    `folder` takes logs and the community's file. Ports are the usual ones where they
    are free, others where not.
    """

    def __init__(
        self, folder: Path, bootstrap_servers: str, *, partners: Iterable[str], pace: Pace | None = None
    ) -> None:
        self.folder = folder
        self.kafka = KafkaSettings(bootstrap_servers=bootstrap_servers)
        # Known to everybody, so that the curl of the README works beside the demo: it listens on loopback only.
        self.key_of = {partner: f"demo-key-of-{partner}" for partner in partners}
        self._pace = pace or Pace()
        taken: set[int] = set()
        self._port = {name: port_or_free(port, taken=taken) for name, port in _PORTS.items()}
        environment = self._environment()
        self.inbox = Process(
            "inbox",
            [sys.executable, "-m", "demo.inbox", "--smtp-port", str(self._port["smtp"]),
             "--http-port", str(self._port["inbox"])],
            environment=environment, folder=folder,
        )  # fmt: skip
        self.services = {
            name: Process(name, [sys.executable, "-m", "connection", name], environment=environment, folder=folder)
            for name in SERVICES
        }

    @property
    def intake_url(self) -> str:
        return self._url("intake")

    @property
    def notifier_url(self) -> str:
        return self._url("notifier")

    @property
    def inbox_url(self) -> str:
        return self._url("inbox")

    async def start(self) -> None:
        """Return when everything is ready.

        Raises
        ------
        ProcessError
            if something ended or did not become ready in time.
        """
        self._write_community()
        self.inbox.start()
        await ensure_topics(self.kafka)
        for service in self.services.values():
            service.start()
        await self.inbox.ready(f"{self.inbox_url}/readyz", within_seconds=_READY_SECONDS_MAX)
        await asyncio.gather(*(self.service_ready(name) for name in SERVICES))

    async def service_ready(self, name: str) -> None:
        """Return when a service says that it is ready; raises `ProcessError`."""
        await self.services[name].ready(f"{self._url(name)}/readyz", within_seconds=_READY_SECONDS_MAX)

    def check(self) -> None:
        """Raise `ProcessError` if anything has ended by itself."""
        for process in (self.inbox, *self.services.values()):
            process.check()

    async def stop(self) -> None:
        """End the services, then the inbox. Safe to call at any time."""
        await asyncio.gather(*(service.stop() for service in self.services.values()))
        await self.inbox.stop()

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            self.kill()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.stop()
        finally:
            self.kill()

    def kill(self) -> None:
        """End everything at once (SIGKILL)."""
        for process in (*self.services.values(), self.inbox):
            process.kill()

    def _url(self, name: str) -> str:
        return f"http://{_HOST}:{self._port[name]}"

    def _environment(self) -> dict[str, str]:
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "KAFKA_PARTITIONS": str(self.kafka.partitions),
            "COMMUNITIES_DIR": str(self.folder / "communities"),
            "INTAKE_HTTP_PORT": str(self._port["intake"]),
            "INTAKE_API_KEYS": json.dumps(self.key_of),
            "MATCHER_HTTP_PORT": str(self._port["matcher"]),
            "MATCHER_ROUND_INTERVAL_SECONDS": str(self._pace.round_interval_seconds),
            "MATCHER_WAITING_ROUND_SECONDS": str(self._pace.waiting_round_seconds),
            "NOTIFIER_HTTP_PORT": str(self._port["notifier"]),
            "NOTIFIER_PUBLIC_URL": self._url("notifier"),
            "NOTIFIER_LINK_SECRET": secrets.token_urlsafe(32),
            "NOTIFIER_RELAY_LOOKUP_URL": self._url("inbox"),
            "NOTIFIER_KEEPS_QUIET_HOURS": "false",
            "SMTP_HOST": _HOST,
            "SMTP_PORT": str(self._port["smtp"]),
            "PYTHONUNBUFFERED": "1",
        }

    def _write_community(self) -> None:
        """London as it is, but for the time that things take."""
        community: dict[str, Any] = yaml.safe_load((_communities() / "london.yaml").read_text(encoding="utf-8"))
        community |= {
            "answer_within_seconds": self._pace.answer_within_seconds,
            "remind_after_seconds": max(1, self._pace.answer_within_seconds * 2 // 3),
            "settle_seconds": self._pace.settle_seconds,
        }
        community["meetings"] |= {
            "over_after_seconds": self._pace.meeting_over_after_seconds,
            "check_in_within_seconds": self._pace.check_in_within_seconds,
        }
        folder = self.folder / "communities"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "london.yaml").write_text(yaml.safe_dump(community, allow_unicode=True), encoding="utf-8")


def _communities() -> Path:
    return Path(os.environ.get("COMMUNITIES_DIR") or Path(__file__).parents[1] / "communities")
