"""One side of the benchmark of emails, in a process of its own: the notifier's sending path, or a bare loop.

    python -m benchmarks.sending service|bare --emails 2000 --smtp-port 2525 --pool 16

The service's side does all that a notifier does from an email on its outbox to the record
of what became of it: gate, `sending` on Kafka, words put in, SMTP, `sent` on Kafka. The bare
side hands over the very same messages, which it has ready as bytes. Ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections.abc import Sequence
from pathlib import Path

import aiosmtplib

from benchmarks.processes import ROOT, run_quickly
from services.notifier.clerk import LEDGER_ROLE
from services.notifier.envelope import wire_bytes
from services.notifier.gate import may_send
from services.notifier.introductions import Proposed, advance
from services.notifier.links import Links
from services.notifier.rate_limits import Rate, RateLimits
from services.notifier.relay import NoLookup
from services.notifier.render import Renderer
from services.notifier.sender import Sender, SendingBounds
from services.notifier.settings import NotifierSettings
from services.notifier.smtp import SmtpServer, SmtpTransport
from services.notifier.state import PartitionState
from services.notifier.traffic import Traffic
from services.notifier.verp import ReturnPaths
from services.notifier.wording import load_words
from shared import topics
from shared.clock import system_clock
from shared.community import load_communities
from shared.contracts import (
    Anchor,
    Contact,
    Delivery,
    DeliveryState,
    MeetingPlace,
    RoundReference,
    ScoreParts,
    Suggestion,
    SuggestionKind,
)
from shared.ids import member_id, suggestion_id
from shared.kafka.transactions import PartitionProducer
from shared.outgoing import outgoing
from shared.serving import spare_the_collector
from shared.settings import KafkaSettings
from shared.topics import partition_of

SECRET = "a secret for the benchmark only"  # noqa: S105
COMMUNITY = "london"
_WARM_UP_EMAILS = 100


class Ledger:
    """The notifier's: one transaction for each call, as master of the partition."""

    def __init__(self, producer: PartitionProducer) -> None:
        self._producer = producer

    async def record(self, deliveries: Sequence[Delivery]) -> None:
        await self._producer.commit([outgoing(topics.DELIVERIES, delivery) for delivery in deliveries])


def a_state(pairs: int, communities: Path) -> PartitionState:
    """Everything about so many pairs who are to be invited: two emails each."""
    state = PartitionState(address_secret=SECRET)
    community, now_ms = load_communities(communities)[COMMUNITY], system_clock()
    for pair in range(pairs):
        members = tuple(sorted(member_id(COMMUNITY, "app", f"{pair}-{side}") for side in "ab"))
        for number, member in enumerate(members):
            person = Contact(
                community=COMMUNITY, member=member, first_name="Amara", email=f"p{pair}.{number}@inbox.example",
                locale="en-GB", own_words="I moved here in March.", consent_wording="2026-11", accepted_at_ms=now_ms,
            )  # fmt: skip
            state.apply(topics.CONTACTS.name, person.key, person)
        idea = Suggestion(
            community=COMMUNITY, suggestion=suggestion_id(members, 0), kind=SuggestionKind.PAIR, members=members,
            opener=members[0], anchor=Anchor(kind="interest", word="books"), shared_interests=("books", "running"),
            place=MeetingPlace(name="Notting Hill", latitude=51.51, longitude=-0.2, farthest_km=3.2),
            slot="tue-evening", score=ScoreParts(interests=0.5, openness=0.7, practical=0.9, total=0.6),
            weights={"interests": 0.5}, reasons=("Both like books.",), waited_ms=0, suggested_at_ms=now_ms,
            round=RoundReference(round="r_1", seed=1, engine="benchmark", offsets={}),
        )  # fmt: skip
        opened = advance(None, Proposed(idea), community=community, now_ms=now_ms)
        state.apply(topics.INTRODUCTIONS.name, opened.introduction.key, opened.introduction)
        for email in opened.emails:
            state.apply(topics.OUTBOX.name, email.key, email)
    return state


def a_renderer(communities: Path) -> Renderer:
    words = load_words(NotifierSettings.model_fields["words_dir"].default)
    links = Links(SECRET, "https://mail.london-connection.example")
    paths = ReturnPaths("bounces@london-connection.example", SECRET)
    return Renderer(words, load_communities(communities), links, SECRET, paths)


