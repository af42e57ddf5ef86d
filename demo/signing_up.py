"""Signs the synthetic London up over HTTP, as a partner app does: with a key, in CloudEvents, at a pace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import httpx
import orjson

_TRIES_MAX = 30
_BACKOFF_SECONDS, _BACKOFF_SECONDS_MAX = 0.2, 2.0
_TICK_SECONDS = 0.1
_BATCH_EVENTS = 50
_RETRIED = frozenset({409, 429, 500, 502, 503, 504})


class SignUpError(RuntimeError):
    """Intake does not take sign-ups."""


class PartnerApp:
    """A partner that sends its members' sign-ups to intake, and tries again whatever was not acknowledged.

    `on_accepted` is told the member id of each sign-up that intake answered 202 for;
    `on_refused` of each that it did not, with intake's reason.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        key: str,
        *,
        on_accepted: Callable[[str], None],
        on_refused: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self._client = client
        self._authorization = f"Bearer {key}"
        self._on_accepted = on_accepted
        self._on_refused = on_refused

    async def sign_up(self, events: Iterable[dict[str, Any]], *, per_second: float) -> None:
        """Send all events, in their order: `per_second` of them, one by one, or with 0 in batches as fast as it goes.

        Raises
        ------
        SignUpError
            if intake refuses the key, or does not answer after many tries.
        """
        waiting = list(events)
        if per_second <= 0:
            for start in range(0, len(waiting), _BATCH_EVENTS):
                await self._send_batch(waiting[start : start + _BATCH_EVENTS])
            return
        clock = asyncio.get_running_loop().time
        began, sent = clock(), 0
        while sent < len(waiting):
            due = min(len(waiting), int((clock() - began) * per_second) + 1)
            await asyncio.gather(*(self._send_one(event) for event in waiting[sent:due]))
            sent = due
            await asyncio.sleep(_TICK_SECONDS)

    async def _send_one(self, event: dict[str, Any]) -> None:
        self._note(await self._post(event, "application/cloudevents+json"))

    async def _send_batch(self, events: list[dict[str, Any]]) -> None:
        answer = await self._post(events, "application/cloudevents-batch+json")
        for result in answer.get("results", [answer]):
            self._note(result)

    async def _post(self, body: Any, media_type: str) -> dict[str, Any]:
        content, said = orjson.dumps(body), ""
        for attempt in range(_TRIES_MAX):
            try:
                answer = await self._client.post(
                    "/v1/events",
                    content=content,
                    headers={"Authorization": self._authorization, "Content-Type": media_type},
                )
                if answer.status_code == 401:
                    raise SignUpError("intake does not know the partner's key")
                if answer.status_code not in _RETRIED:
                    return dict(answer.json())
                said = f"it answers {answer.status_code}"
            except httpx.TransportError as error:
                said = type(error).__name__
            await asyncio.sleep(min(_BACKOFF_SECONDS * 2**attempt, _BACKOFF_SECONDS_MAX))
        raise SignUpError(f"intake does not take sign-ups: {said}, {_TRIES_MAX} times")

    def _note(self, result: dict[str, Any]) -> None:
        if "member" in result:
            self._on_accepted(result["member"])
            return
        problem = result.get("problem", result)
        errors = problem.get("errors") or [{}]
        self._on_refused(f"{problem.get('title', 'refused')} {errors[0].get('pointer', '')}".strip())
