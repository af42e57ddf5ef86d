"""The last look before anybody is written to."""

from __future__ import annotations

import pytest
from notifier_samples import (
    ANSWER_MS,
    COMMUNITIES,
    GROUP,
    LONDON,
    MEMBERS,
    NOW,
    PAIR,
    block,
    choice,
    contact,
    erase,
    left,
    pause,
    unsubscribe,
)

from services.notifier.gate import may_send
from services.notifier.state import PartitionState
from shared import topics
from shared.contracts import ChoiceKind, Delivery, DeliveryState, Email, EmailKind, Record, Suggestion

A, B = PAIR.members
DAY_MS = 86_400_000
YES, NO = ChoiceKind.YES, ChoiceKind.NO


def a_state(suggestion: Suggestion, *answers: tuple[str, ChoiceKind], at_ms: int = NOW) -> PartitionState:
    """A partition in which `suggestion` was proposed at NOW, answered, and reconciled at `at_ms`."""
    state = PartitionState()
    for member in MEMBERS:
        state.apply("contacts", member, contact(member))
    state.apply("suggestions", suggestion.key, suggestion)
    reconcile(state, NOW)
    for member, kind in answers:
        state.apply("choices", member, choice(member, suggestion.suggestion, kind))
    reconcile(state, at_ms)
    return state


def reconcile(state: PartitionState, now_ms: int) -> None:
    while transitions := state.reconcile(now_ms, COMMUNITIES, limit=10):
        for transition in transitions:
            state.apply("introductions", transition.introduction.key, transition.introduction)
            for email in transition.emails:
                state.apply("outbox", email.key, email)


def planned(state: PartitionState, kind: EmailKind, member: str) -> Email:
    return next(email for email in state.unsent(100) if (email.kind, email.member) == (kind, member))


def record(state: PartitionState, email: Email, outcome: DeliveryState) -> None:
    state.apply(
        topics.DELIVERIES.name,
        email.email,
        Delivery(
            community="london", email=email.email, introduction=email.introduction, member=email.member,
            kind=email.kind, state=outcome, attempts=1, message_id="<x@y>", recorded_at_ms=NOW,
        ),
    )  # fmt: skip


def told(state: PartitionState, *records: Record) -> None:
    for one in records:
        topic = "partner-requests" if "requested_at_ms" in type(one).model_fields else "preferences"
        state.apply(topic, one.key, one)


def test_an_invitation_goes_while_it_is_open_and_unanswered() -> None:
    state = a_state(PAIR)
    invitation = planned(state, EmailKind.INVITATION, A)
    assert may_send(invitation, state, NOW) is None
    assert may_send(invitation, state, NOW + ANSWER_MS) == "introduction-decided"
    answered = a_state(PAIR, (A, NO))
    assert may_send(invitation, answered, NOW) == "answered"
    assert may_send(planned(state, EmailKind.INVITATION, B), answered, NOW) is None
    assert may_send(invitation, a_state(PAIR, (A, YES), (B, YES)), NOW) == "introduction-decided"
    assert may_send(invitation, PartitionState(), NOW) == "introduction-unknown"


@pytest.mark.parametrize(
    ("fact", "reason"), [(unsubscribe(A), "unsubscribed"), (left(A), "left"), (pause(A), "paused")]
)
def test_who_went_away_is_not_invited(fact: Record, reason: str) -> None:
    state = a_state(PAIR)
    invitation = planned(state, EmailKind.INVITATION, A)
    told(state, fact)
    assert may_send(invitation, state, NOW) == reason


def test_a_contact_that_is_gone_or_without_consent_is_not_written_to() -> None:
    state = a_state(PAIR)
    invitation = planned(state, EmailKind.INVITATION, A)
    state.apply("contacts", A, contact(A).model_copy(update={"consent_wording": ""}))
    assert may_send(invitation, state, NOW) == "consent-missing"
    state.apply("contacts", A, None)
    assert may_send(invitation, state, NOW) == "contact-missing"


def test_a_pause_does_not_withhold_what_was_said_yes_to() -> None:
    state = a_state(PAIR, (A, YES), (B, YES))
    told(state, pause(A))
    for member in PAIR.members:
        assert may_send(planned(state, EmailKind.INTRODUCTION, member), state, NOW) is None


def test_not_now_after_everybody_said_yes_keeps_the_introduction_from_all() -> None:
    """While the emails waited for the morning: the last thing that somebody said counts."""
    state = a_state(PAIR, (A, YES), (B, YES))
    told(state, pause(A, NOW + 1))
    emails = {member: planned(state, EmailKind.INTRODUCTION, member) for member in PAIR.members}
    assert may_send(emails[A], state, NOW + 2) == "paused"
    assert may_send(emails[B], state, NOW + 2) == "somebody-else-withheld"
    record(state, emails[B], DeliveryState.SENT)
    assert may_send(emails[A], state, NOW + 2) is None, "their name is out already"


@pytest.mark.parametrize("fact", [unsubscribe(A), left(A)])
def test_an_introduction_goes_to_all_or_to_none(fact: Record) -> None:
    state = a_state(GROUP, *((member, YES) for member in GROUP.members))
    emails = [planned(state, EmailKind.INTRODUCTION, member) for member in GROUP.members]
    assert [may_send(email, state, NOW) for email in emails] == [None] * 4
    told(state, fact)
    assert all(may_send(email, state, NOW) for email in emails)


