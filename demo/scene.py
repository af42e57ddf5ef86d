"""What the live page shows: members on a map, who is invited, who is introduced, the funnel, the emails.

A fold over the same facts that the auditor gets. It knows no names and no words of
anybody: a member is a dot near the middle of their neighbourhood. Pure: the present is
an argument.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from shared.contracts import (
    Contact,
    Delivery,
    EmailKind,
    Introduction,
    IntroductionState,
    Profile,
    Record,
    SuggestionKind,
)

EMAILS_SHOWN_MAX = 80
_LATENCIES_KEPT_MAX = 20_000
_RATE_WINDOW_MS = 10_000
_GOES_FIRST_MIN = 4
_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))
_SPREAD_KM = 0.16
"""How far the dots of one neighbourhood are apart: they grow outwards from its middle as seeds in a sunflower."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """An email in the inbox, as the page lists it."""

    id: str
    message_id: str
    recipient: str
    subject: str
    received_at_ms: int


class Scene:
    """Collects facts, and tells them to pages: all of it (`snapshot`), or what is new (`changes`)."""

    def __init__(self) -> None:
        self._number_of: dict[str, int] = {}
        self._dots: list[tuple[int, float, float, int]] = []
        self._at_place: Counter[tuple[float, float]] = Counter()
        self._introductions: dict[str, dict[str, Any]] = {}
        self._signed_up_at: dict[str, int] = {}  # by address
        self._latencies_ms: deque[int] = deque(maxlen=_LATENCIES_KEPT_MAX)
        self._written_to: set[str] = set()
        self._emails: deque[dict[str, Any]] = deque(maxlen=EMAILS_SHOWN_MAX)
        self._kind_of: dict[str, EmailKind] = {}
        self._sign_ups_at: deque[int] = deque()
        self._emails_at: deque[int] = deque()
        self._met: Counter[SuggestionKind] = Counter()
        self._new: dict[str, list[Any]] = {"members": [], "introductions": [], "emails": []}

    def observe(self, record: Record) -> None:
        """A value on a topic, in the order of its offsets."""
        match record:
            case Profile():
                self._observe_profile(record)
            case Contact():
                self._signed_up_at.setdefault(record.email.casefold(), record.accepted_at_ms)
            case Introduction():
                self._observe_introduction(record)
            case Delivery():
                self._kind_of[record.message_id.strip("<>")] = record.kind
            case _:
                pass

    def arrived(self, arrivals: Iterable[Arrival]) -> None:
        """Emails came into the inbox, oldest first."""
        for arrival in arrivals:
            address = arrival.recipient.casefold()
            signed_up_at = self._signed_up_at.get(address)
            if signed_up_at is not None and address not in self._written_to:
                self._latencies_ms.append(max(0, arrival.received_at_ms - signed_up_at))
            self._written_to.add(address)
            self._emails_at.append(arrival.received_at_ms)
            kind = self._kind_of.get(arrival.message_id)
            email = {
                "id": arrival.id,
                "to": arrival.recipient,
                "subject": arrival.subject,
                "kind": kind.value if kind else "",
                "at": arrival.received_at_ms,
            }
            self._emails.append(email)
            self._new["emails"].append(email)

    def snapshot(self) -> dict[str, Any]:
        """Everything that a page needs to begin with."""
        return {
            "members": self._dots,
            "introductions": list(self._introductions.values()),
            "emails": list(self._emails),
        }

    def changes(self) -> dict[str, Any]:
        """What is new since the last call; an introduction comes whole whenever it changes."""
        new = {name: items for name, items in self._new.items() if items}
        self._new = {"members": [], "introductions": [], "emails": []}
        return new

    def pace(self, now_ms: int) -> dict[str, Any]:
        """Throughput over the last ten seconds, and from sign-up to the first email, in seconds."""
        ordered = sorted(self._latencies_ms)
        return {
            "sign_ups_per_second": _rate(self._sign_ups_at, now_ms),
            "emails_per_second": _rate(self._emails_at, now_ms),
            "first_email_p50_seconds": _quantile(ordered, 0.50),
            "first_email_p99_seconds": _quantile(ordered, 0.99),
            "pairs": self._met[SuggestionKind.PAIR],
            "groups": self._met[SuggestionKind.GROUP],
        }

    def _observe_profile(self, profile: Profile) -> None:
        if profile.member in self._number_of:
            return
        self._number_of[profile.member] = len(self._dots)
        latitude, longitude = self._seat(profile.latitude, profile.longitude)
        opener = int(profile.openness.goes_first >= _GOES_FIRST_MIN)
        dot = (len(self._dots), latitude, longitude, opener)
        self._dots.append(dot)
        self._new["members"].append(dot)
        self._sign_ups_at.append(profile.accepted_at_ms)

    def _seat(self, latitude: float, longitude: float) -> tuple[float, float]:
        taken = self._at_place[latitude, longitude]
        self._at_place[latitude, longitude] += 1
        radius_km, angle = _SPREAD_KM * math.sqrt(taken), taken * _GOLDEN_ANGLE
        north, east = radius_km * math.sin(angle) / 111.2, radius_km * math.cos(angle) / 69.2
        return round(latitude + north, 5), round(longitude + east, 5)

    def _observe_introduction(self, introduction: Introduction) -> None:
        suggestion = introduction.suggestion
        known = self._introductions.get(introduction.introduction)
        if introduction.state is IntroductionState.INTRODUCED and (known is None or known["state"] != "introduced"):
            self._met[suggestion.kind] += 1
        if suggestion.newcomer is not None:
            return  # A seat is asked about: it shows once somebody has taken it.
        state = "introduced" if introduction.state is IntroductionState.STANDING else introduction.state.value
        who = introduction.present or introduction.introduced or introduction.members
        shown = {
            "id": introduction.introduction,
            "state": state,
            "members": [self._number_of[member] for member in who if member in self._number_of],
            "opener": self._number_of.get(suggestion.opener or "", -1) if suggestion.opener in who else -1,
            "word": suggestion.anchor.word if suggestion.anchor.kind == "interest" else "",
            "place": suggestion.place.name,
            "slot": suggestion.slot,
        }
        self._new["introductions"].append(shown)
        if state == "closed":
            self._introductions.pop(introduction.introduction, None)
        else:
            self._introductions[introduction.introduction] = shown


def _rate(times_ms: deque[int], now_ms: int) -> float:
    while times_ms and times_ms[0] <= now_ms - _RATE_WINDOW_MS:
        times_ms.popleft()
    return round(len(times_ms) / (_RATE_WINDOW_MS / 1000), 1)


def _quantile(ordered: list[int], share: float) -> float | None:
    if not ordered:
        return None
    return round(ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] / 1000, 2)
