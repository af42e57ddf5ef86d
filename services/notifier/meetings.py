"""After the introduction: a date, three quiet questions about it, the next date, and at last one that comes back.

    date ──it is over──▶ how was it? ──all want to, or at decide_at enough do──▶ next date … standing
     ▲                        │
     └──they did not meet─────┤ (once)
                              └──decide_at: too few want to──▶ closed

The second meeting is where friendship begins, and wanting it is asked as blindly as the
first: "not again" is counted nowhere. It has the same effect as not answering, at the
same time, so nobody can tell the one from the other, or either from having left. Only
"again" from everybody who was to be there comes early.
"""

from __future__ import annotations

from typing import assert_never

from services.notifier.dates import next_date
from services.notifier.events import (
    Answered,
    CheckedIn,
    Event,
    Joined,
    NeverTold,
    OfferedToOpen,
    Proposed,
    SetAside,
    TimePassed,
    Transition,
    Withdrawn,
    changed,
    emails_to,
    in_order,
    with_one,
    without_one,
)
from shared.community import Community
from shared.contracts import (
    ChoiceKind,
    ClosingReason,
    EmailKind,
    Introduction,
    IntroductionState,
    Meeting,
    SuggestionKind,
)

_WEEK_MS = 7 * 24 * 3600 * 1000

# By answer: the field of a meeting that holds it, and the one that holds its opposite.
_FIELDS = {
    ChoiceKind.MET: ("met", "not_met"),
    ChoiceKind.NOT_MET: ("not_met", "met"),
    ChoiceKind.AGAIN: ("again", "not_again"),
    ChoiceKind.NOT_AGAIN: ("not_again", "again"),
    ChoiceKind.DEEPER: ("deeper", "shallow"),
    ChoiceKind.SHALLOW: ("shallow", "deeper"),
}


def introduce(introduction: Introduction, community: Community, now_ms: int) -> Transition:
    """Those who said yes learn who the others are, and when they meet."""
    together = introduction.said_yes
    opener = introduction.suggestion.opener
    introduced = changed(
        introduction,
        state=IntroductionState.INTRODUCED,
        remind_at_ms=None,
        introduced=together,
        present=together,
        introduced_at_ms=now_ms,
        opener=opener if opener in together else None,
        meeting=_plan(introduction, together, community, now_ms, number=1),
    )
    return Transition(introduced, emails_to(introduced, together, EmailKind.INTRODUCTION, now_ms))


def advance(introduction: Introduction, event: Event, *, community: Community, now_ms: int) -> Transition:
    """What `event` makes of an introduction whose people know each other."""
    match event:
        case Withdrawn(member):
            return _leave(introduction, member, now_ms)
        case NeverTold():
            return _never_told(introduction, now_ms)
        case CheckedIn():
            return _check_in(introduction, event, community, now_ms)
        case OfferedToOpen(member):
            return _offer_to_open(introduction, member, now_ms)
        case Joined(newcomer):
            return _join(introduction, newcomer, now_ms)
        case TimePassed():
            return _let_time_pass(introduction, community, now_ms)
        case Proposed() | Answered() | SetAside():
            return Transition(introduction)  # They know each other already: nothing can be taken back.
        case _:
            assert_never(event)


def next_due_ms(introduction: Introduction) -> int | None:
    """When time next matters, in milliseconds since the epoch."""
    if introduction.state is IntroductionState.STANDING:
        return introduction.settles_at_ms
    meeting = introduction.meeting
    if meeting is None:
        return None  # Written before introductions had dates: nothing more is to come of it.
    return meeting.check_in_at_ms if meeting.decide_at_ms is None else meeting.decide_at_ms


def again_needed(introduction: Introduction, community: Community) -> int:
    """How many must want to go on: both of a pair, a quorum of a group."""
    if introduction.suggestion.kind is SuggestionKind.PAIR:
        return 2
    return min(community.groups.quorum, len(introduction.introduced))


