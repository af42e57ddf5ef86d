"""What both clients do alike, without a socket or a clock: requests, what answers mean, and when to try again."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
BATCH_EVENTS_MAX = 500
EVENTS_PATH, VOCABULARY_PATH = "/v1/events", "/v1/vocabulary"
_AGAIN = frozenset({408, 409, 429, 500, 502, 503, 504})
"""Answers after which the same may be sent again; ids make that harmless."""
_BACKOFF_SECONDS, _BACKOFF_SECONDS_MAX = 0.2, 10.0
_SECRET_PREFIX = "whsec_"  # noqa: S105 - how secrets begin, and none itself


class ConnectionClientError(Exception):
    """Something was not accepted."""


class Refused(ConnectionClientError):
    """The event cannot be used as it is: sending it again would not help. `problem` says what would be right."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        told = [f"{error['pointer']}: {error['detail']}" for error in problem.get("errors", ())]
        super().__init__("; ".join(told) or f"{problem.get('title', 'refused')} {problem.get('detail', '')}".strip())
        self.status = status
        self.problem = problem


class Unavailable(ConnectionClientError):
    """It was tried for as long as allowed. Whether it was accepted is not known: send the same again later."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one event."""

    event_id: str | None
    member: str | None
    """The member's id at London Connection; None if the event was refused."""
    superseded: bool = False
    """A newer event about this member had been accepted before, so this one changed nothing."""
    withdrawn: bool = False
    """The event held no consent to introductions, so the member is not, or no longer, signed up."""
    problem: Mapping[str, Any] | None = None
    """What is wrong, for an event of a batch that was refused."""

    @property
    def accepted(self) -> bool:
        return self.problem is None


@dataclass(frozen=True, slots=True)
class Talk:
    """How to talk to intake: everything but the sending."""

    key: str = field(repr=False)
    signing_secret: str | None = field(default=None, repr=False)
    draws: random.Random = field(default_factory=random.Random)

    def body(self, content: Any) -> bytes:
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()

    def headers(self, body: bytes, media_type: str, message_id: str, now_seconds: float) -> dict[str, str]:
        """For one try: the signature is of this moment."""
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": media_type}
        if self.signing_secret is not None:
            seconds = int(now_seconds)
            secret = base64.b64decode(self.signing_secret.removeprefix(_SECRET_PREFIX))
            digest = hmac.new(secret, f"{message_id}.{seconds}.".encode() + body, hashlib.sha256).digest()
            headers |= {
                "webhook-id": message_id,
                "webhook-timestamp": str(seconds),
                "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
            }
        return headers

    def pause(self, tries: int, answer: httpx.Response | None) -> float:
        """Seconds until the next try: growing, spread, and never less than what was asked for."""
        backoff: float = min(_BACKOFF_SECONDS_MAX, _BACKOFF_SECONDS * 2**tries) * self.draws.uniform(0.5, 1)
        asked: str = answer.headers.get("Retry-After", "") if answer is not None else ""
        return max(backoff, float(asked)) if asked.isdecimal() else backoff


def again(answer: httpx.Response) -> bool:
    """Whether the same is to be sent again."""
    return answer.status_code in _AGAIN


def content_of(answer: httpx.Response) -> dict[str, Any]:
    """The JSON of an answer that says yes. Raises `Refused`."""
    try:
        content = answer.json()
    except ValueError:
        content = None
    if content is None:
        told = {"title": f"the answer {answer.status_code} is not JSON: is this the address of intake?"}
        raise Refused(answer.status_code, told)
    if not isinstance(content, dict) or answer.status_code not in (200, 202, 207):
        raise Refused(answer.status_code, content if isinstance(content, dict) else {})
    return content


def result_of(told: Mapping[str, Any]) -> Result:
    """One result."""
    return Result(
        told.get("id"),
        told.get("member"),
        bool(told.get("superseded")),
        bool(told.get("withdrawn")),
        told.get("problem"),
    )


def in_batches(events: Sequence[Mapping[str, Any]]) -> list[Sequence[Mapping[str, Any]]]:
    """As many as one request may hold, in their order."""
    return [events[start : start + BATCH_EVENTS_MAX] for start in range(0, len(events), BATCH_EVENTS_MAX)]
