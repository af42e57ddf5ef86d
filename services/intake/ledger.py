"""Each event once: claims are written to Kafka, read back in the order that it gave them, and then acted upon.

Claims of many requests share a page, as records share batches: while one page of a
partition is on its way, the next one gathers. What `services.intake.claims` makes of a
page tells each request whether it has won. A partner's claims lie in one partition.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from hashlib import blake2b

from aiokafka import AIOKafkaProducer, ConsumerRecord

from services.intake.accept import Accepted
from services.intake.claims import Claims, Verdict
from shared.clock import Clock
from shared.contracts.claim import NOBODY, Entry, Fields, Page, Step, Way, from_bytes, to_bytes
from shared.lifeline import Lifeline
from shared.logs import logger
from shared.outgoing import Outgoing
from shared.topics import CLAIMS, REFERENCES, partition_of

log = logger(__name__)

_ENTRIES_MAX = 4_000
"""Of one page: about 230 kB."""
_GATHER_SECONDS = 0.002
"""Between pages, when there is more to write: a page costs as much as some thirty events."""
_NOTES_WAIT_SECONDS = 0.02
"""Steps that nobody waits for are written with the next page, or after so long."""
_CLOCKS_APART_MS = 5_000
"""How far the clocks of two instances may be from each other."""
_ACCEPTED_AT = b',"accepted_at_ms":'
_REFERENCES = REFERENCES.name
_CLAIMED: int = Step.CLAIMED.value
_WON, _WON_AGAIN = Verdict.WON, Verdict.WON_AGAIN
_NAMES = blake2b(digest_size=16, person=b"event")
_CLOCKED = re.compile(rb',"(?:accepted|requested|chosen)_at_ms":\d+')


def claim_of(event: Accepted, now_ms: int) -> Entry:
    """The claim to an event: known by its source and id, and by what it says."""
    event_type, event_id, source, member, records, time_ms, _ = event
    # Whether a reference is kept depends on the partner's webhook; the event says the same.
    said = [unclocked(record.value) for record in records if record.topic != _REFERENCES]
    moment = b"" if time_ms is None else b"%d" % time_ms
    # An id is the partner's own: its length goes in, so that no two pairs can look alike.
    name = _NAMES.copy()
    name.update(f"{len(source)}:{source}:{event_id}".encode())
    return Entry(
        _CLAIMED,
        name.digest(),
        blake2b(b"".join((event_type.encode(), *said, moment)), digest_size=16).digest(),
        member.encode()[2:18],  # of the hash that it is: 80 bits, which is enough for a day's members
        # One from the future would make every event that is still to come an older one.
        now_ms if time_ms is None or time_ms > now_ms else time_ms,
    )


def claim_of_key(source: str, key: str, body: bytes) -> Entry:
    """The claim to an `Idempotency-Key`."""
    name = f"{len(source)}:{source}:{key}".encode()
    event = blake2b(name, digest_size=16, person=b"key").digest()
    return Entry(Step.CLAIMED, event, blake2b(body, digest_size=16).digest(), NOBODY, 0)


def unclocked(value: bytes | None) -> bytes:
    """A record's value without the time when we accepted it: the same whenever the event comes."""
    if value is None:
        return b"-"
    at = value.rfind(_ACCEPTED_AT)
    return value[:at] if at >= 0 else _CLOCKED.sub(b"", value)


