"""The load generator: it asks what it is told to, counts what is answered, and reads answers that come in pieces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from benchmarks.load import closed_loop, encode, open_loop

TYPE = "application/cloudevents+json"
BODIES = [b'{"number":1}', b'{"number":22}', b'{"number":333}']


class Server:
    """Answers every request, in as many pieces as told, and remembers what it was asked."""

    def __init__(self, pieces: int, status_of: Callable[[int], int]) -> None:
        self.asked: list[bytes] = []
        self.connections = 0
        self._pieces = pieces
        self._status_of = status_of

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                self.asked.append(head + await reader.readexactly(length))
                status = self._status_of(len(self.asked))
                answer = b"HTTP/1.1 %d Whatever\r\ncontent-length: 10\r\n\r\n0123456789" % status
                size = -(-len(answer) // self._pieces)
                for start in range(0, len(answer), size):
                    writer.write(answer[start : start + size])
                    await writer.drain()
                    await asyncio.sleep(0)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(
    pieces: int = 1, status_of: Callable[[int], int] = lambda _: 202
) -> AsyncIterator[tuple[Server, int]]:
    server = Server(pieces, status_of)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    async with listening:
        yield server, listening.sockets[0].getsockname()[1]


async def test_every_request_is_asked_once_at_a_rate_and_counted() -> None:
    async with serving(pieces=7) as (server, port):
        requests = [encode(port, body, TYPE, "sesame") for body in BODIES * 5]
        found = await open_loop(port, requests, rate=1000, watch=[])
    assert sorted(server.asked) == sorted(requests)
    assert found["statuses"] == {"202": 15}
    assert b"Authorization: Bearer sesame\r\n" in server.asked[0]


async def test_refusals_are_counted_apart() -> None:
    async with serving(status_of=lambda number: 503 if number % 3 == 0 else 202) as (_, port):
        requests = [encode(port, body, TYPE, "sesame") for body in BODIES * 2]
        found = await open_loop(port, requests, rate=1000, watch=[])
    assert found["statuses"] == {"202": 4, "503": 2}


async def test_connections_stay_open_and_each_has_one_request_under_way() -> None:
    async with serving(pieces=3) as (server, port):
        requests = [encode(port, body, TYPE, "sesame") for body in BODIES]
        found = await closed_loop(port, requests, connections=4, warm_up_seconds=0, seconds=0.05, watch=[])
        assert server.connections == 4
    assert set(server.asked) == set(requests)
    assert 0 < found["answered"] <= len(server.asked)
