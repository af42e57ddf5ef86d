"""Runs a service's web application until it is told to stop, or cannot go on."""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from shared.lifeline import Lifeline

_GRACE_SECONDS = 5
"""How long requests that are under way may take when the service is told to stop."""

_COLLECT_AFTER_OBJECTS = 50_000

CONCURRENCY_MAX = 512
"""Requests at once; more are answered 503 at once rather than left to wait."""

HEAD_SECONDS_MAX = 10.0
"""How long a client may take for the head of its request, and for the rest of a body after it was answered."""


def serve(app: FastAPI, lifeline: Lifeline, *, host: str, port: int) -> int:
    """Serve until SIGTERM or SIGINT (status 0), or until the lifeline breaks or start-up fails (status 1)."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=CONCURRENCY_MAX,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        http=_Connection,
        # Nothing that we answer depends on who asks from where: so what proxies say of it need not be read.
        proxy_headers=False,
    )
    server = uvicorn.Server(config)

    async def stop_when_broken() -> None:
        await lifeline.broken.wait()
        server.should_exit = True

    async def run() -> None:
        watcher = asyncio.create_task(stop_when_broken())
        try:
            await server.serve()
        finally:
            watcher.cancel()

    spare_the_collector()
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(run())
    return 0 if lifeline.reason is None and server.started else 1


class _Connection(HttpToolsProtocol):
    """One connection: an answer goes out in one piece, and a client that is too slow is cut off.

    A client that does not get to the end of its request's head is cut off, so that it holds up nobody
    else. So is one that has its answer, and goes on with a body that nobody reads. uvicorn waits for
    ever; and as each connection counts, a few hundred such clients would be enough. How long a
    body may take while it is read is for who reads it to say.
    """

    _patience: asyncio.TimerHandle | None = None
    _in_head = True
    _lingers = False
    """Whether a body goes on that nobody reads."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.transport = _OnePiece(transport, self.loop)  # type: ignore[assignment]
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # Most heads come whole, and need no timer.
        if self._in_head or self._lingers:
            self._wait()
        elif self._patience is not None:
            self._stop_waiting()

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._lingers = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete and self.cycle.more_body:
            self._lingers = True
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self._patience is None:
            self._patience = self.loop.call_later(HEAD_SECONDS_MAX, self._cut_off)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _cut_off(self) -> None:
        self._patience = None
        self.transport.close()


class _OnePiece:
    """A transport that sends an answer's head together with its body, if that comes in the same turn of the loop.

    uvicorn writes them one after the other: two calls of the system and two packets for an answer that fits in one.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""

    def write(self, data: bytes) -> None:
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(b"HTTP/1.1 ") and data.endswith(b"\r\n\r\n"):
            self._head = data
            self._loop.call_soon(self._send_head)
            return
        self._transport.write(data)

    def close(self) -> None:
        self._send_head()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def _send_head(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)


def spare_the_collector() -> None:
    """Have Python look for cycles of garbage seldom, and not among what stays as long as the process does.

    Our garbage has next to no cycles: counting references frees it. With the defaults the search took
    a quarter of intake's processor time, and half a second at once when it went through the gazetteer.
    """
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER_OBJECTS, 20, 50)
