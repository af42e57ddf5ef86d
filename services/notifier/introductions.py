"""The introduction: strangers are asked, blindly, and those who all want it learn who the others are.

    proposed ──everybody said yes──────────────▶ introduced ──settled──▶ closed
        │                                          ▲
        ├──answer_by: enough said yes──────────────┘
        └──answer_by: too few said yes─────────────────────────────────▶ closed

Saying yes to strangers takes some courage, and so does saying no. So a no must look like
silence to the others, in what they read *and in when they read it*: before `answer_by`
nothing at all happens because of a no. Only a yes from everybody comes early. Whoever said
no is free at once (`Introduction.engages`); the others learn, when the time is up, that it
did not come together, and not why. Even when everybody said no it stays open until then:
it holds nobody, and one of them may still change their mind and must not be able to tell.

A pure function: no clock, no broker. Same introduction, event and time: same transition.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from shared import ids
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


@dataclass(frozen=True, slots=True)
class Proposed:
    """The matcher suggests these people to each other."""

    suggestion: Suggestion


@dataclass(frozen=True, slots=True)
class Answered:
    """A member pressed yes or no."""

    member: str
    kind: ChoiceKind


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A member is out: left, paused, unsubscribed, or not to be reached. It counts as a no."""

    member: str


@dataclass(frozen=True, slots=True)
class TimePassed:
    """Nothing happened but time. Worth sending from `next_due_ms` on; harmless before."""


Event = Proposed | Answered | Withdrawn | TimePassed


@dataclass(frozen=True, slots=True)
class Transition:
    """Where the introduction stands now, and the emails that this sets off."""

    introduction: Introduction
    emails: tuple[Email, ...] = ()


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
    match event:
        case Proposed():
            return Transition(introduction)
        case Answered(member, kind):
            if kind is ChoiceKind.NO:
                return _count_out(introduction, member)
            return _count_in(introduction, member, community, now_ms)
        case Withdrawn(member):
            return _count_out(introduction, member)
        case TimePassed():
            return _let_time_pass(introduction, community, now_ms)
        case _:
            assert_never(event)


def next_due_ms(introduction: Introduction) -> int | None:
    """When `TimePassed` next matters, in milliseconds since the epoch; None once it is closed."""
    match introduction.state:
        case IntroductionState.PROPOSED:
            return introduction.answer_by_ms
        case IntroductionState.INTRODUCED:
            return introduction.settles_at_ms
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
    """How many must say yes: both of a pair, a quorum of a group."""
    if suggestion.kind is SuggestionKind.PAIR:
        return len(suggestion.members)
    return min(community.groups.quorum, len(suggestion.members))


def _propose(suggestion: Suggestion, community: Community, now_ms: int) -> Transition:
    introduction = Introduction(
        community=suggestion.community,
        introduction=suggestion.suggestion,
        suggestion=suggestion,
        state=IntroductionState.PROPOSED,
        proposed_at_ms=now_ms,
        answer_by_ms=now_ms + community.answer_within_seconds * 1000,
    )
    return Transition(introduction, _emails(introduction, suggestion.members, EmailKind.INVITATION, now_ms))


def _count_in(introduction: Introduction, member: str, community: Community, now_ms: int) -> Transition:
    if not _may_answer(introduction, member) or member in introduction.said_yes:
        return Transition(introduction)
    answered = introduction.model_copy(
        update={
            "said_yes": _with(introduction, introduction.said_yes, member),
            "said_no": _without(introduction.said_no, member),
        }
    )
    # Only a yes from everybody comes early. A group that went ahead as soon as its last
    # member had answered would tell the others that this answer was a no.
    if len(answered.said_yes) == len(answered.members):
        return _introduce(answered, community, now_ms)
    return Transition(answered)


def _count_out(introduction: Introduction, member: str) -> Transition:
    if not _may_answer(introduction, member) or member in introduction.said_no:
        return Transition(introduction)
    return Transition(
        introduction.model_copy(
            update={
                "said_yes": _without(introduction.said_yes, member),
                "said_no": _with(introduction, introduction.said_no, member),
            }
        )
    )


def _may_answer(introduction: Introduction, member: str) -> bool:
    """Once people are introduced they know each other already: nothing can be taken back."""
    return introduction.state is IntroductionState.PROPOSED and member in introduction.members


def _let_time_pass(introduction: Introduction, community: Community, now_ms: int) -> Transition:
    due_ms = next_due_ms(introduction)
    if due_ms is None or now_ms < due_ms:
        return Transition(introduction)
    if introduction.state is IntroductionState.INTRODUCED:
        return _close(introduction, ClosingReason.SETTLED, now_ms)
    if len(introduction.said_yes) >= yes_needed(introduction.suggestion, community):
        return _introduce(introduction, community, now_ms)
    return _close(introduction, ClosingReason.DECLINED if introduction.said_no else ClosingReason.EXPIRED, now_ms)


def _introduce(introduction: Introduction, community: Community, now_ms: int) -> Transition:
    introduced = introduction.model_copy(
        update={
            "state": IntroductionState.INTRODUCED,
            "introduced": introduction.said_yes,
            "introduced_at_ms": now_ms,
            "settles_at_ms": now_ms + community.settle_seconds * 1000,
        }
    )
    return Transition(introduced, _emails(introduced, introduced.introduced, EmailKind.INTRODUCTION, now_ms))


def _close(introduction: Introduction, reason: ClosingReason, now_ms: int) -> Transition:
    closed = introduction.model_copy(
        update={"state": IntroductionState.CLOSED, "closed_at_ms": now_ms, "closing_reason": reason}
    )
    # Those who were introduced had what they hoped for; those who hoped in vain deserve a word.
    hoped = () if closed.introduced else closed.said_yes
    return Transition(closed, _emails(closed, hoped, EmailKind.CLOSING, now_ms))


def _emails(introduction: Introduction, members: tuple[str, ...], kind: EmailKind, now_ms: int) -> tuple[Email, ...]:
    return tuple(
        Email(
            community=introduction.community,
            email=ids.email_id(introduction.introduction, member, kind),
            introduction=introduction.introduction,
            member=member,
            kind=kind,
            planned_at_ms=now_ms,
        )
        for member in members
    )


def _with(introduction: Introduction, some: tuple[str, ...], member: str) -> tuple[str, ...]:
    """In the order of the members, so that the order of clicks leaves no trace."""
    return tuple(other for other in introduction.members if other == member or other in some)


def _without(some: tuple[str, ...], member: str) -> tuple[str, ...]:
    return tuple(other for other in some if other != member)
