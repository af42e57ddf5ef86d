"""What follows when an email comes back: for the address, for the member, for the matcher."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notifier_samples import COMMUNITIES, GROUP, MEMBERS, NOW, PAIR, choice, contact, suggestion

from services.matcher.state import MatcherState
from services.notifier.gate import may_send
from services.notifier.state import PartitionState
from services.notifier.suppression import FAILURES_MAX, FAILURES_WITHIN_MS, Change
from shared import ids, topics
from shared.contracts import (
    Bounce,
    BounceKind,
    ChoiceKind,
    ClosingReason,
    Delivery,
    DeliveryState,
    EmailKind,
    Fault,
    IntroductionState,
    MailOrder,
    OrderKind,
    Preference,
    Record,
    Suppression,
    SuppressionReason,
    Unreachable,
)

A, B = PAIR.members
SECRET = "a secret for the tests only"  # noqa: S105


def a_state() -> PartitionState:
    state = PartitionState(address_secret=SECRET)
    for member in MEMBERS:
        state.apply("contacts", member, contact(member))
    state.apply("suggestions", PAIR.key, PAIR)
    reconcile(state, NOW)
    return state


def reconcile(state: PartitionState, now_ms: int) -> None:
    while transitions := state.reconcile(now_ms, COMMUNITIES, limit=10):
        for transition in transitions:
            state.apply("introductions", transition.introduction.key, transition.introduction)
            for email in transition.emails:
                state.apply("outbox", email.key, email)


def address(member: str) -> str:
    return ids.address_id(contact(member).email, SECRET)


def delivery(
    member: str,
    state: DeliveryState,
    *,
    at_ms: int = NOW,
    fault: Fault | None = None,
    reason: str = "",
    number: int = 0,
) -> Delivery:
    kind = EmailKind.INVITATION
    about = PAIR.suggestion if number == 0 else f"s_{number}"
    return Delivery(
        community="london", email=ids.email_id(about, member, kind), introduction=about, member=member, kind=kind,
        state=state, attempts=1, message_id="<x@y>", recorded_at_ms=at_ms, reason=reason, address=address(member),
        fault=fault,
    )  # fmt: skip


def bounce(member: str, kind: BounceKind, *, status: str = "", at_ms: int = NOW + 1, number: int = 0) -> Bounce:
    email = delivery(member, DeliveryState.SENT, number=number).email
    return Bounce(community="london", email=email, kind=kind, status=status, received_at_ms=at_ms)


def told(state: PartitionState, topic: topics.TopicSpec, *records: Record) -> None:
    for record in records:
        state.apply(topic.name, record.key, record)


def act(state: PartitionState, now_ms: int = NOW + 2) -> list[Change]:
    """What the clerk does: commit what is due, apply it, until nothing is."""
    done: list[Change] = []
    for _ in range(10):
        due = state.follows_from_reports(now_ms)
        assert due == state.follows_from_reports(now_ms), "until it is applied it is due again"
        if not due:
            return done
        for change in due:
            state.apply(change.topic.name, change.key, change.record)
        done += due
    raise AssertionError("it goes on for ever")


def records(changes: list[Change]) -> dict[str, Record | None]:
    return {change.topic.name: change.record for change in changes}


def test_a_refused_address_is_suppressed_its_invitation_counts_as_withdrawn_and_the_matcher_learns() -> None:
    state = a_state()
    told(state, topics.DELIVERIES, delivery(A, DeliveryState.FAILED, fault=Fault.ADDRESS, reason="5.1.1"))
    found = records(act(state))
    assert found["suppressions"] == Suppression(
        community="london", address=address(A), reason=SuppressionReason.NO_SUCH_ADDRESS, status="5.1.1",
        email=delivery(A, DeliveryState.SENT).email, since_ms=NOW,
    )  # fmt: skip
    unreachable = found["unreachable"]
    assert isinstance(unreachable, Unreachable)
    assert unreachable.member == A
    reconcile(state, NOW + 3)
    introduction = state.introduction(PAIR.suggestion)
    assert introduction is not None
    assert introduction.said_no == (A,)
    assert introduction.state is IntroductionState.PROPOSED, "to the other it looks like silence"

    matcher = MatcherState()
    matcher.apply("unreachable", A, unreachable)
    assert matcher.wishes.is_away(A, NOW)
    matcher.apply("unreachable", A, None)
    assert not matcher.wishes.is_away(A, NOW)


def test_nobody_writes_to_a_suppressed_address_and_nobody_is_suggested_with_it() -> None:
    state = a_state()
    told(state, topics.DELIVERIES, delivery(A, DeliveryState.FAILED, fault=Fault.ADDRESS))
    act(state)
    email = next(one for one in state.unsent(10) if one.member == B)
    assert may_send(email, state, NOW) is None
    assert may_send(email.model_copy(update={"member": A}), state, NOW) == "suppressed"
    again = suggestion(A, MEMBERS[4], at_ms=NOW + 5)
    told(state, topics.SUGGESTIONS, again)
    opened = {one.introduction.introduction: one for one in state.reconcile(NOW + 6, COMMUNITIES, limit=10)}
    assert opened[again.suggestion].introduction.closing_reason is ClosingReason.UNREACHABLE
    assert opened[again.suggestion].emails == ()


def test_a_hard_bounce_does_the_same_as_a_refusal() -> None:
    state = a_state()
    told(state, topics.DELIVERIES, delivery(A, DeliveryState.SENT))
    told(state, topics.BOUNCES, bounce(A, BounceKind.ADDRESS, status="5.1.1"))
    found = records(act(state))
    back = found["deliveries"]
    assert isinstance(back, Delivery)
    assert (back.state, back.reason, back.fault) == (DeliveryState.BOUNCED, "5.1.1", Fault.ADDRESS)
    assert state.suppressions.is_unreachable(A)
    reconcile(state, NOW + 3)
    introduction = state.introduction(PAIR.suggestion)
    assert introduction is not None
    assert introduction.said_no == (A,)
    # An echo of what was known before undoes nothing.
    told(state, topics.DELIVERIES, delivery(A, DeliveryState.SENT))
    known = state.delivery(back.email)
    assert known is not None
    assert known.state is DeliveryState.BOUNCED
    assert act(state) == []


@pytest.mark.parametrize("kind", [BounceKind.POLICY, BounceKind.MESSAGE])
def test_what_is_not_the_address_s_fault_suppresses_nobody_however_often(kind: BounceKind) -> None:
    state = a_state()
    for number in range(FAILURES_MAX + 2):
        told(state, topics.DELIVERIES, delivery(A, DeliveryState.SENT, number=number))
        told(state, topics.BOUNCES, bounce(A, kind, number=number))
    act(state)
    assert not state.suppressions.is_unreachable(A)


@pytest.mark.parametrize("at_once", [True, False])
def test_an_address_that_keeps_failing_is_given_up(at_once: bool) -> None:
    state = a_state()
    for number in range(1, FAILURES_MAX + 1):
        assert not state.suppressions.is_unreachable(A)
        if at_once:
            full = delivery(A, DeliveryState.FAILED, number=number, at_ms=NOW + number, fault=Fault.RECIPIENT)
            told(state, topics.DELIVERIES, full, full)
        else:
            told(state, topics.DELIVERIES, delivery(A, DeliveryState.SENT, number=number))
            told(state, topics.BOUNCES, bounce(A, BounceKind.FAILED, status="4.2.2", number=number))
        act(state)
    assert state.suppressions.is_unreachable(A)


def test_failures_that_lie_far_apart_are_chance() -> None:
    state = a_state()
    for number in range(1, 2 * FAILURES_MAX):
        at_ms = NOW + number * FAILURES_WITHIN_MS // (FAILURES_MAX - 1)
        told(
            state, topics.DELIVERIES,
            delivery(A, DeliveryState.FAILED, number=number, at_ms=at_ms, fault=Fault.RECIPIENT),
        )  # fmt: skip
        act(state)
    assert not state.suppressions.is_unreachable(A)


def test_a_complaint_counts_as_unsubscribing() -> None:
    state = a_state()
    told(state, topics.DELIVERIES, delivery(A, DeliveryState.SENT))
    told(state, topics.BOUNCES, bounce(A, BounceKind.COMPLAINT))
    found = records(act(state))
    assert isinstance(found["preferences"], Preference)
    assert state.members.has_unsubscribed(A)
    assert state.suppressions.is_unreachable(A)
    assert not state.members.has_unsubscribed(B)
    told(state, topics.BOUNCES, bounce(A, BounceKind.COMPLAINT))
    assert act(state) == [], "twice is once"


def test_an_operator_lifts_a_suppression_and_the_next_failure_suppresses_anew() -> None:
    state = a_state()
    told(state, topics.DELIVERIES, delivery(A, DeliveryState.FAILED, fault=Fault.ADDRESS))
    act(state)
    lift = MailOrder(community="london", kind=OrderKind.LIFT, address=address(A), given_at_ms=NOW + 10)
    told(state, topics.MAIL_ORDERS, lift)
    assert not state.suppressions.is_unreachable(A)
    assert records(act(state)) == {"unreachable": None}, "the matcher may suggest them again"
    told(
        state, topics.DELIVERIES,
        delivery(A, DeliveryState.FAILED, number=7, at_ms=NOW + 20, fault=Fault.ADDRESS, reason="5.1.1"),
    )  # fmt: skip
    act(state, NOW + 21)
    assert state.suppressions.is_unreachable(A)


def test_failures_from_before_a_suppression_was_lifted_do_not_count_any_more() -> None:
    state = a_state()
    for number in range(1, FAILURES_MAX + 1):
        told(
            state, topics.DELIVERIES,
            delivery(A, DeliveryState.FAILED, number=number, at_ms=NOW + number, fault=Fault.RECIPIENT),
        )  # fmt: skip
    act(state)
    assert state.suppressions.is_unreachable(A)
    lift = MailOrder(community="london", kind=OrderKind.LIFT, address=address(A), given_at_ms=NOW + 50)
    told(state, topics.MAIL_ORDERS, lift)
    told(
        state, topics.DELIVERIES, delivery(A, DeliveryState.FAILED, number=9, at_ms=NOW + 60, fault=Fault.RECIPIENT)
    )  # fmt: skip
    act(state)
    assert not state.suppressions.is_unreachable(A)


def test_if_one_of_them_may_not_be_written_to_nobody_is_introduced() -> None:
    state = a_state()
    for member in (A, B):
        told(state, topics.CHOICES, choice(member, PAIR.suggestion, ChoiceKind.YES))
    reconcile(state, NOW)
    emails = [email for email in state.unsent(10) if email.kind is EmailKind.INTRODUCTION]
    assert [may_send(email, state, NOW) for email in emails] == [None, None]
    told(state, topics.DELIVERIES, delivery(A, DeliveryState.FAILED, fault=Fault.ADDRESS, number=4))
    act(state)
    reasons = {email.member: may_send(email, state, NOW) for email in emails}
    assert reasons == {A: "suppressed", B: "somebody-else-withheld"}


def test_with_a_new_address_a_member_can_be_reached_again() -> None:
    state = a_state()
    told(state, topics.DELIVERIES, delivery(A, DeliveryState.FAILED, fault=Fault.ADDRESS))
    act(state)
    told(state, topics.CONTACTS, contact(A).model_copy(update={"email": "new@example.org"}))
    assert not state.suppressions.is_unreachable(A)
    assert records(act(state)) == {"unreachable": None}
    # What comes back of the old address afterwards is about the old address.
    told(state, topics.DELIVERIES, delivery(A, DeliveryState.SENT, number=3))
    told(state, topics.BOUNCES, bounce(A, BounceKind.ADDRESS, number=3))
    act(state)
    assert not state.suppressions.is_unreachable(A)


def test_upper_and_lower_case_are_one_address() -> None:
    state = a_state()
    told(state, topics.DELIVERIES, delivery(A, DeliveryState.FAILED, fault=Fault.ADDRESS))
    act(state)
    told(state, topics.CONTACTS, contact(A).model_copy(update={"email": contact(A).email.upper()}))
    assert state.suppressions.is_unreachable(A)


def test_after_an_erasure_the_hash_stays_suppressed_and_the_member_is_forgotten() -> None:
    state = a_state()
    told(state, topics.DELIVERIES, delivery(A, DeliveryState.FAILED, fault=Fault.ADDRESS))
    act(state)
    state.apply("contacts", A, None)
    assert records(act(state)) == {"unreachable": None}
    assert state.suppressions.is_suppressed(address(A))
    told(state, topics.CONTACTS, contact(A))
    act(state)
    assert state.suppressions.is_unreachable(A), "who signs up with it again is not written to"


def test_a_bounce_of_an_email_that_is_unknown_changes_nothing() -> None:
    state = a_state()
    told(state, topics.BOUNCES, bounce(A, BounceKind.ADDRESS, number=99))
    assert act(state) == []


def test_a_bounce_that_is_quicker_than_our_own_record_waits_for_it() -> None:
    state = a_state()
    told(state, topics.DELIVERIES, delivery(A, DeliveryState.SENDING))
    told(state, topics.BOUNCES, bounce(A, BounceKind.ADDRESS))
    assert act(state) == []
    told(state, topics.DELIVERIES, delivery(A, DeliveryState.SENT))
    act(state)
    assert state.suppressions.is_unreachable(A)


def test_no_address_and_no_name_is_in_what_is_written() -> None:
    state = a_state()
    told(state, topics.DELIVERIES, delivery(A, DeliveryState.SENT), delivery(B, DeliveryState.SENT))
    told(state, topics.BOUNCES, bounce(A, BounceKind.COMPLAINT), bounce(B, BounceKind.ADDRESS))
    written = b"".join(change.record.to_bytes() for change in act(state) if change.record is not None).lower()
    for member in (A, B):
        assert contact(member).email.encode() not in written
        assert contact(member).first_name.lower().encode() not in written


facts = st.lists(
    st.tuples(
        st.sampled_from(GROUP.members),
        st.sampled_from([*BounceKind]),
        st.sampled_from([DeliveryState.SENT, DeliveryState.SENDING, DeliveryState.AMBIGUOUS]),
        st.integers(0, 3),
    ),
    max_size=12,
)


@given(
    facts=facts, lifted=st.lists(st.sampled_from(GROUP.members), max_size=2), draws=st.randoms(use_true_random=False)
)
def test_the_order_of_topics_and_a_crash_at_any_point_make_no_difference(facts, lifted, draws) -> None:  # type: ignore[no-untyped-def]
    """What is on the topics is read again in any order of the topics: the same is suppressed, and nothing is due."""
    log: dict[str, list[tuple[str, Record | None]]] = {
        "contacts": [(member, contact(member)) for member in MEMBERS],
        "deliveries": [], "bounces": [], "mail-orders": [], "suppressions": [], "unreachable": [], "preferences": [],
    }  # fmt: skip
    for member, kind, state_, number in facts:
        sent = delivery(member, state_, number=number)
        if all(key != sent.key for key, _ in log["deliveries"]):
            log["deliveries"].append((sent.key, sent))
        back = bounce(member, kind, number=number)
        log["bounces"].append((back.key, back))
    for member in lifted:
        lift = MailOrder(community="london", kind=OrderKind.LIFT, address=address(member), given_at_ms=NOW + 5)
        log["mail-orders"].append((lift.key, lift))

    def folded() -> PartitionState:
        state = PartitionState(address_secret=SECRET)
        names = sorted(log)
        draws.shuffle(names)
        for name in names:
            for key, record in log[name]:
                state.apply(name, key, record)
        return state

    crashes = draws.choices(["", "before the commit", "after it"], k=8)
    state = folded()
    for _ in range(40):
        due = state.follows_from_reports(NOW + 2)
        if not due:
            break
        crash = crashes.pop() if crashes else ""
        if crash == "before the commit":
            state = folded()
            continue
        for change in due:
            log[change.topic.name].append((change.key, change.record))
        if crash == "after it":
            state = folded()
            continue
        for change in due:
            state.apply(change.topic.name, change.key, change.record)
    else:
        raise AssertionError("it goes on for ever")
    again = folded()
    assert again.follows_from_reports(NOW + 2) == []
    published = {key for key, record in dict(log["unreachable"]).items() if record is not None}
    for member in MEMBERS:
        assert again.suppressions.is_unreachable(member) == state.suppressions.is_unreachable(member)
        assert again.suppressions.is_unreachable(member) == (member in published)


def test_a_bounce_after_an_introduction_is_over_still_suppresses_its_address() -> None:
    """Of what is over, the ledger's entry is let go of; what matters of it is kept."""
    state = a_state()
    told(state, topics.DELIVERIES, delivery(A, DeliveryState.SENT))
    state.mailbag.settle(PAIR.suggestion)
    told(state, topics.BOUNCES, bounce(A, BounceKind.ADDRESS, status="5.1.1"))
    assert records(act(state)).keys() == {"suppressions", "unreachable"}
    assert state.suppressions.is_unreachable(A)
    told(state, topics.BOUNCES, bounce(A, BounceKind.ADDRESS, status="5.1.1"))
    assert act(state) == []
