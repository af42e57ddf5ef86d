"""Reads back what the topics hold about one member, for their export: on demand, so that any instance can.

O(partition) for each topic: every record passes by, and only those that hold one of the
member's ids are decoded. Not on any path that must be quick.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer

from services.notifier.export import SECTIONS, Found, export
from services.notifier.sealed_contacts import SealedContacts
from services.notifier.shown_ids import ShownIds
from shared import topics
from shared.contracts import ContactKey, Delivery, Email, Record, SealedContact
from shared.kafka.codec import BadMessage, decode
from shared.kafka.reading import read_from_the_start, reading
from shared.sealing import MasterKeys, SealError
from shared.settings import KafkaSettings
from shared.topics import TopicSpec

_FIRST = (topics.DELIVERIES, topics.OUTBOX)
"""They tell which emails and which addresses are the member's: by those other topics are looked through."""
READS: tuple[TopicSpec, ...] = (
    *_FIRST,
    topics.CONTACT_KEYS,
    *(section.topic for section in SECTIONS if section.topic not in _FIRST),
)
"""In this order."""


async def read_export(
    settings: KafkaSettings,
    member: str,
    *,
    partitions: Iterable[int],
    master_keys: MasterKeys | None,
    shown_ids: ShownIds,
    now_ms: int,
    on_topic: Callable[[str], None] = lambda topic: None,
) -> dict[str, Any]:
    """The member's document. `on_topic` is told each topic before it is read.

    Raises `KafkaError`, and `SealError` if the member's contact is encrypted and does not
    open: an export that leaves out the most important part would be no export.
    """
    ids = {member.encode()}
    found: list[Found] = []
    sealed = SealedContacts(master_keys)
    numbers = list(partitions)
    async with reading(settings) as reader:
        for topic in READS:
            on_topic(topic.name)
            for number in numbers:
                for record in await records_about(reader, topic, number, ids):
                    opened = _opened(record, sealed)
                    if isinstance(record, Email | Delivery) and record.member == member:
                        ids.add(record.email.encode())
                        if isinstance(record, Delivery) and record.address:
                            ids.add(record.address.encode())
                    if opened is not None:
                        found.append(Found(topic.name, opened))
    if sealed.waiting:
        raise SealError("the member's contact is encrypted, and its key is not on the topic")
    return export(member, found, now_ms, shown_ids)


async def records_about(
    reader: AIOKafkaConsumer, topic: TopicSpec, partition: int, ids: set[bytes]
) -> Sequence[Record]:
    """The records of a topic that hold one of some ids; of a compacted topic the latest of each key."""
    latest: dict[str, Record] = {}
    all_of_them: list[Record] = []
    wanted = tuple(ids)
    async for raw in read_from_the_start(reader, topic.name, partition):
        key, value = raw.key or b"", raw.value
        if value is None:
            latest.pop(key.decode(errors="replace"), None)
            continue
        if not any(one in key or one in value for one in wanted):
            continue
        try:
            name, record = decode(topic.name, key, value)
        except BadMessage:
            continue  # it is on `dead-letters`, by whoever reads this topic
        if record is not None:
            latest[name] = record
            all_of_them.append(record)
    return list(latest.values()) if topic.cleanup == "compact" else all_of_them


def _opened(record: Record, sealed: SealedContacts) -> Record | None:
    if isinstance(record, ContactKey):
        sealed.on_key(record)
        return None
    return sealed.on_contact(record) if isinstance(record, SealedContact) else record
