"""Pages behind a load balancer, on a real Kafka: two notifiers, and every link works at whichever it leads to."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path

import httpx
import pytest
from arc_samples import at
from fastapi import FastAPI
from notifier_samples import MEMBERS, NAMES, NOW, PAIR, block, contact, erase, suggestion
from pydantic import SecretStr

from demo.kafka import EmbeddedKafka
from services.notifier.app import build_app
from services.notifier.links import LinkPurpose, Links
from services.notifier.replies import Outcome, Sent
from services.notifier.settings import NotifierSettings
from shared import topics
from shared.contracts import Choice, ChoiceKind, EmailKind, Preference, PreferenceKind, Record
from shared.kafka.admin import ensure_topics
from shared.kafka.connection import new_producer
from shared.kafka.latest import read_latest
from shared.kafka.publishing import publish
from shared.lifeline import Lifeline
from shared.outgoing import outgoing
from shared.settings import KafkaSettings

SECRET = "a secret for the tests only"  # noqa: S105
BASE = "http://notifier.example"
PATIENCE_SECONDS = 60.0
STRANGERS = suggestion(MEMBERS[2], MEMBERS[3])
LINKS = Links(SECRET, BASE)


class Nowhere:
    """A mail server that takes everything."""

    async def send(self, message: EmailMessage, *, sender: str, recipient: str) -> Outcome:
        return Sent()


def link(purpose: LinkPurpose, member: str = MEMBERS[0]) -> str:
    return LINKS.sign(
        purpose, community="london", member=member, introduction=PAIR.suggestion, expires_at_ms=NOW + 60_000
    )


@asynccontextmanager
async def a_notifier(settings: KafkaSettings) -> AsyncIterator[httpx.AsyncClient]:
    facts = NotifierSettings(
        link_secret=SecretStr(SECRET),
        COMMUNITIES_DIR=Path(__file__).parents[2] / "communities",
        keeps_quiet_hours=False,
    )
    # The day on which everything in this test happens: nothing is due on it.
    app: FastAPI = build_app(facts, settings, Lifeline(), transport=Nowhere(), clock=lambda: NOW)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as client,
    ):
        yield client


async def write(settings: KafkaSettings, *written: tuple[topics.TopicSpec, Record]) -> None:
    producer = new_producer(settings)
    await producer.start()
    try:
        await publish(producer, [outgoing(*one) for one in written], partitions=settings.partitions)
    finally:
        await producer.stop()


def handles(page: str) -> list[str]:
    return re.findall(r'name="person" value="([^"]+)"', page)


async def looks_after(client: httpx.AsyncClient) -> bool:
    """Whether this instance is the master of the community: only a master counts its introductions."""
    metrics = (await client.get("/metrics")).text
    return 'notifier_introductions_open{state="introduced"} 2.0' in metrics


@pytest.mark.timeout(180)
async def test_every_page_is_the_same_at_the_master_and_at_the_other(fresh_kafka: EmbeddedKafka) -> None:
    settings = KafkaSettings(bootstrap_servers=fresh_kafka.bootstrap_servers, session_timeout_ms=6_000)
    await ensure_topics(settings)
    met, strangers = at(PAIR, EmailKind.INTRODUCTION)[0], at(STRANGERS, EmailKind.INTRODUCTION)[0]
    report = block(MEMBERS[3], MEMBERS[0]).model_copy(update={"kind": PreferenceKind.REPORT})
    leaves = Choice(
        community="london", member=MEMBERS[3], introduction=STRANGERS.suggestion, kind=ChoiceKind.OPENS,
        chosen_at_ms=NOW,
    )  # fmt: skip
    await write(
        settings,
        *((topics.CONTACTS, contact(member, own_words=f"Own words of {member}")) for member in MEMBERS[:4]),
        (topics.INTRODUCTIONS, met),
        (topics.INTRODUCTIONS, strangers),
        (topics.PREFERENCES, report),
        (topics.CHOICES, leaves),
    )
    async with a_notifier(settings) as one, a_notifier(settings) as two:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while [await looks_after(one), await looks_after(two)].count(True) != 1:
                await asyncio.sleep(0.1)
        master, other = (one, two) if await looks_after(one) else (two, one)
        for purpose in LinkPurpose:
            page, same = await master.get(link(purpose)), await other.get(link(purpose))
            assert (page.status_code, same.status_code) == (200, 200), purpose
            assert page.text == same.text, purpose
        page, same = (
            await master.get(f"{link(LinkPurpose.DATA)}/json"),
            await other.get(f"{link(LinkPurpose.DATA)}/json"),
        )
        assert json.loads(page.text) == json.loads(same.text)

        (handle,) = handles((await other.get(link(LinkPurpose.BLOCK))).text)
        (nobody_else,) = handles((await other.get(link(LinkPurpose.BLOCK, MEMBERS[2]))).text)
        refused = await other.post(link(LinkPurpose.BLOCK), data={"person": nobody_else, "action": "block"})
        assert "choose a person" in refused.text
        blocked = await other.post(link(LinkPurpose.BLOCK), data={"person": handle, "action": "block"})
        assert "kept apart" in blocked.text
        told = (await read_latest(settings, topics.PREFERENCES)).values()
        assert {(one.member, one.about) for one in told if isinstance(one, Preference)} == {
            (MEMBERS[0], MEMBERS[1]), (MEMBERS[3], MEMBERS[0]),
        }  # fmt: skip
        assert "blocked already" in (await other.get(link(LinkPurpose.BLOCK))).text

        await other.post(link(LinkPurpose.ERASE, MEMBERS[1]))
        assert any(
            one.key == erase(MEMBERS[1]).key for one in (await read_latest(settings, topics.PREFERENCES)).values()
        )
        assert handles((await other.get(link(LinkPurpose.BLOCK))).text) == [], "who is erased has no name any more"
        assert NAMES[1] not in (await other.get(link(LinkPurpose.DATA))).text
