"""From an event that was understood to the records that are published. Pure.

The contact and the profile are written straight, byte for byte as `Contact` and
`Profile` write them (a test sees to that): everything in them was checked on the way
in, and filling the models only to have it checked again and written out would take as
long as reading and checking the event does.
"""

from __future__ import annotations

from functools import lru_cache

import orjson

from services.intake.events import AnySignUp, BlockEvent, LeaveEvent, PauseEvent
from services.intake.gazetteer import Place
from shared import topics
from shared.contracts import EventType, PartnerPreference, PartnerPreferenceKind, PartnerRequest, PartnerRequestKind
from shared.ids import member_id
from shared.outgoing import Outgoing, outgoing, tombstone
from shared.slots import Slot


def member_records(
    event: AnySignUp,
    member: str,
    *,
    place: Place,
    interests: tuple[str, ...],
    available: tuple[Slot, ...],
    life_topics: tuple[str, ...],
    now_ms: int,
) -> tuple[Outgoing, ...]:
    """The contact and the profile. `accepted_at_ms` stands last in both: what is before it says what the event says."""
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
        "consent_given_at_ms": int(data.consent.given_at.timestamp() * 1000),
        "accepted_at_ms": now_ms,
    }
    profile = {
        "community": data.community,
        "member": member,
        "partner": event.source,
        "birth_year": data.birth_year,
        "languages": _each_once(data.languages),
        "place": place.name,
        "latitude": place.latitude,
        "longitude": place.longitude,
        "travel_km": data.travel_km,
        "interests": interests,
        "life_topics": life_topics,
        "openness": {
            "shares": openness.shares,
            "listens": openness.listens,
            "goes_first": openness.goes_first,
            "depth": openness.depth,
        },
        "available": available,
        "looking_for": _in_order(data.looking_for),
        "accepted_at_ms": now_ms,
    }
    return (
        Outgoing(topics.CONTACTS.name, data.community, member, orjson.dumps(contact)),
        Outgoing(topics.PROFILES.name, data.community, member, orjson.dumps(profile)),
    )


@lru_cache(maxsize=1024)
def _each_once(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))


@lru_cache(maxsize=16)
def _in_order(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(set(words)))


def reference_record(event: AnySignUp, member: str, now_ms: int) -> Outgoing:
    """How the partner calls the member, kept to tell them of it. As `Reference` writes it."""
    reference = {
        "community": event.data.community,
        "member": member,
        "source": event.source,
        "subject": event.subject,
        "accepted_at_ms": now_ms,
    }
    return Outgoing(topics.REFERENCES.name, event.data.community, member, orjson.dumps(reference))


def leave_records(event: LeaveEvent | AnySignUp, member: str, now_ms: int) -> tuple[Outgoing, ...]:
    """The request, so that a sign-up that is still under way cannot outlive it, and the tombstones."""
    community = event.data.community
    kind = PartnerRequestKind.ERASED if event.type is EventType.ERASED else PartnerRequestKind.LEFT
    request = PartnerRequest(community=community, member=member, kind=kind, requested_at_ms=now_ms)
    return (
        outgoing(topics.PARTNER_REQUESTS, request),
        tombstone(topics.PROFILES, community, member),
        tombstone(topics.CONTACTS, community, member),
    )


def pause_records(event: PauseEvent, member: str, now_ms: int) -> tuple[Outgoing, ...]:
    """The pause, with its end if it has one."""
    until = event.data.until
    preference = PartnerPreference(
        community=event.data.community,
        member=member,
        kind=PartnerPreferenceKind.PAUSE,
        chosen_at_ms=now_ms,
        until_ms=None if until is None else int(until.timestamp() * 1000),
    )
    return (outgoing(topics.PARTNER_PREFERENCES, preference),)


def block_records(event: BlockEvent, member: str, now_ms: int) -> tuple[Outgoing, ...]:
    """The block. Whom it is about is one of the same partner's members: nobody else's can be named."""
    preference = PartnerPreference(
        community=event.data.community,
        member=member,
        kind=PartnerPreferenceKind.BLOCK,
        chosen_at_ms=now_ms,
        about=member_id(event.data.community, event.source, event.data.blocked),
    )
    return (outgoing(topics.PARTNER_PREFERENCES, preference),)
