"""An intake without Kafka, for tests of its HTTP door: what it would publish is kept in a list."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from test_accept import DESK, EVENT, NOW_MS

from services.intake.claims import Claims
from services.intake.endpoint import EventsEndpoint
from services.intake.keyring import keyring_of
from services.intake.ledger import Ledger, unclocked
from services.intake.settings import IntakeSettings
from shared.contracts.claim import Fields, Way, from_bytes, to_bytes
from shared.lifeline import Lifeline
from shared.metrics import IntakeMetrics
from shared.outgoing import Outgoing

STRUCTURED = {"content-type": "application/cloudevents+json"}
BATCH = {"content-type": "application/cloudevents-batch+json"}


def event(subject: str, **changes: Any) -> dict[str, Any]:
    """The sample event about another member."""
    return {**copy.deepcopy(EVENT), "subject": subject, "id": f"event of {subject}", **changes}


def binary(of: Mapping[str, Any], **changes: str) -> dict[str, str]:
    """The headers of an event in binary mode."""
    attributes = {name: value for name, value in of.items() if name != "data"} | changes
    return {"content-type": "application/json"} | {f"ce-{name}": value for name, value in attributes.items()}


class Loopback(Ledger):
    """Claims come back as soon as they are written, as if Kafka were here."""

    owner: InMemory

    async def send(self, partition: int, way: Way, number: int, entries: Sequence[Fields]) -> None:
        page = from_bytes(to_bytes(self._instance, way, number, entries))
        assert page is not None
        self._book(partition, way).read_back(number, self.claims.apply(page, self.owner.now_ms))


@dataclass
class InMemory:
    """The endpoint, and what it published."""

    keys: Mapping[str, str] = field(default_factory=lambda: {"book-app": "sesame", "chess-app": "mellon"})
    settings: IntakeSettings = field(default_factory=lambda: IntakeSettings(api_keys={"book-app": SecretStr("sesame")}))
    published: list[Outgoing] = field(default_factory=list)
    now_ms: int = NOW_MS

    def __post_init__(self) -> None:
        async def publish(records: Sequence[Outgoing]) -> None:
            self.published.extend(records)

        claims = Claims(remembered_ms=86_400_000, lease_ms=20_000)
        self.ledger = Loopback(claims, publish, self.find, lambda: self.now_ms, Lifeline(), partitions=8)
        self.ledger.owner = self
        metrics = IntakeMetrics(CollectorRegistry())
        self.keyring = keyring_of(self.keys)
        self.app = EventsEndpoint(DESK, self.keyring, self.ledger, self.settings, metrics, lambda: self.now_ms)

    async def find(self, records: Sequence[Outgoing], since_ms: int) -> set[int]:
        kept = [(record.topic, record.key, unclocked(record.value)) for record in self.published]
        return {n for n, one in enumerate(records) if (one.topic, one.key, unclocked(one.value)) in kept}

    def post(
        self,
        content: Any,
        headers: Mapping[str, str] = STRUCTURED,
        *,
        key: str | None = "sesame",
        query: str = "",
    ) -> httpx.Response:
        """One request, and all that it leads to."""

        async def ask_and_flush() -> httpx.Response:
            answer = await self.ask(content, headers, key=key, query=query)
            await self.ledger.flush()
            return answer

        return asyncio.run(ask_and_flush())

    async def ask(
        self,
        content: Any,
        headers: Mapping[str, str] = STRUCTURED,
        *,
        key: str | None = "sesame",
        query: str = "",
    ) -> httpx.Response:
        """One request, among others; `content` is JSON, or bytes as they are."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        sent = dict(headers) | ({"authorization": f"Bearer {key}"} if key else {})
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://intake") as client:
            return await client.post(f"/v1/events{query}", content=body, headers=sent)


Check = Callable[[httpx.Response], None]
