"""The gate at send time: the last look before anybody is written to.

Between planning an email and sending it, people leave, unsubscribe, answer. So whether
it may still go is asked of the facts once more, right before it goes, on every attempt.

An introduction tells several people of each other, so its emails go to all of them or
to none: before the first one goes, everybody in it must be one we may write to, or all
are withheld. What cannot be promised: somebody who leaves in the moment between the
first email and the last is known to those already written to (an email counts as gone once
it is recorded as `sending`, even if a crash then kept it back); and a mail server that
refuses one of several emails for good does so after others may have been taken.
"""

from __future__ import annotations

from typing import assert_never

from services.notifier.state import PartitionState
from shared import ids
from shared.contracts import DeliveryState, Email, EmailKind, Introduction, IntroductionState, SuggestionKind


def may_send(email: Email, state: PartitionState, now_ms: int) -> str | None:
    """None if `email` may go now; otherwise, in a word without personal data, why not."""
    introduction = state.introduction(email.introduction)
    if introduction is None:
        return "introduction-unknown"
    barred = _barred(email.member, state)
    if barred is not None:
        return barred
    match email.kind:
        case EmailKind.INVITATION | EmailKind.REMINDER | EmailKind.SEAT:
            return _invitation(email, introduction, state, now_ms)
        case EmailKind.INTRODUCTION:
            return _introduction(email, introduction, state, now_ms)
        case EmailKind.CLOSING:
            return _closing(email, introduction, state, now_ms)
        case EmailKind.GO_FIRST | EmailKind.RELIEVED:
            return _opener(email, introduction, state)
        case EmailKind.CHECK_IN | EmailKind.NEW_DATE | EmailKind.AGAIN | EmailKind.STANDING:
            return _meeting(email, introduction, state)
        case EmailKind.PARTING:
            is_it = not introduction.is_open and email.member in introduction.present
            return None if is_it else "not-over"
        case EmailKind.NEWCOMER | EmailKind.WELCOME:
            return _newcomer(email, introduction, state)
        case _:
            assert_never(email.kind)


def named_in(email: Email, introduction: Introduction, state: PartitionState) -> tuple[str, ...]:
    """Whom an email tells of, at this moment: those who are in it, but for its reader and whom they are kept from.

    Between planning and sending somebody may have left, or blocked the reader: then they are
    not named any more, and how many there were does not show.
    """
    match email.kind:
        case EmailKind.INTRODUCTION:
            told = introduction.introduced
        case EmailKind.NEWCOMER:
            told = introduction.joined[email.occasion - 1 : email.occasion]
        case _:
            told = introduction.present if email.kind.names_others else ()
    return tuple(
        member
        for member in told
        if member != email.member
        and _is_in_it(member, introduction, state)
        and _barred(member, state) is None
        and not state.members.are_apart(email.member, member)
    )


def _is_in_it(member: str, introduction: Introduction, state: PartitionState) -> bool:
    """Whether they are still part of it, as far as they have told us."""
    return member in introduction.present and not state.answers.leaves(introduction.introduction, member)


def _barred(member: str, state: PartitionState) -> str | None:
    """What holds for every email: an address, consent, and the wish to be written to at all."""
    if state.members.is_erased(member):
        return "erased"
    if state.members.has_unsubscribed(member):
        return "unsubscribed"
    if state.members.has_left(member):
        return "left"
    if state.members.reviews.is_removed(member):
        return "removed"
    contact = state.members.contact(member)
    if contact is None:
        return "contact-missing"
    if state.suppressions.is_unreachable(member):
        return "suppressed"
    if not contact.consent_wording:
        return "consent-missing"
    return None


def _invitation(email: Email, introduction: Introduction, state: PartitionState, now_ms: int) -> str | None:
    if introduction.state is not IntroductionState.PROPOSED or now_ms >= introduction.answer_by_ms:
        return "introduction-decided"
    answered = state.answers.answer(introduction.introduction, email.member) is not None
    if answered or email.member in introduction.said_yes or email.member in introduction.said_no:
        return "answered"
    is_seat = introduction.suggestion.kind is SuggestionKind.SEAT
    if state.members.any_held(introduction.members if is_seat else (email.member,)):
        return "held"
    return "paused" if state.members.is_paused(email.member, now_ms) else None