def _plan(
    introduction: Introduction,
    together: tuple[str, ...],
    community: Community,
    now_ms: int,
    *,
    number: int,
    attempt: int = 1,
) -> Meeting:
    rules, last = community.meetings, introduction.meeting
    not_before_ms = now_ms + rules.notice_seconds * 1000
    if last is not None:
        not_before_ms = max(not_before_ms, last.ends_at_ms)
    date = next_date(introduction.suggestion.slot, community, not_before_ms=not_before_ms)
    if rules.over_after_seconds is not None:
        check_in_at_ms = now_ms + rules.over_after_seconds * 1000
    else:
        check_in_at_ms = date.ends_at_ms + rules.check_in_after_seconds * 1000
    return Meeting(
        occasion=1 if last is None else last.occasion + 1,
        number=number,
        attempt=attempt,
        starts_at_ms=date.starts_at_ms,
        ends_at_ms=date.ends_at_ms,
        invited=together,
        check_in_at_ms=check_in_at_ms,
    )


def _leave(introduction: Introduction, member: str, now_ms: int) -> Transition:
    """Nobody learns why, and where that could tell something, nobody learns when: timers stay as they are."""
    if member not in introduction.present:
        return Transition(introduction)
    present = without_one(introduction.present, member)
    gone = changed(
        introduction,
        present=present,
        left=with_one(introduction, introduction.left, member),
        opener=introduction.opener if introduction.opener != member else None,
    )
    if not present:
        return _close(gone, (), now_ms)
    if gone.state is IntroductionState.STANDING:
        if len(present) < 2:
            return _close(gone, present, now_ms)
        if gone.seat_from_ms is None:
            return Transition(changed(gone, seat_from_ms=now_ms))
    return Transition(gone)


def _never_told(introduction: Introduction, now_ms: int) -> Transition:
    """Back to where it was before anybody was named: to those who hoped it fell through, like any other."""
    first = introduction.meeting is not None and introduction.meeting.occasion == 1
    if introduction.state is not IntroductionState.INTRODUCED or not first:
        return Transition(introduction)
    closed = changed(
        introduction,
        state=IntroductionState.CLOSED,
        introduced=(),
        present=(),
        left=(),
        opener=None,
        meeting=None,
        introduced_at_ms=None,
        closed_at_ms=now_ms,
        closing_reason=ClosingReason.LEFT,
    )
    return Transition(closed, emails_to(closed, introduction.present, EmailKind.CLOSING, now_ms))


def _check_in(introduction: Introduction, told: CheckedIn, community: Community, now_ms: int) -> Transition:
    meeting = introduction.meeting
    if (
        introduction.state is not IntroductionState.INTRODUCED
        or meeting is None
        or told.occasion != meeting.occasion
        or told.member not in introduction.present
        or told.kind not in _FIELDS
    ):
        return Transition(introduction)
    here, opposite = _FIELDS[told.kind]
    if told.member in getattr(meeting, here):
        return Transition(introduction)
    noted = changed(
        introduction,
        meeting=meeting.model_copy(
            update={
                here: with_one(introduction, getattr(meeting, here), told.member),
                opposite: without_one(getattr(meeting, opposite), told.member),
            }
        ),
    )
    after = _meeting(noted)
    # Again from everybody, whoever has left since included: going on without somebody before
    # the time is up would tell what they said.
    if set(after.again) == set(after.invited) == set(noted.present):
        return _decide(noted, community, now_ms)
    if set(after.not_met) == set(after.invited) == set(noted.present):
        return _decide(noted, community, now_ms)
    return Transition(noted)


def _offer_to_open(introduction: Introduction, member: str, now_ms: int) -> Transition:
    """The role moves once, before the first meeting. The former opener learns that somebody offered, and not who."""
    former = introduction.opener
    too_late = (
        introduction.state is not IntroductionState.INTRODUCED
        or introduction.meeting is None
        or introduction.meeting.number > 1
        or introduction.meeting.decide_at_ms is not None
    )
    moved_already = former is not None and former != introduction.suggestion.opener
    if too_late or moved_already or member == former or member not in introduction.present:
        return Transition(introduction)
    moved = changed(introduction, opener=member)
    relieved = () if former is None else (former,)
    return Transition(
        moved,
        emails_to(moved, (member,), EmailKind.GO_FIRST, now_ms)
        + emails_to(moved, relieved, EmailKind.RELIEVED, now_ms),
    )


def _join(introduction: Introduction, newcomer: str, now_ms: int) -> Transition:
    if not introduction.wants_newcomer or newcomer in introduction.everybody:
        return Transition(introduction)
    group = introduction.present
    joined = introduction.model_copy(update={"joined": (*introduction.joined, newcomer)})
    grown = changed(
        joined,
        present=with_one(joined, group, newcomer),
        seat_from_ms=now_ms if len(group) + 1 < introduction.seats else None,
    )
    occasion = len(grown.joined)
    return Transition(
        grown,
        emails_to(grown, (newcomer,), EmailKind.WELCOME, now_ms, occasion=occasion)
        + emails_to(grown, group, EmailKind.NEWCOMER, now_ms, occasion=occasion),
    )


