"""Topics are created explicitly with their policies, and checked at every start.

Never left to auto-creation: a topic made by accident has one partition and forgets
after a week, and nobody notices until a community is torn apart or a profile is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, TopicAuthorizationFailedError, for_code

from shared.kafka.connection import client_options
from shared.settings import KafkaSettings
from shared.topics import TOPICS, TopicSpec

_SETTLE_ATTEMPTS_MAX = 60
_SETTLE_WAIT_SECONDS = 0.25
_ALREADY_EXISTS: int = TopicAlreadyExistsError.errno


class TopicError(RuntimeError):
    """Topics at the broker are not what they must be. Says which, what is wrong, and what to do."""


async def ensure_topics(settings: KafkaSettings, topics: Iterable[TopicSpec] = tuple(TOPICS.values())) -> list[str]:
    """Create the topics that are missing, then check all of them. Safe to call from many processes at once.

    Returns the names of those created. Raises `TopicError` if one cannot be created,
    or exists with other partitions or another clean-up policy.
    """
    wanted = {topic.name: topic for topic in topics}
    admin = AIOKafkaAdminClient(**client_options(settings))
    await admin.start()
    try:
        missing = wanted.keys() - set(await admin.list_topics())
        created = await _create(admin, [wanted[name] for name in sorted(missing)], settings) if missing else []
        await _check(admin, wanted, settings)
        return created
    finally:
        await admin.close()


async def describe_topics(settings: KafkaSettings) -> dict[str, dict[str, str | int]]:
    """What the broker has of our topics: partitions, clean-up policy, retention. Missing ones are absent."""
    admin = AIOKafkaAdminClient(**client_options(settings))
    await admin.start()
    try:
        present = sorted(TOPICS.keys() & set(await admin.list_topics()))
        partitions = await _partitions(admin, present)
        configs = await _configs(admin, present)
        return {
            name: {
                "partitions": partitions[name],
                "cleanup.policy": configs[name].get("cleanup.policy", ""),
                "retention.ms": configs[name].get("retention.ms", ""),
            }
            for name in present
        }
    finally:
        await admin.close()


async def hidden_topics(settings: KafkaSettings) -> frozenset[str]:
    """Which of our topics this user may not even look at: whether they are there the broker does not tell."""
    admin = AIOKafkaAdminClient(**client_options(settings))
    await admin.start()
    try:
        described = await admin.describe_topics(sorted(TOPICS))
        return frozenset(one["topic"] for one in described if one["error_code"] == TopicAuthorizationFailedError.errno)
    finally:
        await admin.close()


async def _create(admin: AIOKafkaAdminClient, topics: list[TopicSpec], settings: KafkaSettings) -> list[str]:
    response = await admin.create_topics(
        [
            NewTopic(
                topic.name,
                settings.partitions,
                settings.replication_factor,
                topic_configs=topic.config(
                    compaction_lag_ms_max=settings.compaction_lag_ms_max, erased_within_ms=settings.erased_within_ms
                ),
            )
            for topic in topics
        ]
    )
    created = []
    # create_topics does not raise per topic: the codes must be read.
    for name, code, *_message in response.topic_errors:
        if code == 0:
            created.append(name)
        elif code != _ALREADY_EXISTS:
            raise TopicError(
                f"Kafka would not create topic {name!r}: {for_code(code).__name__}. "
                "Check KAFKA_REPLICATION_FACTOR against the number of brokers, and the rights of this user."
            )
    return created


async def _check(admin: AIOKafkaAdminClient, wanted: dict[str, TopicSpec], settings: KafkaSettings) -> None:
    names = sorted(wanted)
    partitions: dict[str, int] = {}
    # A topic that was just made takes a moment to be known everywhere.
    for _ in range(_SETTLE_ATTEMPTS_MAX):
        partitions = await _partitions(admin, names)
        if all(partitions.get(name) for name in names):
            break
        await asyncio.sleep(_SETTLE_WAIT_SECONDS)
    for name in names:
        if partitions.get(name) != settings.partitions:
            raise TopicError(
                f"Topic {name!r} has {partitions.get(name, 0)} partitions, not KAFKA_PARTITIONS={settings.partitions}. "
                "Set KAFKA_PARTITIONS to what the topics were created with: a community's place depends on it."
            )
    configs = await _configs(admin, names)
    for name, topic in wanted.items():
        policy = configs[name].get("cleanup.policy")
        if policy != topic.cleanup:
            raise TopicError(
                f"Topic {name!r} has cleanup.policy={policy}, and must have {topic.cleanup}: "
                "alter it at the broker, or delete the topic if it is empty and start again."
            )


async def _partitions(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, int]:
    if not names:
        return {}
    return {
        topic["topic"]: len(topic["partitions"])
        for topic in await admin.describe_topics(names)
        if topic["error_code"] == 0
    }


async def _configs(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    responses = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
    return {
        resource[3]: {entry[0]: entry[1] for entry in resource[4]}
        for response in responses
        for resource in response.resources
    }
