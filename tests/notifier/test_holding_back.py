"""What keeps an email back for a while: it waits, is asked of the gate again, and is never lost."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from notifier_samples import COMMUNITIES, GROUP, NOW, PAIR, contact, unsubscribe
from sender_world import World, a_state, introduced_group, message_id, restarted

from services.notifier.breaker import BreakerBounds, PolicyBreaker, Scope
from services.notifier.rate_limits import Rate, RateLimits
from services.notifier.relay import NoLookup
from services.notifier.replies import Outcome, Retry, Stopped
from services.notifier.sender import Sender
from services.notifier.state import PartitionState
from services.notifier.traffic import TOGETHER_MS, Traffic
from services.notifier.waiting import Hold
from shared.contracts import EVERYWHERE, DeliveryState, Email, EmailKind, MailOrder, OrderKind

A, B = PAIR.members
EVENING = round(datetime(2026, 11, 24, 22, 0, tzinfo=UTC).timestamp() * 1000)
MORNING = round(datetime(2026, 11, 25, 8, 0, tzinfo=UTC).timestamp() * 1000)
BREAKER = BreakerBounds(open_first_ms=60_000, open_max_ms=240_000, domains_max=3, probe_ms=1_000)


def order(state: PartitionState, kind: OrderKind, community: str = EVERYWHERE, at_ms: int = NOW) -> None:
    one = MailOrder(community=community, kind=kind, given_at_ms=at_ms)
    state.apply("mail-orders", one.key, one)


async def until_nothing_is_due(world: World, sender: Sender, state: PartitionState, *, rounds_max: int = 200) -> None:
    """Let time pass until nothing waits any more, or only an operator knows."""
    for _ in range(rounds_max):
        due_ms = sender.next_due_ms(state)
        if due_ms is None:
            return
        world.now_ms = max(world.now_ms, due_ms)
        await sender.retry_due(state)
    raise AssertionError("it goes on for ever")


def waiting(traffic: Traffic) -> dict[Hold, int]:
    return {why: number for why, number in traffic.waiting().items() if number}


# An operator's stop


@pytest.mark.parametrize("community", [EVERYWHERE, "london"])
async def test_while_the_mail_is_stopped_emails_wait_and_none_is_lost(community: str) -> None:
    world, state, traffic = World(), a_state(), Traffic()
    emails = state.unsent(10)
    order(state, OrderKind.STOP, community)
    sender = world.sender(traffic=traffic)
    assert await sender.deliver(emails, state) == []
    assert (world.mailbox, world.ledger) == ([], [])
    assert waiting(traffic) == {Hold.STOPPED: 2}
    assert sender.next_due_ms(state) is None, "only an operator knows"
    assert sender.in_flight == {email.email for email in emails}
    order(state, OrderKind.START, community)
    assert sender.next_due_ms(state) == world.now_ms
    await sender.retry_due(state)
    assert sorted(world.mailbox) == sorted(message_id(email) for email in emails)
    assert waiting(traffic) == {}
    assert sender.in_flight == set()


async def test_a_stop_of_another_community_stops_nothing_here() -> None:
    world, state = World(), a_state()
    order(state, OrderKind.STOP, "leeds")
    await world.sender().deliver(state.unsent(10), state)
    assert len(world.mailbox) == 2


async def test_a_start_of_everything_does_not_start_what_was_stopped_by_name() -> None:
    state = a_state()
    order(state, OrderKind.STOP, "london")
    order(state, OrderKind.STOP)
    order(state, OrderKind.START)
    assert state.orders.is_stopped("london")
    assert not state.orders.is_stopped("leeds")


async def test_a_stop_holds_after_a_restart() -> None:
    world, state = World(), a_state()
    order(state, OrderKind.STOP)
    await world.sender().deliver(state.unsent(10), state)
    state = restarted(world, a_state)
    order(state, OrderKind.STOP)
    sender = world.sender()
    await sender.deliver(state.unsent(10), state)
    assert world.mailbox == []
    order(state, OrderKind.START)
    await until_nothing_is_due(world, sender, state)
    assert len(world.mailbox) == 2


async def test_a_stop_catches_what_is_recorded_and_not_gone_and_a_crash_then_leaves_no_doubt() -> None:
    world, state = World(), introduced_group()
    emails = [email for email in state.unsent(20) if email.kind is EmailKind.INTRODUCTION]

    class StopsAfterTwo(Traffic):
        def learn(self, *about: object, **more: object) -> None:
            if len(world.mailbox) == 2:
                order(state, OrderKind.STOP)

    sender = world.sender(NoLookup(), StopsAfterTwo())
    await sender.deliver(emails, state)
    kept = [email for email in emails if message_id(email) not in world.mailbox]
    assert 0 < len(kept) < len(emails)
    assert {world.last(email).state for email in kept} == {DeliveryState.PLANNED}
    # The process ends while they wait; the next one knows that they have not gone.
    state = restarted(world, introduced_group)
    assert state.interrupted() == []
    sender = world.sender(NoLookup())
    await sender.deliver([email for email in state.unsent(20) if email.kind is EmailKind.INTRODUCTION], state)
    assert sorted(world.mailbox) == sorted(message_id(email) for email in emails)


# The night


async def test_at_night_emails_wait_for_the_morning_and_then_pass_the_gate_again() -> None:
    world, state, traffic = World(), a_state(), Traffic(COMMUNITIES)
    world.now_ms = EVENING
    first, second = state.unsent(10)
    late = [email.model_copy(update={"planned_at_ms": EVENING}) for email in (first, second)]
    introduction = state.introduction(first.introduction)
    assert introduction is not None
    stands = introduction.model_copy(update={"answer_by_ms": MORNING + 1})
    state.apply("introductions", stands.key, stands)
    sender = world.sender(traffic=traffic)
    await sender.deliver(late, state)
    assert waiting(traffic) == {Hold.QUIET: 2}
    assert sender.next_due_ms(state) == MORNING
    gone = unsubscribe(first.member)
    state.apply("preferences", gone.key, gone)
    await until_nothing_is_due(world, sender, state)
    assert world.mailbox == [message_id(second)]
    assert (world.last(first).state, world.last(first).reason) == (DeliveryState.WITHHELD, "unsubscribed")


async def test_quiet_hours_can_be_turned_off() -> None:
    world, state = World(), a_state()
    world.now_ms = EVENING
    await world.sender(traffic=Traffic(COMMUNITIES, keeps_quiet_hours=False)).deliver(state.unsent(10), state)
    assert {one.state for one in world.ledger} != {DeliveryState.PLANNED}
    assert len(world.ledger) == 2  # recorded, whatever the gate says of an invitation that is so late


def elsewhere(state: PartitionState, member: str, zone: str) -> None:
    there = contact(member).model_copy(update={"time_zone": zone})
    state.apply("contacts", member, there)


def test_the_members_own_night_counts() -> None:
    state, traffic = a_state(), Traffic(COMMUNITIES)
    email = next(email for email in state.unsent(10) if email.member == A)
    noon = EVENING - 10 * 3_600_000
    assert traffic.held(email, state, noon) is None
    elsewhere(state, A, "Pacific/Auckland")
    held = traffic.held(email, state, noon)
    assert held is not None
    assert held.why is Hold.QUIET
    assert traffic.held(email, state, EVENING) is None, "morning there"


def test_an_introduction_waits_for_the_morning_of_all_who_are_in_it() -> None:
    state, traffic = a_state(PAIR, everybody_said_yes=True), Traffic(COMMUNITIES)
    for_a, for_b = sorted(
        (email for email in state.unsent(10) if email.kind is EmailKind.INTRODUCTION),
        key=lambda email: email.member != A,
    )
    noon = EVENING - 10 * 3_600_000
    planned = {"planned_at_ms": noon - 1}
    for_a, for_b = for_a.model_copy(update=planned), for_b.model_copy(update=planned)
    elsewhere(state, B, "Pacific/Auckland")
    assert traffic.held(for_a, state, noon) == traffic.held(for_b, state, noon) is not None, "it is night for B"
    assert traffic.held(for_a, state, EVENING) == traffic.held(for_b, state, EVENING) is not None, "it is night for A"
    assert traffic.held(for_a, state, EVENING - 3 * 3_600_000) is None, "19:00 and 08:00"
    assert traffic.held(for_a, state, noon + TOGETHER_MS) is None, "nobody waits for ever"


# Policy


async def refuse(
    replies: list[Outcome], breaker: PolicyBreaker, told: list[tuple[Scope, str]]
) -> tuple[World, Sender, PartitionState, list[Email]]:
    world, state = World(), introduced_group()
    emails = [email for email in state.unsent(20) if email.kind is EmailKind.INTRODUCTION]
    for email, reply in zip(emails, replies, strict=False):
        world.replies[message_id(email)] = [reply]
    traffic = Traffic(breaker=breaker, on_stop=lambda scope, reason: told.append((scope, reason)))
    sender = world.sender(traffic=traffic)
    await sender.deliver(emails, state)
    return world, sender, state, emails


async def test_a_refusal_by_policy_stops_the_domain_tells_somebody_once_and_loses_nothing() -> None:
    told: list[tuple[Scope, str]] = []
    stop = Stopped("5.7.1", Scope.DOMAIN, 550)
    breaker = PolicyBreaker(BREAKER)
    world, sender, state, emails = await refuse([stop, stop, stop, stop], breaker, told)
    assert told == [(Scope.DOMAIN, "5.7.1")]
    assert world.mailbox == []
    assert {world.last(email).state for email in emails} == {DeliveryState.PLANNED}
    assert {world.last(email).fault for email in emails} == {None}, "not the address's fault"
    tried_at = world.now_ms
    world.replies = {}
    await until_nothing_is_due(world, sender, state)
    assert sorted(world.mailbox) == sorted(message_id(email) for email in emails)
    assert world.now_ms >= tried_at + BREAKER.open_first_ms
    assert breaker.open_circuits() == {Scope.EVERYTHING: 0, Scope.DOMAIN: 0}


async def test_only_one_email_at_a_time_finds_out_whether_they_still_refuse_us() -> None:
    stop: Outcome = Stopped("5.7.26", Scope.EVERYTHING, 550)
    world, sender, state, emails = await refuse([stop] * 4, PolicyBreaker(BREAKER), [])
    attempts = sum(one.state is DeliveryState.SENDING for one in world.ledger)
    for email in emails:
        world.replies[message_id(email)] = [stop]
    world.now_ms += BREAKER.open_first_ms + 1
    await sender.retry_due(state)
    assert sum(one.state is DeliveryState.SENDING for one in world.ledger) == attempts + 1


async def test_when_they_never_relent_the_email_fails_and_the_address_is_not_blamed() -> None:
    stop: Outcome = Stopped("5.7.1", Scope.DOMAIN, 550)
    world, state = World(), a_state()
    email = state.unsent(1)[0]
    world.replies[message_id(email)] = [stop] * 10
    sender = world.sender(traffic=Traffic(breaker=PolicyBreaker(BREAKER)))
    await sender.deliver([email], state)
    await until_nothing_is_due(world, sender, state)
    last = world.last(email)
    assert (last.state, last.reason, last.attempts, last.fault) == (DeliveryState.FAILED, "5.7.1", 3, None)
    assert state.follows_from_reports(world.now_ms) == []


async def test_a_bounce_by_policy_stops_the_domain_too() -> None:
    told: list[tuple[Scope, str]] = []
    state = a_state()
    traffic = Traffic(breaker=PolicyBreaker(BREAKER), on_stop=lambda scope, reason: told.append((scope, reason)))
    traffic.came_back_by_policy(A, "5.7.26", state, NOW)
    assert told == [(Scope.DOMAIN, "5.7.26")]
    held = traffic.held(state.unsent(1)[0], state, NOW)
    assert held is not None
    assert held.why is Hold.POLICY


# The rate


async def test_the_rate_is_kept_and_everybody_gets_their_turn() -> None:
    world, state = World(), introduced_group()
    emails = [email for email in state.unsent(20) if email.kind is EmailKind.INTRODUCTION]
    traffic = Traffic(limits=RateLimits(each_domain=Rate(per_second=1, burst=1)))
    sender = world.sender(traffic=traffic)
    await sender.deliver(emails, state)
    assert len(world.mailbox) == 1
    assert waiting(traffic) == {Hold.RATE: len(emails) - 1}
    for number in range(2, len(emails) + 1):
        assert await sender.retry_due(state) == []
        due_ms = sender.next_due_ms(state)
        assert due_ms == world.now_ms + 1000
        world.now_ms = due_ms
        await sender.retry_due(state)
        assert len(world.mailbox) == number
    assert sender.next_due_ms(state) is None


async def test_who_comes_later_does_not_overtake() -> None:
    world, state = World(), introduced_group()
    emails = [email for email in state.unsent(20) if email.kind is EmailKind.INTRODUCTION]
    sender = world.sender(traffic=Traffic(limits=RateLimits(everything=Rate(per_second=1, burst=1))))
    await sender.deliver(emails[:2], state)
    world.now_ms += 1000
    await sender.deliver(emails[2:], state)
    assert world.mailbox == [message_id(emails[0])]
    await until_nothing_is_due(world, sender, state)
    assert world.mailbox == [message_id(email) for email in emails]


async def test_a_retry_that_waits_is_known_to_be_planned() -> None:
    """So that a crash in the meantime leaves no doubt: without a relay to ask it is simply tried again."""
    world, state = World(), a_state(GROUP)
    email = state.unsent(1)[0]
    world.replies[message_id(email)] = [Retry("4.7.1", 451)]
    await world.sender(NoLookup()).deliver([email], state)
    assert (world.last(email).state, world.last(email).attempts) == (DeliveryState.PLANNED, 1)
    state = restarted(world, lambda: a_state(GROUP))
    assert state.interrupted() == []
    sender = world.sender(NoLookup())
    await sender.deliver(state.unsent(10), state)
    assert (world.last(email).state, world.last(email).attempts) == (DeliveryState.SENT, 2)
