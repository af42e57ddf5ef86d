"""Erasures crossing running introductions, on a real Kafka and over real SMTP: no email after the acknowledgement.

What `tests/notifier/test_erasure_interleavings.py` says of five hundred drawn interleavings, said here of a
few, with the services as processes: people sign up, are suggested, press buttons; one of them is erased, at a moment
when nothing is going on or while an email to them or of them lies with the mail server, and sometimes the
notifier is killed right after.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import yaml
from erasing import KEY, ROOT, Services, acknowledgements, order
from introduction_story import Hold, Post, SlowInbox, Stage, Story, Topics, text_of, until

from demo.inbox import build_app
from demo.kafka import EmbeddedKafka
from demo.london import SOURCE
from demo.observer import Observer
from demo.web import HOST, web_serving
from shared.clock import system_clock
from shared.contracts import Erasure, Service
from shared.kafka.admin import ensure_topics
from shared.settings import KafkaSettings

SEED = 2026
WAYS = ("partner", "link", "operator")
CASES = [(stage, way) for stage in Stage for way in WAYS]
KILLED = frozenset({4, 8})
"""Right after the erasures of these cases the notifier is killed; others fall into the time without one."""
HELD_SECONDS = 1.0
"""So long an email is held after the erasure was asked for: long enough to acknowledge it too early."""
SENT_BEFORE = {Stage.SUGGESTED: 0, Stage.ONE_YES: 1, Stage.INTRODUCED: 1, Stage.MEETING_DECIDED: 3}
"""How many emails each has by then: the next one is the one that is held."""
QUIET_SECONDS = 3.0


@dataclass
class Running:
    """All that runs, and what is known of it."""

    settings: KafkaSettings
    services: Services
    post: Post
    topics: Topics
    client: httpx.AsyncClient
    said: dict[str, Erasure] = field(default_factory=dict)
    killing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def listen(self) -> None:
        while True:
            self.said = await acknowledgements(self.settings)
            await asyncio.sleep(0.2)

    async def erase(self, way: str, story: Story, member: str) -> None:
        """Returns once it is asked for, durably."""
        if way == "link":
            await story.press(self.services.erase_link(story.community, member))
        elif way == "operator":
            await order(self.settings, [member], community=story.community)
        else:
            event = {
                "specversion": "1.0", "id": f"erase-{member}", "source": SOURCE, "subject": story.reference[member],
                "type": "connection.member.erased", "data": {"community": story.community},
            }  # fmt: skip
            headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/cloudevents+json"}
            url = f"{self.services.url(Service.INTAKE)}/v1/events"
            answer = await self.client.post(url, content=json.dumps(event), headers=headers)
            assert answer.status_code == 202, answer.text

    async def kill_the_notifier(self) -> None:
        async with self.killing:
            self.services.process[Service.NOTIFIER].kill()
            self.services.process[Service.NOTIFIER].start()
            await self.services.ready(Service.NOTIFIER)


@dataclass(frozen=True)
class Ended:
    """An interleaving when it is over."""

    story: Story
    gone: str
    told: list[str]
    held: bool
    killed: bool


def communities(folder: Path) -> Path:
    """One for each case. Where the answer is not waited for, there is time enough on any machine."""
    london = yaml.safe_load((ROOT / "communities" / "london.yaml").read_text())
    folder.mkdir()
    for number, (stage, _) in enumerate(CASES):
        is_early = stage in (Stage.SUGGESTED, Stage.ONE_YES)
        paced = {
            "community": f"town-{number}",
            "answer_within_seconds": 15 if is_early else 3600,
            "remind_after_seconds": 3 if stage is Stage.ONE_YES else None,
            "meetings": {**london["meetings"], "over_after_seconds": 1, "check_in_within_seconds": 15},
        }
        (folder / f"town-{number}.yaml").write_text(yaml.safe_dump({**london, **paced}))
    return folder


@asynccontextmanager
async def running(kafka: EmbeddedKafka, folder: Path) -> AsyncIterator[Running]:
    settings = KafkaSettings(bootstrap_servers=kafka.bootstrap_servers, session_timeout_ms=6_000)
    await ensure_topics(settings)
    loop, post, topics = asyncio.get_running_loop(), Post(SEED), Topics()
    inbox = type("Inbox", (SlowInbox,), {"post": post})
    smtp = await loop.create_server(lambda: inbox(post.mailbox, system_clock, loop), HOST, 0)
    async with smtp, web_serving(build_app(post.mailbox), 0) as inbox_port, httpx.AsyncClient(timeout=30) as client:
        services = Services(
            settings,
            folder / "logs",
            smtp_port=smtp.sockets[0].getsockname()[1],
            environment={
                "COMMUNITIES_DIR": str(communities(folder / "communities")),
                "NOTIFIER_RELAY_LOOKUP_URL": f"http://{HOST}:{inbox_port}",
            },
        )
        everything = Running(settings, services, post, topics, client)
        watching: list[asyncio.Task[None]] = []
        try:
            await services.start()
            watching = [
                asyncio.create_task(Observer(settings, topics.observe).run()),
                asyncio.create_task(everything.listen()),
            ]
            yield everything
        finally:
            for task in watching:
                task.cancel()
            services.stop()


async def interleave(number: int, here: Running) -> Ended:
    """One introduction, and one erasure at a moment that was drawn."""
    stage, way = CASES[number]
    draws = random.Random(SEED + number)
    story = Story(number, stage, draws.choice((2, 4)), here.post, here.topics, here.client)
    gone = story.members[-1]  # the others say yes first
    # While it is proposed, no email tells of anybody.
    about = draws.choice(story.members) if stage in (Stage.INTRODUCED, Stage.MEETING_DECIDED) else gone
    hold = Hold(story.address[about], SENT_BEFORE[stage]) if number % 2 or number in KILLED else None
    if hold is not None:
        here.post.holds.append(hold)
    await story.sign_up(here.services.url(Service.INTAKE))
    await story.comes_to_stage()
    if hold is not None:
        await until(lambda: hold.is_here or not story.is_open, f"{story.community}: an email to be held")
    else:
        await asyncio.sleep(draws.uniform(0, HELD_SECONDS))
    await here.erase(way, story, gone)
    if number in KILLED:
        await here.kill_the_notifier()
    if hold is not None:
        await asyncio.sleep(HELD_SECONDS)
        hold.released.set()
    await until(
        lambda: all(f"{gone}/{service}" in here.said for service in Service), f"{story.community}: acknowledged by all"
    )
    told = await story.goes_on_without(gone)
    return Ended(story, gone, told, hold is not None and hold.is_here, number in KILLED)


def too_late(one: Ended, here: Running) -> list[str]:
    """What the mail server accepted after the notifier's word: to them, or telling of them."""
    said_at_ms = here.said[f"{one.gone}/{Service.NOTIFIER}"].forgotten_at_ms
    story = one.story
    return [
        f"{story.community}, {story.stage}: {stored.received_at_ms - said_at_ms} ms after the word"
        for stored in here.post.mailbox.page(0, len(here.post.mailbox))
        if stored.received_at_ms > said_at_ms
        and (story.address[one.gone] in stored.recipients or story.name[one.gone] in text_of(stored))
    ]


@pytest.mark.timeout(700)
async def test_no_email_after_the_acknowledgement_and_a_word_to_the_others(
    fresh_kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    async with running(fresh_kafka, tmp_path) as here:
        async with asyncio.TaskGroup() as stories:
            tasks = [stories.create_task(interleave(number, here)) for number in range(len(CASES))]
        await asyncio.sleep(QUIET_SECONDS)
        ended = [task.result() for task in tasks]
        assert [late for one in ended for late in too_late(one, here)] == []
        written_to = [one for one in ended if here.post.to(one.story.address[one.gone])]
        assert len(written_to) > len(CASES) // 2, "they were written to, before"
        assert sum(one.held for one in ended) >= len(CASES) // 3, "and often just then"
        assert sum(len(one.told) for one in ended) >= len(CASES), "all who hoped were told"
