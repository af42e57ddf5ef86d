"""What one member's pages need to know, where another instance looks after their community: read from the topics.

A link leads to whichever instance is there, and no page is about more than one person. So
the instance folds what the topics hold about that person and those whom they know, into a
state of the usual kind that is thrown away with the answer. It needs nobody else: no
address of another instance, and no master, who may be changing just then.

O(partition) for each topic: every record passes by, and only those that hold one of a few
ids are decoded (as for an export). The master answers from memory, so most pages cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from services.notifier.export_reading import records_about
from services.notifier.state import PartitionState
from shared import topics
from shared.contracts import Introduction
from shared.kafka.reading import reading
from shared.sealing import SealError
from shared.settings import KafkaSettings

OF_EVERYBODY = (
    topics.CONTACT_KEYS,
    topics.CONTACTS,
    topics.PREFERENCES,
    topics.PARTNER_REQUESTS,
    topics.ERASURE_ORDERS,
)
"""Who they know, and how: names, blocks and reports either way, who is erased."""
OF_THE_MEMBER = (topics.PARTNER_PREFERENCES, topics.REVIEW_ORDERS, topics.CHOICES, topics.DELIVERIES)
"""What else their own page of what is stored tells."""


async def look_up(
    settings: KafkaSettings, member: str, *, partition: int, new_state: Callable[[], PartitionState], now_ms: int
) -> PartitionState:
    """A state that knows of one member what the master of the partition knows, and of others what their pages need.

    As of what was committed when each topic was read. Raises `KafkaError`, and `SealError`
    if a contact is encrypted and does not open.
    """
    state = new_state()
    people = {member.encode()}
    async with reading(settings) as reader:
        for record in await records_about(reader, topics.INTRODUCTIONS, partition, people):
            if isinstance(record, Introduction):
                state.apply(topics.INTRODUCTIONS.name, record.key, record)
                people |= {other.encode() for other in record.everybody}
        for topic in OF_EVERYBODY:
            for record in await records_about(reader, topic, partition, people):
                state.apply(topic.name, record.key, record)
        for topic in OF_THE_MEMBER:
            for record in await records_about(reader, topic, partition, {member.encode()}):
                state.apply(topic.name, record.key, record)
    if state.sealed.waiting:
        raise SealError("a contact is encrypted, and its key is not on the topic")
    state.let_go_of_what_is_over(now_ms)
    return state
