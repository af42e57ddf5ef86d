"""Sends one message to one webhook, and nowhere else.

A webhook's address is somebody else's to choose, so it could lead into our own network.
The name is resolved here, every address that it has must be public, and the connection is
made to the very address that was looked at: a name that resolves differently the next
moment changes nothing. Redirects are not followed, and of an answer hardly anything is read.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterable, Mapping

import httpcore

from services.intake.webhooks.addresses import is_public, may_be_called
from services.intake.webhooks.answers import Answer, meaning_of
from shared.clock import Clock
from shared.contracts import WebhookOutcome

_ANSWER_BYTES_MAX = 16_384
"""Read, and thrown away, so that the connection can be used again; it is closed if there is more."""
_IDLE_SECONDS_MAX = 30.0
_RESOLVED_MAX = 8


class ForbiddenAddress(httpcore.ConnectError):
    """The webhook leads to an address that is not public."""


class WebhookSender:
    """Connections to webhooks, kept and used again. Nothing in it is shared between partners but their number."""

    def __init__(
        self,
        *,
        seconds_max: float,
        connections_max: int,
        allows_private: bool,
        clock: Clock,
        trusts: ssl.SSLContext | None = None,
    ) -> None:
        self._seconds_max = seconds_max
        self._allows_private = allows_private
        self._clock = clock
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=trusts or ssl.create_default_context(),
            max_connections=connections_max,
            max_keepalive_connections=connections_max,
            keepalive_expiry=_IDLE_SECONDS_MAX,
            network_backend=_GuardedBackend(allows_private=allows_private),
        )

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """One try. Never raises for what the other side does."""
        if not may_be_called(url, allows_private=self._allows_private):
            return Answer(WebhookOutcome.FORBIDDEN)
        try:
            async with (
                asyncio.timeout(self._seconds_max),
                self._pool.stream("POST", url, headers=list(headers.items()), content=body) as response,
            ):
                said = {name.lower(): value for name, value in response.headers}
                retry_after = said.get(b"retry-after", b"").decode("ascii", errors="replace")
                answer = meaning_of(response.status, retry_after, now_seconds=self._clock() / 1000)
                await _drain(response)
                return answer
        except ForbiddenAddress:
            return Answer(WebhookOutcome.FORBIDDEN)
        except (TimeoutError, httpcore.TimeoutException):
            return Answer(WebhookOutcome.SLOW)
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError, ssl.SSLError, ValueError):
            return Answer(WebhookOutcome.UNREACHABLE)

    async def close(self) -> None:
        await self._pool.aclose()


class _GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects to public addresses only, and to the one that was looked at."""

    def __init__(self, *, allows_private: bool) -> None:
        self._allows_private = allows_private
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError("the name cannot be resolved") from error
        addresses = list(dict.fromkeys(str(one[4][0]) for one in found))[:_RESOLVED_MAX]
        if not self._allows_private and not all(map(is_public, addresses)):
            raise ForbiddenAddress("the webhook leads to an address that is not public")
        problem: Exception = httpcore.ConnectError("the name has no address")
        for address in addresses:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
        raise problem


async def _drain(response: httpcore.Response) -> None:
    read = 0
    async for chunk in response.aiter_stream():
        read += len(chunk)
        if read > _ANSWER_BYTES_MAX:
            return
