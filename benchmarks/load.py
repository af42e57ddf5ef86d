"""The load generator: a process of its own that asks the same port again and again, and does little else.

    python -m benchmarks.load --port 8001 --bodies FILE --content-type TYPE [--rate 100]

Requests are encoded before the first one goes, connections stay open, answers are read
only as far as their status and their length. Without `--rate` every connection asks
again as soon as it is answered (closed loop); with it, requests go at that rate whether
or not answers come (open loop), on as many connections as that takes.

The last line is one JSON object: what was answered between the warm-up and the end,
and what processor time this process and the watched ones took meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import orjson

from benchmarks.figures import percentile
from benchmarks.processes import processor_seconds, run_quickly

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length: "
_CONNECTIONS_OPEN_LOOP_MAX = 512

MARK = b"@" * 16
"""In a body, where each request is to have a number of its own: services know an event by its id."""


def encode(port: int, body: bytes, content_type: str, key: str) -> bytes:
    """One whole request."""
    head = (
        f"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def renewed(requests: Sequence[bytes]) -> Iterator[bytes]:
    """The requests again and again, with another number in place of each mark: never the same event twice."""
    for number, request in enumerate(itertools.cycle(requests)):
        yield request.replace(MARK, b"%06x%010x" % (os.getpid() % 2**24, number))


class Tally:
    """What was answered, while it counts."""

    def __init__(self) -> None:
        self.counts = False
        self.statuses: Counter[int] = Counter()
        self.seconds: list[float] = []

    def answered(self, status: int, seconds: float) -> None:
        if self.counts:
            self.statuses[status] += 1
            self.seconds.append(seconds)


class Connection(asyncio.Protocol):
    """One connection: one request at a time."""

    def __init__(self, tally: Tally) -> None:
        self.free = asyncio.Event()
        self.lost = False
        self._tally = tally
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._asked_at = 0.0
        self.next_request: Iterator[bytes] | None = None
        """Where the next request comes from as soon as this one is answered; `None` to wait for `ask`."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one without saying so
        self.free.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self.free.set()

    def ask(self, request: bytes) -> None:
        assert self._transport is not None
        self.free.clear()
        self._asked_at = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data if self._buffer else data
        head = data.find(_HEAD_END)
        if head >= 0:
            at = data.find(_LENGTH, 0, head)
            if at < 0:
                raise ValueError("an answer without a content-length")
            at += len(_LENGTH)
            if len(data) >= head + len(_HEAD_END) + int(data[at : data.find(b"\r", at)]):
                self._buffer = b""
                self._answered(int(data[9:12]))
                return
        self._buffer = data

    def _answered(self, status: int) -> None:
        self._tally.answered(status, time.perf_counter() - self._asked_at)
        request = next(self.next_request, None) if self.next_request is not None else None
        if request is None:
            self.free.set()
        else:
            self.ask(request)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


async def closed_loop(
    port: int,
    requests: Sequence[bytes],
    *,
    connections: int,
    warm_up_seconds: float,
    seconds: float,
    watch: Sequence[int],
) -> dict[str, Any]:
    """Every connection asks again as soon as it is answered, until the time is up."""
    tally = Tally()
    stopped = False

    def until_stopped() -> Iterator[bytes]:
        source = renewed(requests)
        while not stopped:
            yield next(source)

    source = until_stopped()
    opened = [await _open(port, tally) for _ in range(connections)]
    for connection in opened:
        connection.next_request = source
        connection.ask(next(source))
    await asyncio.sleep(warm_up_seconds)
    before, began = _processor(watch), time.perf_counter()
    tally.counts = True
    await asyncio.sleep(seconds)
    tally.counts = False
    took, after = time.perf_counter() - began, _processor(watch)
    stopped = True
    await _close(opened)
    return _result(tally, took, before, after)


async def open_loop(port: int, requests: Sequence[bytes], *, rate: float, watch: Sequence[int]) -> dict[str, Any]:
    """Each request once, at its own time, whether or not others are answered; then wait for the answers."""
    tally = Tally()
    tally.counts = True
    opened: list[Connection] = []
    before, began = _processor(watch), time.perf_counter()
    late_seconds_max = 0.0
    for number, request in zip(range(len(requests)), renewed(requests), strict=False):
        due = began + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        connection = next((one for one in opened if one.free.is_set() and not one.lost), None)
        if connection is None:
            if len(opened) >= _CONNECTIONS_OPEN_LOOP_MAX:
                raise RuntimeError("the service answers too slowly for this rate: 512 requests are under way")
            connection = await _open(port, tally)
            opened.append(connection)
        late_seconds_max = max(late_seconds_max, time.perf_counter() - due)
        connection.ask(request)
    await asyncio.gather(*(connection.free.wait() for connection in opened))
    took, after = time.perf_counter() - began, _processor(watch)
    await _close(opened)
    return {**_result(tally, took, before, after), "late_seconds_max": late_seconds_max}


async def _open(port: int, tally: Tally) -> Connection:
    _, connection = await asyncio.get_running_loop().create_connection(lambda: Connection(tally), "127.0.0.1", port)
    return connection


async def _close(opened: Sequence[Connection]) -> None:
    async with asyncio.timeout(30):
        await asyncio.gather(*(connection.free.wait() for connection in opened))
    for connection in opened:
        connection.close()


def _processor(watch: Sequence[int]) -> list[float | None]:
    return [time.process_time(), *(processor_seconds(pid) for pid in watch)]


def _result(tally: Tally, seconds: float, before: list[float | None], after: list[float | None]) -> dict[str, Any]:
    spent = [None if a is None or b is None else b - a for a, b in zip(before, after, strict=True)]
    return {
        "answered": len(tally.seconds),
        "seconds": seconds,
        "statuses": {str(status): count for status, count in sorted(tally.statuses.items())},
        "p50_ms": percentile(tally.seconds, 0.5) * 1000 if tally.seconds else None,
        "p99_ms": percentile(tally.seconds, 0.99) * 1000 if tally.seconds else None,
        "own_processor_seconds": spent[0],
        "watched_processor_seconds": spent[1:],
    }


def command(arguments: list[str]) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description="Ask a port again and again.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--bodies", type=Path, required=True, help="a file with one body in each line")
    parser.add_argument("--content-type", required=True)
    parser.add_argument("--key", default="benchmark")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--warm-up", type=float, default=1.0, help="seconds that do not count (closed loop)")
    parser.add_argument("--seconds", type=float, default=3.0, help="seconds that count (closed loop)")
    parser.add_argument("--rate", type=float, help="requests a second (open loop), each body once")
    parser.add_argument("--watch", type=int, nargs="*", default=[], help="processes whose processor time to tell")
    options = parser.parse_args(arguments)
    bodies = options.bodies.read_bytes().splitlines()
    requests = [encode(options.port, body, options.content_type, options.key) for body in bodies]
    if options.rate:
        result = run_quickly(open_loop(options.port, requests, rate=options.rate, watch=options.watch))
    else:
        result = run_quickly(
            closed_loop(
                options.port,
                requests,
                connections=options.connections,
                warm_up_seconds=options.warm_up,
                seconds=options.seconds,
                watch=options.watch,
            )
        )
    print(orjson.dumps(result).decode())


if __name__ == "__main__":
    command(sys.argv[1:])
