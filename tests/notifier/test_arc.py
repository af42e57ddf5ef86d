"""The whole arc, in a year that passes in seconds: what holds whatever people do, and in whatever order."""

from __future__ import annotations

import random
from typing import Any

import pytest
from arc_world import Agenda, Received, World, kinds
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from notifier_samples import (
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
    suggestion,
    unsubscribe,
)

from shared.contracts import (
    ChoiceKind,
    DeliveryState,
    EmailKind,
    IntroductionState,
    Preference,
    PreferenceKind,
    Suggestion,
)

DAY_MS = 24 * 3600 * 1000
YEAR_MS = 365 * DAY_MS
ASKS = (EmailKind.INVITATION, EmailKind.REMINDER, EmailKind.SEAT)
# A community as slow as a real one.
SLOW = LONDON.model_copy(
    update={
        "answer_within_seconds": 3 * 86_400, "remind_after_seconds": 44 * 3600, "settle_seconds": 21 * 86_400,
        "meetings": LONDON.meetings.model_copy(
            update={"notice_seconds": 3 * 86_400, "check_in_within_seconds": 3 * 86_400}
        ),
    }
)  # fmt: skip
WILLING = {"yes": 0.9, "met": 0.95, "again": 0.9}
GONE = ("unsubscribed", "left", "erased", "contact-missing", "nobody-to-tell-of")


class Town:
    """Members who react to their emails, each by a draw that depends on the email alone."""

    def __init__(self, of: Suggestion, seed: int, *, shy: str = "", says_no: bool = False, **shares: float) -> None:
        self.world = World({"london": SLOW})
        self.agenda = Agenda()
        self.seed, self.shy, self.says_no = seed, shy, says_no
        self.shares = {**WILLING, "leaves": 0.0, "opens": 0.3, **shares}
        self.world.on_received = self.react
        self.world.tell(of)

    def react(self, received: Received) -> None:
        email = received.email
        # A reminder asks what the invitation asked: the answer is the same.
        question = "asked" if email.kind in ASKS else email.kind
        draws = random.Random(f"{self.seed}/{email.introduction}/{email.member}/{question}/{email.occasion}")
        at_ms = received.at_ms + draws.randrange(60_000, 2 * DAY_MS)
        chances = {name: draws.random() < share for name, share in sorted(self.shares.items())}
        if email.kind in ASKS:
            self.answer(at_ms, email.member, email.introduction, chances["yes"])
        elif email.kind is EmailKind.CHECK_IN:
            met = ChoiceKind.MET if chances["met"] else ChoiceKind.NOT_MET
            self.press(at_ms, email.member, email.introduction, met, email.occasion)
            if chances["met"]:
                wants = chances["again"]
                self.answer(at_ms + 1, email.member, email.introduction, wants, email.occasion)
        elif email.kind is EmailKind.INTRODUCTION and chances["opens"]:
            self.press(at_ms, email.member, email.introduction, ChoiceKind.OPENS)
        elif email.kind in (EmailKind.STANDING, EmailKind.NEWCOMER) and chances["leaves"]:
            self.press(at_ms, email.member, email.introduction, ChoiceKind.LEAVES)

    def answer(self, at_ms: int, member: str, introduction: str, willing: bool, occasion: int = 0) -> None:
        """Yes or again; or else no, not again, or silence: for the shy one it depends on the run which."""
        yes, no = (ChoiceKind.AGAIN, ChoiceKind.NOT_AGAIN) if occasion else (ChoiceKind.YES, ChoiceKind.NO)
        if willing:
            self.press(at_ms, member, introduction, yes, occasion)
        elif member != self.shy or self.says_no:
            self.press(at_ms, member, introduction, no, occasion)

    def press(self, at_ms: int, member: str, introduction: str, kind: ChoiceKind, occasion: int = 0) -> None:
        def act() -> None:
            self.world.tell(choice(member, introduction, kind, at_ms, occasion))

        self.agenda.at(at_ms, act)

    def live(self, days: int = 365) -> World:
        self.world.run_until(NOW + days * DAY_MS, self.agenda)
        return self.world


@given(seed=st.integers(0, 10**9), shy=st.integers(0, 3), pair=st.booleans(), yes=st.sampled_from([0.5, 0.9]))
@settings(max_examples=40)
def test_in_a_whole_year_nobody_can_tell_a_no_from_silence(seed: int, shy: int, pair: bool, yes: float) -> None:
    of = PAIR if pair else GROUP
    who = of.members[shy % len(of.members)]

    def what_the_others_get(says_no: bool) -> list[tuple[int, str, bytes]]:
        world = Town(of, seed, shy=who, says_no=says_no, yes=yes, again=yes, leaves=0.05).live()
        return [(one.at_ms, one.email.email, one.raw) for one in world.inbox if one.email.member != who]

    assert what_the_others_get(True) == what_the_others_get(False)


