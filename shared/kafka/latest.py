"""The latest value of each key of a compacted topic, for operators who look from outside."""

from __future__ import annotations

from aiokafka import TopicPartition

from shared.contracts import Record
from shared.kafka.codec import BadMessage, decode
from shared.kafka.connection import new_reader
from shared.settings import KafkaSettings
from shared.topics import TopicSpec

_READ_TIMEOUT_MS = 500


async def read_latest(settings: KafkaSettings, topic: TopicSpec) -> dict[tuple[int, str], Record]:
    """By partition and key: what is committed at the time of the call. O(topic). What cannot be read is passed over."""
    # Said here and not by seeking: a seek right after `assign` races with the reader going to the end by itself.
    reader = new_reader(settings, auto_offset_reset="earliest")
    await reader.start()
    try:
        places = [TopicPartition(topic.name, number) for number in range(settings.partitions)]
        reader.assign(places)
        ends: dict[TopicPartition, int] = await reader.end_offsets(places)
        latest: dict[tuple[int, str], Record] = {}
        while any([await reader.position(place) < ends[place] for place in places]):
            for place, records in (await reader.getmany(timeout_ms=_READ_TIMEOUT_MS)).items():
                for record in records:
                    try:
                        key, value = decode(topic.name, record.key, record.value)
                    except BadMessage:
                        continue
                    if value is None:
                        latest.pop((place.partition, key), None)
                    else:
                        latest[place.partition, key] = value
        return latest
    finally:
        await reader.stop()
