"""Reads the local inbox over its HTTP API: every message once, in the order in which they came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

_PAGE_MIN, _PAGE_MAX = 20, 500
_POLL_SECONDS = 0.2
_TRIES_MAX = 5


@dataclass(frozen=True, slots=True)
class Post:
    """A message that arrived."""

    id: str
    """The inbox's own."""
    message_id: str
    recipient: str
    subject: str
    received_at_ms: int


class Letterbox:
    """Polls an inbox with Mailpit's API, here or elsewhere. Keeps the ids that it has seen."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        """`client` has the inbox's base URL."""
        self._client = client
        self._seen: set[str] = set()

    async def arrivals(self) -> AsyncIterator[list[Post]]:
        """What has arrived since the last time, again and again, at most empty. Never ends by itself."""
        while True:
            yield await self.new()
            await asyncio.sleep(_POLL_SECONDS)

    async def new(self) -> list[Post]:
        """What has arrived since the last call, oldest first."""
        found: list[Post] = []
        start, limit = 0, _PAGE_MIN
        while True:
            answer = await self._get("/api/v1/messages", start=start, limit=limit)
            fresh = [message for message in answer["messages"] if message["ID"] not in self._seen]
            self._seen.update(message["ID"] for message in fresh)
            found += [_post(message) for message in fresh]
            # New ones come in at the front while we turn pages and push the others further
            # back, so pages overlap: only the count tells that none is left behind.
            if not fresh or len(self._seen) >= answer["total"]:
                return found[::-1]
            start, limit = start + limit, min(5 * limit, _PAGE_MAX)

    async def text(self, post: Post) -> str:
        """The text part of a message."""
        return str((await self._get(f"/api/v1/message/{post.id}"))["Text"])

    async def total(self) -> int:
        """How many messages the inbox holds."""
        return int((await self._get("/api/v1/messages", limit=0))["total"])

    async def _get(self, path: str, **parameters: int) -> Any:
        for attempt in range(_TRIES_MAX):
            try:
                answer = await self._client.get(path, params=parameters)
                answer.raise_for_status()
                return answer.json()
            except httpx.TransportError:
                if attempt == _TRIES_MAX - 1:
                    raise
                await asyncio.sleep(_POLL_SECONDS * 2**attempt)
        raise AssertionError("unreachable")


def _post(message: dict[str, Any]) -> Post:
    return Post(
        id=message["ID"],
        message_id=message["MessageID"],
        recipient=message["To"][0]["Address"] if message["To"] else "",
        subject=message["Subject"],
        received_at_ms=round(datetime.fromisoformat(message["Created"]).timestamp() * 1000),
    )
