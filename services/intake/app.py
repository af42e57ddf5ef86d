"""Puts intake together: the desk, its two doors, Kafka, and what operators see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from aiokafka import AIOKafkaProducer
from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from services.intake.accept import Desk
from services.intake.api import events_router
from services.intake.claims import Claims
from services.intake.endpoint import EventsEndpoint
from services.intake.erasures import Erasures
from services.intake.gazetteer import load_gazetteers
from services.intake.keyring import keyring_of
from services.intake.ledger import Ledger
from services.intake.openapi import documents
from services.intake.partners import keep
from services.intake.problem_answers import failed, speak_of_problems
from services.intake.problem_pages import problems_router
from services.intake.sealer import Sealer
from services.intake.settings import IntakeSettings
from services.intake.signups import SignUpReader
from services.intake.stored import StoredRecords
from services.intake.tail import Tail
from services.intake.vocabulary_api import vocabulary_router
from services.intake.webhooks.office import WebhookOffice
from shared import topics
from shared.asyncapi import asyncapi_router
from shared.clock import Clock, system_clock
from shared.contracts import (
    CloudEvent,
    Contact,
    ContactKey,
    Erasure,
    ErasureOrder,
    Introduction,
    Partner,
    PartnerPreference,
    PartnerRequest,
    Preference,
    Profile,
    Reference,
    WebhookDelivery,
    WebhookOrder,
)
from shared.health import health_router
from shared.kafka.admin import ensure_topics
from shared.kafka.batches import BatchSubscription
from shared.kafka.connection import new_broker, new_producer
from shared.kafka.lag import group_lags
from shared.kafka.publishing import publish
from shared.lifeline import Lifeline
from shared.logs import logger
from shared.metrics import IntakeMetrics, PlumbingMetrics, new_registry
from shared.outgoing import Outgoing
from shared.security_headers import SecurityHeaders
from shared.settings import KafkaSettings

log = logger(__name__)

LEASE_SPARE = 5.0
"""Seconds after the time for an answer is over until somebody else may take an event in hand."""
CLAIMS_GATHER_MS = 50
"""How often others' claims are fetched: so long an event may wait when another instance writes at the same time."""
FLUSH_SECONDS_MAX = 2.0
"""How long the last claims may take when the service is told to stop: without them nothing is lost."""


