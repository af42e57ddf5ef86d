"""Sign-ups in plain form, read by msgspec in a quarter of the time that the models take. Pure.

Nearly every sign-up comes as we would write it ourselves: nothing to be trimmed, an address
in its usual form, no attributes of the sender's own. What is not so plain, or wrong, is left
to `SignUpEvent`, which reads it all and says what is wrong. So nothing is refused here, and
whatever is read here the model would read too, and alike; a test holds them to that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from shared.contracts.address import is_plain_address

Word = Annotated[str, Meta(min_length=1, max_length=60)]
Times = Annotated[str, Meta(min_length=1, max_length=120)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Rating = Annotated[int, Meta(ge=1, le=5)]
Moment = Annotated[datetime, Meta(tz=True)]

_FINER_THAN_MICROSECONDS = re.compile(rb"\.[0-9]{7}").search
"""A fraction of a second that msgspec would round, and the models cut off."""
_COMMUNITY = re.compile(r"[a-z][a-z0-9-]{0,39}").fullmatch
_LANGUAGE = re.compile(r"[a-z]{2}").fullmatch
_LOCALE = re.compile(r"[a-z]{2}-[A-Z]{2}").fullmatch


# Nothing in these can be part of a cycle: gc=False spares the collector from looking.
class PlainOpenness(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """As `shared.contracts.Openness`."""

    shares: Rating
    listens: Rating
    goes_first: Rating
    depth: Rating


class PlainPlace(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """As `shared.contracts.PlaceInput`."""

    name: Word | None = None
    latitude: Annotated[float, Meta(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Meta(ge=-180, le=180)] | None = None


class PlainConsent(Struct, frozen=True, gc=False, forbid_unknown_fields=True, kw_only=True):
    """As `shared.contracts.Consent`."""

    introductions: bool
    life_topics: bool = False
    wording: Word
    given_at: Moment


class PlainData(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """As `shared.contracts.SignUp`."""

    community: str
    first_name: Word
    email: Annotated[str, Meta(max_length=254)]
    birth_year: Annotated[int, Meta(ge=1900, le=2100)]
    place: PlainPlace
    interests: Annotated[tuple[Word, ...], Meta(min_length=1, max_length=30)]
    openness: PlainOpenness
    consent: PlainConsent
    languages: Annotated[tuple[str, ...], Meta(min_length=1, max_length=8)] = ("en",)
    locale: str = "en-GB"
    travel_km: Annotated[float, Meta(ge=0.5, le=100)] = 5.0
    life_topics: Annotated[tuple[Word, ...], Meta(max_length=8)] = ()
    available: Annotated[tuple[Times, ...], Meta(max_length=21)] = ()
    looking_for: Annotated[tuple[Literal["friend", "group"], ...], Meta(min_length=1, max_length=2)] = (
        "friend",
        "group",
    )
    own_words: Annotated[str, Meta(max_length=280)] = ""
    schemaVersion: Literal[1, 2] = 1  # noqa: N815 - it is JSON's name


class PlainSignUp(Struct, frozen=True, gc=False, forbid_unknown_fields=True, kw_only=True):
    """As `services.intake.events.SignUpEvent`, without attributes of the sender's own."""

    specversion: Literal["1.0"]
    id: Name
    source: Name
    type: Literal["connection.member.signed_up", "connection.member.updated"]
    subject: Name
    time: Moment | None = None
    datacontenttype: str | None = None
    data: PlainData


_READ_ONE = msgspec.json.Decoder(PlainSignUp).decode
_READ_MANY = msgspec.json.Decoder(list[PlainSignUp]).decode
written_out = msgspec.json.Encoder().encode
"""One that is not plain after all, as JSON again, for the models to read."""


def plain_sign_up(event: bytes) -> PlainSignUp | None:
    """A sign-up from JSON; `None` for anything that is not a plain one."""
    try:
        sign_up = _READ_ONE(event)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return sign_up if is_plain(sign_up) and _FINER_THAN_MICROSECONDS(event) is None else None


def plain_sign_ups(body: bytes) -> Sequence[PlainSignUp] | None:
    """Sign-ups from a JSON array, of which `is_plain` must still be asked; `None` if anything else is among them."""
    try:
        read = _READ_MANY(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return read if _FINER_THAN_MICROSECONDS(body) is None else None


def is_plain(event: PlainSignUp) -> bool:
    """Whether a model would keep every text as it stands."""
    data = event.data
    texts = [
        data.first_name,
        data.place.name or "",
        data.consent.wording,
        data.own_words,
        *data.interests,
        *data.available,
        *data.life_topics,
    ]
    # Python trims a little more than the models do, and never less.
    return (
        list(map(str.strip, texts)) == texts
        and is_plain_address(data.email)
        and _well_formed(data.community, data.locale, data.languages)
    )


@lru_cache(maxsize=1024)
def _well_formed(community: str, locale: str, languages: tuple[str, ...]) -> bool:
    return bool(_COMMUNITY(community) and _LOCALE(locale) and all(map(_LANGUAGE, languages)))