def test_the_two_runs_do_differ_for_us_and_some_come_far() -> None:
    """The comparison above means something: noes are recorded, and introductions do get to their end."""
    recorded, reached = set(), set()
    for seed in range(30):
        for says_no in (True, False):
            world = Town(GROUP, seed, shy=GROUP.members[1], says_no=says_no, yes=0.7, again=0.7).live()
            last = world.introductions()[GROUP.suggestion]
            reached.add(last.state)
            if GROUP.members[1] in last.said_no:
                recorded.add(says_no)
    assert recorded == {True}
    assert IntroductionState.STANDING in reached
    assert IntroductionState.CLOSED in reached


def test_everybody_willing_gets_from_an_invitation_to_a_date_that_comes_back() -> None:
    world = Town(GROUP, 1, yes=1, met=1, again=1, opens=0).live()
    for member in GROUP.members:
        got = kinds(one for one in world.inbox if one.email.member == member)
        assert [kind for kind in got if kind is not EmailKind.REMINDER] == [
            EmailKind.INVITATION, EmailKind.INTRODUCTION, EmailKind.CHECK_IN, EmailKind.AGAIN, EmailKind.CHECK_IN,
            EmailKind.AGAIN, EmailKind.CHECK_IN, EmailKind.STANDING,
        ]  # fmt: skip
    assert world.introductions()[GROUP.suggestion].settles_at_ms is None, "and is free for others, after a while"
    assert world.withheld == []


@given(seed=st.integers(0, 10**9), restarts=st.lists(st.integers(0, 360), min_size=1, max_size=6))
@settings(max_examples=15)
def test_restarts_change_nothing_and_every_timer_fires_once(seed: int, restarts: list[int]) -> None:
    usual = Town(GROUP, seed, leaves=0.1).live()
    town = Town(GROUP, seed, leaves=0.1)
    for day in sorted(restarts):
        town.world.run_until(NOW + day * DAY_MS, town.agenda)
        town.world.restart(seed + day)
    again = town.live()
    assert [(one.at_ms, one.raw) for one in again.inbox] == [(one.at_ms, one.raw) for one in usual.inbox]
    assert len({one.email.email for one in again.inbox}) == len(again.inbox)


def test_a_seat_that_falls_free_is_filled_and_nobody_learns_why_it_was() -> None:
    town = Town(GROUP, 5, yes=1, met=1, again=1, opens=0)
    world = town.live(80)
    group = world.introductions()[GROUP.suggestion]
    assert group.state is IntroductionState.STANDING
    leaver = GROUP.members[2]
    before = len(world.inbox)
    world.tell(choice(leaver, GROUP.suggestion, ChoiceKind.LEAVES, world.now_ms))
    world.run_until(world.now_ms + 20 * DAY_MS, town.agenda)
    group = world.introductions()[GROUP.suggestion]
    (newcomer,) = group.joined
    assert set(group.present) == {*GROUP.members, newcomer} - {leaver}
    got = world.inbox[before:]
    assert leaver not in {one.email.member for one in got}
    for member in set(group.present) - {newcomer}:
        assert kinds(one for one in got if one.email.member == member) == [EmailKind.SEAT, EmailKind.NEWCOMER]
    assert kinds(one for one in got if one.email.member == newcomer) == [EmailKind.INVITATION, EmailKind.WELCOME]
    assert all(leaver not in one.names() for one in got)
    welcome = next(one for one in got if one.email.kind is EmailKind.WELCOME)
    assert welcome.names() == set(group.present)


@pytest.mark.parametrize("fate", [erase, unsubscribe, left])
def test_nobody_who_is_gone_is_written_to_or_named_again(fate: Any) -> None:
    for day in (0, 1, 5, 12, 30, 60, 100):
        town = Town(GROUP, 3, yes=1, met=1, again=1, opens=1)
        world = town.live(day)
        gone = GROUP.members[1]
        before = len(world.inbox)
        world.tell(fate(gone, world.now_ms))
        if fate is erase:
            world.erased(gone)
        world.run_until(NOW + YEAR_MS, town.agenda)
        assert all(one.email.member != gone for one in world.inbox[before:])
        assert all(gone not in one.names() for one in world.inbox[before:])


