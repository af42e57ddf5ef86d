"""The client for programs that wait."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import httpx

from connection_client.events import Kind, Member, new_event
from connection_client.talking import (
    BATCH,
    EVENTS_PATH,
    STRUCTURED,
    VOCABULARY_PATH,
    Result,
    Talk,
    Unavailable,
    again,
    content_of,
    in_batches,
    result_of,
)


class Client:
    """Sends events to intake. Every method raises `Refused` if it cannot be used, `Unavailable` if time is up."""

    def __init__(
        self,
        url: str,
        *,
        key: str,
        source: str,
        signing_secret: str | None = None,
        try_for_seconds: float = 60.0,
        http: httpx.Client | None = None,
    ) -> None:
        """`source` is the name that your key belongs to; `try_for_seconds` how long one call may go on trying.

        `http` is for what httpx can do beyond that (proxies, certificates); its address is `url` all the same.
        """
        self._url = url.rstrip("/")
        self._source = source
        self._talk = Talk(key, signing_secret)
        self._try_for_seconds = try_for_seconds
        self._http = http or httpx.Client(timeout=20)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._http.close()

    def sign_up(self, reference: str, member: Member, *, event_id: str | None = None) -> Result:
        """A new member, whom you call `reference`."""
        return self.send_one(self.event("signed_up", reference, member, event_id=event_id))

    def update(self, reference: str, member: Member, *, event_id: str | None = None) -> Result:
        """How a member is now: all of it. Of two updates the one made later counts."""
        return self.send_one(self.event("updated", reference, member, event_id=event_id))

    def leave(self, reference: str, community: str) -> Result:
        """The member is no longer there; they may be signed up again."""
        return self.send_one(self.event("left", reference, {"community": community}))

    def erase(self, reference: str, community: str) -> Result:
        """The member wants to be forgotten."""
        return self.send_one(self.event("erased", reference, {"community": community}))

    def pause(self, reference: str, community: str, *, until: datetime | None = None) -> Result:
        """The member is not to be suggested until then; for good if there is no end. A past end ends it."""
        data = {"community": community} | ({} if until is None else {"until": until.isoformat()})
        return self.send_one(self.event("paused", reference, data))

    def block(self, reference: str, community: str, *, blocked: str) -> Result:
        """The member is never to meet the one whom you call `blocked`."""
        return self.send_one(self.event("blocked", reference, {"community": community, "blocked": blocked}))

    def event(self, kind: Kind, reference: str, data: Any, *, event_id: str | None = None) -> dict[str, Any]:
        """An event of yours, to be sent with `send_one` or `send_many`."""
        return new_event(self._source, kind, reference, data, event_id=event_id)

    def send_one(self, event: Mapping[str, Any]) -> Result:
        """Send an event until it is accepted."""
        return result_of(self._ask(event, STRUCTURED, str(event["id"])))

    def send_many(self, events: Sequence[Mapping[str, Any]]) -> list[Result]:
        """Send any number, in batches; a result for each, in their order. Those that are refused raise nothing."""
        results: list[Result] = []
        for batch in in_batches(events):
            told = self._ask(list(batch), BATCH, str(uuid.uuid4()))
            results += map(result_of, told["results"])
        return results

    def explain(self, reference: str, member: Member) -> dict[str, Any]:
        """What would be stored, and how interests, place and times were understood. Nothing is."""
        event = self.event("signed_up", reference, member)
        return self._ask(event, STRUCTURED, event["id"], dry_run=True)

    def vocabulary(self) -> dict[str, Any]:
        """Interests and life topics by group, codes of times, places by community: to offer in a form."""
        return content_of(self._http.get(self._url + VOCABULARY_PATH))

    def _ask(self, content: Any, media_type: str, message_id: str, *, dry_run: bool = False) -> dict[str, Any]:
        body = self._talk.body(content)
        url = self._url + EVENTS_PATH + ("?dry_run=true" if dry_run else "")
        give_up_at = time.monotonic() + self._try_for_seconds
        tries = 0
        while True:
            answer, said = None, ""
            headers = self._talk.headers(body, media_type, message_id, time.time())
            try:
                answer = self._http.post(url, content=body, headers=headers)
                if not again(answer):
                    return content_of(answer)
                said = f"it answers {answer.status_code}"
            except httpx.TransportError as error:
                said = f"it does not answer ({type(error).__name__})"
            pause = self._talk.pause(tries, answer)
            if time.monotonic() + pause > give_up_at:
                raise Unavailable(f"{url}: {said}, after {tries + 1} tries; send the same again later")
            tries += 1
            time.sleep(pause)
