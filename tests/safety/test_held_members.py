"""What becomes of introductions when somebody in them is held for review, removed, or cleared."""

from __future__ import annotations

import pytest
from arc_world import TOPIC_OF, World, kinds
from notifier_samples import ANSWER_MS, GROUP, MEMBERS, NOW, PAIR, block, choice, pause
from safety_samples import clear, partner_block, partner_pause, remove, reports

from shared import topics
from shared.contracts import (
    ChoiceKind,
    ClosingReason,
    EmailKind,
    Introduction,
    IntroductionState,
    PartnerPreference,
    ReviewOrder,
    Suggestion,
)

TOPIC_OF[PartnerPreference] = topics.PARTNER_PREFERENCES.name
TOPIC_OF[ReviewOrder] = topics.REVIEW_ORDERS.name
YES, NO = ChoiceKind.YES, ChoiceKind.NO
A, B = PAIR.members
OTHERS = MEMBERS[4:7]
"""Who reports, from some earlier time."""
C = GROUP.members


def a_world(of: Suggestion) -> World:
    world = World()
    world.tell(of)
    world.work()
    return world


def hold(world: World, who: str) -> None:
    world.tell(*reports(OTHERS, who, world.now_ms))


def now(world: World, of: Suggestion) -> Introduction:
    return world.introductions()[of.suggestion]


def got(world: World, member: str) -> list[EmailKind]:
    return kinds(one for one in world.inbox if one.email.member == member)


def say(world: World, of: Suggestion, *answers: tuple[str, ChoiceKind]) -> None:
    world.tell(*(choice(member, of.suggestion, kind, world.now_ms) for member, kind in answers))
    world.work()


def test_who_is_held_is_not_proposed() -> None:
    world = World()
    hold(world, A)
    world.tell(PAIR)
    world.work()
    assert now(world, PAIR).closing_reason is ClosingReason.LEFT
    assert world.inbox == []


@pytest.mark.parametrize("before", [True, False])
def test_a_pair_falls_through_at_its_time_and_both_read_what_anybody_would(before: bool) -> None:
    world = a_world(PAIR)
    if before:
        say(world, PAIR, (A, YES))
    hold(world, A)
    world.work()
    say(world, PAIR, (A, YES), (B, YES))
    assert now(world, PAIR).state is IntroductionState.PROPOSED, "nothing happens because of it"
    assert (now(world, PAIR).set_aside, now(world, PAIR).engages(A)) == ((A,), False)
    world.run_until(NOW + ANSWER_MS)
    assert now(world, PAIR).closing_reason in (ClosingReason.DECLINED, ClosingReason.EXPIRED)
    for member in PAIR.members:
        assert got(world, member) == [EmailKind.INVITATION, EmailKind.CLOSING]
    mine, theirs = (
        [one.text for one in world.inbox if one.email.member == member and one.email.kind is EmailKind.CLOSING]
        for member in PAIR.members
    )
    assert len(mine) == len(theirs) == 1


def test_twins_that_differ_only_in_a_hold_and_a_silence_give_the_others_the_same_at_the_same_time() -> None:
    silent, held = a_world(GROUP), a_world(GROUP)
    say(silent, GROUP, *((member, YES) for member in C[1:]))
    hold(held, C[0])
    say(held, GROUP, (C[0], YES), *((member, YES) for member in C[1:]))
    for world in (silent, held):
        world.run_until(NOW + ANSWER_MS + 1000)
        assert now(world, GROUP).introduced == C[1:]

    def read_by_others(world: World) -> list[tuple[int, str, EmailKind, str]]:
        kept = [one for one in world.inbox if one.email.member != C[0]]
        return [(one.at_ms, one.email.member, one.email.kind, one.text) for one in kept]

    def without_boundaries(found: list[tuple[int, str, EmailKind, str]]) -> list[tuple[int, str, EmailKind, set[str]]]:
        return [(at, who, kind, {line for line in text.splitlines() if "boundary" not in line})
                for at, who, kind, text in found]  # fmt: skip

    assert without_boundaries(read_by_others(silent)) == without_boundaries(read_by_others(held))
    assert got(held, C[0]) == [EmailKind.INVITATION, EmailKind.CLOSING], "their yes is answered"
    assert not any(one.names() & {C[0]} for one in held.inbox if one.email.member != C[0])


def test_a_no_after_a_yes_that_was_set_aside_is_a_no() -> None:
    world = a_world(PAIR)
    hold(world, A)
    say(world, PAIR, (A, YES), (B, YES))
    world.now_ms += 5
    say(world, PAIR, (A, NO))
    assert (now(world, PAIR).set_aside, now(world, PAIR).said_no) == ((), (A,))
    world.run_until(NOW + ANSWER_MS)
    assert got(world, A) == [EmailKind.INVITATION]


