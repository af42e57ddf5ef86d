"""The whole arc, in a year that passes in seconds: what people get, and what nobody can tell from it."""

from __future__ import annotations

from typing import Any

import pytest
from arc_town import DAY_MS, NAMING, YEAR_MS, Town, planned
from arc_world import Watch, World, kinds
from hypothesis import given, settings
from hypothesis import strategies as st
from notifier_samples import (
    GROUP,
    MEMBERS,
    NOW,
    PAIR,
    block,
    choice,
    erase,
    left,
    unsubscribe,
)

from shared.contracts import (
    ChoiceKind,
    EmailKind,
    IntroductionState,
    Preference,
    PreferenceKind,
)


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


def test_a_preference_that_is_none_of_these_changes_nothing() -> None:
    wish = Preference(
        community="london", member=MEMBERS[0], kind=PreferenceKind.LOOKING_FOR, chosen_at_ms=NOW,
        looking_for=("group",),
    )  # fmt: skip
    town = Town(PAIR, 4, yes=1, met=1, again=1)
    town.world.tell(wish)
    assert town.live().introductions()[PAIR.suggestion].state is IntroductionState.STANDING
