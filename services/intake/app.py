"""Puts intake together: the desk, its two doors, Kafka, and what operators see."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer
from fastapi import FastAPI

from services.intake.accept import Desk
from services.intake.api import EventsEndpoint, events_router
from services.intake.gazetteer import load_gazetteers
from services.intake.keyring import keyring_of
from services.intake.partners import keep
from services.intake.settings import IntakeSettings
from services.intake.signups import SignUpReader
from services.intake.tail import Tail
from services.intake.vocabulary_api import vocabulary_router
from shared import topics
from shared.asyncapi import asyncapi_router
from shared.clock import Clock, system_clock
from shared.contracts import CloudEvent, Contact, Partner, PartnerPreference, PartnerRequest, Profile
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
from shared.settings import KafkaSettings

log = logger(__name__)


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
    desk = Desk(communities, gazetteers, keyring)
    registry = new_registry()
    metrics = IntakeMetrics(registry)
    plumbing = PlumbingMetrics(registry)
    broker = new_broker(kafka, "intake", registry)
    producer: AIOKafkaProducer | None = None
    signups: BatchSubscription | None = None
    running = False
    partners = Tail(kafka, topics.PARTNERS, keep(keyring), lifeline)

    async def send(records: Sequence[Outgoing]) -> None:
        assert producer is not None, "requests are only served while the producer runs"
        await publish(producer, records, partitions=kafka.partitions)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        nonlocal producer, running, signups
        await ensure_topics(kafka)
        await partners.start()
        producer = new_producer(kafka, client_id="intake")
        await producer.start()
        signups = BatchSubscription(
            broker,
            [topics.SIGNUPS],
            group_id="intake",
            handle=SignUpReader(desk, keyring, send, metrics, clock).on_batch,
            dead_letter_producer=producer,
            settings=kafka,
            metrics=plumbing,
            lifeline=lifeline,
        )
        await broker.start()
        running = True
        log.info("intake_started", communities=len(communities), partners=len(keyring))
        try:
            yield
        finally:
            running = False
            await broker.stop()
            await producer.stop()
            await partners.stop()

    def not_ready_because() -> str | None:
        return None if running and lifeline.reason is None else "not connected to Kafka"

    def refresh() -> None:
        if signups is not None:
            for topic, partition, lag in group_lags(signups.consumer):
                plumbing.lag.labels(topic, partition).set(lag)

    app = FastAPI(
        title="London Connection: intake",
        summary="Partner apps send sign-ups, updates and leaves as CloudEvents 1.0.",
        version="1",
        lifespan=lifespan,
    )
    app.include_router(events_router(EventsEndpoint(desk, keyring, send, settings, metrics, clock)))
    app.include_router(vocabulary_router(gazetteers))
    app.include_router(health_router(registry, not_ready_because, refresh))
    app.include_router(
        asyncapi_router(
            "intake",
            receives={topics.SIGNUPS: CloudEvent, topics.PARTNERS: Partner},
            sends={
                topics.PROFILES: Profile,
                topics.CONTACTS: Contact,
                topics.PARTNER_REQUESTS: PartnerRequest,
                topics.PARTNER_PREFERENCES: PartnerPreference,
            },
        )
    )
    return app
