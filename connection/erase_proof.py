"""Looks for what somebody wrote in everything that could still hold it, and says where it was found. Changes nothing.

Bytes are compared, upper and lower case alike, as text and as JSON escapes it. What was
looked for is never printed: findings name it by its number in the list.
"""

from __future__ import annotations

import json
import struct
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.record.memory_records import MemoryRecords

from shared.kafka.connection import client_options
from shared.settings import KafkaSettings

NEEDLE_LETTERS_MIN = 3
_BATCH_HEADER = struct.Struct(">qiibIh")
"""Base offset, length, leader epoch, magic, checksum, attributes: how a record batch of Kafka's begins (KIP-98)."""
_LENGTH_FROM = 12
"""Of a batch, so many bytes come before what its length counts."""
_COMPRESSION = 0b111
_READ_TIMEOUT_MS = 20
"""Short, since all there is to read is there: whatever is asked next stands in line behind a fetch that waits."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One place that holds something of what was looked for."""

    where: str
    """segment, topic, log or metrics."""
    place: str
    offset: int
    """Of the record batch or the record; of a file or a page, the byte."""
    what: int
    """Which line of what was looked for, from 1."""

    def as_dict(self) -> dict[str, str | int]:
        return asdict(self)


class Needles:
    """What is looked for, a line each."""

    def __init__(self, lines: Iterable[str]) -> None:
        """Raises `ValueError` if there is nothing to look for, or something so short that it is everywhere."""
        wanted = [line.strip() for line in lines if line.strip()]
        if not wanted:
            raise ValueError("nothing to look for: give a name, an address, words of theirs, each on a line")
        short = [number for number, line in enumerate(wanted, 1) if len(line) < NEEDLE_LETTERS_MIN]
        if short:
            raise ValueError(
                f"line {short[0]} is shorter than {NEEDLE_LETTERS_MIN} letters, and would be found anywhere"
            )
        self._forms = [
            {
                form.encode().lower()
                for form in (line, json.dumps(line)[1:-1], json.dumps(line, ensure_ascii=False)[1:-1])
            }
            for line in wanted
        ]

    def __len__(self) -> int:
        return len(self._forms)

    def found_in(self, text: bytes) -> Iterator[tuple[int, int]]:
        """The number of each line that is in it, and at which byte. O(text) for each line."""
        lowered = text.lower()
        for number, forms in enumerate(self._forms, 1):
            at = [position for form in forms if (position := lowered.find(form)) >= 0]
            if at:
                yield number, min(at)


def in_segments(folder: Path, needles: Needles) -> Iterator[Finding]:
    """In a broker's own files, compressed batches and all, also those that are about to be deleted.

    `folder` is what the broker's `log.dirs` names, or a copy. Raises `OSError` if it cannot be read.
    """
    for path in _files(folder):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue  # The broker has just deleted it.
        place = str(path.relative_to(folder))
        if ".log" in path.suffixes and path.parent != folder:
            for offset, batch in _batches(content):
                yield from (Finding("segment", place, offset, what) for what, _ in needles.found_in(batch))
        else:
            # Indexes are made as large as they may become, and are nothing but zeros for the most part.
            yield from (Finding("segment", place, at, what) for what, at in needles.found_in(content.rstrip(b"\0")))


def in_logs(folder: Path, needles: Needles) -> Iterator[Finding]:
    """In every file below a folder."""
    for path in _files(folder):
        for what, at in needles.found_in(path.read_bytes()):
            yield Finding("log", str(path.relative_to(folder)), at, what)


def in_metrics(urls: Sequence[str], needles: Needles) -> Iterator[Finding]:
    """In what services tell operators. Raises `httpx.HTTPError` if one does not answer."""
    for url in urls:
        answer = httpx.get(url, timeout=20).raise_for_status()
        yield from (Finding("metrics", url, at, what) for what, at in needles.found_in(answer.content))


async def in_topics(settings: KafkaSettings, needles: Needles) -> AsyncIterator[Finding]:
    """In all topics of the broker, as any consumer could read them: keys, values, headers, aborted transactions too."""
    reader = AIOKafkaConsumer(
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        fetch_max_wait_ms=_READ_TIMEOUT_MS,
        **client_options(settings),
    )
    await reader.start()
    try:
        for topic, partitions in sorted((await _partitions(settings)).items()):
            for number in range(partitions):
                place = TopicPartition(topic, number)
                reader.assign([place])
                end = (await reader.end_offsets([place]))[place]
                if end == (await reader.beginning_offsets([place]))[place]:
                    continue
                await reader.seek_to_beginning(place)
                while await reader.position(place) < end:
                    for record in (await reader.getmany(place, timeout_ms=_READ_TIMEOUT_MS)).get(place, []):
                        headers = b"\n".join(name.encode() + b"\n" + (value or b"") for name, value in record.headers)
                        whole = b"\n".join((record.key or b"", record.value or b"", headers))
                        for what, _ in needles.found_in(whole):
                            yield Finding("topic", f"{topic}/{number}", record.offset, what)
    finally:
        await reader.stop()


async def _partitions(settings: KafkaSettings) -> dict[str, int]:
    """How many partitions each topic of the broker has, its own ones too."""
    admin = AIOKafkaAdminClient(**client_options(settings))
    await admin.start()
    try:
        described = await admin.describe_topics(await admin.list_topics())
        return {topic["topic"]: len(topic["partitions"]) for topic in described}
    finally:
        await admin.close()


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder")
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _batches(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The record batches of a segment with their first offsets, unpacked where they are compressed."""
    start = 0
    while start + _BATCH_HEADER.size <= len(content):
        offset, length, _, _, _, attributes = _BATCH_HEADER.unpack_from(content, start)
        if length <= 0:
            break
        batch = content[start : start + _LENGTH_FROM + length]
        yield offset, _unpacked(batch) if attributes & _COMPRESSION else batch
        start += _LENGTH_FROM + length
    yield start, content[start:]


def _unpacked(batch: bytes) -> bytes:
    parts: list[bytes] = []
    records = MemoryRecords(batch)
    while records.has_next():
        for record in records.next_batch():
            parts += [record.key or b"", record.value or b"", *(value or b"" for _, value in record.headers)]
    return b"\n".join(parts)
