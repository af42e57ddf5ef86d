"""The fold and what follows from it: facts first, in any order, then what they demand, once."""

from __future__ import annotations

import random
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from notifier_samples import (
    ANSWER_MS,
    COMMUNITIES,
    GROUP,
    LONDON,
    MEMBERS,
    NOW,
    PAIR,
    choice,
    contact,
    left,
    pause,
    suggestion,
    unsubscribe,
)

from services.notifier.introductions import Transition
from services.notifier.state import PartitionState
from shared import topics
from shared.contracts import (
    Choice,
    ChoiceKind,
    ClosingReason,
    Contact,
    Delivery,
    DeliveryState,
    Email,
    EmailKind,
    Introduction,
    IntroductionState,
    PartnerRequest,
    Preference,
    Record,
    Suggestion,
)

YES, NO = ChoiceKind.YES, ChoiceKind.NO
A, B = PAIR.members
TOPIC_OF: dict[type[Record], str] = {
    Contact: topics.CONTACTS.name,
    PartnerRequest: topics.PARTNER_REQUESTS.name,
    Suggestion: topics.SUGGESTIONS.name,
    Introduction: topics.INTRODUCTIONS.name,
    Choice: topics.CHOICES.name,
    Preference: topics.PREFERENCES.name,
    Email: topics.OUTBOX.name,
    Delivery: topics.DELIVERIES.name,
}
Logs = dict[str, list[Record]]


def tell(state: PartitionState, *records: Record) -> None:
    for record in records:
        state.apply(TOPIC_OF[type(record)], record.key, record)


def records_of(transitions: list[Transition]) -> list[Record]:
    return [record for transition in transitions for record in (transition.introduction, *transition.emails)]


def settle(state: PartitionState, now_ms: int, limit: int = 100) -> list[Transition]:
    """Reconcile and apply until nothing is left to do."""
    done: list[Transition] = []
    while transitions := state.reconcile(now_ms, COMMUNITIES, limit=limit):
        done += transitions
        tell(state, *records_of(transitions))
    return done


def a_state(*records: Record) -> PartitionState:
    state = PartitionState()
    tell(state, *(contact(member) for member in MEMBERS), *records)
    return state


def standing(state: PartitionState, of: Suggestion = PAIR) -> Introduction:
    introduction = state.introduction(of.suggestion)
    assert introduction is not None
    return introduction


def why_closed(state: PartitionState, of: Suggestion = PAIR) -> ClosingReason | None:
    """Of one that is over: it may have been let go of, but for that."""
    past, introduction = state.past.get(of.suggestion), state.introduction(of.suggestion)
    return past.closing_reason if past is not None else introduction and introduction.closing_reason


def delivery(email: Email, state: DeliveryState, attempts: int = 1) -> Delivery:
    return Delivery(
        community=email.community, email=email.email, introduction=email.introduction, member=email.member,
        kind=email.kind, state=state, attempts=attempts, message_id="<x@y>", recorded_at_ms=NOW,
    )  # fmt: skip


def test_a_suggestion_becomes_an_introduction_and_its_emails_wait_in_order() -> None:
    state = a_state(PAIR)
    settle(state, NOW)
    assert standing(state).state is IntroductionState.PROPOSED
    assert [email.member for email in state.unsent(10)] == list(PAIR.members)
    assert state.unsent_count == 2
    assert state.introduction_counts[IntroductionState.PROPOSED] == 1
    tell(state, PAIR)
    assert settle(state, NOW) == []


def test_a_failed_commit_gives_the_same_again() -> None:
    state = a_state(PAIR, GROUP)
    first = state.reconcile(NOW, COMMUNITIES, limit=1)
    assert state.reconcile(NOW, COMMUNITIES, limit=1) == first


def test_answers_are_worked_in_and_introduce() -> None:
    state = a_state(PAIR)
    settle(state, NOW)
    tell(
        state, choice(A, PAIR.suggestion, YES), choice(B, PAIR.suggestion, YES), choice("m_other", PAIR.suggestion, NO)
    )
    settle(state, NOW + 5)
    assert standing(state).introduced == PAIR.members


