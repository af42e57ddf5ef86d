"""Connections to webhooks: to public addresses only, and taking in no more than a bounded answer.

What is on the other side is a stranger's. It may lead into our own network, and it may answer
without end: with a header of a gigabyte, with a million times `100 Continue`, with chunks of
one letter. To parse that would keep the event loop, and so the doors, from everybody else.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpcore

from services.intake.webhooks.addresses import is_public

_ANSWER_BYTES_MAX = 32_768
"""Taken in of an answer, with all of its headers and whatever comes before it; then the connection is given up."""
_READ_BYTES_MAX = 4_096
"""Parsed at once, before others have their turn: of the smallest answers that there are, 240."""
_RESOLVED_MAX = 8
_RESOLVERS_MAX = 32
"""Names looked up at once. A name's server that does not answer holds a thread longer than a try lasts, and must not
hold those in which the rest of the process looks up names."""


class ForbiddenAddress(httpcore.ConnectError):
    """The webhook leads to an address that is not public."""


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects to public addresses only, and to the one that was looked at."""

    def __init__(self, *, allows_private: bool) -> None:
        self._allows_private = allows_private
        self._inner = httpcore.AnyIOBackend()
        self._resolvers = ThreadPoolExecutor(_RESOLVERS_MAX, thread_name_prefix="webhook-names")

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._resolve(host, port)
        if not self._allows_private and not all(map(is_public, addresses)):
            raise ForbiddenAddress("the webhook leads to an address that is not public")
        problem: Exception = httpcore.ConnectError("the name has no address")
        for address in addresses:
            try:
                stream = await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
            else:
                return _BoundedStream(stream)
        raise problem

    def close(self) -> None:
        """Look up no more names. What is being looked up is waited for by nobody."""
        self._resolvers.shutdown(wait=False, cancel_futures=True)

    async def _resolve(self, host: str, port: int) -> list[str]:
        def look_up() -> list[str]:
            return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]

        try:
            found = await asyncio.get_running_loop().run_in_executor(self._resolvers, look_up)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError("the name cannot be resolved") from error
        return list(dict.fromkeys(found))[:_RESOLVED_MAX]


class _BoundedStream(httpcore.AsyncNetworkStream):
    """Reads little at a time, and of the answer to each request no more than its bound."""

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner
        self._left_bytes = _ANSWER_BYTES_MAX

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._left_bytes <= 0:
            raise httpcore.ReadError("the answer is too long")
        # With TLS there can be more that needs no waiting for: without this nobody else would have a turn.
        await asyncio.sleep(0)
        read = await self._inner.read(min(max_bytes, _READ_BYTES_MAX, self._left_bytes), timeout)
        self._left_bytes -= len(read)
        return read

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._left_bytes = _ANSWER_BYTES_MAX  # the next request, and so the next answer
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        return _BoundedStream(await self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
