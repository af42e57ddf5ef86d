"""The bare side of the `intake` benchmark: what any program must at least do to take a sign-up.

A plain ASGI callable, no framework, under uvicorn with the options of `shared.serving`
and a producer with the options of `shared.kafka.connection.new_producer`.

It does: read the body; send two records (of the sizes that a contact and a profile
have), each under a key, to the same topics and partition; wait until both are
acknowledged by all replicas; answer 202 with a small JSON body. For a batch it parses
the array (orjson), sends two records for each event, and awaits all of them together.

It does not: route, know partners by keys, look at a single field, parse one event,
check, normalise, derive ids, put limits to anything, or count.

    python -m benchmarks.bare_app --port 8001
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson
import uvicorn

from shared import topics
from shared.kafka.connection import new_producer
from shared.settings import KafkaSettings
from shared.topics import partition_of

Message = MutableMapping[str, Any]
CONTACT_BYTES, PROFILE_BYTES = 295, 560
"""About what `Contact` and `Profile` take for people of the synthetic London; checked by a test."""
_BATCH = b"application/cloudevents-batch+json"


class BareApp:
    """The ASGI callable."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._partition = partition_of("london", settings.partitions)
        self._contact = b"c" * CONTACT_BYTES
        self._profile = b"p" * PROFILE_BYTES
        self._numbers = itertools.count()
        self._producer: Any = None

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["method"] == "GET":
            await _answer(send, 200, b"{}")
            return
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        is_batch = any(name == b"content-type" and value == _BATCH for name, value in scope["headers"])
        events = orjson.loads(body) if is_batch else [body]
        waiting = []
        for _ in events:
            key = b"m_%026d" % next(self._numbers)
            waiting.append(await self._send(topics.CONTACTS.name, key, self._contact))
            waiting.append(await self._send(topics.PROFILES.name, key, self._profile))
        await asyncio.gather(*waiting)
        await _answer(send, 202, b'{"id":"signup-0-00000","member":"m_00000000000000000000000000"}')

    async def _send(self, topic: str, key: bytes, value: bytes) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = await self._producer.send(topic, value, key=key, partition=self._partition)
        return future

    async def _live(
        self, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        await receive()
        self._producer = new_producer(self._settings, client_id="bare")
        await self._producer.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._producer.stop()
        await send({"type": "lifespan.shutdown.complete"})


async def _answer(send: Callable[[Message], Awaitable[None]], status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def command(arguments: list[str]) -> None:
    """The command line. Where Kafka is, the environment says, as for the services."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bare_app", description="The bare side.")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args(arguments)
    uvicorn.run(
        BareApp(KafkaSettings()),
        host="127.0.0.1",
        port=options.port,
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=512,
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        http="httptools",
    )


if __name__ == "__main__":
    command(sys.argv[1:])
