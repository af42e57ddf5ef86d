"""Where bad messages go: the original bytes, where they came from, and what was wrong.

A bad message never stops a consumer, and is never lost: it is copied to
`dead-letters`, acknowledged by all replicas, before the consumer goes on. When
*everything* is bad, though, it is us who are wrong (a release that cannot read what
the last one wrote): then a limit stops the consumer instead (after getsentry/arroyo,
`arroyo/dlq.py`), so that the messages are still there when we have been mended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from shared.kafka.connection import new_reader
from shared.settings import KafkaSettings
from shared.topics import DEAD_LETTERS

_HEADER_TOPIC = "dead-letter-topic"
_HEADER_PARTITION = "dead-letter-partition"
_HEADER_OFFSET = "dead-letter-offset"
_HEADER_TIMESTAMP = "dead-letter-timestamp-ms"
_HEADER_CONSUMER = "dead-letter-consumer"
_HEADER_REASON = "dead-letter-reason"
_HEADER_CUT = "dead-letter-cut-from-bytes"
_OURS = {
    _HEADER_TOPIC, _HEADER_PARTITION, _HEADER_OFFSET, _HEADER_TIMESTAMP, _HEADER_CONSUMER, _HEADER_REASON, _HEADER_CUT,
}  # fmt: skip

_KEY_BYTES_MAX = 1_000
_BYTES_MAX = 900_000
"""A message may come compressed, and be larger than what a producer may send: of such a one only so much is copied."""

_READ_TIMEOUT_MS = 500


class TooManyDeadLetters(RuntimeError):
    """Nothing but bad messages: stops the service, and leaves the messages where they are."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A bad message as it stands on `dead-letters`."""

    offset: int
    """Its own place on `dead-letters`; with `partition`, its name for `show` and `replay`."""
    partition: int
    topic: str
    """Where it came from."""
    from_partition: int
    from_offset: int
    timestamp_ms: int
    consumer: str
    reason: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    """The original headers."""
    cut_from_bytes: int = 0
    """How large it was, if it was too large to be copied whole; otherwise 0."""

    @property
    def name(self) -> str:
        """How an operator calls it: `partition:offset`."""
        return f"{self.partition}:{self.offset}"


class DeadLetterLimit:
    """Counts bad messages in a row, partition by partition; a good one starts the count again."""

    def __init__(self, in_a_row_max: int) -> None:
        self._in_a_row_max = in_a_row_max
        self._in_a_row: Counter[tuple[str, int]] = Counter()

    def good(self, topic: str, partition: int) -> None:
        self._in_a_row.pop((topic, partition), None)

    def bad(self, topic: str, partition: int) -> None:
        """Count a bad one. Raises `TooManyDeadLetters` beyond the limit."""
        place = (topic, partition)
        self._in_a_row[place] += 1
        if self._in_a_row[place] > self._in_a_row_max:
            raise TooManyDeadLetters(
                f"more than {self._in_a_row_max} messages in a row of {topic}/{partition} cannot be read. "
                "They are left where they are. Look at the last ones with `connection dead-letters list`; if the "
                "messages are at fault and not this release, raise KAFKA_DEAD_LETTERS_IN_A_ROW_MAX and start again."
            )


