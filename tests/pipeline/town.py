"""A whole town for tests: a real Kafka, a mailbox, service processes as many as wanted, and people who press buttons.

What happened is judged by `demo.audit.Auditor`, from the topics and the mailbox,
and from the 202s that the partner app was given; never from the services' own word.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from demo.audit import Auditor
from demo.kafka import EmbeddedKafka
from demo.london import SOURCE
from demo.members import Behaviour, Members
from demo.observer import Observer
from demo.post import Letterbox, Post
from demo.processes import Process, port_or_free
from shared.kafka.admin import ensure_topics
from shared.settings import KafkaSettings

ROOT = Path(__file__).parents[2]
READY_SECONDS_MAX = 120.0
SETTLE_SECONDS_MAX = 300.0
SESSION_TIMEOUT_MS = 6_000
ANSWER_WITHIN_SECONDS = 15
_KEY = "a-key-for-the-tests"
_SIGN_UP_TRIES_MAX = 200
_BATCH = 25
_READERS_AT_ONCE_MAX = 12


class Town:
    """Everything that runs. Made by `town`."""

    def __init__(self, kafka: KafkaSettings, folder: Path, communities: Iterable[str]) -> None:
        self.kafka = kafka
        self.folder = folder
        self.services: dict[str, Process] = {}
        """By name: "matcher-1" is the first matcher."""
        self.ports: dict[str, int] = {}
        self.auditor = Auditor()
        self.observer = Observer(kafka, self.auditor.observe)
        self._taken: set[int] = set()
        self.smtp_port = port_or_free(0x7000, taken=self._taken)
        self.inbox_port = port_or_free(0x7001, taken=self._taken)
        self.inbox = Process(
            "inbox",
            [sys.executable, "-m", "demo.inbox", f"--smtp-port={self.smtp_port}", f"--http-port={self.inbox_port}"],
            environment={},
            folder=folder,
        )
        self._communities_dir = folder / "communities"
        self._communities_dir.mkdir()
        london = yaml.safe_load((ROOT / "communities" / "london.yaml").read_text())
        for name in communities:
            changed = {"community": name, "name": name, "answer_within_seconds": ANSWER_WITHIN_SECONDS}
            (self._communities_dir / f"{name}.yaml").write_text(yaml.safe_dump({**london, **changed}))

    async def add(self, service: str, *, wait: bool = True) -> Process:
        """Start one more instance of a service, and wait until it is ready."""
        name = f"{service}-{1 + sum(known.startswith(service) for known in self.services)}"
        self.ports[name] = port_or_free(0x7010, taken=self._taken)
        process = Process(
            name,
            [sys.executable, "-m", "connection", service],
            environment=self._environment(service, self.ports[name]),
            folder=self.folder,
        )
        self.services[name] = process
        process.start()
        if wait:
            await self.ready(name)
        return process

    async def ready(self, name: str) -> None:
        await self.services[name].ready(f"http://127.0.0.1:{self.ports[name]}/readyz", within_seconds=READY_SECONDS_MAX)

    async def sign_up(self, events: list[dict[str, Any]], client: httpx.AsyncClient, *, pause_seconds: float) -> None:
        """Sign people up as a good partner app does: what was not answered 202 is sent again."""
        for start in range(0, len(events), _BATCH):
            batch = events[start : start + _BATCH]
            for attempt in range(_SIGN_UP_TRIES_MAX):
                url = f"http://127.0.0.1:{self.ports[self._some_intake(attempt)]}/v1/events"
                try:
                    answer = await client.post(
                        url,
                        content=json.dumps(batch),
                        headers={
                            "Authorization": f"Bearer {_KEY}",
                            "Content-Type": "application/cloudevents-batch+json",
                        },
                    )
                except httpx.TransportError:
                    answer = None
                if answer is not None and answer.status_code == 202:
                    for result in answer.json()["results"]:
                        self.auditor.signed_up(result["member"])
                    break
                assert answer is None or answer.status_code >= 500, answer.text
                await asyncio.sleep(0.2)
            else:
                raise AssertionError("intake did not come back")
            await asyncio.sleep(pause_seconds)

    async def settled(self) -> None:
        """Return once nothing is on its way any more, and has not been for a while."""
        quiet_since, seen = asyncio.get_running_loop().time(), -1
        async with asyncio.timeout(SETTLE_SECONDS_MAX):
            while True:
                await asyncio.sleep(0.25)
                now = asyncio.get_running_loop().time()
                if not self.auditor.unsettled().is_settled or self.observer.records != seen:
                    quiet_since, seen = now, self.observer.records
                elif now - quiet_since > 4:
                    return

    def log_lines(self, service: str, event: str) -> list[dict[str, Any]]:
        """What all instances of a service logged as `event`."""
        return [
            {**line, "instance": name}
            for name, process in self.services.items()
            if name.startswith(service)
            for text in process.log_file.read_text().splitlines()
            if f'"{event}"' in text and (line := json.loads(text)).get("event") == event
        ]

    def _some_intake(self, attempt: int) -> str:
        intakes = [name for name in self.services if name.startswith("intake")]
        return intakes[attempt % len(intakes)]

    def _environment(self, service: str, port: int) -> Mapping[str, str]:
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "KAFKA_SESSION_TIMEOUT_MS": str(SESSION_TIMEOUT_MS),
            "COMMUNITIES_DIR": str(self._communities_dir),
            f"{service.upper()}_HTTP_PORT": str(port),
            "INTAKE_API_KEYS": json.dumps({SOURCE: _KEY}),
            "MATCHER_ROUND_INTERVAL_SECONDS": "0.5",
            "MATCHER_WAITING_ROUND_SECONDS": "1",
            "NOTIFIER_PUBLIC_URL": f"http://127.0.0.1:{self.ports.get('notifier-1', port)}",
            "NOTIFIER_LINK_SECRET": "a secret for the tests only",
            "NOTIFIER_RELAY_LOOKUP_URL": f"http://127.0.0.1:{self.inbox_port}",
            "NOTIFIER_BACKOFF_FIRST_SECONDS": "0.2",
            "NOTIFIER_KEEPS_QUIET_HOURS": "false",
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(self.smtp_port),
        }


@asynccontextmanager
async def town(
    folder: Path, *, communities: Iterable[str] = ("london",), instances: int = 1, seed: int = 7
) -> AsyncIterator[Town]:
    """A running town, its Kafka its own, with so many instances of each service; everything is ended in the end."""
    kafka = EmbeddedKafka(folder / "kafka")
    await asyncio.to_thread(kafka.start)
    settings = KafkaSettings(bootstrap_servers=kafka.bootstrap_servers)
    await ensure_topics(settings)
    running = Town(settings, folder, communities)
    tasks: list[asyncio.Task[None]] = []
    async with httpx.AsyncClient(timeout=20) as client:
        members = Members(client, seed, Behaviour(delay_seconds_min=0.1, delay_seconds_max=1.0))
        try:
            running.inbox.start()
            await running.inbox.ready(f"http://127.0.0.1:{running.inbox_port}/readyz", within_seconds=60)
            for service in ("intake", "matcher", "notifier"):
                for _ in range(instances):
                    await running.add(service, wait=False)
            for name in list(running.services):
                await running.ready(name)
            tasks.append(asyncio.create_task(running.observer.run()))
            tasks.append(asyncio.create_task(_live(running, members)))
            yield running
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await members.stop()
            for process in [*running.services.values(), running.inbox]:
                process.kill()
            await asyncio.to_thread(kafka.close)
    failed = [error for task in tasks if not task.cancelled() and (error := task.exception())]
    assert not failed, failed


async def _live(running: Town, members: Members) -> None:
    """People read what arrives, and act on it."""
    readers = asyncio.Semaphore(_READERS_AT_ONCE_MAX)

    async def read(letterbox: Letterbox, post: Post) -> str:
        async with readers:
            return await letterbox.text(post)

    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{running.inbox_port}", timeout=20) as client:
        letterbox = Letterbox(client)
        async for posts in letterbox.arrivals():
            for post in posts:
                running.auditor.received(post.message_id, post.recipient)
            # Side by side: who reads too late finds the invitation expired, and nobody would ever meet.
            texts = await asyncio.gather(*(read(letterbox, post) for post in posts))
            for post, text in zip(posts, texts, strict=True):
                members.read(post.recipient, text)


async def until(condition: Callable[[], bool], *, within_seconds: float = READY_SECONDS_MAX) -> None:
    """Poll, generously."""
    async with asyncio.timeout(within_seconds):
        while not condition():
            await asyncio.sleep(0.1)
