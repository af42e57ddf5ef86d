"""A partner's side of webhooks for tests: introductions to tell of, and an endpoint that answers as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from shared import ids
from shared.contracts import (
    Anchor,
    Introduction,
    IntroductionState,
    Meeting,
    MeetingPlace,
    Partner,
    Reference,
    RoundReference,
    ScoreParts,
    Suggestion,
    SuggestionKind,
)

NOW = 1_790_000_000_000
SECRETS = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")
CANARIES = ("Amara", "amara@inbox.example", "I still eat lunch alone.")
"""What must be in no body."""


def member(subject: str, source: str = "book-app") -> str:
    return ids.member_id("london", source, subject)


def partner(source: str = "book-app", **changes: object) -> Partner:
    known = Partner(
        source=source,
        webhook_url="https://book.example/hook",
        webhook_since_ms=NOW - 86_400_000,
        webhook_set_at_ms=NOW - 86_400_000,
        webhook_id_key="a key of theirs",
        signing_secrets=SECRETS[:1],
    )
    return known.model_copy(update=changes)


def reference(subject: str, source: str = "book-app", *, at_ms: int = NOW - 1000) -> Reference:
    return Reference(
        community="london", member=member(subject, source), source=source, subject=subject, accepted_at_ms=at_ms
    )


def proposed(*members: str, at_ms: int = NOW) -> Introduction:
    together = tuple(sorted(members))
    suggestion = Suggestion(
        community="london",
        suggestion=ids.suggestion_id(together, 0),
        kind=SuggestionKind.PAIR if len(together) == 2 else SuggestionKind.GROUP,
        members=together,
        anchor=Anchor(kind="interest", word="book club"),
        shared_interests=("book club",),
        place=MeetingPlace(name="Notting Hill", latitude=51.5, longitude=-0.2, farthest_km=1.0),
        slot="tue-evening",
        score=ScoreParts(interests=1.0, openness=1.0, practical=1.0, total=1.0),
        weights={"interests": 1.0},
        reasons=("Both like the book club.",),
        waited_ms=0,
        suggested_at_ms=at_ms,
        round=RoundReference(round="r_1", seed=0, engine="test", offsets={}),
    )
    return Introduction(
        community="london",
        introduction=suggestion.suggestion,
        suggestion=suggestion,
        state=IntroductionState.PROPOSED,
        proposed_at_ms=at_ms,
        answer_by_ms=at_ms + 1000,
    )


def introduced(of: Introduction, *members: str, at_ms: int = NOW) -> Introduction:
    together = tuple(sorted(members)) or of.members
    date = meeting(1, together)
    return of.model_copy(
        update={
            "state": IntroductionState.INTRODUCED,
            "said_yes": together,
            "introduced": together,
            "present": together,
            "introduced_at_ms": at_ms,
            "meeting": date,
            "revision": of.revision + 1,
        }
    )


def meeting(number: int, invited: tuple[str, ...], **answers: tuple[str, ...]) -> Meeting:
    return Meeting(
        occasion=number,
        number=number,
        starts_at_ms=NOW + number * 1000,
        ends_at_ms=NOW + number * 1000 + 500,
        invited=invited,
        check_in_at_ms=NOW + number * 1000 + 600,
    ).model_copy(update=answers)


@dataclass
class Received:
    """One request, as it came."""

    headers: dict[str, str]
    body: bytes


@dataclass
class Endpoint:
    """A partner's endpoint over plain HTTP. `answer(request)` gives the bytes of the answer; `b""` hangs up."""

    answer: Callable[[Received], bytes]
    received: list[Received] = field(default_factory=list)
    port: int = 0
    hangs: bool = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?token=t-1"

    async def __aenter__(self) -> Endpoint:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lines = head.split("\r\n")[1:]
                headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)}
                request = Received(headers, await reader.readexactly(int(headers["content-length"])))
                self.received.append(request)
                if self.hangs:
                    await reader.read()
                    return
                said = self.answer(request)
                if not said:
                    return
                writer.write(said)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            return
        finally:
            writer.close()


def status(code: int, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"HTTP/1.1 {code} Said", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
