"""Mastership of partitions on a real Kafka: fencing, restoring, handing over, and bad messages once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from demo.kafka import EmbeddedKafka
from shared import topics
from shared.clock import system_clock
from shared.contracts import Preference, PreferenceKind, Record
from shared.kafka.admin import TopicError, describe_topics, ensure_topics
from shared.kafka.batches import BatchSubscription
from shared.kafka.connection import new_broker, new_producer
from shared.kafka.dead_letters import read_dead_letters
from shared.kafka.mastership import MasteredPartition, Mastership
from shared.kafka.publishing import publish
from shared.kafka.transactions import MastershipLost, PartitionProducer
from shared.lifeline import Lifeline
from shared.metrics import PlumbingMetrics, new_registry
from shared.outgoing import outgoing
from shared.settings import KafkaSettings
from shared.topics import PREFERENCES, partition_of

PATIENCE_SECONDS = 60
COMMUNITIES = [f"town-{number}" for number in range(12)]


class Seen:
    """The simplest fold: what was seen, by key."""

    def __init__(self) -> None:
        self.records: dict[str, Record | None] = {}

    def apply(self, topic: str, key: str, record: Record | None) -> None:
        self.records[key] = record


class Instance:
    """One instance of a service that holds a `Seen` for each of its partitions."""

    def __init__(self, settings: KafkaSettings, group: str) -> None:
        self.settings = settings
        self.group = group
        registry = new_registry()
        self.lifeline = Lifeline()
        self.mastership: Mastership[Seen] = Mastership(
            topics=[PREFERENCES],
            roles=[group],
            new_state=Seen,
            settings=settings,
            metrics=PlumbingMetrics(registry),
            lifeline=self.lifeline,
            clock=system_clock,
        )
        self.broker = new_broker(settings, group, registry)
        self.letters = new_producer(settings)
        self.subscription = BatchSubscription(
            self.broker,
            [PREFERENCES],
            group_id=group,
            handle=self.mastership.on_batch,
            dead_letter_producer=self.letters,
            settings=settings,
            metrics=PlumbingMetrics(new_registry()),
            lifeline=self.lifeline,
            listener=self.mastership,
            on_received=self.mastership.on_received,
        )
        self.mastership.attach(lambda: self.subscription.consumer)

    @property
    def numbers(self) -> set[int]:
        return {partition.number for partition in self.mastership.masters()}

    def of(self, community: str) -> MasteredPartition[Seen]:
        number = partition_of(community, self.settings.partitions)
        return next(partition for partition in self.mastership.masters() if partition.number == number)

    def holds(self, key: str) -> bool:
        return any(key in partition.state.records for partition in self.mastership.masters())


@asynccontextmanager
async def running(settings: KafkaSettings, group: str) -> AsyncIterator[Instance]:
    instance = Instance(settings, group)
    await instance.letters.start()
    await instance.broker.start()
    try:
        yield instance
    finally:
        await instance.mastership.stop()
        await instance.broker.stop()
        await instance.letters.stop()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            await asyncio.sleep(0.05)


def pause(community: str, member: str, at_ms: int = 1) -> Preference:
    return Preference(community=community, member=member, kind=PreferenceKind.PAUSE, chosen_at_ms=at_ms)


async def write(settings: KafkaSettings, *records: Preference) -> None:
    producer = new_producer(settings)
    await producer.start()
    await publish(producer, [outgoing(PREFERENCES, record) for record in records], partitions=settings.partitions)
    await producer.stop()


@pytest.fixture
async def settings(fresh_kafka: EmbeddedKafka) -> KafkaSettings:
    found = KafkaSettings(bootstrap_servers=fresh_kafka.bootstrap_servers, session_timeout_ms=6_000)
    await ensure_topics(found)
    return found


async def test_topics_are_created_once_and_refused_when_they_are_not_as_they_must_be(settings: KafkaSettings) -> None:
    assert await ensure_topics(settings) == []
    found = await describe_topics(settings)
    assert found.keys() == topics.TOPICS.keys()
    assert all(found[name]["cleanup.policy"] == topic.cleanup for name, topic in topics.TOPICS.items())
    with pytest.raises(TopicError, match="KAFKA_PARTITIONS"):
        await ensure_topics(settings.model_copy(update={"partitions": 9}))


async def test_states_go_from_instance_to_instance_whole(settings: KafkaSettings) -> None:
    everybody = [pause(community, f"m_{community}") for community in COMMUNITIES]
    await write(settings, *everybody)
    async with running(settings, "handover") as first:
        await until(lambda: len(first.numbers) == settings.partitions)
        assert all(first.holds(record.key) for record in everybody)
        async with running(settings, "handover") as second:
            await until(lambda: len(first.numbers) == len(second.numbers) == settings.partitions // 2)
            assert not first.numbers & second.numbers
            assert all(first.holds(record.key) != second.holds(record.key) for record in everybody)
            late = [pause(community, f"late_{community}") for community in COMMUNITIES]
            await write(settings, *late)
            await until(lambda: all(first.holds(record.key) or second.holds(record.key) for record in late))
        await until(lambda: len(first.numbers) == settings.partitions)
        assert all(first.holds(record.key) for record in [*everybody, *late])


async def test_whoever_was_replaced_commits_nothing(settings: KafkaSettings) -> None:
    async with running(settings, "fencing") as instance:
        await until(lambda: instance.mastership.is_ready)
        partition = instance.of("town-1")
        await instance.mastership.commit(partition, "fencing", [outgoing(PREFERENCES, pause("town-1", "m_before"))])
        await until(lambda: instance.holds("m_before/pause"))

        usurper = PartitionProducer(settings, "fencing", partition.number)
        await usurper.start()
        with pytest.raises(MastershipLost):
            await instance.mastership.commit(partition, "fencing", [outgoing(PREFERENCES, pause("town-1", "m_ghost"))])
        assert not partition.is_master
        await usurper.commit([outgoing(PREFERENCES, pause("town-1", "m_after"))])
        await usurper.stop()

        # Nobody else joins the group, so the partition is taken anew, with all that was committed.
        await until(lambda: len(instance.numbers) == settings.partitions)
        assert instance.of("town-1") is not partition
        assert instance.holds("m_after/pause")
        assert not instance.holds("m_ghost/pause")


async def test_a_bad_message_is_reported_once_and_not_again_by_the_next_master(settings: KafkaSettings) -> None:
    producer = new_producer(settings)
    await producer.start()
    await producer.send_and_wait("preferences", b"nonsense", key=b"m_x/pause", partition=2)
    await producer.stop()

    async def reported() -> int:
        return len([letter async for letter in read_dead_letters(settings) if letter.consumer == "reporting"])

    async with running(settings, "reporting") as instance:
        await until(lambda: instance.mastership.is_ready)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await reported() == 0:
                await asyncio.sleep(0.1)
        await write(settings, *(pause(community, "m_more") for community in COMMUNITIES))
        await until(lambda: instance.holds("m_more/pause"))
    async with running(settings, "reporting") as instance:
        await until(lambda: instance.mastership.is_ready)
        await write(settings, *(pause(community, "m_again") for community in COMMUNITIES))
        await until(lambda: instance.holds("m_again/pause"))
        assert await reported() == 1


@pytest.mark.parametrize("grace_seconds", [1.0, 0.002])
async def test_a_commit_that_is_under_way_when_the_partition_is_taken_away_comes_to_an_end(
    grace_seconds: float, settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It once waited for ever for a producer that was stopped in the middle of its transaction.
    monkeypatch.setattr("shared.kafka.transactions._GRACE_SECONDS", grace_seconds)
    committed = lost = 0
    for delay_ms in range(0, 30, 3):
        producer = PartitionProducer(settings, "interrupted", 5)
        await producer.start()
        records = [outgoing(PREFERENCES, pause("town-1", f"m_{number}")) for number in range(50)]
        commit = asyncio.create_task(producer.commit(records))
        await asyncio.sleep(delay_ms / 1000)
        async with asyncio.timeout(PATIENCE_SECONDS / 2):
            await producer.stop()
            try:
                await commit
                committed += 1
            except MastershipLost:
                lost += 1
    assert committed + lost == 10
    assert committed if grace_seconds == 1.0 else lost
