"""What a partner app sends: a CloudEvent, and in its `data` a sign-up as a person gave it.

These models are the partner's side of the border, so they are strict: an unknown
field is an error that names it. `services.intake.accept` turns them into the
`Profile` and the `Contact` that the pipeline works on.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from shared.contracts.address import EmailAddress
from shared.slots import Slot

Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)]
"""An interest, a place or a life topic as a person writes it."""

Rating = Annotated[int, Field(ge=1, le=5)]
"""How far somebody agrees with a statement: 1 (not at all) to 5 (fully)."""


class EventType(StrEnum):
    """The types of CloudEvent that a partner may send."""

    SIGNED_UP = "connection.member.signed_up"
    UPDATED = "connection.member.updated"
    LEFT = "connection.member.left"


class Strict(BaseModel):
    """Partner input: unknown fields are refused by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Openness(Strict):
    """Four statements about oneself, rated 1 to 5: what the matching means by openness."""

    shares: Rating
    """I find it easy to tell new people how I really feel."""
    listens: Rating
    """People say that I listen well."""
    goes_first: Rating
    """I am happy to go first."""
    depth: Rating
    """How deep may a first conversation go?"""


class PlaceInput(Strict):
    """Where a member is at home: a name from the gazetteer, or coordinates in degrees."""

    name: Word | None = None
    latitude: Annotated[float, Field(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Field(ge=-180, le=180)] | None = None


class Consent(Strict):
    """What a member agreed to, in which wording, and when."""

    introductions: bool
    """To be introduced to others by email. Without it nothing is stored."""
    life_topics: bool = False
    """That life topics may be used to find people in the same situation."""
    wording: Word
    given_at: AwareDatetime


class SignUp(Strict):
    """A member as the partner app knows them. Defaults are stated beside each field."""

    community: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
    first_name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)]
    email: EmailAddress
    birth_year: Annotated[int, Field(ge=1900, le=2100)]
    place: PlaceInput
    interests: Annotated[tuple[Word, ...], Field(min_length=1, max_length=30)]
    """1 to 30, favourites first."""
    openness: Openness
    consent: Consent
    languages: Annotated[
        tuple[Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")], ...], Field(min_length=1, max_length=8)
    ] = ("en",)
    """ISO 639-1 codes; English unless told."""
    locale: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}-[A-Z]{2}$")] = "en-GB"
    """The language of our emails; British English unless told."""
    travel_km: Annotated[float, Field(ge=0.5, le=100)] = 5.0
    """How far the member would travel, in kilometres; 5 unless told."""
    life_topics: Annotated[tuple[Word, ...], Field(max_length=8)] = ()
    available: Annotated[tuple[Slot, ...], Field(max_length=21)] = ()
    """When the member is free; empty means any time."""
    looking_for: Annotated[tuple[Literal["friend", "group"], ...], Field(min_length=1, max_length=2)] = (
        "friend",
        "group",
    )
    own_words: Annotated[str, StringConstraints(strip_whitespace=True, max_length=280)] = ""
    """A line for those one is introduced to, and for nobody else."""


class CloudEvent(BaseModel):
    """The CloudEvents 1.0 envelope, structured mode, as far as intake reads it.

    `data` stays undecoded here: what it must be depends on `type`. Extension
    attributes are allowed by the specification, and ignored.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    specversion: Literal["1.0"]
    id: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    source: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    """The partner; over HTTP it must be the one that the API key belongs to."""
    type: EventType
    subject: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    """The partner's own reference for the member."""
    time: AwareDatetime | None = None
    datacontenttype: str | None = None
    data: Any = None
