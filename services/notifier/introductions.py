"""The introduction: strangers are asked, blindly, and those who all want it learn who the others are.

    proposed ──everybody said yes──────────────▶ introduced ──they meet, three times──▶ standing
        │                                          ▲   │                                  │
        ├──answer_by: enough said yes──────────────┘   ├──not enough want to go on        │ too few remain
        └──answer_by: too few said yes─────────▶ closed ◀───────────────┘ ◀───────────────┘

Saying yes to strangers takes some courage, and so does saying no. So a no must look like
silence to the others, in what they read *and in when they read it*: before `answer_by`
nothing at all happens because of a no. Only a yes from everybody comes early. Whoever said
no is free at once (`Introduction.engages`); the others learn, when the time is up, that it
did not come together, and not why. Even when everybody said no it stays open until then:
it holds nobody, and one of them may still change their mind and must not be able to tell.

A free seat in a standing group is proposed like anything else, to the newcomer and to the
group; it ends by the newcomer being told of in the group's own introduction.

What comes after the introduction is in `services.notifier.meetings`. A pure function: no
clock, no broker. Same introduction, event and time: same transition.
"""

from __future__ import annotations

from typing import assert_never

from services.notifier import meetings
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
    with_one,
    without_one,
)
from shared.community import Community
from shared.contracts import (
    ChoiceKind,
    ClosingReason,
    Email,
    EmailKind,
    Introduction,
    IntroductionState,
    Suggestion,
    SuggestionKind,
)

__all__ = [
    "Answered", "CheckedIn", "Event", "Joined", "NeverTold", "NobodyProposedError", "OfferedToOpen", "Proposed",
    "SetAside", "TimePassed", "Transition", "Withdrawn", "advance", "never_proposed", "next_due_ms", "yes_needed",
]  # fmt: skip


class NobodyProposedError(ValueError):
    """An event other than `Proposed` for an introduction that does not exist."""


def advance(introduction: Introduction | None, event: Event, *, community: Community, now_ms: int) -> Transition:
    """What `event` makes of `introduction`, which is None before it is proposed.

    An event that changes nothing gives the very same introduction back, and no emails:
    so every event may be told twice. Nothing leads out of `closed`.

    Raises
    ------
    NobodyProposedError
        for any event but `Proposed` where there is no introduction.
    """
    if introduction is None:
        if not isinstance(event, Proposed):
            raise NobodyProposedError(f"{type(event).__name__} before Proposed: propose the suggestion first")
        return _propose(event.suggestion, community, now_ms)
    if introduction.state in (IntroductionState.INTRODUCED, IntroductionState.STANDING):
        return meetings.advance(introduction, event, community=community, now_ms=now_ms)
    if introduction.state is IntroductionState.CLOSED:
        return Transition(introduction)
    match event:
        case Answered(member, kind):
            if kind is ChoiceKind.NO:
                return _count_out(introduction, member)
            return _count_in(introduction, member, community, now_ms)
        case Withdrawn(member):
            return _count_out(introduction, member)
        case SetAside(member):
            return _set_aside(introduction, member)
        case TimePassed():
            return _let_time_pass(introduction, community, now_ms)
        case Proposed() | NeverTold() | CheckedIn() | OfferedToOpen() | Joined():
            return Transition(introduction)
        case _:
            assert_never(event)


def next_due_ms(introduction: Introduction) -> int | None:
    """When `TimePassed` next matters, in milliseconds since the epoch; None if nothing waits for a time."""
    match introduction.state:
        case IntroductionState.PROPOSED:
            return min(introduction.answer_by_ms, introduction.remind_at_ms or introduction.answer_by_ms)
        case IntroductionState.INTRODUCED | IntroductionState.STANDING:
            return meetings.next_due_ms(introduction)
        case IntroductionState.CLOSED:
            return None
        case _:
            assert_never(introduction.state)


def never_proposed(suggestion: Suggestion, reason: ClosingReason, now_ms: int) -> Transition:
    """A suggestion that cannot be proposed: closed from the start, nobody is written to, and the matcher may go on."""
    return Transition(
        Introduction(
            community=suggestion.community,
            introduction=suggestion.suggestion,
            suggestion=suggestion,
            state=IntroductionState.CLOSED,
            proposed_at_ms=now_ms,
            answer_by_ms=now_ms,
            closed_at_ms=now_ms,
            closing_reason=reason,
        )
    )


def yes_needed(suggestion: Suggestion, community: Community) -> int:
    """How many must say yes: both of a pair, a quorum of a group; for a seat, the newcomer and a quorum."""
    match suggestion.kind:
        case SuggestionKind.PAIR:
            return len(suggestion.members)
        case SuggestionKind.GROUP:
            return min(community.groups.quorum, len(suggestion.members))
        case SuggestionKind.SEAT:
            return min(community.groups.quorum, len(suggestion.members) - 1) + 1
        case _:
            assert_never(suggestion.kind)


