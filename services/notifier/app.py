"""Puts the notifier together: states, clerks, the mail server, the pages, and what operators see."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import httpx
from aiokafka import AIOKafkaProducer
from fastapi import FastAPI, Request, Response
from starlette.middleware.base import RequestResponseEndpoint

from services.notifier.bounce_listener import BounceTaker, listening_for_bounces
from services.notifier.bounces import Report
from services.notifier.breaker import Scope
from services.notifier.clerk import INTRODUCTIONS_ROLE, LEDGER_ROLE, Clerk, KafkaLedger
from services.notifier.export_reading import read_export
from services.notifier.gate import may_send
from services.notifier.links import Links
from services.notifier.looking_up import look_up
from services.notifier.pages import failure_page, pages_router
from services.notifier.parts import policy_breaker, rate_limits, relay_lookup, sending_bounds, smtp_server
from services.notifier.render import Renderer
from services.notifier.sender import Sender, Transport
from services.notifier.settings import NotifierSettings
from services.notifier.shown_ids import ShownIds
from services.notifier.smtp import SmtpTransport
from services.notifier.state import PartitionState
from services.notifier.traffic import Traffic
from services.notifier.verp import ReturnPaths
from services.notifier.wording import load_words
from shared import topics
from shared.asyncapi import asyncapi_router
from shared.clock import Clock, system_clock
from shared.contracts import Bounce, Choice, IntroductionState, Preference, PreferenceKind
from shared.health import health_router
from shared.kafka.admin import ensure_topics
from shared.kafka.batches import BatchSubscription
from shared.kafka.codec import MODELS
from shared.kafka.connection import new_broker, new_producer
from shared.kafka.lag import group_lags
from shared.kafka.mastership import MasteredPartition, Mastership
from shared.kafka.publishing import publish
from shared.lifeline import Lifeline
from shared.logs import logger
from shared.metrics import NotifierMetrics, PlumbingMetrics, new_registry
from shared.outgoing import outgoing
from shared.security_headers import SecurityHeaders
from shared.settings import KafkaSettings
from shared.topics import partition_of

log = logger(__name__)

READS = (
    topics.CONTACTS,
    topics.CONTACT_KEYS,
    topics.PARTNER_REQUESTS,
    topics.SUGGESTIONS,
    topics.INTRODUCTIONS,
    topics.CHOICES,
    topics.PREFERENCES,
    topics.PARTNER_PREFERENCES,
    topics.OUTBOX,
    topics.DELIVERIES,
    topics.BOUNCES,
    topics.SUPPRESSIONS,
    topics.UNREACHABLE,
    topics.MAIL_ORDERS,
    topics.REVIEW_ORDERS,
    topics.ERASURE_ORDERS,
    topics.ERASURES,
)
WRITES = (
    topics.INTRODUCTIONS,
    topics.CHOICES,
    topics.PREFERENCES,
    topics.OUTBOX,
    topics.DELIVERIES,
    topics.BOUNCES,
    topics.SUPPRESSIONS,
    topics.UNREACHABLE,
    topics.ERASURES,
)
_LOOK_FOR_PARTITIONS_SECONDS = 0.1


def build_app(
    settings: NotifierSettings,
    kafka: KafkaSettings,
    lifeline: Lifeline,
    *,
    transport: Transport | None = None,
    clock: Clock = system_clock,
    draws: random.Random | None = None,
) -> FastAPI:
    """The whole service as one web application: members reach its pages, operators the rest.

    `transport` stands in for the mail server in tests. Raises `CommunityFileError` or
    `WordsError` if the communities or the words cannot be used.
    """
    communities = settings.communities()
    secret, former, lasting = settings.links_secret(), settings.former_secrets(), settings.lasting_secret()
    links = Links(secret, str(settings.public_url).rstrip("/"), former)
    shown_ids = ShownIds(lasting)
    words = load_words(settings.words_dir)
    master_keys = settings.master_keys()
    paths = ReturnPaths(settings.bounce_address, secret, former) if settings.bounce_address else None
    renderer = Renderer(words, communities, links, lasting, paths)
    registry = new_registry()
    metrics = NotifierMetrics(registry)
    plumbing = PlumbingMetrics(registry)

    def new_state() -> PartitionState:
        return PartitionState(
            contact_grace_ms=int(settings.contact_grace_seconds * 1000),
            address_secret=lasting,
            master_keys=master_keys,
        )

    mastership: Mastership[PartitionState] = Mastership(
        topics=READS,
        roles=[INTRODUCTIONS_ROLE, LEDGER_ROLE],
        new_state=new_state,
        settings=kafka,
        metrics=plumbing,
        lifeline=lifeline,
        clock=clock,
    )

    def on_policy_stop(scope: Scope, reason: str) -> None:
        metrics.policy_stops.labels(scope).inc()
        log.error("mail_stopped_by_policy", scope=scope, reply=reason)

    traffic = Traffic(
        communities,
        rate_limits(settings),
        policy_breaker(settings),
        keeps_quiet_hours=settings.keeps_quiet_hours,
        on_stop=on_policy_stop,
    )
    # Choices are written by whichever instance a member's click reaches, master or not.
    producer: AIOKafkaProducer | None = None
    subscription: BatchSubscription | None = None

    async def record(choice: Choice | Preference) -> None:
        assert producer is not None, "pages are only served while the producer runs"
        topic = topics.CHOICES if isinstance(choice, Choice) else topics.PREFERENCES
        await publish(producer, [outgoing(topic, choice)], partitions=kafka.partitions)
        metrics.choices.labels(choice.kind).inc()
        if choice.kind is PreferenceKind.REPORT:
            # For an operator to look at (`connection review`). Who reported them is nobody's business here.
            log.warning("member_reported", community=choice.community, member=choice.about)

    async def record_bounce(bounce: Bounce) -> None:
        assert producer is not None, "bounces are only taken while the producer runs"
        await publish(producer, [outgoing(topics.BOUNCES, bounce)], partitions=kafka.partitions)

    def count_report(report: Report) -> None:
        metrics.reports.labels(report.kind, "yes" if report.about else "no").inc()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        nonlocal producer, subscription
        await ensure_topics(kafka)
        producer = new_producer(kafka, client_id="notifier")
        await producer.start()
        broker = new_broker(kafka, "notifier", registry)
        subscription = BatchSubscription(
            broker,
            READS,
            group_id="notifier",
            handle=mastership.on_batch,
            dead_letter_producer=producer,
            settings=kafka,
            metrics=plumbing,
            lifeline=lifeline,
            listener=mastership,
            on_received=mastership.on_received,
        )
        mastership.attach(lambda: subscription.consumer if subscription else None)
        async with httpx.AsyncClient() as client, AsyncExitStack() as listening:
            mail = transport or SmtpTransport(smtp_server(settings))

            def new_clerk(partition: MasteredPartition[PartitionState]) -> Clerk:
                sender = Sender(
                    mail,
                    relay_lookup(settings, client),
                    KafkaLedger(mastership, partition, metrics),
                    renderer,
                    may_send,
                    clock,
                    draws or random.Random(),
                    sending_bounds(settings),
                    traffic,
                )
                return Clerk(mastership, partition, sender, communities, settings, metrics, clock, traffic)

            await broker.start()
            office = lifeline.watch(asyncio.create_task(_keep_clerks(mastership, new_clerk)))
            if settings.bounce_smtp_port is not None and paths is not None:
                await listening.enter_async_context(
                    listening_for_bounces(
                        BounceTaker(paths, communities, record_bounce, clock, count_report),
                        host=settings.bounce_smtp_host,
                        port=settings.bounce_smtp_port,
                        bytes_max=settings.bounce_bytes_max,
                        connections_max=settings.bounce_connections_max,
                    )
                )
            log.info("notifier_started", communities=len(communities))
            try:
                yield
            finally:
                await listening.aclose()
                office.cancel()
                with suppress(asyncio.CancelledError):
                    await office
                await mastership.stop()
                await broker.stop()
                await producer.stop()
                if isinstance(mail, SmtpTransport):
                    await mail.close()

    def not_ready_because() -> str | None:
        return None if mastership.is_ready and lifeline.reason is None else "restoring its communities from the topics"

    def refresh() -> None:
        masters = mastership.masters()
        for state in IntroductionState:
            open_now = sum(partition.state.introduction_counts.get(state, 0) for partition in masters)
            metrics.introductions.labels(state).set(open_now)
        for why, number in traffic.waiting().items():
            metrics.waiting.labels(why).set(number)
        for scope, number in traffic.breaker.open_circuits().items():
            metrics.policy_stopped.labels(scope).set(number)
        metrics.held.set(
            sum(
                not partition.state.members.is_erased(held.member)
                for partition in masters
                for held in partition.state.members.reviews.held()
            )
        )
        metrics.contacts_waiting.set(sum(partition.state.sealed.waiting for partition in masters))
        metrics.suppressed.set(sum(partition.state.suppressions.count for partition in masters))
        # A community is counted by the master of its partition alone, so that the sum over instances is right.
        metrics.stopped.set(
            sum(
                partition.state.orders.is_stopped(community)
                for partition in masters
                for community in communities
                if partition_of(community, kafka.partitions) == partition.number
            )
        )
        metrics.unsent.set(sum(partition.state.unsent_count for partition in masters))
        for topic, number, lag in group_lags(subscription.consumer if subscription else None):
            plumbing.lag.labels(topic, number).set(lag)

    app = FastAPI(title="London Connection: notifier", version="1", lifespan=lifespan, openapi_url=None)
    app.add_middleware(SecurityHeaders, hsts_seconds=settings.hsts_seconds, failed=failure_page(words))

    @app.middleware("http")
    async def count_pages(request: Request, call_next: RequestResponseEndpoint) -> Response:
        answer = await call_next(request)
        # The route's template, never the path: that holds a token.
        route = request.scope.get("route")
        if route is not None:
            metrics.pages.labels(route.path, answer.status_code).inc()
        return answer

    def directory(community: str) -> PartitionState | None:
        number = partition_of(community, kafka.partitions)
        return next((each.state for each in mastership.masters() if each.number == number), None)

    async def known_of(community: str, member: str) -> PartitionState:
        number = partition_of(community, kafka.partitions)
        return await look_up(kafka, member, partition=number, new_state=new_state, now_ms=clock())

    async def export_of(community: str, member: str) -> dict[str, Any]:
        partitions = [partition_of(community, kafka.partitions)]
        return await read_export(
            kafka, member, partitions=partitions, master_keys=master_keys, shown_ids=shown_ids, now_ms=clock()
        )

    app.include_router(pages_router(links, record, communities, words, clock, directory, known_of, export_of))
    app.include_router(health_router(registry, not_ready_because, refresh))
    app.include_router(
        asyncapi_router(
            "notifier",
            receives={topic: MODELS[topic.name] for topic in READS},
            sends={topic: MODELS[topic.name] for topic in WRITES},
        )
    )
    return app


async def _keep_clerks(
    mastership: Mastership[PartitionState], new_clerk: Callable[[MasteredPartition[PartitionState]], Clerk]
) -> None:
    """A clerk for every partition that we become master of, until it goes to somebody else."""
    async with asyncio.TaskGroup() as clerks:
        at_work: dict[MasteredPartition[PartitionState], asyncio.Task[None]] = {}
        while True:
            for partition in mastership.masters():
                if partition not in at_work:
                    at_work[partition] = clerks.create_task(new_clerk(partition).work())
            at_work = {partition: task for partition, task in at_work.items() if not task.done()}
            await asyncio.sleep(_LOOK_FOR_PARTITIONS_SECONDS)
