"""What is sent: CloudEvents 1.0 about members."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NotRequired, TypedDict

_TYPE_PREFIX = "connection.member."
Kind = Literal["signed_up", "updated", "left", "erased", "paused", "blocked"]


class Place(TypedDict, total=False):
    """A name as people write it ("near Hackney"), or coordinates in degrees."""

    name: str
    latitude: float
    longitude: float


class Openness(TypedDict):
    """Four statements about oneself, rated 1 to 5."""

    shares: int
    """I find it easy to tell new people how I really feel."""
    listens: int
    """People say that I listen well."""
    goes_first: int
    """I am happy to go first."""
    depth: int
    """How deep may a first conversation go?"""


class Consent(TypedDict):
    """What a member agreed to, in which wording, and when (RFC 3339)."""

    introductions: bool
    life_topics: NotRequired[bool]
    wording: str
    given_at: str


class Member(TypedDict):
    """A member as your app knows them, whole: an update replaces all of it."""

    community: str
    first_name: str
    email: str
    birth_year: int
    place: Place
    interests: Sequence[str]
    """1 to 30, favourites first."""
    openness: Openness
    consent: Consent
    languages: NotRequired[Sequence[str]]
    locale: NotRequired[str]
    travel_km: NotRequired[float]
    life_topics: NotRequired[Sequence[str]]
    available: NotRequired[Sequence[str]]
    """Codes ("tue-evening") or words ("weekday evenings")."""
    looking_for: NotRequired[Sequence[Literal["friend", "group"]]]
    own_words: NotRequired[str]
    schemaVersion: NotRequired[Literal[1, 2]]


def new_event(
    source: str,
    kind: Kind,
    reference: str,
    data: Any,
    *,
    event_id: str | None = None,
    time: datetime | None = None,
) -> dict[str, Any]:
    """An event about the member whom you call `reference`; its id is drawn, and its time is now, unless told."""
    return {
        "specversion": "1.0",
        "id": event_id or str(uuid.uuid4()),
        "source": source,
        "type": _TYPE_PREFIX + kind,
        "subject": reference,
        "time": (time or datetime.now(UTC)).isoformat(),
        "datacontenttype": "application/json",
        "data": data,
    }