def _propose(suggestion: Suggestion, community: Community, now_ms: int) -> Transition:
    after, within = community.remind_after_seconds, community.answer_within_seconds
    introduction = Introduction(
        community=suggestion.community,
        introduction=suggestion.suggestion,
        suggestion=suggestion,
        state=IntroductionState.PROPOSED,
        proposed_at_ms=now_ms,
        answer_by_ms=now_ms + within * 1000,
        remind_at_ms=now_ms + after * 1000 if after is not None and after < within else None,
    )
    invited = suggestion.engages
    group = [member for member in suggestion.members if member not in invited]
    return Transition(
        introduction,
        emails_to(introduction, invited, EmailKind.INVITATION, now_ms)
        + emails_to(introduction, group, EmailKind.SEAT, now_ms),
    )


def _count_in(introduction: Introduction, member: str, community: Community, now_ms: int) -> Transition:
    if member not in introduction.members or member in introduction.said_yes:
        return Transition(introduction)
    answered = changed(
        introduction,
        said_yes=with_one(introduction, introduction.said_yes, member),
        said_no=without_one(introduction.said_no, member),
        set_aside=without_one(introduction.set_aside, member),
    )
    # Only a yes from everybody comes early. A group that went ahead as soon as its last
    # member had answered would tell the others that this answer was a no.
    if len(answered.said_yes) == len(answered.members):
        return _come_together(answered, community, now_ms)
    return Transition(answered)


def _count_out(introduction: Introduction, member: str) -> Transition:
    counts = member in introduction.members
    if not counts or (member in introduction.said_no and member not in introduction.set_aside):
        return Transition(introduction)
    return Transition(
        changed(
            introduction,
            said_yes=without_one(introduction.said_yes, member),
            said_no=with_one(introduction, introduction.said_no, member),
            set_aside=without_one(introduction.set_aside, member),
        )
    )


def _set_aside(introduction: Introduction, member: str) -> Transition:
    if member not in introduction.members or member in introduction.set_aside:
        return Transition(introduction)
    out = _count_out(introduction, member).introduction
    return Transition(changed(out, set_aside=with_one(out, out.set_aside, member)))


def _let_time_pass(introduction: Introduction, community: Community, now_ms: int) -> Transition:
    if now_ms >= introduction.answer_by_ms:
        if _enough_said_yes(introduction, community):
            return _come_together(introduction, community, now_ms)
        return _fall_through(introduction, now_ms)
    if introduction.remind_at_ms is not None and now_ms >= introduction.remind_at_ms:
        return _remind(introduction, now_ms)
    return Transition(introduction)


def _enough_said_yes(introduction: Introduction, community: Community) -> bool:
    newcomer = introduction.suggestion.newcomer
    if newcomer is not None and newcomer not in introduction.said_yes:
        return False
    return len(introduction.said_yes) >= yes_needed(introduction.suggestion, community)


def _remind(introduction: Introduction, now_ms: int) -> Transition:
    """One reminder, and only to those who were invited and have not answered; a group is not asked twice."""
    answered = {*introduction.said_yes, *introduction.said_no}
    silent = [member for member in introduction.suggestion.engages if member not in answered]
    reminded = changed(introduction, remind_at_ms=None)
    return Transition(reminded, emails_to(reminded, silent, EmailKind.REMINDER, now_ms))


def _come_together(introduction: Introduction, community: Community, now_ms: int) -> Transition:
    if introduction.suggestion.newcomer is None:
        introduced = meetings.introduce(introduction, community, now_ms)
        # For who was set aside it fell through, and they are told so, as anybody would be.
        aside = emails_to(introduced.introduction, introduction.set_aside, EmailKind.CLOSING, now_ms)
        return Transition(introduced.introduction, introduced.emails + aside)
    return Transition(
        changed(
            introduction,
            state=IntroductionState.CLOSED,
            remind_at_ms=None,
            closed_at_ms=now_ms,
            closing_reason=ClosingReason.SEATED,
        )
    )


def _fall_through(introduction: Introduction, now_ms: int) -> Transition:
    closed = changed(
        introduction,
        state=IntroductionState.CLOSED,
        remind_at_ms=None,
        closed_at_ms=now_ms,
        closing_reason=ClosingReason.DECLINED if introduction.said_no else ClosingReason.EXPIRED,
    )
    # Those who hoped in vain deserve a word. A group that would have taken somebody in still has itself.
    said_yes = (*closed.said_yes, *closed.set_aside)
    hoped = [member for member in closed.suggestion.engages if member in said_yes]
    emails: tuple[Email, ...] = emails_to(closed, hoped, EmailKind.CLOSING, now_ms)
    return Transition(closed, emails)