def build_app(
    settings: IntakeSettings, kafka: KafkaSettings, lifeline: Lifeline, *, clock: Clock = system_clock
) -> FastAPI:
    """The whole service as one web application; Kafka is connected while it runs.

    Raises `CommunityFileError` if the communities cannot be read.
    """
    communities = settings.communities()
    keys = {source: key.get_secret_value() for source, key in settings.api_keys.items()}
    gazetteers = load_gazetteers(communities)
    keyring = keyring_of(keys)
    registry = new_registry()
    metrics = IntakeMetrics(registry)
    plumbing = PlumbingMetrics(registry)
    broker = new_broker(kafka, "intake", registry)
    producer: AIOKafkaProducer | None = None
    signups: BatchSubscription | None = None
    running = False
    partners = Tail(kafka, topics.PARTNERS, keep(keyring), lifeline)
    remembered_ms = settings.remembered_hours * 3_600_000
    memory = Claims(remembered_ms=remembered_ms, lease_ms=int((settings.acknowledge_seconds_max + LEASE_SPARE) * 1000))

    async def send(records: Sequence[Outgoing]) -> None:
        assert producer is not None, "requests are only served while the producer runs"
        if sealer is not None:
            records = await sealer.seal(records)
        # At the last moment, and nothing is awaited in between: an event that was accepted before its member asked
        # to be erased, and had to wait, must not be stored behind the tombstones.
        await publish(producer, erasures.without_erased(records), partitions=kafka.partitions)

    async def send_keys(records: Sequence[Outgoing]) -> None:
        assert producer is not None, "requests are only served while the producer runs"
        await publish(producer, records, partitions=kafka.partitions)

    erasures = Erasures(kafka, send, clock)
    master = settings.master_keys()
    sealer = Sealer(master, send_keys, erasures.is_erased) if master is not None else None
    contact_keys = Tail(kafka, topics.CONTACT_KEYS, sealer.on_record, lifeline) if sealer is not None else None
    stored = StoredRecords(kafka, sealer.opened if sealer is not None else None)
    ledger = Ledger(memory, send, stored.find, clock, lifeline, partitions=kafka.partitions)
    desk = Desk(communities, gazetteers, keyring, erasures.is_erased, keyring.has_webhook)
    webhooks = WebhookOffice(settings, kafka, keyring, metrics, plumbing, lifeline, clock)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        nonlocal producer, running, signups
        await ensure_topics(kafka)
        await partners.start()
        if contact_keys is not None:
            await contact_keys.start()
        producer = new_producer(kafka, client_id="intake")
        await producer.start()
        ledger.producer = producer
        claims = Tail(
            kafka,
            topics.CLAIMS,
            ledger.on_record,
            lifeline,
            since_ms=clock() - remembered_ms,
            gather_ms=CLAIMS_GATHER_MS,
        )
        await claims.start()
        ledger.next_offsets = claims.positions
        signups = BatchSubscription(
            broker,
            [topics.SIGNUPS],
            group_id="intake",
            handle=SignUpReader(desk, keyring, ledger, metrics, clock, send).on_batch,
            dead_letter_producer=producer,
            settings=kafka,
            metrics=plumbing,
            lifeline=lifeline,
        )
        forgetting = lifeline.watch(asyncio.create_task(erasures.run()))
        await asyncio.wait(
            {forgetting, knowing := asyncio.create_task(erasures.caught_up.wait())}, return_when=asyncio.FIRST_COMPLETED
        )
        knowing.cancel()
        webhooks.join(broker, producer)
        await broker.start()
        webhooks.open()
        running = True
        log.info("intake_started", communities=len(communities), partners=len(keyring))
        try:
            yield
        finally:
            running = False
            forgetting.cancel()
            with suppress(asyncio.CancelledError):
                await forgetting
            await webhooks.close()
            await broker.stop()
            with suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_SECONDS_MAX):
                    await ledger.flush()
            await producer.stop()
            await claims.stop()
            await partners.stop()
            if contact_keys is not None:
                await contact_keys.stop()

    def not_ready_because() -> str | None:
        if not running or lifeline.reason is not None:
            return "not connected to Kafka"
        return None if erasures.caught_up.is_set() else "reading who has asked to be erased"

    def refresh() -> None:
        webhooks.refresh()
        if signups is not None:
            for topic, partition, lag in group_lags(signups.consumer):
                plumbing.lag.labels(topic, partition).set(lag)

    app = FastAPIOffline(
        title="London Connection: intake",
        summary="Partner apps send sign-ups, updates and leaves as CloudEvents 1.0.",
        version="1",
        lifespan=lifespan,
        redoc_url=None,
        # Whether anybody wants it is asked again with every request, for 3 microseconds. What operators see is on
        # /metrics.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.add_middleware(SecurityHeaders, hsts_seconds=settings.hsts_seconds, scripted=["/docs"], failed=failed())
    speak_of_problems(app)
    app.include_router(events_router(EventsEndpoint(desk, keyring, ledger, settings, metrics, clock)))
    app.include_router(vocabulary_router(gazetteers))
    app.include_router(problems_router())
    app.include_router(health_router(registry, not_ready_because, refresh))
    app.include_router(
        asyncapi_router(
            "intake",
            receives={
                topics.SIGNUPS: CloudEvent,
                topics.PARTNERS: Partner,
                topics.PREFERENCES: Preference,
                topics.ERASURE_ORDERS: ErasureOrder,
                topics.INTRODUCTIONS: Introduction,
                topics.WEBHOOK_ORDERS: WebhookOrder,
            },
            sends={
                topics.PROFILES: Profile,
                topics.CONTACTS: Contact,
                topics.CONTACT_KEYS: ContactKey,
                topics.PARTNER_REQUESTS: PartnerRequest,
                topics.PARTNER_PREFERENCES: PartnerPreference,
                topics.ERASURES: Erasure,
                topics.REFERENCES: Reference,
                topics.WEBHOOK_DELIVERIES: WebhookDelivery,
            },
        )
    )
    documents(app, settings.batch_events_max)
    return app
