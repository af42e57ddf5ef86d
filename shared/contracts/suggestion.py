"""What the matcher says: these people, for these reasons, and this one may be asked to go first."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

from shared.contracts.record import Record
from shared.slots import Slot

Fact = bool | int | float | str
"""A value of a setting."""


class SuggestionKind(StrEnum):
    PAIR = "pair"
    GROUP = "group"
    SEAT = "seat"
    """Somebody for a free seat in a standing group."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Anchor(_Part):
    """What everybody in the suggestion shares, or for a pair with nothing in common but nearness, nothing."""

    kind: Literal["interest", "life_topic", "none"]
    word: str = ""


class MeetingPlace(_Part):
    """A neighbourhood that is central for all of them."""

    name: str
    latitude: float
    longitude: float
    farthest_km: float
    """How far the member who lives farthest away has to travel, in kilometres."""


class ScoreParts(_Part):
    """The score, part by part in 0..1, each the least that any two of the members reach."""

    interests: float
    openness: float
    practical: float
    total: float


class RoundReference(_Part):
    """Which round suggested it, and everything that the round depended on: run again, it gives the same.

    What has a default was not on record at first: a round without it cannot be run again.
    """

    round: str
    seed: int
    engine: str
    """Name and version of the engine."""
    offsets: dict[str, int]
    """By topic: the offset that the round's snapshot had reached, exclusive."""
    now_ms: int = 0
    """The moment of the snapshot: who was paused, how old everybody was, how long they had waited."""
    waiting_round_seconds: float = 0.0
    """So long a wait counted as one round waited in vain."""
    opener_window_ms: int = 0
    """Within so long before the moment, openings counted as an opener's load."""
    policy: dict[str, Fact] = {}
    """What differed from the matching policy's defaults."""
    policy_digest: str = ""
    """Of the whole policy: tells when the defaults have changed since."""
    community: dict[str, Fact | dict[str, Fact]] = {}
    """What matching read in the community's file, as far as it differed from the defaults."""
    snapshot: str = ""
    """Digest of what the round saw: tells when the topics do not hold all of it any more."""

    @property
    def can_be_run_again(self) -> bool:
        """Whether all that a round depended on is on record."""
        return bool(self.snapshot)


class Suggestion(Record):
    """A pair or a small group that the matcher proposes to introduce to each other."""

    suggestion: str
    kind: SuggestionKind
    members: tuple[str, ...]
    """Sorted; two for a pair, three to six for a group; of a seat, the newcomer and those who are in the group."""
    opener: str | None = None
    """The member who said that they are happy to go first; the notifier invites them, alone, to do so."""
    anchor: Anchor
    shared_interests: tuple[str, ...]
    """What all of them have in common, rarest first, at most five."""
    place: MeetingPlace
    slot: Slot
    """Free for all of them."""
    score: ScoreParts
    weights: dict[str, float]
    """The weight of each part of the score when this was suggested: outcomes are compared by it."""
    reasons: tuple[str, ...]
    """Why, in plain words, for operators and explanations; no names, no life topics."""
    waited_ms: int
    """How long the one of them who waited longest had waited."""
    suggested_at_ms: int
    round: RoundReference
    pace: int | None = None
    """How deep a first conversation may go for the least open of them; none in what was suggested before we told."""
    joins: str | None = None
    """Of a seat: the introduction whose group has it."""
    newcomer: str | None = None
    """Of a seat: who would join."""

    @property
    def engages(self) -> tuple[str, ...]:
        """Whom it keeps from being suggested to others: of a seat the newcomer alone, the rest have their group."""
        return self.members if self.newcomer is None else (self.newcomer,)

    @property
    def key(self) -> str:
        return self.suggestion