@pytest.mark.parametrize("away", [pause(A), unsubscribe(A), left(A)])
def test_nobody_away_is_invited_and_nobody_else_is_held_up(away: Record) -> None:
    state = a_state(away, PAIR)
    settle(state, NOW)
    assert why_closed(state) is ClosingReason.LEFT
    assert state.unsent(10) == []


@pytest.mark.parametrize("away", [pause(A), unsubscribe(A), left(A)])
def test_who_goes_away_is_counted_out(away: Record) -> None:
    state = a_state(PAIR)
    settle(state, NOW)
    tell(state, choice(A, PAIR.suggestion, YES, NOW - 1), away)
    settle(state, NOW + 1)
    assert standing(state).said_no == (A,)


def test_the_last_word_counts_when_somebody_pauses_and_then_says_yes_or_the_pause_ends() -> None:
    state = a_state(PAIR)
    settle(state, NOW)
    tell(state, choice(A, PAIR.suggestion, YES, NOW + 1), pause(A, NOW + 2, seconds=1))
    settle(state, NOW + 3)
    tell(state, contact(A))
    settle(state, NOW + 5000)
    assert standing(state).said_no == (A,), "what was said before the pause does not come back with its end"
    tell(state, choice(A, PAIR.suggestion, YES, NOW + 6000))
    settle(state, NOW + 6000)
    assert standing(state).said_yes == (A,)


def test_a_new_sign_up_outlives_a_leave_and_an_update_does_not_outlive_an_unsubscribe() -> None:
    state = a_state(left(A, NOW), unsubscribe(B, NOW))
    tell(state, contact(A, at_ms=NOW + 1), contact(B, at_ms=NOW + 1))
    assert not state.members.is_away(A, NOW + 2)
    assert state.members.is_away(B, NOW + 2)


def test_a_suggestion_waits_for_a_late_contact_but_not_for_ever() -> None:
    state = PartitionState(contact_grace_ms=1000)
    tell(state, contact(A), PAIR)
    assert settle(state, NOW) == []
    assert state.next_alarm_ms() == NOW + 1000
    tell(state, contact(B))
    settle(state, NOW + 1)
    assert standing(state).state is IntroductionState.PROPOSED

    state = PartitionState(contact_grace_ms=1000)
    tell(state, contact(A), PAIR)
    assert settle(state, NOW + 999) == []
    settle(state, NOW + 1000)
    assert why_closed(state) is ClosingReason.UNREACHABLE
    assert state.unsent(10) == []


def test_nobody_is_invited_twice_at_a_time() -> None:
    rival = suggestion(A, MEMBERS[5], at_ms=NOW + 1)
    state = a_state(PAIR, rival)
    settle(state, NOW + 2)
    assert standing(state).is_open
    assert why_closed(state, rival) is ClosingReason.LEFT
    assert {email.introduction for email in state.unsent(10)} == {PAIR.suggestion}


def test_a_no_frees_and_a_yes_after_it_comes_too_late_for_whom_another_invitation_holds() -> None:
    state = a_state(PAIR)
    settle(state, NOW)
    tell(state, choice(A, PAIR.suggestion, NO))
    settle(state, NOW)
    other = suggestion(A, MEMBERS[5], at_ms=NOW + 1)
    tell(state, other)
    settle(state, NOW + 1)
    assert standing(state, other).is_open
    tell(state, choice(A, PAIR.suggestion, YES, NOW + 2))
    settle(state, NOW + 2)
    assert standing(state).said_no == (A,)


def test_a_refused_invitation_counts_its_member_out() -> None:
    state = a_state(PAIR)
    settle(state, NOW)
    refused = state.unsent(1)[0]
    tell(state, delivery(refused, DeliveryState.FAILED))
    settle(state, NOW)
    assert standing(state).said_no == (refused.member,)


