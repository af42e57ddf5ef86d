"""Puts the matcher together: its states, its rounds, Kafka, and what operators see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI

from services.matcher.compiled import is_cached
from services.matcher.round import warm_up
from services.matcher.runner import RoundRunner
from services.matcher.settings import MatcherSettings
from services.matcher.state import READS, MatcherState
from shared import topics
from shared.asyncapi import asyncapi_router
from shared.clock import Clock, system_clock
from shared.health import health_router
from shared.kafka.admin import ensure_topics
from shared.kafka.batches import BatchSubscription
from shared.kafka.codec import MODELS
from shared.kafka.connection import new_broker, new_producer
from shared.kafka.lag import group_lags
from shared.kafka.mastership import Mastership
from shared.lifeline import Lifeline
from shared.logs import logger
from shared.metrics import MatcherMetrics, PlumbingMetrics, new_registry
from shared.security_headers import SecurityHeaders
from shared.settings import KafkaSettings

log = logger(__name__)


def build_app(
    settings: MatcherSettings,
    kafka: KafkaSettings,
    lifeline: Lifeline,
    *,
    clock: Clock = system_clock,
) -> FastAPI:
    """The whole service as one web application (for operators only); Kafka is connected while it runs.

    Raises `CommunityFileError` if the communities cannot be read.
    """
    communities = settings.communities()
    registry = new_registry()
    metrics = MatcherMetrics(registry)
    plumbing = PlumbingMetrics(registry)
    mastership: Mastership[MatcherState] = Mastership(
        topics=READS,
        roles=[topics.SUGGESTIONS.name],
        new_state=MatcherState,
        settings=kafka,
        metrics=plumbing,
        lifeline=lifeline,
        clock=clock,
    )
    runner = RoundRunner(mastership, communities, settings, metrics, clock, partitions=kafka.partitions)

    subscription: BatchSubscription | None = None

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        nonlocal subscription
        await ensure_topics(kafka)
        # Compiled before the group gives us partitions: a community must not wait for that.
        if is_cached():
            await asyncio.to_thread(warm_up)
        else:
            log.info("matcher_compiles", note="once after an upgrade, a minute or so; the service is not ready before")
            await asyncio.to_thread(warm_up, lambda part: log.info("matcher_compiles", part=part))
        letters = new_producer(kafka, client_id="matcher-dead-letters")
        await letters.start()
        broker = new_broker(kafka, "matcher", registry)
        subscription = BatchSubscription(
            broker,
            READS,
            group_id="matcher",
            handle=mastership.on_batch,
            dead_letter_producer=letters,
            settings=kafka,
            metrics=plumbing,
            lifeline=lifeline,
            listener=mastership,
            on_received=mastership.on_received,
        )
        mastership.attach(lambda: subscription.consumer if subscription else None)
        await broker.start()
        rounds = lifeline.watch(asyncio.create_task(runner.run()))
        log.info("matcher_started", communities=len(communities))
        try:
            yield
        finally:
            rounds.cancel()
            with suppress(asyncio.CancelledError):
                await rounds
            await mastership.stop()
            await broker.stop()
            await letters.stop()

    def not_ready_because() -> str | None:
        return None if mastership.is_ready and lifeline.reason is None else "restoring its communities from the topics"

    def refresh() -> None:
        for topic, partition, lag in group_lags(subscription.consumer if subscription else None):
            plumbing.lag.labels(topic, partition).set(lag)

    app = FastAPI(title="London Connection: matcher", version="1", lifespan=lifespan, openapi_url=None)
    app.add_middleware(SecurityHeaders, hsts_seconds=settings.hsts_seconds)
    app.include_router(health_router(registry, not_ready_because, refresh))
    app.include_router(
        asyncapi_router(
            "matcher",
            receives={topic: MODELS[topic.name] for topic in READS},
            sends={topic: MODELS[topic.name] for topic in (topics.SUGGESTIONS, topics.ERASURES)},
        )
    )
    return app