def test_once_one_was_told_the_others_are_told_too_but_never_one_who_unsubscribed() -> None:
    state = a_state(GROUP, *((member, YES) for member in GROUP.members))
    first, second, third, _ = [planned(state, EmailKind.INTRODUCTION, member) for member in GROUP.members]
    record(state, first, DeliveryState.SENDING)
    told(state, unsubscribe(second.member))
    assert may_send(second, state, NOW) == "unsubscribed"
    record(state, second, DeliveryState.WITHHELD)
    assert may_send(third, state, NOW) is None


def test_once_one_was_withheld_all_are() -> None:
    state = a_state(PAIR, (A, YES), (B, YES))
    first, second = [planned(state, EmailKind.INTRODUCTION, member) for member in PAIR.members]
    record(state, first, DeliveryState.WITHHELD)
    assert may_send(second, state, NOW) == "somebody-else-withheld"


def test_an_introduction_email_belongs_to_the_introduced() -> None:
    quorum = [(member, YES) for member in GROUP.members[:3]]
    state = a_state(GROUP, *quorum, at_ms=NOW + ANSWER_MS)
    email = planned(state, EmailKind.INTRODUCTION, GROUP.members[0])
    outsider = email.model_copy(update={"member": GROUP.members[3]})
    assert may_send(outsider, state, NOW) == "not-introduced"
    assert may_send(email, a_state(GROUP), NOW) == "introduction-over"


def test_closing_words_go_to_those_who_hoped() -> None:
    state = a_state(PAIR, (A, YES), (B, NO), at_ms=NOW + ANSWER_MS)
    closing = planned(state, EmailKind.CLOSING, A)
    assert may_send(closing, state, NOW + ANSWER_MS) is None
    assert may_send(closing.model_copy(update={"member": B}), state, NOW + ANSWER_MS) == "not-closed"
    told(state, pause(A, NOW + ANSWER_MS))
    assert may_send(closing, state, NOW + ANSWER_MS) == "paused"


def test_a_reminder_goes_to_who_is_silent_at_that_moment() -> None:
    remind_at = NOW + (LONDON.remind_after_seconds or 0) * 1000
    state = a_state(PAIR, (A, YES), at_ms=remind_at)
    assert [one.member for one in state.unsent(100) if one.kind is EmailKind.REMINDER] == [B]
    reminder = planned(state, EmailKind.REMINDER, B)
    assert may_send(reminder, state, remind_at) is None
    state.apply("choices", B, choice(B, PAIR.suggestion, NO))
    assert may_send(reminder, state, remind_at) == "answered", "even if nobody has worked that in yet"


def test_a_block_withholds_an_introduction_that_nobody_was_told_of() -> None:
    state = a_state(GROUP, *((member, YES) for member in GROUP.members))
    emails = [planned(state, EmailKind.INTRODUCTION, member) for member in GROUP.members]
    told(state, block(GROUP.members[2], GROUP.members[0]))
    assert {may_send(email, state, NOW) for email in emails} == {"somebody-else-withheld"}


def test_where_all_were_withheld_it_falls_through_for_those_who_hoped() -> None:
    state = a_state(PAIR, (A, YES), (B, YES))
    told(state, unsubscribe(A))
    for member in PAIR.members:
        record(state, planned(state, EmailKind.INTRODUCTION, member), DeliveryState.WITHHELD)
    reconcile(state, NOW)
    closing = [one.member for one in state.unsent(100) if one.kind is EmailKind.CLOSING]
    assert closing == [B], "the same words as for a no"
    assert may_send(planned(state, EmailKind.CLOSING, B), state, NOW) is None


def test_who_was_told_of_nobody_before_the_other_was_erased_hears_that_it_did_not_come_together() -> None:
    state = a_state(PAIR, (A, YES), (B, YES))
    record(state, planned(state, EmailKind.INTRODUCTION, A), DeliveryState.SENT)
    told(state, erase(A))
    reconcile(state, NOW)
    to_b = planned(state, EmailKind.INTRODUCTION, B)
    assert may_send(to_b, state, NOW) == "nobody-to-tell-of"
    record(state, to_b, DeliveryState.WITHHELD)
    reconcile(state, NOW + 60 * DAY_MS)
    later = [one for one in state.unsent(100) if one.kind is not EmailKind.INVITATION]
    assert [(one.member, one.kind) for one in later] == [(B, EmailKind.CLOSING)], "and is not asked how it was"
    assert may_send(later[0], state, NOW) is None


def test_nobody_is_asked_how_it_was_who_was_not_told_of_it() -> None:
    state = a_state(GROUP, *((member, YES) for member in GROUP.members))
    record(state, planned(state, EmailKind.INTRODUCTION, GROUP.members[0]), DeliveryState.SENT)
    record(state, planned(state, EmailKind.INTRODUCTION, GROUP.members[1]), DeliveryState.WITHHELD)
    introduction = state.introduction(GROUP.suggestion)
    assert introduction is not None
    assert introduction.meeting is not None
    over_ms = introduction.meeting.check_in_at_ms
    reconcile(state, over_ms)
    asked = [may_send(planned(state, EmailKind.CHECK_IN, member), state, over_ms) for member in GROUP.members[:2]]
    assert asked == [None, "never-told"]


def test_erased_counts_at_once_for_every_kind_of_email() -> None:
    state = a_state(PAIR, (A, YES), (B, YES))
    told(state, erase(A))
    assert state.members.contact(A) is None, "from now on there is no address, whenever intake gets to it"
    assert may_send(planned(state, EmailKind.INTRODUCTION, A), state, NOW) == "erased"