def test_time_does_the_rest() -> None:
    state = a_state(PAIR)
    settle(state, NOW)
    assert state.next_alarm_ms() == NOW + (LONDON.remind_after_seconds or 0) * 1000
    tell(state, choice(A, PAIR.suggestion, YES))
    settle(state, NOW + ANSWER_MS)
    assert why_closed(state) is ClosingReason.EXPIRED
    assert [email.kind for email in state.unsent(10)] == [EmailKind.INVITATION] * 2 + [EmailKind.CLOSING]


def test_the_ledger_says_what_waits_what_is_under_way_and_who_was_written_to() -> None:
    state = a_state(PAIR)
    settle(state, NOW)
    first, second = state.unsent(10)
    tell(state, delivery(first, DeliveryState.SENDING))
    assert state.unsent(10) == [second]
    assert [found.email for found in state.interrupted()] == [first.email]
    assert state.interrupted({first.email}) == []
    assert state.first_email_for(first.member)
    tell(state, delivery(first, DeliveryState.SENT), delivery(first, DeliveryState.SENDING))
    assert state.interrupted() == []
    assert not state.first_email_for(first.member)


def test_echoes_of_what_was_applied_already_turn_nothing_back() -> None:
    state = a_state(PAIR)
    first = records_of(settle(state, NOW))
    tell(state, choice(A, PAIR.suggestion, YES), choice(B, PAIR.suggestion, YES))
    second = records_of(settle(state, NOW + 1))
    tell(state, *first)
    assert standing(state).state is IntroductionState.INTRODUCED
    assert state.reconcile(NOW + 2, COMMUNITIES, limit=10) == []
    tell(state, *second)
    assert state.unsent_count == 4


def test_tombstones_remove_and_strange_topics_are_an_error() -> None:
    state = a_state(pause(A), PAIR)
    state.apply("preferences", f"{A}/pause", None)
    settle(state, NOW)
    assert standing(state).is_open
    state.apply("contacts", A, None)
    settle(state, NOW)
    assert standing(state).said_no == (A,)
    state.apply("introductions", PAIR.suggestion, None)
    assert state.introduction(PAIR.suggestion) is None
    with pytest.raises(ValueError, match="does not read profiles"):
        state.apply("profiles", A, None)


facts = st.one_of(
    st.builds(contact, st.sampled_from(MEMBERS), at_ms=st.integers(NOW - 9, NOW + 9)),
    st.builds(pause, st.sampled_from(MEMBERS), st.integers(NOW - 9, NOW + 9)),
    st.builds(left, st.sampled_from(MEMBERS), st.integers(NOW - 9, NOW + 9)),
    st.builds(
        choice,
        st.sampled_from(MEMBERS[:4]),
        st.sampled_from([PAIR.suggestion, GROUP.suggestion]),
        st.sampled_from(ChoiceKind),
        st.integers(NOW - 9, NOW + 9),
    ),
    st.sampled_from([PAIR, GROUP, suggestion(A, MEMBERS[5], at_ms=NOW + 1), suggestion(*MEMBERS[4:], at_ms=NOW + 2)]),
)


def interleaved(logs: Logs, seed: int) -> list[Record]:
    """The records of all topics in some order that keeps the order within each topic."""
    draws = random.Random(seed)
    places = [topic for topic, log in logs.items() for _ in log]
    draws.shuffle(places)
    heads = {topic: iter(log) for topic, log in logs.items()}
    return [next(heads[topic]) for topic in places]


