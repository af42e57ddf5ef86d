"""Decides about an event: the records to be published, or the problem that stands in the way.

Pure: knows no broker, no socket and no clock. Both doors, HTTP and the `signups`
topic, lead through `Desk.accept`; `Desk.explain` says how an event would be understood.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from datetime import datetime
from functools import lru_cache, reduce
from operator import or_
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import orjson

from services.intake.events import SIGN_UPS, AnyEvent, BlockEvent, LeaveEvent, PauseEvent, SignUpEvent
from services.intake.gazetteer import Gazetteer, Place, on_grid
from services.intake.plain_signups import PlainData, PlainPlace
from services.intake.problems import FieldError, Problem, field_problem, invalid_fields
from services.intake.reading import read, read_batch, read_by_model
from services.intake.records import block_records, leave_records, member_records, pause_records, reference_record
from services.intake.times import times
from services.intake.told_apart import Interests
from services.intake.vocabulary import Vocabulary, interests, life_topics
from shared.community import Communities, Community
from shared.contracts import EventType, PlaceInput, SignUp
from shared.ids import member_id
from shared.outgoing import Outgoing
from shared.slots import SLOTS, Slot, slots_in

_CHOICES_MAX = 5
_PLACES_REMEMBERED = 16_384
_QUARTER_MS = 900_000
"""Of an hour: time zones are that far apart, so that a year begins with one everywhere."""
# A member of an enum is looked up in a roundabout way: seven times as slow as a name of our own.
_ERASED = EventType.ERASED
ERASED = Problem(
    "erased",
    410,
    "This member asked to be erased.",
    "nothing of theirs is stored any more; who wants to come back signs up under another subject",
)
_SET_ASIDE = "a life topic, and not an interest: set aside and not stored, since data.consent.life_topics is not true"
_AMONG_LIFE_TOPICS = "a life topic, and not an interest: kept among the life topics"
_slots = lru_cache(maxsize=16_384)(slots_in)


class Accepted(NamedTuple):
    """What is to be published, in this order, before the event may be called accepted."""

    event_type: str
    event_id: str
    source: str
    member: str
    records: tuple[Outgoing, ...]
    time_ms: int | None = None
    """When it happened at the partner's, if they say so."""
    withdrawn: bool = False
    """Whether a sign-up or an update said that there is no consent: then the member leaves, or is not signed up."""


