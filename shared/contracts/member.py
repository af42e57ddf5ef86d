"""A member, in three records that are kept apart: what matching needs, how to reach them, what a partner asked for."""

from __future__ import annotations

from enum import StrEnum

from shared.contracts.record import Record
from shared.contracts.signup import Openness
from shared.slots import Slot


class Profile(Record):
    """What matching needs to know of a member: no name, no address, no words of their own."""

    member: str
    partner: str
    """The CloudEvents source that signed the member up."""
    birth_year: int
    languages: tuple[str, ...]
    place: str
    """The name of the neighbourhood, as the gazetteer spells it."""
    latitude: float
    longitude: float
    """Degrees, rounded so that they tell a neighbourhood and not a house (0.005 degrees, about 500 m)."""
    travel_km: float
    interests: tuple[str, ...]
    """Normalised, favourites first, no two alike."""
    life_topics: tuple[str, ...] = ()
    """Only what the member consented to have used; otherwise empty."""
    openness: Openness
    available: tuple[Slot, ...]
    """Never empty: a member who names no slot is free in all of them."""
    looking_for: tuple[str, ...]
    """Some of "friend" (a pair) and "group"."""
    accepted_at_ms: int
    """When intake accepted the event: waiting starts with the first one."""

    @property
    def key(self) -> str:
        return self.member


class Contact(Record):
    """How to reach a member, and what they want to say to those they meet. For the notifier's eyes only."""

    member: str
    first_name: str
    email: str
    locale: str
    own_words: str = ""
    consent_wording: str
    """The version of the text that they agreed to."""
    consent_given_at_ms: int | None = None
    """When they agreed; none in records from before that was kept."""
    accepted_at_ms: int
    time_zone: str | None = None
    """IANA name of where the member lives, for quiet hours; the community's own unless told."""

    @property
    def key(self) -> str:
        return self.member


class PartnerRequestKind(StrEnum):
    """What a partner may ask for on a member's behalf."""

    LEFT = "left"
    ERASED = "erased"
    """Forget them. For good, as if the member had asked for it on a page of ours."""


class PartnerRequest(Record):
    """The latest thing a partner asked for. A sign-up accepted after `requested_at_ms` outlives a leave.

    An erasure has a key of its own, so that no leave that crosses it can ever take its place.
    """

    member: str
    kind: PartnerRequestKind
    requested_at_ms: int

    @property
    def key(self) -> str:
        return self.member if self.kind is PartnerRequestKind.LEFT else f"{self.member}/{self.kind}"
