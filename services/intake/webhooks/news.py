"""What there is to tell a partner about a member, worked out from where an introduction stands. Pure.

Of each member only what is theirs is told. That includes the ids: two members of one
partner who are suggested to each other must not be recognised by one, or the partner
would see who of them did not say yes. So both the event's id and the introduction's are
derived anew for each member, under a key that the partner does not know: who knows how
our ids are made could otherwise try out all pairs of their members.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from shared.contracts import Introduction, SuggestionKind, WebhookDelivery, WebhookEvent

SOURCE = "london-connection"
"""The CloudEvents source of what we tell."""


class Course(NamedTuple):
    """What partners can be told of an introduction, without the rest: intake holds one for each."""

    community: str
    introduction: str
    kind: SuggestionKind
    suggested: tuple[str, ...]
    suggested_at_ms: int
    introduced: tuple[str, ...]
    introduced_at_ms: int
    met: tuple[tuple[int, str], ...]
    """Which meetings took place, by number, and who was to be there."""
    met_by_ms: int
    """When the last of them was over; 0 where that is not on record any more."""
    date_ends_at_ms: int
    """The end of the date that they have, or had last."""
    closed_at_ms: int | None
    revision: int


class Happening(NamedTuple):
    """One thing to tell about one member."""

    type: WebhookEvent
    member: str
    occurred_at_ms: int
    number: int = 0


def course_of(introduction: Introduction, before: Course | None = None) -> Course:
    """The course that an introduction has taken; `before` is what an earlier record of it said.

    That a meeting took place is taken from what follows it, once it is decided: while people
    still answer, the moment of an event would tell when somebody did.
    """
    suggestion, meeting = introduction.suggestion, introduction.meeting
    met = set(before.met) if before is not None else set()
    met_by_ms = before.met_by_ms if before is not None else 0
    if meeting is not None:
        took_place = meeting.number - 1
        if not introduction.is_open and meeting.took_place:
            took_place, met_by_ms = meeting.number, meeting.ends_at_ms
        known = {number for number, _ in met}
        for number in range(1, took_place + 1):
            if number not in known:
                met |= {(number, member) for member in _who_met(introduction, before, number)}
                if before is not None and number < meeting.number:
                    met_by_ms = before.date_ends_at_ms
    introduced = tuple(dict.fromkeys((*introduction.introduced, *introduction.joined)))
    return Course(
        introduction.community,
        introduction.introduction,
        suggestion.kind,
        suggestion.engages,
        introduction.proposed_at_ms,
        introduced,
        introduction.introduced_at_ms or introduction.proposed_at_ms,
        tuple(sorted(met)),
        met_by_ms,
        0 if meeting is None else meeting.ends_at_ms,
        introduction.closed_at_ms,
        introduction.revision,
    )


def _who_met(introduction: Introduction, before: Course | None, number: int) -> Iterable[str]:
    meeting = introduction.meeting
    assert meeting is not None, "somebody met"
    if number == meeting.number:
        return meeting.invited
    # Who did not want to go on was at that meeting as well, as far as we still know.
    if before is not None and number == 1:
        return before.introduced
    if before is not None:
        return {member for earlier, member in before.met if earlier == number - 1} or meeting.invited
    return meeting.invited


def happenings(course: Course) -> Iterator[Happening]:
    """All that has happened in it, member by member, in order."""
    for member in course.suggested:
        yield Happening(WebhookEvent.SUGGESTED, member, course.suggested_at_ms)
    for member in course.introduced:
        yield Happening(WebhookEvent.INTRODUCED, member, course.introduced_at_ms)
    last = max((number for number, _ in course.met), default=0)
    for number, member in course.met:
        # When the others were is not on record any more; they came in this order.
        at_ms = course.met_by_ms if number == last and course.met_by_ms else course.introduced_at_ms + number
        yield Happening(WebhookEvent.MET, member, at_ms, number)


def told(happening: Happening, course: Course, *, source: str, id_key: str, now_ms: int) -> WebhookDelivery:
    """The event that tells it, to be queued."""
    kind = "pair" if course.kind is SuggestionKind.PAIR else "group"
    data: dict[str, str | int | list[str]] = {
        "community": course.community,
        "introduction": keyed_id(id_key, "i", course.introduction, happening.member),
        "kind": kind,
    }
    if happening.type is WebhookEvent.MET:
        data["meeting"] = happening.number
    return WebhookDelivery(
        community=course.community,
        event=event_id(happening, course.introduction, id_key),
        type=happening.type,
        source=source,
        member=happening.member,
        about=course.introduction,
        data=data,
        occurred_at_ms=min(happening.occurred_at_ms, now_ms),
        queued_at_ms=now_ms,
        next_at_ms=now_ms,
    )


def event_id(happening: Happening, introduction: str, id_key: str) -> str:
    """The webhook-id: the same whenever it is derived again."""
    return keyed_id(id_key, "w", happening.type, introduction, happening.member, str(happening.number))


def keyed_id(id_key: str, letter: str, *parts: str) -> str:
    """An id that nobody without the key can derive: a letter, and 128 bits of BLAKE2b in base 32."""
    assert id_key, "who has no key is told nothing (Partner.is_told)"
    text = "\x1f".join(f"{len(part)}:{part}" for part in parts)
    digest = hashlib.blake2b(
        text.encode(), digest_size=16, key=id_key.encode()[:64], person=f"webhook-{letter}".encode()
    ).digest()
    return f"{letter}_{base64.b32encode(digest).decode().rstrip('=').lower()}"