class Desk:
    """Accepts events for some communities.

    `partners` are the sources that are known; a community may narrow them. Of whom
    `is_erased` tells nothing is taken in any more. Of whose partner `has_webhook`, the reference is kept.
    """

    def __init__(
        self,
        communities: Communities,
        gazetteers: Mapping[str, Gazetteer],
        partners: Container[str] = frozenset(),
        is_erased: Callable[[str], bool] = lambda member: False,
        has_webhook: Callable[[str], bool] = lambda source: False,
    ) -> None:
        self._has_webhook = has_webhook
        self._is_erased = is_erased
        self._communities = communities
        self._gazetteers = gazetteers
        self._partners = partners
        self._vocabulary: Vocabulary = interests()
        self._life_topics: Vocabulary = life_topics()
        self._interests = Interests(self._vocabulary, self._life_topics)
        self._read_times = times().read
        self._named = lru_cache(maxsize=_PLACES_REMEMBERED)(self._place_named)

    def accept(self, event: bytes | Mapping[str, Any], *, partner: str | None, now_ms: int) -> Accepted | Problem:
        """Decide about one event: JSON as bytes, or decoded.

        `partner` is the source that the sender has proved to be; `None` where the way in
        (a Kafka topic with its access rules) has proved it, then any known source is taken.
        """
        read_event = read(event)
        return read_event if isinstance(read_event, Problem) else self._decide(read_event, partner, now_ms)

    def accept_batch(self, body: bytes, *, partner: str, now_ms: int) -> list[Accepted | Problem] | None:
        """Decide about a JSON array of events; `None` if not all of them have the form of an event.

        Where reading them in one go does not work, the caller takes the array apart, and has
        `accept` say what is wrong with which.
        """
        events = read_batch(body)
        return None if events is None else [self._decide(event, partner, now_ms) for event in events]

    def explain(
        self, event: bytes | Mapping[str, Any], *, partner: str | None, now_ms: int
    ) -> dict[str, Any] | Problem:
        """What would be stored of an event, and how its interests, place and times were understood."""
        parsed = read_by_model(event)
        if isinstance(parsed, Problem):
            return parsed
        decision = self._decide(parsed, partner, now_ms)
        if isinstance(decision, Problem):
            return decision
        explained: dict[str, Any] = {
            "id": decision.event_id,
            "member": decision.member,
            "event": parsed.model_dump(mode="json", exclude={"data"}, exclude_none=True),
            "would_store": [
                {"topic": record.topic, "value": orjson.loads(record.value) if record.value else None}
                for record in decision.records
            ],
        }
        if decision.withdrawn:
            explained["withdrawn"] = True
        elif isinstance(parsed, SignUpEvent):
            explained["understood"] = self._understood(parsed.data)
        return explained

    def _decide(self, event: AnyEvent, partner: str | None, now_ms: int) -> Accepted | Problem:
        name = event.data.community
        community = self._communities.get(name)
        problem = self._who(event, partner, community)
        if problem is not None or community is None:
            return problem or field_problem("/data/community", f"must be one of: {', '.join(self._communities)}")
        member = member_id(name, event.source, event.subject)
        # To be erased twice is to be erased once: whoever asks again is told that it is so.
        is_erasure = event.type is _ERASED
        if self._is_erased(member) and not is_erasure:
            return ERASED
        records = self._records(event, member, community, now_ms)
        if isinstance(records, Problem):
            return records
        # An erasure that comes late, after a newer update, is an erasure all the same.
        time_ms = None if event.time is None or is_erasure else int(event.time.timestamp() * 1000)
        withdrawn = isinstance(event, SIGN_UPS) and not event.data.consent.introductions
        return Accepted(event.type, event.id, event.source, member, records, time_ms, withdrawn)

    def _who(self, event: AnyEvent, partner: str | None, community: Community | None) -> Problem | None:
        if partner is not None and event.source != partner:
            return Problem(
                "foreign-source", 403, "The source is not yours.", "source must be the one that your API key belongs to"
            )
        if partner is None and event.source not in self._partners:
            return Problem("unknown-source", 403, "The source is not known.", "source must be a partner with a key")
        if community is not None and community.partners and event.source not in community.partners:
            return Problem("not-your-community", 403, "This community does not take sign-ups from you.")
        return None

    def _records(
        self, event: AnyEvent, member: str, community: Community, now_ms: int
    ) -> tuple[Outgoing, ...] | Problem:
        if isinstance(event, SIGN_UPS):
            data = event.data
            if not data.consent.introductions:
                # Whether we knew them or not, they said no: what else the event says is not ours to keep, nor to
                # find fault with. The answer is the same either way, and tells nobody whether they were here.
                return leave_records(event, member, now_ms)
            place = self._place(data.place, community)
            if isinstance(place, Problem):
                return place
            available = self._available(data)
            if isinstance(available, Problem):
                return available
            told = self._interests.of(data.interests)
            problem = _unfit(data, told.interests, community, now_ms)
            if problem is not None:
                return problem
            records = member_records(
                event,
                member,
                place=place,
                interests=told.interests,
                available=available,
                life_topics=self._going_through(data, told.life_topics),
                now_ms=now_ms,
            )
            if self._has_webhook(event.source):
                return (*records, reference_record(event, member, now_ms))
            return records
        if isinstance(event, LeaveEvent):
            return leave_records(event, member, now_ms)
        if isinstance(event, PauseEvent):
            return pause_records(event, member, now_ms)
        assert isinstance(event, BlockEvent)
        if event.data.blocked == event.subject:
            return field_problem("/data/blocked", "must be somebody else than the subject")
        return block_records(event, member, now_ms)

    def _going_through(self, data: SignUp | PlainData, among_interests: tuple[str, ...]) -> tuple[str, ...]:
        """Life topics, wherever they were told, if the member agreed to their use."""
        if not data.consent.life_topics:
            return ()
        return tuple(dict.fromkeys((*self._life_topics.words(data.life_topics), *among_interests)))

    def _place(self, wanted: PlaceInput | PlainPlace, community: Community) -> Place | Problem:
        """The place with its coordinates on the grid."""
        if wanted.latitude is not None and wanted.longitude is not None:
            latitude, longitude = on_grid(wanted.latitude, wanted.longitude)
            nearest = self._gazetteers[community.community].nearest(latitude, longitude)
            if nearest is None:
                return field_problem(
                    "/data/place",
                    f"coordinates must lie within {community.radius_km:g} km of {community.name}'s centre",
                )
            # The gazetteer's name, not the sender's: that could be a street, and profiles tell a neighbourhood.
            return Place(nearest.name, latitude, longitude)
        if wanted.name is None:
            return field_problem("/data/place", "needs a name, or both latitude and longitude")
        return self._named(community.community, wanted.name)

    def _place_named(self, community: str, name: str) -> Place | Problem:
        found = self._gazetteers[community].find(name)
        if len(found.places) == 1:
            place = found.places[0]
            return Place(place.name, *on_grid(place.latitude, place.longitude))
        if found.places:
            names = tuple(place.name for place in found.places[:_CHOICES_MAX])
            detail = f"could be several places; say which: {' or '.join(names)}"
            return invalid_fields(FieldError("/data/place/name", detail, names))
        hint = f"; did you mean {' or '.join(found.did_you_mean)}?" if found.did_you_mean else ""
        detail = f"is not a place that we know in {self._communities[community].name}{hint}"
        return invalid_fields(FieldError("/data/place/name", detail, found.did_you_mean))

    def _available(self, data: SignUp | PlainData) -> tuple[Slot, ...] | Problem:
        masks = list(map(self._read_times, data.available))
        if not masks:
            return SLOTS
        if 0 in masks:
            return field_problem(
                f"/data/available/{masks.index(0)}",
                'is not understood: write codes such as tue-evening, or words such as "Tuesday evenings", '
                '"weekends" or "weekday mornings"; GET /v1/vocabulary lists them',
            )
        return _slots(reduce(or_, masks))

    def _understood(self, data: SignUp | PlainData) -> dict[str, Any]:
        place = self._place(data.place, self._communities[data.community])
        assert isinstance(place, Place), "the event was accepted"
        return {
            "interests": [self._interest_understood(text, data.consent.life_topics) for text in data.interests],
            "life_topics": [_word_understood(text, self._life_topics) for text in data.life_topics]
            if data.consent.life_topics
            else [],
            "place": {"name": place.name, "latitude": place.latitude, "longitude": place.longitude},
            "available": [{"given": text, "slots": _slots(self._read_times(text))} for text in data.available],
        }

    def _interest_understood(self, text: str, may_use_life_topics: bool) -> dict[str, Any]:
        entry = _word_understood(text, self._vocabulary)
        told = self._interests.of_entry(text)
        if told.life_topics:
            entry |= {
                "kept": told.interests,
                "life_topics": told.life_topics,
                "note": _AMONG_LIFE_TOPICS if may_use_life_topics else _SET_ASIDE,
            }
        return entry


def _word_understood(text: str, vocabulary: Vocabulary) -> dict[str, Any]:
    understood = vocabulary.understand(text)
    entry: dict[str, Any] = {"given": text, "kept": understood.kept, "known": understood.known}
    if understood.did_you_mean:
        entry["did_you_mean"] = understood.did_you_mean
    return entry


@lru_cache(maxsize=64)
def _year_of(quarter: int, time_zone: str) -> int:
    """The year in a time zone; `quarter` is in quarters of an hour since the epoch."""
    return datetime.fromtimestamp(quarter * _QUARTER_MS / 1000, ZoneInfo(time_zone)).year


def _unfit(sign_up: SignUp | PlainData, kept: tuple[str, ...], community: Community, now_ms: int) -> Problem | None:
    # Of the birthday only the year is known: a member counts as adult when they surely are. New Year
    # comes when it does where the community is, and so it does to the matcher.
    year = _year_of(now_ms // _QUARTER_MS, community.time_zone)
    born_by = year - community.adults_from_age - 1
    if sign_up.birth_year > born_by:
        return field_problem("/data/birth_year", f"must be {born_by} or earlier: this is for adults only")
    if not kept:
        return field_problem("/data/interests", "must hold at least one word; life topics are no interests")
    return None