def _let_time_pass(introduction: Introduction, community: Community, now_ms: int) -> Transition:
    due_ms = next_due_ms(introduction)
    if due_ms is None or now_ms < due_ms:
        return Transition(introduction)
    if introduction.state is IntroductionState.STANDING:
        return Transition(changed(introduction, settles_at_ms=None))
    meeting = _meeting(introduction)
    if meeting.decide_at_ms is None:
        within_ms = community.meetings.check_in_within_seconds * 1000
        asked = changed(introduction, meeting=meeting.model_copy(update={"decide_at_ms": now_ms + within_ms}))
        return Transition(asked, emails_to(asked, asked.present, EmailKind.CHECK_IN, now_ms, occasion=meeting.occasion))
    return _decide(introduction, community, now_ms)


def _decide(introduction: Introduction, community: Community, now_ms: int) -> Transition:
    meeting, present = _meeting(introduction), introduction.present
    needed = again_needed(introduction, community)
    if meeting.did_not_take_place:
        if meeting.attempt == 1 and len(present) >= needed:
            again = _plan(introduction, present, community, now_ms, number=meeting.number, attempt=2)
            postponed = changed(introduction, meeting=again)
            emails = emails_to(postponed, present, EmailKind.NEW_DATE, now_ms, occasion=again.occasion)
            return Transition(postponed, emails)
        return _close(introduction, in_order(introduction, {*meeting.again, *meeting.not_met} & set(present)), now_ms)
    willing = in_order(introduction, set(meeting.again) & set(present))
    if len(willing) < needed:
        return _close(introduction, willing, now_ms)
    going_on = changed(
        introduction,
        present=willing,
        left=in_order(introduction, {*introduction.left, *present} - set(willing)),
        opener=introduction.opener if introduction.opener in willing else None,
    )
    if meeting.number >= community.meetings.until_standing:
        return _stand(going_on, community, now_ms)
    following = _plan(going_on, willing, community, now_ms, number=meeting.number + 1)
    next_ = going_on.model_copy(update={"meeting": following})
    return Transition(next_, emails_to(next_, willing, EmailKind.AGAIN, now_ms, occasion=following.occasion))


def _stand(introduction: Introduction, community: Community, now_ms: int) -> Transition:
    """The date that comes back begins `standing_every_weeks` after the last one."""
    last = _meeting(introduction)
    number = last.number + 1
    planned = _plan(introduction, introduction.present, community, now_ms, number=number)
    every_ms = community.meetings.standing_every_weeks * _WEEK_MS
    date = next_date(
        introduction.suggestion.slot,
        community,
        not_before_ms=max(planned.starts_at_ms, last.starts_at_ms + every_ms - _WEEK_MS // 7),
    )
    first = planned.model_copy(update={"starts_at_ms": date.starts_at_ms, "ends_at_ms": date.ends_at_ms})
    standing = introduction.model_copy(
        update={
            "state": IntroductionState.STANDING,
            "meeting": first,
            "standing_since_ms": now_ms,
            "seats": len(introduction.introduced),
            "seat_from_ms": now_ms if len(introduction.present) < len(introduction.introduced) else None,
            "settles_at_ms": now_ms + community.settle_seconds * 1000,
        }
    )
    return Transition(
        standing, emails_to(standing, standing.present, EmailKind.STANDING, now_ms, occasion=first.occasion)
    )


def _close(introduction: Introduction, hoped: tuple[str, ...], now_ms: int) -> Transition:
    closed = changed(
        introduction,
        state=IntroductionState.CLOSED,
        settles_at_ms=None,
        seat_from_ms=None,
        closed_at_ms=now_ms,
        closing_reason=ClosingReason.SETTLED,
    )
    # The same words for "not again", for silence and for somebody who left.
    return Transition(closed, emails_to(closed, hoped, EmailKind.PARTING, now_ms))


def _meeting(introduction: Introduction) -> Meeting:
    assert introduction.meeting is not None, "who is introduced has a date"
    return introduction.meeting