def _introduction(email: Email, introduction: Introduction, state: PartitionState, now_ms: int) -> str | None:
    # If the mail was slow, they are told late rather than never: the others know of them.
    if introduction.state not in (IntroductionState.INTRODUCED, IntroductionState.STANDING):
        return "introduction-over"
    if email.member not in introduction.introduced:
        return "not-introduced"
    set_of_all = [
        state.delivery(ids.email_id(introduction.introduction, member, EmailKind.INTRODUCTION))
        for member in introduction.introduced
    ]
    if any(delivery is not None and delivery.has_set_out for delivery in set_of_all):
        # Others were written to, or are just now: leaving this one out would help nobody,
        # unless there is nobody left of whom it could tell, or they have gone themselves.
        goes = _is_in_it(email.member, introduction, state) and named_in(email, introduction, state)
        return None if goes else "nobody-to-tell-of"
    if any(delivery is not None and delivery.state is DeliveryState.WITHHELD for delivery in set_of_all):
        return "somebody-else-withheld"
    if _has_paused_since(email.member, introduction, state, now_ms):
        return "paused"
    if any(
        _barred(member, state) is not None or _has_paused_since(member, introduction, state, now_ms)
        for member in introduction.introduced
    ):
        return "somebody-else-withheld"
    all_in_it = all(_is_in_it(member, introduction, state) for member in introduction.introduced)
    # Who is held for review gets to know nobody new, and nobody has been named yet.
    apart = state.members.any_apart(introduction.introduced) or state.members.any_held(introduction.introduced)
    if not all_in_it or apart:
        return "somebody-else-withheld"
    return None


def _has_paused_since(member: str, introduction: Introduction, state: PartitionState, now_ms: int) -> bool:
    """Whether "not now" is the last thing that a member said: after their yes, while the emails waited for the morning.

    A pause from before is no reason: their yes came after it, and others wait for them.
    """
    decided_ms = introduction.introduced_at_ms
    return decided_ms is not None and any(
        pause.chosen_at_ms > decided_ms and pause.holds_at(now_ms) for pause in state.members.pauses(member)
    )


def _closing(email: Email, introduction: Introduction, state: PartitionState, now_ms: int) -> str | None:
    fell_through = not introduction.is_open and not introduction.introduced and email.member in introduction.said_yes
    was_set_aside = introduction.state is not IntroductionState.PROPOSED and email.member in introduction.set_aside
    if not fell_through and not was_set_aside:
        return "not-closed"
    return "paused" if state.members.is_paused(email.member, now_ms) else None


def _opener(email: Email, introduction: Introduction, state: PartitionState) -> str | None:
    if introduction.state is not IntroductionState.INTRODUCED or not _is_in_it(email.member, introduction, state):
        return "introduction-over"
    is_opener = introduction.opener == email.member
    return None if is_opener == (email.kind is EmailKind.GO_FIRST) else "opener-changed"


def _meeting(email: Email, introduction: Introduction, state: PartitionState) -> str | None:
    """About a date that is still the one they have, to somebody who is still in it."""
    expected = IntroductionState.STANDING if email.kind is EmailKind.STANDING else IntroductionState.INTRODUCED
    if introduction.state is not expected or introduction.meeting is None:
        return "introduction-over"
    if introduction.meeting.occasion != email.occasion:
        return "date-over"
    if not _is_in_it(email.member, introduction, state):
        return "left-introduction"
    of_it = state.delivery(ids.email_id(introduction.introduction, email.member, EmailKind.INTRODUCTION))
    if of_it is not None and of_it.state is DeliveryState.WITHHELD:
        return "never-told"
    if email.kind.names_others and not named_in(email, introduction, state):
        return "nobody-to-tell-of"
    return None


def _newcomer(email: Email, introduction: Introduction, state: PartitionState) -> str | None:
    """Who joins is told of the group, and the group of them; if the newcomer has gone, nobody is."""
    if introduction.state is not IntroductionState.STANDING or not _is_in_it(email.member, introduction, state):
        return "introduction-over"
    return None if named_in(email, introduction, state) else "nobody-to-tell-of"
