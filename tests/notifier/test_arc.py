"""The whole arc, in a year that passes in seconds: what holds whatever people do, and in whatever order."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import pytest
from arc_world import Agenda, Received, Watch, World, kinds
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
    Choice,
    ChoiceKind,
    DeliveryState,
    EmailKind,
    Introduction,
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
@settings(max_examples=20)
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
@settings(max_examples=8)
def test_restarts_change_nothing_and_every_timer_fires_once(seed: int, restarts: list[int]) -> None:
    usual = Town(GROUP, seed, leaves=0.1).live()
    town = Town(GROUP, seed, leaves=0.1)
    for day in sorted(restarts):
        town.world.run_until(NOW + day * DAY_MS, town.agenda)
        town.world.restart(seed + day)
    again = town.live()
    assert [(one.at_ms, one.raw) for one in again.inbox] == [(one.at_ms, one.raw) for one in usual.inbox]
    planned_at_all = [key for key, _ in again.logs["outbox"]]
    assert len(set(planned_at_all)) == len(planned_at_all), "every timer fires once"


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


FACTS = ("erase", "unsubscribe", "block", "leave", "offer")
NAMING = [kind for kind in EmailKind if kind.names_others]


@pytest.mark.parametrize("fact", FACTS)
@pytest.mark.parametrize("kind", [*NAMING, EmailKind.INVITATION, EmailKind.CHECK_IN, EmailKind.SEAT])
def test_what_happens_between_planning_an_email_and_sending_it_counts(kind: EmailKind, fact: str) -> None:
    """To whomever it happens, and however many of the emails have gone already."""
    seen = 0
    for already_sent in (0, 1):
        for who, other in ((0, 1), (1, 0), (-1, 0), (0, -1)):
            world = planned(kind).twin()
            watch = Watch(world)
            world.send(already_sent)
            waiting = world.state.unsent(1)[0].introduction
            people = world.introductions()[waiting].present or world.introductions()[waiting].members
            happens(world, watch, fact, people[who], people[other], waiting)
            world.send()
            world.run_until(world.now_ms + 30 * DAY_MS)
            seen += watch.seen
            told = {one.email.member for one in world.inbox if one.email.kind is EmailKind.INTRODUCTION}
            if kind is EmailKind.INTRODUCTION and fact != "offer" and already_sent == 0:
                assert told == set(), "all or none, and nobody had been told"
    assert seen > 0


@cache
def planned(kind: EmailKind) -> World:
    """A world in which emails of a kind wait to be sent, and none of them has been."""
    town = Town(GROUP, 6, yes=1, met=1, again=1, opens=0)
    if kind is EmailKind.NEW_DATE:
        town.shares["met"] = 0
    if kind in (EmailKind.SEAT, EmailKind.NEWCOMER, EmailKind.WELCOME):
        town.shares["leaves"] = 0.3
    run_until_planned(town, kind)
    return town.world


def run_until_planned(town: Town, kind: EmailKind) -> None:
    """Until emails of a kind wait to be sent, and none of them has been."""
    world = town.world
    for _ in range(500):
        world.reconcile()
        if any(email.kind is kind for email in world.state.unsent(100)):
            return
        world.work()
        due = [at_ms for at_ms in (world.state.next_alarm_ms(), town.agenda.next_ms()) if at_ms is not None]
        world.now_ms = max(world.now_ms, min(due))
        town.agenda.happen(world.now_ms)
    raise AssertionError(f"no {kind} was ever planned")


def happens(world: World, watch: Watch, fact: str, who: str, other: str, introduction: str) -> None:
    now_ms = world.now_ms
    match fact:
        case "erase" | "unsubscribe":
            watch.gone.add(who)
            world.tell(erase(who, now_ms) if fact == "erase" else unsubscribe(who, now_ms))
        case "block":
            watch.apart.add(frozenset((who, other)))
            world.tell(block(who, other, now_ms))
        case "leave" | "offer":
            kind_of = ChoiceKind.LEAVES if fact == "leave" else ChoiceKind.OPENS
            world.tell(choice(who, introduction, kind_of, now_ms))
            if fact == "offer":
                world.reconcile()


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

    @initialize(first=st.sampled_from([PAIR, GROUP]), dates=st.integers(0, 4), sent=st.booleans())
    def begin(self, first: Suggestion, dates: int, sent: bool) -> None:
        """Some way along already: most of what can go wrong lies far from the beginning."""
        self.world = World()
        watch = Watch(self.world)
        self.gone, self.apart = watch.gone, watch.apart
        self.proposed = 0
        self.world.tell(first)
        for date in range(dates):
            self.world.work()
            self.all_say(first.suggestion, ChoiceKind.AGAIN if date else ChoiceKind.YES)
            self.world.reconcile()
            if date < dates - 1:
                self.world.work()
                self.world.now_ms = self.world.state.next_alarm_ms() or self.world.now_ms
        if sent:
            self.world.work()

    # What may happen

    @rule(size=st.integers(2, 5), order=st.permutations(MEMBERS))
    def suggest(self, size: int, order: list[str]) -> None:
        current = self.world.introductions().values()
        free = [m for m in order if m not in self.gone and not any(one.engages(m) for one in current)]
        if len(free) >= size:
            self.proposed += 1
            self.world.tell(suggestion(*free[:size], at_ms=self.world.now_ms, times_before=self.proposed))

    def all_say(self, introduction: str, kind: ChoiceKind) -> None:
        one = self.world.introductions()[introduction]
        occasion = one.meeting.occasion if one.meeting else 0
        for member in one.everybody:
            self.world.tell(choice(member, introduction, kind, self.world.now_ms, occasion))

    @rule(data=st.data(), willing=st.sampled_from([True, True, True, False]))
    def all_of_one_answer(self, data: st.DataObject, willing: bool) -> None:
        one = self.some(data)
        if one is not None and one.meeting is None:
            self.all_say(one.introduction, ChoiceKind.YES if willing else ChoiceKind.NO)
        elif one is not None:
            self.all_say(one.introduction, ChoiceKind.AGAIN if willing else ChoiceKind.NOT_MET)

    @rule(data=st.data(), kind=st.sampled_from(ChoiceKind))
    def one_answers(self, data: st.DataObject, kind: ChoiceKind) -> None:
        one = self.some(data)
        if one is not None:
            about_a_date = kind.question in ("met", "again", "depth")
            occasion = one.meeting.occasion if one.meeting and about_a_date else 0
            member = data.draw(st.sampled_from(one.everybody))
            self.world.tell(choice(member, one.introduction, kind, self.world.now_ms, occasion))

    def some(self, data: st.DataObject) -> Introduction | None:
        """One that is going on."""
        there = sorted(key for key, one in self.world.introductions().items() if one.is_open)
        return self.world.introductions()[data.draw(st.sampled_from(there))] if there else None

    def somebody(self, data: st.DataObject) -> str:
        """Rather somebody in the middle of it than anybody."""
        one = self.some(data)
        return data.draw(st.sampled_from(MEMBERS if one is None else one.everybody))

    @rule(data=st.data())
    def take_a_break(self, data: st.DataObject) -> None:
        self.world.tell(pause(self.somebody(data), self.world.now_ms, seconds=3600))

    @rule(data=st.data(), how=st.sampled_from([erase, unsubscribe]))
    def go_for_good(self, data: st.DataObject, how: Any) -> None:
        if len(self.gone) < 4:
            who = self.somebody(data)
            self.gone.add(who)
            self.world.tell(how(who, self.world.now_ms))

    @rule(data=st.data(), reported=st.booleans())
    def keep_apart(self, data: st.DataObject, reported: bool) -> None:
        who, other = self.somebody(data), self.somebody(data)
        if who != other and len(self.apart) < 4:
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

    @rule(
        data=st.data(),
        fact=st.sampled_from(["erase", "unsubscribe", "block", "leave", "offer", "pause"]),
        answered=st.booleans(),
        few=st.integers(1, 6),
    )
    def something_happens_between_planning_and_sending(
        self, data: st.DataObject, fact: str, answered: bool, few: int
    ) -> None:
        one = self.some(data)
        if one is None:
            return
        if answered:
            self.all_say(one.introduction, ChoiceKind.AGAIN if one.meeting else ChoiceKind.YES)
        else:
            self.world.now_ms = max(self.world.now_ms, self.world.state.next_alarm_ms() or 0)
        self.world.reconcile()
        if data.draw(st.booleans()):
            self.world.send(1)
        who, other = data.draw(st.permutations(one.everybody))[:2]
        now_ms = self.world.now_ms
        match fact:
            case "erase" | "unsubscribe" if len(self.gone) < 4:
                self.gone.add(who)
                self.world.tell(erase(who, now_ms) if fact == "erase" else unsubscribe(who, now_ms))
            case "block" if len(self.apart) < 4:
                self.apart.add(frozenset((who, other)))
                self.world.tell(block(who, other, now_ms))
            case "leave" | "offer":
                kind = ChoiceKind.LEAVES if fact == "leave" else ChoiceKind.OPENS
                self.world.tell(choice(who, one.introduction, kind, now_ms))
            case "pause":
                self.world.tell(pause(who, now_ms, seconds=3600))
        if fact == "offer":
            self.world.reconcile()
        self.world.send(few)

    @rule(data=st.data())
    def invitation_bounces(self, data: st.DataObject) -> None:
        waiting = [one for one in self.world.state.unsent(100) if one.kind is EmailKind.INVITATION]
        if waiting:
            self.world._record(data.draw(st.sampled_from(waiting)), DeliveryState.FAILED, 1)

    @rule(hours=st.sampled_from([0, 1, 24, 24 * 60]))
    def time_jumps(self, hours: int) -> None:
        self.world.now_ms += hours * 3600 * 1000

    @rule()
    def what_is_due_next_is_planned(self) -> None:
        self.world.now_ms = max(self.world.now_ms, self.world.state.next_alarm_ms() or 0)
        self.world.reconcile()

    @rule()
    def what_follows_is_planned(self) -> None:
        self.world.reconcile()

    @rule()
    def everything_works(self) -> None:
        self.world.work()

    @rule(few=st.integers(1, 2))
    def a_few_are_sent(self, few: int) -> None:
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
                # Somebody who went away between the first email and theirs, or the mail took weeks.
                over = delivery.reason == "introduction-over"
                out = over or delivery.member in self.gone or self.is_out(delivery.introduction, delivery.member)
                assert out

    def is_out(self, introduction: str, member: str) -> bool:
        """Left, or kept from whoever was left to be told of."""
        one = self.world.introductions()[introduction]
        left_it = {*one.left, *self.gone} | {
            record.member
            for _, record in self.world.logs["choices"]
            if isinstance(record, Choice) and (record.kind, record.introduction) == (ChoiceKind.LEAVES, introduction)
        }
        others = [other for other in one.introduced if other != member and other not in left_it]
        return member in left_it or all(frozenset((member, other)) in self.apart for other in others)

    @invariant()
    def records_are_sound(self) -> None:
        for one in self.world.introductions().values():
            assert not set(one.said_yes) & set(one.said_no)
            assert set(one.introduced) <= set(one.members)
            assert set(one.present) <= {*one.introduced, *one.joined}
            assert not set(one.present) & set(one.left)
            assert one.opener is None or one.opener in one.present or one.state is IntroductionState.CLOSED


TestAnyArc = AnyArc.TestCase
TestAnyArc.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_preference_that_is_none_of_these_changes_nothing() -> None:
    wish = Preference(
        community="london", member=MEMBERS[0], kind=PreferenceKind.LOOKING_FOR, chosen_at_ms=NOW,
        looking_for=("group",),
    )  # fmt: skip
    town = Town(PAIR, 4, yes=1, met=1, again=1)
    town.world.tell(wish)
    assert town.live().introductions()[PAIR.suggestion].state is IntroductionState.STANDING