async def service(emails: int, smtp_port: int, pool: int, communities: Path) -> dict[str, float]:
    """The notifier's way: as many batches under way, of as many emails, as by default."""
    bounds = {name: NotifierSettings.model_fields[name].default for name in ("emails_max", "batches_under_way_max")}
    state = a_state((emails + _WARM_UP_EMAILS) // 2, communities)
    settings = KafkaSettings()
    producer = PartitionProducer(settings, LEDGER_ROLE, partition_of(COMMUNITY, settings.partitions))
    await producer.start()
    transport = SmtpTransport(SmtpServer("127.0.0.1", smtp_port, connections_max=pool))
    traffic = Traffic(
        load_communities(communities),
        RateLimits(Rate(1e6, 1_000_000), Rate(1e6, 1_000_000)),  # as if limited: looked at, and never in the way
        keeps_quiet_hours=False,
    )
    sender = Sender(
        transport, NoLookup(), Ledger(producer), a_renderer(communities), may_send, system_clock, random.Random(1),
        SendingBounds(concurrent_max=pool), traffic,
    )  # fmt: skip
    await sender.deliver(state.unsent(_WARM_UP_EMAILS), state)
    spare_the_collector()  # as every service does
    begun, processor = time.perf_counter(), time.process_time()
    under_way: set[asyncio.Task[list[Delivery]]] = set()
    sent = 0
    while True:
        while len(under_way) < bounds["batches_under_way_max"]:
            fresh = state.unsent(bounds["emails_max"], sender.in_flight)
            if not fresh:
                break
            under_way.add(asyncio.create_task(sender.deliver(fresh, state)))
            await asyncio.sleep(0)
        if not under_way:
            break
        done, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
        sent += sum(one.state is DeliveryState.SENT for task in done for one in task.result())
    seconds, processor = time.perf_counter() - begun, time.process_time() - processor
    assert sent == emails, f"{sent} of {emails} emails were sent"
    await transport.close()
    await producer.stop()
    return {"seconds": seconds, "processor_seconds": processor, "emails": sent}


async def bare(emails: int, smtp_port: int, pool: int, communities: Path) -> dict[str, float]:
    """aiosmtplib, a connection for each of `pool` tasks, and nothing else."""
    state, renderer = a_state((emails + _WARM_UP_EMAILS) // 2, communities), a_renderer(communities)
    letters = [renderer.compose(email, state, system_clock()) for email in state.unsent(emails + _WARM_UP_EMAILS)]
    ready = [(letter.sender, letter.recipient, wire_bytes(letter.message)) for letter in letters]
    size = sum(len(content) for _, _, content in ready) / len(ready)

    async def hand_over(client: aiosmtplib.SMTP) -> None:
        while ready:
            sender, recipient, content = ready.pop()
            await client.sendmail(sender, [recipient], content)

    clients = [aiosmtplib.SMTP(hostname="127.0.0.1", port=smtp_port, start_tls=False) for _ in range(pool)]
    await asyncio.gather(*(client.connect() for client in clients))
    for client in clients:
        for _ in range(_WARM_UP_EMAILS // pool):
            sender, recipient, content = ready.pop()
            await client.sendmail(sender, [recipient], content)
    del ready[emails:]
    spare_the_collector()
    begun, processor = time.perf_counter(), time.process_time()
    await asyncio.gather(*(hand_over(client) for client in clients))
    seconds, processor = time.perf_counter() - begun, time.process_time() - processor
    await asyncio.gather(*(client.quit() for client in clients))
    return {"seconds": seconds, "processor_seconds": processor, "emails": emails, "message_bytes": size}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("side", choices=("service", "bare"))
    parser.add_argument("--emails", type=int, required=True)
    parser.add_argument("--smtp-port", type=int, required=True)
    parser.add_argument("--pool", type=int, required=True)
    options = parser.parse_args()
    side = {"service": service, "bare": bare}[options.side]
    print(json.dumps(run_quickly(side(options.emails, options.smtp_port, options.pool, ROOT / "communities"))))
