"""What a partner app sends: a CloudEvent, and in its `data` a sign-up as a person gave it.

These models are the partner's side of the border, so they are strict: an unknown
field is an error that names it, a number is not read out of a text, and only `true` is
consent. `services.intake.accept` turns them into the `Profile` and the `Contact` that
the pipeline works on. They are read from JSON, which tells a number from a text.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, GetPydanticSchema, StringConstraints, WithJsonSchema
from pydantic_core import core_schema

from shared.contracts.address import EmailAddress

_NOT_BLANK: dict[str, Any] = {"pattern": r"\S"}
"""What JSON Schema has to say of a text that may not be empty when it is stripped."""

Word = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=60),
    Field(json_schema_extra=_NOT_BLANK),
]
"""An interest, a place or a life topic as a person writes it."""

Times = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=120),
    Field(json_schema_extra=_NOT_BLANK),
]
"""When somebody is free, in words or as the code of a slot."""

Reference = Annotated[str, StringConstraints(min_length=1, max_length=200)]
"""A partner's own name for a member."""

CommunityName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,39}$")]

_RFC_3339 = core_schema.custom_error_schema(
    core_schema.chain_schema(
        [
            # A text of digits alone would be read as seconds since the epoch.
            core_schema.str_schema(pattern=r"^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}", strict=True),
            core_schema.datetime_schema(tz_constraint="aware", strict=False),
        ]
    ),
    custom_error_type="rfc_3339",
    custom_error_message="must be a time as RFC 3339 writes it, such as 2026-11-22T10:00:00Z",
)

Moment = Annotated[
    datetime,
    GetPydanticSchema(lambda _source, _handler: _RFC_3339),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A point in time: a date, a time and the offset from UTC."""


def _whole(then: core_schema.CoreSchema) -> core_schema.CoreSchema:
    """A whole number, as JSON Schema has it: 4.0 is one too, `true` and "4" are none."""
    number = core_schema.union_schema(
        [core_schema.int_schema(strict=True), core_schema.float_schema(strict=True)],
        custom_error_type="whole_number",
        custom_error_message="must be a whole number, as JSON writes it: without quotes",
    )
    return core_schema.chain_schema([number, core_schema.int_schema(strict=False), then])


def _from_to(least: int, most: int) -> tuple[GetPydanticSchema, WithJsonSchema]:
    within = _whole(core_schema.int_schema(ge=least, le=most))
    return (
        GetPydanticSchema(lambda _source, _handler: within),
        WithJsonSchema({"type": "integer", "minimum": least, "maximum": most}),
    )


_VERSION = _whole(core_schema.literal_schema([1, 2]))
SchemaVersion = Annotated[
    Literal[1, 2],
    GetPydanticSchema(lambda _source, _handler: _VERSION),
    WithJsonSchema({"type": "integer", "enum": [1, 2]}),
]
"""Of the data. 2 since times may be words; 1, also meant where none is told, is read for ever."""

Rating = Annotated[int, *_from_to(1, 5)]
"""How far somebody agrees with a statement: 1 (not at all) to 5 (fully)."""


class EventType(StrEnum):
    """The types of CloudEvent that a partner may send."""

    SIGNED_UP = "connection.member.signed_up"
    UPDATED = "connection.member.updated"
    LEFT = "connection.member.left"
    """Is no longer there; the partner may sign them up again."""
    ERASED = "connection.member.erased"
    """Wants to be forgotten."""
    PAUSED = "connection.member.paused"
    BLOCKED = "connection.member.blocked"


class Strict(BaseModel):
    """Partner input: unknown fields are refused by name, and nothing is taken for what it is not."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


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

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": ["name"], "properties": {"name": {"type": "string"}}},
                {
                    "required": ["latitude", "longitude"],
                    "properties": {"latitude": {"type": "number"}, "longitude": {"type": "number"}},
                },
            ]
        }
    )

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
    given_at: Moment


class SignUp(Strict):
    """A member as the partner app knows them. Defaults are stated beside each field."""

    community: CommunityName
    first_name: Word
    email: EmailAddress
    birth_year: Annotated[int, *_from_to(1900, 2100)]
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
    available: Annotated[tuple[Times, ...], Field(max_length=21)] = ()
    """When the member is free, in codes ("tue-evening") or words ("weekday evenings"); empty means any time."""
    looking_for: Annotated[tuple[Literal["friend", "group"], ...], Field(min_length=1, max_length=2)] = (
        "friend",
        "group",
    )
    own_words: Annotated[str, StringConstraints(strip_whitespace=True, max_length=280)] = ""
    """A line for those one is introduced to, and for nobody else."""
    schemaVersion: SchemaVersion = 1  # noqa: N815 - it is JSON's name


class Leaving(Strict):
    """The data of a leave or an erasure: which community it is about."""

    community: CommunityName
    schemaVersion: SchemaVersion = 2  # noqa: N815


class Pausing(Strict):
    """The data of a pause. The latest one counts; one whose end has passed ends it."""

    community: CommunityName
    until: Moment | None = None
    """When the member may be suggested again; not before they are resumed, unless told."""
    schemaVersion: SchemaVersion = 2  # noqa: N815


class Blocking(Strict):
    """The data of a block: the member is never to be introduced to another one, either way."""

    community: CommunityName
    blocked: Reference
    """The same partner's reference for the other one."""
    schemaVersion: SchemaVersion = 2  # noqa: N815


class CloudEvent(BaseModel):
    """The CloudEvents 1.0 envelope, structured mode, as far as intake reads it.

    `data` stays undecoded here: what it must be depends on `type`. Extension
    attributes are allowed by the specification, and ignored.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    specversion: Literal["1.0"]
    id: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    source: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    """The partner; over HTTP it must be the one that the API key belongs to."""
    type: EventType
    subject: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    """The partner's own reference for the member."""
    time: Moment | None = None
    datacontenttype: str | None = None
    data: Any = None
