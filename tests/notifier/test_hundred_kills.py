"""kill -9, a hundred times, between the mail server's 250 and our record of it.

SMTP cannot be exactly-once: in that window nobody on our side can know. With a relay that
can be asked, nothing is lost and nothing comes twice; without one, nothing comes twice,
and what is in doubt is called `ambiguous`.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import signal
from collections import Counter

import pytest
from killed_sender import COMMUNITIES, Errand, restored, run

from demo.inbox import Inbox, build_app
from demo.kafka import EmbeddedKafka
from demo.mailbox import Mailbox
from demo.web import HOST, web_serving
from services.notifier.introductions import Proposed, advance
from shared import topics
from shared.clock import system_clock
from shared.contracts import Contact, DeliveryState, Record
from shared.ids import member_id
from shared.kafka.admin import ensure_topics
from shared.kafka.connection import new_producer
from shared.kafka.publishing import publish
from shared.outgoing import outgoing
from shared.settings import KafkaSettings
from shared.topics import partition_of

KILLS = 100
PAIRS = 260
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["killed_sender"])
_ENDS_SECONDS_MAX = 60.0


class DeadlyInbox(Inbox):
    """Takes every email, and once armed kills the sender at the moment it has done so."""

    victim: int | None = None
    spare = 0
    """So many emails more are taken in peace."""
    after_seconds: float | None = None
    """None: before the 250 is sent. Otherwise so long after it."""
    kills = 0

    async def push(self, status: str | bytes) -> None:
        if not str(status).startswith("250 2.0.0 Ok: kept"):
            await super().push(status)
            return
        own = DeadlyInbox
        own.spare -= 1
        if own.victim is None or own.spare >= 0:
            await super().push(status)
            return
        victim, own.victim = own.victim, None
        if own.after_seconds is not None:
            await super().push(status)
            await asyncio.sleep(own.after_seconds)
        os.kill(victim, signal.SIGKILL)
        own.kills += 1


async def plan_emails(settings: KafkaSettings, name: str, partner: str) -> list[str]:
    """Contacts, suggestions, introductions and an outbox for `PAIRS` pairs; gives the ids of the emails."""
    from notifier_samples import suggestion

    now_ms = system_clock()
    community = COMMUNITIES["london"].model_copy(update={"community": name})
    written: list[tuple[topics.TopicSpec, Record]] = []
    emails: list[str] = []
    for pair in range(PAIRS):
        members = sorted(member_id(name, partner, f"{pair}-{side}") for side in "ab")
        for number, member in enumerate(members):
            person = Contact(
                community=name, member=member, first_name="Amara", email=f"p{pair}.{number}@inbox.example",
                locale="en-GB", consent_wording="2026-11", accepted_at_ms=now_ms,
            )  # fmt: skip
            written.append((topics.CONTACTS, person))
        idea = suggestion(*members, at_ms=now_ms).model_copy(update={"community": name})
        opened = advance(None, Proposed(idea), community=community, now_ms=now_ms)
        written += [(topics.SUGGESTIONS, idea), (topics.INTRODUCTIONS, opened.introduction)]
        written += [(topics.OUTBOX, email) for email in opened.emails]
        emails += [email.email for email in opened.emails]
    producer = new_producer(settings)
    await producer.start()
    try:
        await publish(producer, [outgoing(*one) for one in written], partitions=settings.partitions)
    finally:
        await producer.stop()
    return emails


@pytest.mark.timeout(600)
@pytest.mark.parametrize("can_ask", [True, False], ids=["a relay that can be asked", "none"])
async def test_a_hundred_kills_between_the_250_and_the_ledger(fresh_kafka: EmbeddedKafka, can_ask: bool) -> None:
    settings = KafkaSettings(bootstrap_servers=fresh_kafka.bootstrap_servers)
    await ensure_topics(settings)
    name = "london"
    partition = partition_of(name, settings.partitions)
    emails = await plan_emails(settings, name, "asked" if can_ask else "not asked")
    draws = random.Random(2026)
    mailbox = Mailbox()
    loop = asyncio.get_running_loop()
    DeadlyInbox.kills = 0
    smtp = await loop.create_server(lambda: DeadlyInbox(mailbox, system_clock, loop), HOST, 0)
    smtp_port = smtp.sockets[0].getsockname()[1]
    async with smtp, web_serving(build_app(mailbox), 0) as web_port:
        for life in range(KILLS + 1):
            last = DeadlyInbox.kills >= KILLS
            DeadlyInbox.spare = draws.randrange(4)
            DeadlyInbox.after_seconds = draws.choice([None, 0.0, draws.uniform(0, 0.004)])
            url = f"http://{HOST}:{web_port}" if can_ask else None
            errand = Errand(settings.bootstrap_servers, partition, smtp_port, url, life)
            process = _PROCESSES.Process(target=run, args=(errand,))
            process.start()
            DeadlyInbox.victim = None if last else process.pid
            await asyncio.to_thread(process.join, _ENDS_SECONDS_MAX)
            if last:
                assert process.exitcode == 0
                break
            assert process.exitcode == -signal.SIGKILL, "it failed, or all emails were gone before the kills were"

    state = await restored(settings, partition)
    finals = {email: state.delivery(email) for email in emails}
    assert DeadlyInbox.kills == KILLS
    copies = Counter(
        stored.message_id for stored in (mailbox.get(f"{n:08d}") for n in range(1, len(mailbox) + 1)) if stored
    )
    states = Counter(delivery.state if delivery else None for delivery in finals.values())
    print(f"\n{KILLS} kills: {dict(states)}, {len(mailbox)} messages, {max(copies.values())} copies at most")
    assert max(copies.values()) == 1, "nothing twice"
    for delivery in finals.values():
        assert delivery is not None
        has_arrived = delivery.message_id.strip("<>") in copies
        if can_ask:
            assert delivery.state is DeliveryState.SENT
        else:
            assert delivery.state in (DeliveryState.SENT, DeliveryState.AMBIGUOUS)
        if delivery.state is DeliveryState.SENT:
            assert has_arrived, "nothing lost"
    if not can_ask:
        assert 0 < states[DeliveryState.AMBIGUOUS] <= 4 * KILLS, "in doubt is only what was on its way"
