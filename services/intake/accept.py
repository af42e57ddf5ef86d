"""Decides about an event: the records to be published, or the problem that stands in the way.

Pure: knows no broker, no socket and no clock. Both doors, HTTP and the `signups`
topic, lead through `Desk.accept`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple

import orjson
from pydantic import Field, TypeAdapter, ValidationError

from services.intake.gazetteer import Gazetteer, Place
from services.intake.normalise import normal_words
from services.intake.problems import Problem, field_problem, validation_problem
from shared import topics
from shared.community import Communities, Community
from shared.contracts import CloudEvent, EventType, PartnerRequest, PartnerRequestKind, SignUp
from shared.contracts.signup import Strict
from shared.ids import member_id
from shared.outgoing import Outgoing, outgoing, tombstone
from shared.slots import SLOTS

_GRID_DEGREES = 0.005
"""Coordinates are rounded to this, about 500 m: a neighbourhood, not a house."""

_IN_THE_WEEK = {slot: place for place, slot in enumerate(SLOTS)}.__getitem__


class Leaving(Strict):
    """The data of a leave: which community the member leaves."""

    community: str


class SignUpEvent(CloudEvent):
    """A sign-up, or an update with a full snapshot: both say how a member is now."""

    type: Literal[EventType.SIGNED_UP, EventType.UPDATED]
    data: SignUp


class LeaveEvent(CloudEvent):
    """A member leaves, and is to be forgotten by the matching and the mail."""

    type: Literal[EventType.LEFT]
    data: Leaving


Event = Annotated[SignUpEvent | LeaveEvent, Field(discriminator="type")]
_EVENT = TypeAdapter[SignUpEvent | LeaveEvent](Event).validator


class Accepted(NamedTuple):
    """What is to be published, in this order, before the event may be called accepted."""

    event_type: str
    event_id: str
    member: str
    records: tuple[Outgoing, ...]


class Desk:
    """Accepts events for some communities.

    `partners` are the sources that are known; a community may narrow them. Of whom
    `is_erased` tells nothing is taken in any more.
    """

    def __init__(
        self,
        communities: Communities,
        gazetteers: Mapping[str, Gazetteer],
        partners: frozenset[str] = frozenset(),
        is_erased: Callable[[str], bool] = lambda member: False,
    ) -> None:
        self._is_erased = is_erased
        self._communities = communities
        self._gazetteers = gazetteers
        self._partners = partners

    def accept(self, event: bytes | Mapping[str, Any], *, partner: str | None, now_ms: int) -> Accepted | Problem:
        """Decide about one event: JSON as bytes, or decoded.

        `partner` is the source that the sender has proved to be; `None` where the way in
        (a Kafka topic with its access rules) has proved it, then any known source is taken.
        """
        try:
            parsed = _EVENT.validate_json(event) if isinstance(event, bytes) else _EVENT.validate_python(event)
        except ValidationError as error:
            return validation_problem(error)
        community = self._communities.get(parsed.data.community)
        problem = self._who(parsed, partner, community)
        if problem is not None or community is None:
            return problem or field_problem("/data/community", f"must be one of: {', '.join(self._communities)}")
        member = member_id(community.community, parsed.source, parsed.subject)
        if self._is_erased(member):
            return Problem(
                "erased", 410, "This member asked to be erased.",
                "nothing of theirs is stored any more; who wants to come back signs up under another subject",
            )  # fmt: skip
        if isinstance(parsed, LeaveEvent):
            return Accepted(parsed.type, parsed.id, member, _leave_records(community, member, now_ms))
        place = self._place(parsed.data, community)
        if isinstance(place, Problem):
            return place
        interests = normal_words(parsed.data.interests)
        problem = _unfit(parsed.data, interests, community, now_ms)
        if problem is not None:
            return problem
        return Accepted(parsed.type, parsed.id, member, _member_records(parsed, member, place, interests, now_ms))

    def _who(self, event: CloudEvent, partner: str | None, community: Community | None) -> Problem | None:
        if partner is not None and event.source != partner:
            return Problem(
                "foreign-source", 403, "The source is not yours.", "source must be the one that your API key belongs to"
            )
        if partner is None and event.source not in self._partners:
            return Problem("unknown-source", 403, "The source is not known.", "source must be a partner with a key")
        if community is not None and community.partners and event.source not in community.partners:
            return Problem("not-your-community", 403, "This community does not take sign-ups from you.")
        return None

    def _place(self, sign_up: SignUp, community: Community) -> Place | Problem:
        gazetteer = self._gazetteers[community.community]
        wanted = sign_up.place
        if wanted.latitude is not None and wanted.longitude is not None:
            nearest = gazetteer.nearest(wanted.latitude, wanted.longitude)
            if nearest is None:
                return field_problem(
                    "/data/place",
                    f"coordinates must lie within {community.radius_km:g} km of {community.name}'s centre",
                )
            # The gazetteer's name, not the sender's: that could be a street, and profiles tell a neighbourhood.
            return Place(nearest.name, wanted.latitude, wanted.longitude)
        if wanted.name is None:
            return field_problem("/data/place", "needs a name, or both latitude and longitude")
        found = gazetteer.find(wanted.name)
        if found is None:
            close = gazetteer.close_names(wanted.name)
            hint = f"; did you mean {' or '.join(close)}?" if close else ""
            return field_problem("/data/place/name", f"is not a place that we know in {community.name}{hint}")
        return found


def _unfit(sign_up: SignUp, interests: tuple[str, ...], community: Community, now_ms: int) -> Problem | None:
    if not sign_up.consent.introductions:
        return field_problem("/data/consent/introductions", "must be true: without it nothing is stored")
    # Of the birthday only the year is known: a member counts as adult when they surely are.
    born_by = datetime.fromtimestamp(now_ms / 1000, UTC).year - community.adults_from_age - 1
    if sign_up.birth_year > born_by:
        return field_problem("/data/birth_year", f"must be {born_by} or earlier: this is for adults only")
    if not interests:
        return field_problem("/data/interests", "must hold at least one word")
    return None


def _member_records(
    event: SignUpEvent, member: str, place: Place, interests: tuple[str, ...], now_ms: int
) -> tuple[Outgoing, ...]:
    """The contact and the profile, as `Contact` and `Profile` write them, byte for byte: a test sees to that.

    Everything in them was checked on the way in. Filling the models only to have it checked
    again and written out would take as long as reading and checking the event does.
    """
    data = event.data
    openness = data.openness
    contact = {
        "community": data.community,
        "member": member,
        "first_name": data.first_name,
        "email": data.email,
        "locale": data.locale,
        "own_words": data.own_words,
        "consent_wording": data.consent.wording,
        "accepted_at_ms": now_ms,
    }
    profile = {
        "community": data.community,
        "member": member,
        "partner": event.source,
        "birth_year": data.birth_year,
        "languages": tuple(dict.fromkeys(data.languages)),
        "place": place.name,
        "latitude": _on_grid(place.latitude),
        "longitude": _on_grid(place.longitude),
        "travel_km": data.travel_km,
        "interests": interests,
        "life_topics": normal_words(data.life_topics) if data.consent.life_topics else (),
        "openness": {
            "shares": openness.shares,
            "listens": openness.listens,
            "goes_first": openness.goes_first,
            "depth": openness.depth,
        },
        "available": tuple(sorted(set(data.available), key=_IN_THE_WEEK)) or SLOTS,
        "looking_for": tuple(sorted(set(data.looking_for))),
        "accepted_at_ms": now_ms,
    }
    return (
        Outgoing(topics.CONTACTS.name, data.community, member, orjson.dumps(contact)),
        Outgoing(topics.PROFILES.name, data.community, member, orjson.dumps(profile)),
    )


def _leave_records(community: Community, member: str, now_ms: int) -> tuple[Outgoing, ...]:
    request = PartnerRequest(
        community=community.community, member=member, kind=PartnerRequestKind.LEFT, requested_at_ms=now_ms
    )
    return (
        outgoing(topics.PARTNER_REQUESTS, request),
        tombstone(topics.PROFILES, community.community, member),
        tombstone(topics.CONTACTS, community.community, member),
    )


@lru_cache(maxsize=16_384)
def _on_grid(degrees: float) -> float:
    return round(round(degrees / _GRID_DEGREES) * _GRID_DEGREES, 3)
