"""Sends one message to one webhook, and nowhere else.

A webhook's address is somebody else's to choose, so it could lead into our own network.
The name is resolved here, every address that it has must be public, and the connection is
made to the very address that was looked at: a name that resolves differently the next
moment changes nothing. Redirects are not followed, and of an answer hardly anything is read.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import suppress

import httpcore

from services.intake.webhooks.addresses import may_be_called
from services.intake.webhooks.answers import Answer, meaning_of
from services.intake.webhooks.connections import ForbiddenAddress, GuardedBackend
from shared.clock import Clock
from shared.contracts import WebhookOutcome

_ANSWER_BYTES_MAX = 16_384
"""Read, and thrown away, so that the connection can be used again; it is closed if there is more."""
_DRAIN_SECONDS_MAX = 1.0
"""How long that may take: its place is another event's."""
_IDLE_SECONDS_MAX = 30.0


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
        self._backend = GuardedBackend(allows_private=allows_private)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=trusts or ssl.create_default_context(),
            max_connections=connections_max,
            max_keepalive_connections=connections_max,
            keepalive_expiry=_IDLE_SECONDS_MAX,
            network_backend=self._backend,
        )

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """One try. Never raises for what the other side does.

        Once there is a status, it decides: an answer whose body breaks, drips or has no end is no other answer.
        """
        if not may_be_called(url, allows_private=self._allows_private):
            return Answer(WebhookOutcome.FORBIDDEN)
        answer: Answer | None = None
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
            return answer or Answer(WebhookOutcome.SLOW)
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError, ValueError, TypeError):
            # Of what it is asked to send, httpcore refuses what is not ASCII with TypeError.
            return answer or Answer(WebhookOutcome.UNREACHABLE)

    async def close(self) -> None:
        await self._pool.aclose()
        self._backend.close()


async def _drain(response: httpcore.Response) -> None:
    """Read the body away, so that the connection can be used again. One that is not read to its end is closed."""
    read = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS_MAX):
            async for chunk in response.aiter_stream():
                read += len(chunk)
                if read > _ANSWER_BYTES_MAX:
                    return