def test_who_is_cleared_in_time_is_introduced_after_all() -> None:
    world = a_world(PAIR)
    hold(world, A)
    say(world, PAIR, (A, YES), (B, YES))
    world.tell(clear(A, until_ms=world.now_ms + 10))
    world.work()
    assert now(world, PAIR).introduced == PAIR.members
    assert now(world, PAIR).set_aside == ()


def test_what_is_planned_and_of_which_nobody_knows_is_withheld_from_all() -> None:
    world = a_world(PAIR)
    world.tell(choice(A, PAIR.suggestion, YES, NOW), choice(B, PAIR.suggestion, YES, NOW))
    world.reconcile()
    hold(world, A)
    world.work()
    assert now(world, PAIR).closing_reason is ClosingReason.LEFT
    for member in PAIR.members:
        assert got(world, member) == [EmailKind.INVITATION, EmailKind.CLOSING]


def test_what_they_have_with_people_they_know_goes_on_and_ends_with_a_removal() -> None:
    world = a_world(PAIR)
    say(world, PAIR, (A, YES), (B, YES))
    hold(world, A)
    meeting = now(world, PAIR).meeting
    assert meeting is not None
    world.run_until(meeting.check_in_at_ms)
    assert now(world, PAIR).present == PAIR.members
    assert EmailKind.CHECK_IN in got(world, A)
    so_far = got(world, A)
    world.tell(remove(A))
    world.run_until(meeting.check_in_at_ms + 30 * 86_400_000)
    assert A in now(world, PAIR).left
    assert got(world, A) == so_far, "no email after it"


@pytest.mark.parametrize("wish", [partner_block(A, B, NOW + 1), block(A, B, NOW + 1)])
def test_a_block_of_the_partners_app_is_like_ones_own(wish: PartnerPreference) -> None:
    world = a_world(PAIR)
    world.now_ms += 1
    world.tell(wish)
    say(world, PAIR, (A, YES), (B, YES))
    assert now(world, PAIR).said_no == (A,), "who blocked goes, and not who was blocked"
    introduced = a_world(PAIR)
    introduced.tell(choice(A, PAIR.suggestion, YES), choice(B, PAIR.suggestion, YES))
    introduced.reconcile()
    introduced.tell(wish)
    introduced.send()
    assert EmailKind.INTRODUCTION not in kinds(introduced.inbox), "the gate looks at it before each email"
    world.put(topics.PARTNER_PREFERENCES.name, wish.key, None)


def test_a_pause_of_the_partners_app_holds_beside_ones_own_and_a_past_end_takes_only_itself_back() -> None:
    world = World()
    members, later = world.state.members, NOW + 10_000
    world.tell(partner_pause(A, NOW, later))
    assert members.is_paused(A, NOW)
    assert not members.is_paused(A, later)
    world.tell(partner_pause(A, NOW + 1))
    assert members.is_paused(A, later), "without an end it is for good"
    world.tell(PAIR)
    world.work()
    assert now(world, PAIR).closing_reason is ClosingReason.LEFT
    world.tell(partner_pause(A, NOW + 2, NOW - 5))
    assert not members.is_away(A, NOW + 2)
    own = pause(A, NOW, seconds=10)
    world.tell(own)
    world.tell(partner_pause(A, NOW + 3, NOW - 5))
    assert members.is_paused(A, NOW + 4), "their own stays"


def test_a_yes_after_the_partners_pause_is_a_yes() -> None:
    world = a_world(PAIR)
    world.tell(partner_pause(A, NOW + 1))
    world.now_ms += 5
    say(world, PAIR, (A, YES), (B, YES))
    assert now(world, PAIR).state is IntroductionState.INTRODUCED


@pytest.mark.parametrize("seed", range(5))
def test_the_same_facts_in_any_order_lead_to_the_same(seed: int) -> None:
    world = a_world(GROUP)
    hold(world, C[0])
    world.tell(partner_block(C[1], C[2], NOW + 1), partner_pause(C[3], NOW + 2, NOW + 50))
    say(world, GROUP, *((member, YES) for member in C))
    before = world.state
    world.restart(seed)
    world.now_ms = NOW + ANSWER_MS
    expected, found = (
        {one.introduction.key: one for one in state.reconcile(world.now_ms, world.communities, limit=9)}
        for state in (before, world.state)
    )
    assert expected == found
    assert expected