async def send_dead_letters(
    producer: AIOKafkaProducer, consumer: str, bad: Sequence[tuple[ConsumerRecord, str]]
) -> None:
    """Copy bad messages, each with its reason, to `dead-letters`; returns when all are acknowledged."""
    waiting = []
    for record, reason in bad:
        headers = [(name, value) for name, value in record.headers if name not in _OURS]
        headers += [
            (_HEADER_TOPIC, record.topic.encode()),
            (_HEADER_PARTITION, str(record.partition).encode()),
            (_HEADER_OFFSET, str(record.offset).encode()),
            (_HEADER_TIMESTAMP, str(record.timestamp).encode()),
            (_HEADER_CONSUMER, consumer.encode()),
            (_HEADER_REASON, reason.encode()),
        ]
        # A key or a value must be there for the producer: a message with neither keeps an empty value.
        value = record.value if record.value is not None or record.key is not None else b""
        key = record.key
        size = sum(len(name) + len(content or b"") for name, content in headers) + len(key or b"") + len(value or b"")
        if size > _BYTES_MAX:
            # Whatever made it large: the original still lies where its place says, for as long as that topic keeps it.
            headers = [*headers[-6:], (_HEADER_CUT, str(size).encode())]
            key, value = (key or b"")[:_KEY_BYTES_MAX], (value or b"")[: _BYTES_MAX // 2]
        waiting.append(
            await producer.send(DEAD_LETTERS.name, value, key=key, partition=record.partition, headers=headers)
        )
    for acknowledged in waiting:
        await acknowledged


async def read_dead_letters(settings: KafkaSettings) -> AsyncIterator[DeadLetter]:
    """All dead letters that are there now, partition by partition, oldest first."""
    # The reader begins there by itself: a seek right after `assign` races with its going to the end.
    reader = new_reader(settings, auto_offset_reset="earliest")
    await reader.start()
    try:
        places = [TopicPartition(DEAD_LETTERS.name, number) for number in range(settings.partitions)]
        reader.assign(places)
        ends: dict[TopicPartition, int] = await reader.end_offsets(places)
        for place in places:
            reader.pause(*places)
            reader.resume(place)
            await reader.seek_to_beginning(place)
            while await reader.position(place) < ends[place]:
                for record in (await reader.getmany(place, timeout_ms=_READ_TIMEOUT_MS)).get(place, []):
                    yield _dead_letter(record)
    finally:
        await reader.stop()


async def read_dead_letter(settings: KafkaSettings, name: str) -> DeadLetter | None:
    """One dead letter by its `partition:offset`; `None` if there is none. Raises `ValueError` on a bad name."""
    partition, _, offset = name.partition(":")
    if not (partition.isdecimal() and offset.isdecimal() and int(partition) < settings.partitions):
        raise ValueError(f"{name!r} is not the name of a dead letter: it looks like 3:17 (partition:offset)")
    reader: AIOKafkaConsumer = new_reader(settings)
    await reader.start()
    try:
        place = TopicPartition(DEAD_LETTERS.name, int(partition))
        reader.assign([place])
        beginning = (await reader.beginning_offsets([place]))[place]
        end = (await reader.end_offsets([place]))[place]
        if not beginning <= int(offset) < end:
            return None
        reader.seek(place, int(offset))
        while await reader.position(place) < end:
            for record in (await reader.getmany(place, timeout_ms=_READ_TIMEOUT_MS, max_records=1)).get(place, []):
                return _dead_letter(record) if record.offset == int(offset) else None
        return None
    finally:
        await reader.stop()


async def replay(producer: AIOKafkaProducer, letter: DeadLetter) -> None:
    """Put a dead letter back where it came from, byte for byte, at the end of its partition.

    Raises `ValueError` for one that was cut.
    """
    if letter.cut_from_bytes:
        raise ValueError(
            f"dead letter {letter.name} was too large to be kept whole ({letter.cut_from_bytes} bytes): "
            f"the original is at {letter.topic}/{letter.from_partition}@{letter.from_offset}"
        )
    await producer.send_and_wait(
        letter.topic, letter.value, key=letter.key, partition=letter.from_partition, headers=list(letter.headers)
    )


def _dead_letter(record: ConsumerRecord) -> DeadLetter:
    ours: dict[str, str] = {name: (value or b"").decode() for name, value in record.headers if name in _OURS}
    theirs: list[tuple[str, Any]] = [(name, value) for name, value in record.headers if name not in _OURS]
    return DeadLetter(
        offset=record.offset,
        partition=record.partition,
        topic=ours.get(_HEADER_TOPIC, "?"),
        from_partition=int(ours.get(_HEADER_PARTITION, "0")),
        from_offset=int(ours.get(_HEADER_OFFSET, "0")),
        timestamp_ms=int(ours.get(_HEADER_TIMESTAMP, "0")),
        consumer=ours.get(_HEADER_CONSUMER, "?"),
        reason=ours.get(_HEADER_REASON, "?"),
        key=record.key,
        value=record.value,
        headers=tuple(theirs),
        cut_from_bytes=int(ours.get(_HEADER_CUT, "0")),
    )