def test_closed_introductions_are_let_go_of_and_whom_they_met_is_not() -> None:
    world = Town(PAIR, 2, yes=1, met=1, again=0).live()
    assert world.introductions()[PAIR.suggestion].state is IntroductionState.CLOSED
    assert world.state.held == 0
    a, b = PAIR.members
    assert world.state.acquaintances(a) == [b]
    fell_through = Town(PAIR, 2, yes=0).live()
    assert fell_through.state.held == 0
    assert len(fell_through.state.past) == 0, "nothing is kept of it once its suggestion cannot be read again"


class AnyArc(RuleBasedStateMachine):
    """A partition's life: anything happens to anybody, commits fail, mail is interrupted, everything starts again."""

    @initialize()
    def begin(self) -> None:
        self.world = World()
        self.world.before_sending = self.check_nobody_gone
        self.world.on_received = self.check
        self.gone: set[str] = set()
        self.apart: set[frozenset[str]] = set()
        self.proposed = 0

    # What may happen

    @rule(picked=st.sets(st.sampled_from(MEMBERS), min_size=2, max_size=5))
    def suggest(self, picked: set[str]) -> None:
        current = self.world.introductions().values()
        if not any(one.engages(member) for one in current for member in picked):
            self.proposed += 1
            self.world.tell(suggestion(*picked, at_ms=self.world.now_ms, times_before=self.proposed))

    @rule(data=st.data(), kind=st.sampled_from([ChoiceKind.YES] * 4 + [ChoiceKind.NO]), everybody=st.booleans())
    def answer(self, data: st.DataObject, kind: ChoiceKind, everybody: bool) -> None:
        self.press(data, kind, IntroductionState.PROPOSED, everybody)

    @rule(
        data=st.data(),
        kind=st.sampled_from([ChoiceKind.AGAIN] * 4 + [ChoiceKind.MET, ChoiceKind.NOT_MET, ChoiceKind.NOT_AGAIN]),
        everybody=st.booleans(),
    )
    def check_in(self, data: st.DataObject, kind: ChoiceKind, everybody: bool) -> None:
        self.press(data, kind, IntroductionState.INTRODUCED, everybody)

    @rule(data=st.data(), kind=st.sampled_from([ChoiceKind.OPENS, ChoiceKind.LEAVES]))
    def offer_or_leave(self, data: st.DataObject, kind: ChoiceKind) -> None:
        self.press(data, kind, data.draw(st.sampled_from(IntroductionState)), False)

    def press(self, data: st.DataObject, kind: ChoiceKind, state: IntroductionState, everybody: bool) -> None:
        there = sorted(key for key, one in self.world.introductions().items() if one.state is state)
        if not there:
            return
        introduction = self.world.introductions()[data.draw(st.sampled_from(there))]
        occasion = introduction.meeting.occasion if introduction.meeting and kind.question != "opens" else 0
        if kind in (ChoiceKind.YES, ChoiceKind.NO, ChoiceKind.LEAVES):
            occasion = 0
        some = introduction.everybody if everybody else (data.draw(st.sampled_from(introduction.everybody)),)
        for member in some:
            self.world.tell(choice(member, introduction.introduction, kind, self.world.now_ms, occasion))

    @rule(who=st.sampled_from(MEMBERS))
    def take_a_break(self, who: str) -> None:
        self.world.tell(pause(who, self.world.now_ms, seconds=3600))

    @rule(who=st.sampled_from(MEMBERS), how=st.sampled_from([erase, unsubscribe]))
    def go_for_good(self, who: str, how: Any) -> None:
        self.gone.add(who)
        self.world.tell(how(who, self.world.now_ms))

    @rule(who=st.sampled_from(MEMBERS), other=st.sampled_from(MEMBERS), reported=st.booleans())
    def keep_apart(self, who: str, other: str, reported: bool) -> None:
        if who != other:
            self.apart.add(frozenset((who, other)))
            kind = PreferenceKind.REPORT if reported else PreferenceKind.BLOCK
            self.world.tell(block(who, other, self.world.now_ms).model_copy(update={"kind": kind}))

    @rule(who=st.sampled_from(MEMBERS))
    def intake_forgets(self, who: str) -> None:
        if who in self.gone:
            self.world.erased(who)

    @rule(who=st.sampled_from(MEMBERS))
    def partner_sends_them_again(self, who: str) -> None:
        self.world.tell(contact(who, at_ms=self.world.now_ms))

    @rule(data=st.data())
    def invitation_bounces(self, data: st.DataObject) -> None:
        waiting = [one for one in self.world.state.unsent(100) if one.kind is EmailKind.INVITATION]
        if waiting:
            self.world._record(data.draw(st.sampled_from(waiting)), DeliveryState.FAILED, 1)

    @rule(hours=st.sampled_from([0, 1, 1, 2, 24, 24 * 8, 24 * 60]))
    def time_jumps(self, hours: int) -> None:
        self.world.now_ms += hours * 3600 * 1000

    @rule()
    def everything_works(self) -> None:
        self.world.work()

    @rule(few=st.integers(1, 2))
    def a_few_are_sent(self, few: int) -> None:
        self.world.reconcile()
        self.world.send(few)

    @rule()
    def a_commit_fails(self) -> None:
        first = self.world.state.reconcile(self.world.now_ms, self.world.communities, limit=2)
        assert self.world.state.reconcile(self.world.now_ms, self.world.communities, limit=2) == first

    @rule(seed=st.integers())
    def crash_and_replay(self, seed: int) -> None:
        here = self.world.state
        self.world.restart(seed)
        there = self.world.state
        now_ms, communities = self.world.now_ms, self.world.communities
        first, second = (
            {one.introduction.key: one for one in state.reconcile(now_ms, communities, limit=1000)}
            for state in (here, there)
        )
        assert first == second
        assert {one.email for one in here.unsent(1000)} == {one.email for one in there.unsent(1000)}

    # What must hold

    def check_nobody_gone(self, email: Any) -> None:
        self.latest = email

    def check(self, received: Received) -> None:
        member = received.email.member
        assert member not in self.gone, "no email after an erasure or an unsubscribe"
        known = {
            other
            for one in self.world.introductions().values()
            if member in (*one.introduced, *one.joined)
            for other in (*one.introduced, *one.joined)
        }
        named = received.names() - {member}
        assert named <= known, "no name and no address before everybody, or a quorum, has said yes"
        assert named == set() or received.email.kind.names_others
        assert not named & self.gone
        assert not any(frozenset((member, other)) in self.apart for other in named), "a block acts at once, both ways"
        introduction = self.world.introductions()[received.email.introduction]
        if "for you alone" in received.text.lower():
            assert introduction.opener == member, "the opener's note reaches the opener alone"

    @invariant()
    def nobody_is_in_two(self) -> None:
        current = self.world.introductions().values()
        for member in MEMBERS:
            assert sum(one.engages(member) for one in current) <= 1

    @invariant()
    def no_email_is_planned_or_sent_twice(self) -> None:
        planned = [key for key, _ in self.world.logs["outbox"]]
        assert len(set(planned)) == len(planned)
        sent = [one.email.email for one in self.world.inbox]
        assert len(set(sent)) == len(sent)

    @invariant()
    def introductions_go_to_all_or_to_none(self) -> None:
        told = {one.email.introduction for one in self.world.inbox if one.email.kind is EmailKind.INTRODUCTION}
        for delivery in self.world.withheld:
            if delivery.kind is EmailKind.INTRODUCTION and delivery.introduction in told:
                # Somebody who went away between the first email and theirs.
                out = delivery.member in self.gone or self.is_out(delivery.introduction, delivery.member)
                assert out

    def is_out(self, introduction: str, member: str) -> bool:
        """Left, or kept from whoever was left to be told of."""
        one = self.world.introductions()[introduction]
        left_it = any(
            record.kind is ChoiceKind.LEAVES and record.member == member and record.introduction == introduction
            for _, record in self.world.logs["choices"]
            if record is not None and hasattr(record, "introduction")
        )
        others = [other for other in one.introduced if other != member and other not in self.gone]
        return (
            left_it
            or member in one.left
            or all(frozenset((member, other)) in self.apart or other in one.left for other in others)
        )

    @invariant()
    def records_are_sound(self) -> None:
        for one in self.world.introductions().values():
            assert not set(one.said_yes) & set(one.said_no)
            assert set(one.introduced) <= set(one.members)
            assert set(one.present) <= {*one.introduced, *one.joined}
            assert not set(one.present) & set(one.left)
            assert one.opener is None or one.opener in one.present or one.state is IntroductionState.CLOSED


TestAnyArc = AnyArc.TestCase
TestAnyArc.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_a_preference_that_is_none_of_these_changes_nothing() -> None:
    wish = Preference(
        community="london", member=MEMBERS[0], kind=PreferenceKind.LOOKING_FOR, chosen_at_ms=NOW,
        looking_for=("group",),
    )  # fmt: skip
    town = Town(PAIR, 4, yes=1, met=1, again=1)
    town.world.tell(wish)
    assert town.live().introductions()[PAIR.suggestion].state is IntroductionState.STANDING
