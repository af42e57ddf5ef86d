"""Asking the relay whether it has an email already.

After a crash between the server's 250 and our record of it, nobody on our side can tell
whether the email went. The Message-ID is the same on every try, so a relay that can be
asked for it knows.
"""

from __future__ import annotations

from typing import Protocol

import httpx


class RelayLookup(Protocol):
    """Knows, or does not, whether the relay accepted a message."""

    async def was_accepted(self, message_id: str) -> bool | None:
        """True or False if the relay says so; None if nobody can tell. Raises nothing."""


class NoLookup:
    """For relays that cannot be asked: emails that were interrupted become `ambiguous`."""

    async def was_accepted(self, message_id: str) -> bool | None:
        return None


class MailpitLookup:
    """Asks Mailpit's REST API, or one of the same shape: `GET {base}/api/v1/search?query=message-id:"..."`.

    The answer's `messages` list carries each `MessageID` without its angle brackets. The
    search is by pattern and ignores case, so what it finds is compared once more.
    """

    def __init__(self, base_url: str, client: httpx.AsyncClient, *, timeout_seconds: float = 5.0) -> None:
        self._url = f"{base_url.rstrip('/')}/api/v1/search"
        self._client = client
        self._timeout_seconds = timeout_seconds

    async def was_accepted(self, message_id: str) -> bool | None:
        bare = message_id.strip("<>")
        try:
            response = await self._client.get(
                self._url, params={"query": f'message-id:"{bare}"', "limit": 1}, timeout=self._timeout_seconds
            )
            response.raise_for_status()
            found = response.json()["messages"]
            return any(str(message["MessageID"]).strip("<>") == bare for message in found)
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return None
