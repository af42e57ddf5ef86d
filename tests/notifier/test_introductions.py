"""The introduction's rules, one by one, and then what holds whatever happens."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from notifier_samples import ANSWER_MS, GROUP, LONDON, MEMBERS, NOW, PAIR

from services.notifier.introductions import (
    Answered,
    Event,
    NobodyProposedError,
    Proposed,
    TimePassed,
    Transition,
    Withdrawn,
    advance,
    never_proposed,
    next_due_ms,
    yes_needed,
)
from shared.contracts import ChoiceKind, ClosingReason, Email, EmailKind, Introduction, IntroductionState, Suggestion

YES, NO = ChoiceKind.YES, ChoiceKind.NO
DEADLINE = NOW + ANSWER_MS
REMIND_MS = (LONDON.remind_after_seconds or 0) * 1000


def run(suggestion: Suggestion, *steps: tuple[int, Event]) -> tuple[Introduction, list[tuple[int, Email]]]:
    """Propose at NOW, then each event at its time; every email with the time at which it was set off."""
    transition = advance(None, Proposed(suggestion), community=LONDON, now_ms=NOW)
    emails = [(NOW, email) for email in transition.emails]
    for at_ms, event in steps:
        transition = advance(transition.introduction, event, community=LONDON, now_ms=at_ms)
        emails += [(at_ms, email) for email in transition.emails]
    return transition.introduction, emails


def of_kind(emails: list[tuple[int, Email]], kind: EmailKind) -> set[str]:
    return {email.member for _, email in emails if email.kind is kind}


def test_everybody_is_invited_once() -> None:
    introduction, emails = run(PAIR, (NOW + 1, Proposed(PAIR)))
    assert introduction.state is IntroductionState.PROPOSED
    assert introduction.introduction == PAIR.suggestion
    assert introduction.answer_by_ms == DEADLINE
    assert next_due_ms(introduction) == NOW + REMIND_MS, "before it ends there is a reminder"
    assert [email.member for _, email in emails] == list(PAIR.members)


def test_a_pair_is_introduced_as_soon_as_both_said_yes() -> None:
    a, b = PAIR.members
    introduction, emails = run(PAIR, (NOW + 5, Answered(a, YES)), (NOW + 9, Answered(b, YES)))
    assert introduction.state is IntroductionState.INTRODUCED
    assert introduction.introduced == PAIR.members
    assert introduction.present == PAIR.members
    assert introduction.meeting is not None
    assert introduction.meeting.check_in_at_ms == next_due_ms(introduction)
    assert of_kind(emails, EmailKind.INTRODUCTION) == {a, b}


def test_a_group_goes_ahead_with_a_quorum_when_the_time_is_up_and_not_before() -> None:
    yes = [(NOW + place, Answered(member, YES)) for place, member in enumerate(GROUP.members[:3])]
    introduction, emails = run(GROUP, *yes, (NOW + 9, Answered(GROUP.members[3], NO)), (DEADLINE - 1, TimePassed()))
    assert introduction.state is IntroductionState.PROPOSED
    introduction, emails = run(GROUP, *yes, (DEADLINE, TimePassed()))
    assert introduction.introduced == GROUP.members[:3]
    assert of_kind(emails, EmailKind.INTRODUCTION) == set(GROUP.members[:3])


def test_a_no_is_free_at_once_and_the_other_learns_of_it_only_at_the_deadline() -> None:
    a, b = PAIR.members
    introduction, emails = run(PAIR, (NOW + 1, Answered(a, YES)), (NOW + 2, Answered(b, NO)))
    assert introduction.state is IntroductionState.PROPOSED
    assert introduction.engages(a)
    assert not introduction.engages(b)
    assert len(emails) == 2
    introduction, emails = run(PAIR, (NOW + 1, Answered(a, YES)), (NOW + 2, Answered(b, NO)), (DEADLINE, TimePassed()))
    assert introduction.closing_reason is ClosingReason.DECLINED
    assert of_kind(emails, EmailKind.CLOSING) == {a}


def test_a_no_from_everybody_frees_everybody_and_still_waits_for_the_deadline() -> None:
    a, b = PAIR.members
    introduction, emails = run(PAIR, (NOW + 1, Answered(a, NO)), (NOW + 2, Withdrawn(b)))
    assert introduction.state is IntroductionState.PROPOSED
    assert not any(introduction.engages(member) for member in PAIR.members)
    assert of_kind(emails, EmailKind.CLOSING) == set()


@pytest.mark.parametrize(("first", "second"), [(YES, NO), (NO, YES)])
def test_a_mind_may_change_until_it_is_decided(first: ChoiceKind, second: ChoiceKind) -> None:
    a, b = PAIR.members
    introduction, _ = run(PAIR, (NOW + 1, Answered(a, first)), (NOW + 2, Answered(a, second)))
    assert (a in introduction.said_yes) == (second is YES)
    introduction, _ = run(PAIR, (NOW, Answered(a, YES)), (NOW, Answered(b, YES)), (NOW + 1, Answered(a, NO)))
    assert introduction.introduced == PAIR.members


def test_leaving_after_the_introduction_takes_nothing_back() -> None:
    a, b = PAIR.members
    introduction, _ = run(PAIR, (NOW, Answered(a, YES)), (NOW, Answered(b, YES)), (NOW + 1, Withdrawn(a)))
    assert introduction.introduced == PAIR.members


def test_silence_expires_without_a_word() -> None:
    introduction, emails = run(PAIR, (DEADLINE, TimePassed()))
    assert introduction.closing_reason is ClosingReason.EXPIRED
    assert of_kind(emails, EmailKind.CLOSING) == set()


def test_what_cannot_be_proposed_is_closed_from_the_start() -> None:
    transition = never_proposed(PAIR, ClosingReason.UNREACHABLE, NOW)
    assert transition.emails == ()
    assert not any(transition.introduction.engages(member) for member in PAIR.members)
    assert advance(transition.introduction, Proposed(PAIR), community=LONDON, now_ms=NOW) == Transition(
        transition.introduction
    )


def test_nothing_happens_to_what_nobody_proposed() -> None:
    with pytest.raises(NobodyProposedError, match="propose the suggestion first"):
        advance(None, TimePassed(), community=LONDON, now_ms=NOW)


suggestions = st.sampled_from([PAIR, GROUP])
times = st.integers(min_value=0, max_value=2 * ANSWER_MS)


@given(suggestion=suggestions, data=st.data())
def test_nobody_else_can_tell_a_no_from_silence(suggestion: Suggestion, data: st.DataObject) -> None:
    shy = data.draw(st.sampled_from(suggestion.members))
    others = [member for member in suggestion.members if member != shy]
    answers = st.tuples(times, st.builds(Answered, st.sampled_from(others), st.sampled_from(ChoiceKind)))
    # Most of the others are willing, or hardly any introduction would get anywhere near its quorum.
    willing: list[tuple[int, Event]] = [(data.draw(times), Answered(member, YES)) for member in others]
    script = [*willing, *data.draw(st.lists(answers, max_size=4)), (ANSWER_MS, TimePassed())]
    ways_out: list[Event] = [Answered(shy, NO), Withdrawn(shy)]
    no = data.draw(st.lists(st.tuples(times, st.sampled_from(ways_out)), min_size=1))

    def what_the_others_get(steps: list[tuple[int, Event]]) -> list[tuple[int, Email]]:
        in_order = sorted(steps, key=lambda step: step[0])
        _, emails = run(suggestion, *((NOW + at_ms, event) for at_ms, event in in_order))
        return [(at_ms, email) for at_ms, email in emails if email.member != shy]

    assert what_the_others_get([*script, *no]) == what_the_others_get(script)


class AnyLife(RuleBasedStateMachine):
    """Whatever happens to an introduction, in any order and as often as it likes."""

    @initialize(suggestion=suggestions)
    def propose(self, suggestion: Suggestion) -> None:
        self.suggestion = suggestion
        self.now_ms = NOW
        first = advance(None, Proposed(suggestion), community=LONDON, now_ms=NOW)
        self.introduction = first.introduction
        self.emails = list(first.emails)

    def happen(self, event: Event) -> None:
        before = self.introduction
        transition = advance(before, event, community=LONDON, now_ms=self.now_ms)
        again = advance(transition.introduction, event, community=LONDON, now_ms=self.now_ms)
        assert again == Transition(transition.introduction), "telling it twice changes nothing"
        if before.state is IntroductionState.CLOSED:
            assert transition == Transition(before), "there is no way out of closed"
        if before.state is not IntroductionState.PROPOSED:
            assert transition.introduction.introduced == before.introduced
        self.check_emails(transition)
        self.introduction = transition.introduction
        self.emails += transition.emails

    def check_emails(self, transition: Transition) -> None:
        introduction = transition.introduction
        told = {email.member for email in transition.emails if email.kind is EmailKind.INTRODUCTION}
        assert told in (set(), set(introduction.introduced)), "all or none"
        if told:
            assert len(told) >= yes_needed(self.suggestion, LONDON)

    @rule(member=st.sampled_from(MEMBERS), kind=st.sampled_from(ChoiceKind))
    def answer(self, member: str, kind: ChoiceKind) -> None:
        self.happen(Answered(member, kind))

    @rule(member=st.sampled_from(MEMBERS))
    def withdraw(self, member: str) -> None:
        self.happen(Withdrawn(member))

    @rule()
    def propose_again(self) -> None:
        self.happen(Proposed(self.suggestion))

    @rule(ms=st.integers(min_value=0, max_value=ANSWER_MS))
    def wait(self, ms: int) -> None:
        self.now_ms += ms
        self.happen(TimePassed())

    @rule()
    @precondition(lambda self: next_due_ms(self.introduction) is not None)
    def wait_until_due(self) -> None:
        self.now_ms = max(self.now_ms, next_due_ms(self.introduction) or 0)
        before = self.introduction
        self.happen(TimePassed())
        assert self.introduction is not before, "what is due happens"

    @invariant()
    def answers_are_disjoint_and_of_members(self) -> None:
        introduction = self.introduction
        assert not set(introduction.said_yes) & set(introduction.said_no)
        assert set(introduction.said_yes) | set(introduction.said_no) <= set(introduction.members)

    @invariant()
    def only_those_who_said_yes_are_introduced(self) -> None:
        assert set(self.introduction.introduced) <= set(self.introduction.said_yes)
        if self.introduction.state is IntroductionState.PROPOSED:
            assert not self.introduction.introduced

    @invariant()
    def no_email_twice(self) -> None:
        assert len({email.email for email in self.emails}) == len(self.emails)


TestAnyLife = AnyLife.TestCase
TestAnyLife.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