class Ledger:
    """Writes claims, and tells what they got. One for each process."""

    def __init__(
        self,
        claims: Claims,
        publish: Callable[[Sequence[Outgoing]], Awaitable[None]],
        find_stored: Callable[[Sequence[Outgoing], int], Awaitable[set[int]]],
        clock: Clock,
        lifeline: Lifeline,
        *,
        partitions: int,
    ) -> None:
        """`find_stored(records, since_ms)` tells which of them, by number, were stored since then."""
        self.claims = claims
        self._publish = publish
        self._find_stored = find_stored
        self._clock = clock
        self._lifeline = lifeline
        self._partitions = partitions
        self._instance = secrets.token_bytes(8)
        self._books: dict[tuple[int, Way], _Book] = {}
        self.producer: AIOKafkaProducer | None = None
        self.next_offsets: dict[int, int] = {}
        """By partition: all before it is applied."""

    def on_record(self, record: ConsumerRecord) -> None:
        """A record of the topic `claims`, in its order."""
        offset, partition, value = record.offset, record.partition, record.value or b""
        if offset < self.next_offsets.get(partition, 0):
            return
        page = from_bytes(value)
        if page is None:
            self.next_offsets[partition] = offset + 1
            log.error("claims_unreadable", partition=partition, offset=offset)
            return
        self._take_in(partition, offset, record.timestamp, page)

    def _take_in(self, partition: int, offset: int, at_ms: int, page: Page) -> None:
        self.next_offsets[partition] = offset + 1
        verdicts = self.claims.apply(page, at_ms)
        if page.instance == self._instance:
            self._book(partition, Way(page.way)).read_back(page.number, verdicts)

    async def claim(self, source: str, entries: Sequence[Entry], way: Way) -> list[Verdict]:
        """What each claim got. Raises `KafkaError` if that cannot be known: then nothing may be published."""
        if not entries:
            return []
        book = self._book(partition_of(source, self._partitions), way)
        if way is Way.TOPIC or not self.claims.knows_any(entry.event for entry in entries):
            return await book.claim(entries)
        now_ms = self._clock()
        known = [self.claims.judge(entry.event, entry.digest, now_ms) for entry in entries]
        unknown = [entry for entry, verdict in zip(entries, known, strict=True) if verdict is None]
        told = iter(await book.claim(unknown) if unknown else ())
        return [next(told) if verdict is None else verdict for verdict in known]

    def note(self, source: str, entries: Sequence[Entry], step: Step, way: Way) -> None:
        """Write down what became of claims that were won; soon, and nobody waits for it."""
        of_step = (step.value,)
        steps: list[Fields] = [of_step + entry[1:] for entry in entries]
        if step is Step.DONE:
            # Here it counts at once, or who asks again at once would be told to wait. That a claim is given
            # up counts when all have read it: until then another instance could not take it.
            self.claims.end(self._instance, step, [entry.event for entry in entries])
        self._book(partition_of(source, self._partitions), way).note(steps, soon=step is Step.RELEASED)

    async def flush(self) -> None:
        """Return when all that is known has been written, or could not be."""
        for book in list(self._books.values()):
            await book.flush()

    async def publish_won(
        self, source: str, events: Sequence[Accepted], entries: Sequence[Entry], verdicts: Sequence[Verdict], way: Way
    ) -> None:
        """Publish what was won; of what somebody had in hand before, only what they did not store.

        Raises what publishing raises; the claims are given up then.
        """
        won = [number for number, verdict in enumerate(verdicts) if verdict is _WON or verdict is _WON_AGAIN]
        if not won:
            return
        mine = [entries[number] for number in won]
        try:
            records: list[Outgoing] = []
            for number in won:
                if verdicts[number] is _WON:
                    records.extend(events[number].records)
                else:
                    records.extend(await self._left_to_store(events[number], entries[number], way))
            await self._publish(records)
        except BaseException:
            self.note(source, mine, Step.RELEASED, way)
            raise
        self.note(source, mine, Step.DONE, way)

    async def _left_to_store(self, event: Accepted, entry: Entry, way: Way) -> list[Outgoing]:
        since_ms = self.claims.since_ms(entry.event) - _CLOCKS_APART_MS
        stored = await self._find_stored(event.records, since_ms)
        log.info("claim_taken_over", way=way.name.lower(), stored=len(stored), of=len(event.records))
        return [record for number, record in enumerate(event.records) if number not in stored]

    def _book(self, partition: int, way: Way) -> _Book:
        book = self._books.get((partition, way))
        if book is None:
            book = self._books[partition, way] = _Book(self, partition, way)
        return book

    async def send(self, partition: int, way: Way, number: int, entries: Sequence[Fields]) -> None:
        """Write one page; acknowledged.

        If nobody has written since what we know, there is nothing to be read before it, and it
        counts at once. Otherwise it counts when it has been read back, after the others'.
        """
        assert self.producer is not None, "claims are only made while the producer runs"
        page, at_ms = to_bytes(self._instance, way, number, entries), self._clock()
        stored = await self.producer.send_and_wait(CLAIMS.name, page, partition=partition, timestamp_ms=at_ms)
        if stored.offset == self.next_offsets.get(partition):
            self._take_in(partition, stored.offset, at_ms, Page(self._instance, way, number, entries))

    def watch(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        """A task that must not die unheard."""
        return self._lifeline.watch(task)


class _Book:
    """The pages of one partition and one way, one at a time."""

    def __init__(self, ledger: Ledger, partition: int, way: Way) -> None:
        self._ledger = ledger
        self._partition = partition
        self._way = way
        self._number = 0
        self._waiting: deque[tuple[Sequence[Fields], asyncio.Future[list[Verdict]] | None]] = deque()
        self._sending: asyncio.Task[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._sent: dict[int, list[tuple[int, asyncio.Future[list[Verdict]]]]] = {}

    async def claim(self, entries: Sequence[Entry]) -> list[Verdict]:
        answer: asyncio.Future[list[Verdict]] = asyncio.get_running_loop().create_future()
        self._waiting.append((entries, answer))
        self._send_soon()
        return await answer

    def note(self, entries: Sequence[Fields], *, soon: bool) -> None:
        self._waiting.append((entries, None))
        if soon:
            self._send_soon()
        elif self._sending is None and self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(_NOTES_WAIT_SECONDS, self._send_soon)

    async def flush(self) -> None:
        if self._waiting:
            self._send_soon()
        if self._sending is not None:
            await self._sending

    def read_back(self, number: int, verdicts: list[Verdict]) -> None:
        start = 0
        for count, answer in self._sent.pop(number, ()):
            if not answer.done():
                answer.set_result(verdicts[start : start + count])
            start += count

    def _send_soon(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._sending is None:
            self._sending = self._ledger.watch(asyncio.create_task(self._send_all()))

    async def _send_all(self) -> None:
        try:
            while self._waiting:
                await self._send_some()
                if self._waiting:
                    await asyncio.sleep(_GATHER_SECONDS)
        finally:
            self._sending = None

    async def _send_some(self) -> None:
        entries: list[Fields] = []
        answers: list[tuple[int, asyncio.Future[list[Verdict]]]] = []
        while self._waiting and len(entries) < _ENTRIES_MAX:
            more, answer = self._waiting.popleft()
            entries.extend(more)
            if answer is not None:
                answers.append((len(more), answer))
        self._number += 1
        self._sent[self._number] = answers
        try:
            await self._ledger.send(self._partition, self._way, self._number, entries)
        except Exception as error:
            # It may have been stored even so: then it is read back, and nobody waits any more.
            self._sent.pop(self._number, None)
            for _, answer in answers:
                if not answer.done():
                    answer.set_exception(error)
