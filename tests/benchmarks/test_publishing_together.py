"""What is published at the same time travels together: in order, acknowledged or failed as a whole, or taken back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaError, KafkaTimeoutError
from aiokafka.producer.message_accumulator import BatchBuilder

from shared.kafka.publishing import publish
from shared.outgoing import Outgoing

PARTITIONS = 8
RECORD_BYTES = 200


class Producer:
    """Holds what it is sent until told what became of it. The batches are aiokafka's own."""

    def __init__(self, batch_bytes: int = 100_000) -> None:
        self.sent: list[tuple[str, list[bytes], asyncio.Future[Any]]] = []
        self._batch_bytes = batch_bytes
        self._keys: dict[int, list[bytes]] = {}

    def create_batch(self) -> Any:
        builder, keys = BatchBuilder(self._batch_bytes, 0), []
        append = builder.append

        def noting(**record: Any) -> Any:
            taken = append(**record)
            if taken is not None:
                keys.append(record["key"])
            return taken

        builder.append = noting  # notes what aiokafka took
        self._keys[id(builder)] = keys
        return builder

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> asyncio.Future[Any]:
        assert batch.closed(), "nobody else's records may slip into it"
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.sent.append((topic, self._keys[id(batch)], future))
        return future


def records(*names: str, topic: str = "profiles") -> list[Outgoing]:
    return [Outgoing(topic, "london", name, b"x" * RECORD_BYTES) for name in names]


async def settle() -> None:
    """Let every task go as far as it can."""
    for _ in range(20):
        await asyncio.sleep(0)


def start(producer: Producer, some: list[Outgoing]) -> asyncio.Task[None]:
    return asyncio.ensure_future(publish(producer, some, partitions=PARTITIONS))


async def test_what_comes_while_a_batch_is_on_its_way_shares_the_next_one() -> None:
    producer = Producer()
    calls = [start(producer, records("a"))]
    await settle()
    calls += [start(producer, records(name)) for name in "bcd"]
    await settle()
    assert [keys for _, keys, _ in producer.sent] == [[b"a"]]

    producer.sent[0][2].set_result(None)
    await settle()
    assert [call.done() for call in calls] == [True, False, False, False]
    assert [keys for _, keys, _ in producer.sent] == [[b"a"], [b"b", b"c", b"d"]]

    producer.sent[1][2].set_result(None)
    await asyncio.gather(*calls)


async def test_a_call_ends_when_the_last_of_its_batches_is_acknowledged() -> None:
    producer = Producer(batch_bytes=3 * RECORD_BYTES)
    call = start(producer, [*records(*"abcde"), *records("f", topic="contacts")])
    for expected in (2, 3, 4):
        await settle()
        assert not call.done()
        for _, _, future in producer.sent:
            if not future.done():
                future.set_result(None)
        assert len(producer.sent) <= expected
    await call
    assert [key for topic, keys, _ in producer.sent if topic == "profiles" for key in keys] == [
        *map(str.encode, "abcde")
    ]
    assert [keys for topic, keys, _ in producer.sent if topic == "contacts"] == [[b"f"]]


async def test_all_aboard_a_batch_that_fails_are_told_and_the_next_one_goes() -> None:
    producer = Producer()
    failing = [start(producer, records("a"))]
    await settle()
    failing_too = [start(producer, records(name)) for name in "bc"]
    await settle()
    producer.sent[0][2].set_exception(KafkaTimeoutError())
    with pytest.raises(KafkaTimeoutError):
        await failing[0]
    await settle()
    producer.sent[1][2].set_exception(KafkaError("refused"))
    for call in failing_too:
        with pytest.raises(KafkaError):
            await call
    fine = start(producer, records("d"))
    await settle()
    producer.sent[2][2].set_result(None)
    await fine


async def test_what_was_given_up_before_it_went_never_goes() -> None:
    producer = Producer()
    first = start(producer, records("a"))
    await settle()
    given_up, kept = start(producer, records("b")), start(producer, records("c"))
    await settle()
    given_up.cancel()
    await settle()
    producer.sent[0][2].set_result(None)
    await settle()
    producer.sent[1][2].set_result(None)
    await asyncio.gather(first, kept)
    assert [keys for _, keys, _ in producer.sent] == [[b"a"], [b"c"]]


async def test_nothing_is_published_at_once() -> None:
    await publish(Producer(), [], partitions=PARTITIONS)


async def test_nobody_waits_for_a_batch_that_cannot_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    producer = Producer()

    def cannot() -> Any:
        raise KafkaError("no batch")

    with monkeypatch.context() as patch:
        patch.setattr(producer, "create_batch", cannot)
        calls = [start(producer, records("a", "b")), start(producer, records("c"))]
        for call in calls:
            with pytest.raises(KafkaError, match="no batch"):
                await call
    later = start(producer, records("d"))
    await settle()
    assert [keys for _, keys, _ in producer.sent] == [[b"d"]], "what failed is not sent after all"
    producer.sent[0][2].set_result(None)
    await later