@given(told=st.lists(facts, max_size=20), early=st.integers(0, 20), seeds=st.tuples(st.integers(), st.integers()))
def test_the_order_of_topics_does_not_matter(told: list[Record], early: int, seeds: tuple[int, int]) -> None:
    # A life in two halves: the first is reconciled and so has introductions and emails of its own.
    state = a_state(*told[:early])
    steps = records_of(settle(state, NOW))
    logs: Logs = defaultdict(list)
    for record in (*(contact(member) for member in MEMBERS), *told[:early], *steps, *told[early:]):
        logs[TOPIC_OF[type(record)]].append(record)
    outcomes = []
    for seed in seeds:
        fresh = PartitionState()
        tell(fresh, *interleaved(logs, seed))
        outcomes.append((settle(fresh, NOW + 20), [email.email for email in fresh.unsent(100)]))
    assert outcomes[0] == outcomes[1]


class Partition(RuleBasedStateMachine):
    """A partition's life, with commits that fail, echoes and restarts, and nobody ever in two introductions."""

    @initialize()
    def begin(self) -> None:
        self.now_ms = NOW
        self.logs: Logs = defaultdict(list)
        self.state = PartitionState()
        self.tell(*(contact(member) for member in MEMBERS))

    def tell(self, *records: Record) -> None:
        for record in records:
            self.logs[TOPIC_OF[type(record)]].append(record)
        tell(self.state, *records)

    @rule(picked=st.sets(st.sampled_from(MEMBERS), min_size=2, max_size=5), times=st.integers(0, 3))
    def suggest(self, picked: set[str], times: int) -> None:
        self.tell(suggestion(*picked, at_ms=self.now_ms, times_before=times))

    @rule(who=st.sampled_from(MEMBERS), kind=st.sampled_from([YES, YES, NO]), data=st.data())
    def answer(self, who: str, kind: ChoiceKind, data: st.DataObject) -> None:
        introductions = sorted({record.key for record in self.logs["introductions"]})
        if introductions:
            self.tell(choice(who, data.draw(st.sampled_from(introductions)), kind, self.now_ms))

    @rule(who=st.sampled_from(MEMBERS), how=st.sampled_from([pause, left]))
    def go_away(self, who: str, how: type) -> None:
        self.tell(how(who, self.now_ms))

    @rule(who=st.sampled_from(MEMBERS))
    def come_back(self, who: str) -> None:
        self.tell(contact(who, at_ms=self.now_ms + 1))

    @rule(ok=st.booleans(), limit=st.integers(1, 3))
    def work(self, ok: bool, limit: int) -> None:
        transitions = self.state.reconcile(self.now_ms, COMMUNITIES, limit=limit)
        assert len(transitions) <= limit
        if ok:
            self.tell(*records_of(transitions))

    @rule(ms=st.integers(0, ANSWER_MS))
    def wait(self, ms: int) -> None:
        self.now_ms += ms

    @rule(topic=st.sampled_from(["introductions", "outbox"]), last=st.integers(1, 5))
    def hear_echoes(self, topic: str, last: int) -> None:
        tell(self.state, *self.logs[topic][-last:])

    @rule(seed=st.integers())
    def restart(self, seed: int) -> None:
        settle_here = settle(self.state, self.now_ms)
        fresh = PartitionState()
        tell(fresh, *interleaved(self.logs, seed))
        assert {step.introduction.key: step.introduction for step in settle(fresh, self.now_ms)} == {
            step.introduction.key: step.introduction for step in settle_here
        }
        assert {email.email for email in fresh.unsent(1000)} == {email.email for email in self.state.unsent(1000)}
        for record in records_of(settle_here):
            self.logs[TOPIC_OF[type(record)]].append(record)
        self.state = fresh

    @invariant()
    def nobody_is_in_two(self) -> None:
        current = {record.key: record for record in self.logs["introductions"] if isinstance(record, Introduction)}
        for member in MEMBERS:
            assert sum(introduction.engages(member) for introduction in current.values()) <= 1

    @invariant()
    def counts_are_right(self) -> None:
        current = {record.key: record for record in self.logs["introductions"] if isinstance(record, Introduction)}
        for kind in IntroductionState:
            assert self.state.introduction_counts.get(kind, 0) == sum(i.state is kind for i in current.values())


TestPartition = Partition.TestCase
TestPartition.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
