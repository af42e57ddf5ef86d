"""The sender: recorded before it goes, recorded after; and what a crash at any point leaves behind."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from notifier_samples import ANSWER_MS, GROUP, NOW, PAIR, unsubscribe
from sender_world import BOUNDS, CrashError, World, a_state, introduced_group, message_id, restarted

from services.notifier.gate import may_send
from services.notifier.relay import NoLookup
from services.notifier.replies import Outcome, Refused, Retry, Sent, Unknown
from shared.contracts import DeliveryState, EmailKind

A, B = PAIR.members


async def test_an_email_is_recorded_sent_and_recorded_again() -> None:
    world, state = World(), a_state()
    emails = state.unsent(10)
    done = await world.sender().deliver(emails, state)
    assert {one.state for one in done} == {DeliveryState.SENT}
    assert sorted(world.mailbox) == sorted(message_id(email) for email in emails)
    assert state.unsent(10) == []
    assert state.interrupted() == []
    assert world.steps == 4 + 2 * 2, "one record before, one after, for the whole batch"


@pytest.mark.parametrize(
    ("replies", "state_after", "attempts", "reason"),
    [
        ([], DeliveryState.SENT, 1, ""),
        ([Retry("4.3.0", 451)], DeliveryState.SENT, 2, ""),
        ([Retry("server-unreachable"), Retry("421", 421)], DeliveryState.SENT, 3, ""),
        ([Retry("4.2.2", 452)] * 3, DeliveryState.FAILED, 3, "4.2.2"),
        ([Refused(550, "5.1.1")], DeliveryState.FAILED, 1, "5.1.1"),
        ([Unknown()], DeliveryState.SENT, 2, ""),
        ([Unknown()] * 3, DeliveryState.FAILED, 3, "attempts-exhausted"),
    ],
)
async def test_retries(replies: list[Outcome], state_after: DeliveryState, attempts: int, reason: str) -> None:
    world, state = World(), a_state()
    email = state.unsent(1)[0]
    world.replies[message_id(email)] = list(replies)
    sender = world.sender()
    await sender.deliver([email], state)
    while (due_ms := sender.next_due_ms(state)) is not None:
        assert sender.in_flight == {email.email}
        assert state.interrupted(sender.in_flight) == []
        assert 500 <= due_ms - world.now_ms <= BOUNDS.backoff_max_ms
        assert await sender.retry_due(state) == [], "not before its time"
        assert await sender.resolve(state.interrupted(), state) == [], "it is under way here, not interrupted"
        world.now_ms = due_ms
        await sender.retry_due(state)
    final = world.last(email)
    assert (final.state, final.attempts, final.reason) == (state_after, attempts, reason)
    assert sender.in_flight == set()


async def test_a_server_that_is_away_for_long_costs_no_email() -> None:
    world, state = World(), a_state()
    email = state.unsent(1)[0]
    world.replies[message_id(email)] = [Retry("server-unreachable")] * 20
    sender = world.sender()
    await sender.deliver([email], state)
    while (due_ms := sender.next_due_ms(state)) is not None:
        world.now_ms = due_ms
        await sender.retry_due(state)
    assert (world.last(email).state, world.last(email).attempts) == (DeliveryState.SENT, 21)


async def test_a_server_that_stays_away_is_given_up_when_the_email_has_no_meaning_any_more() -> None:
    world, state = World(), a_state()
    email = state.unsent(1)[0]
    world.replies[message_id(email)] = [Retry("connection-lost")] * 10_000
    sender = world.sender()
    await sender.deliver([email], state)
    while (due_ms := sender.next_due_ms(state)) is not None:
        world.now_ms = due_ms
        await sender.retry_due(state)
    assert (world.last(email).state, world.last(email).reason) == (DeliveryState.WITHHELD, "introduction-decided")
    assert world.now_ms - NOW < 2 * ANSWER_MS


async def test_what_was_taken_without_an_answer_is_not_sent_again() -> None:
    world, state = World(), a_state()
    email = state.unsent(1)[0]
    world.replies[message_id(email)] = [Unknown()]
    world.takes_without_answering.add(message_id(email))
    sender = world.sender()
    await sender.deliver([email], state)
    world.now_ms += BOUNDS.backoff_max_ms
    await sender.retry_due(state)
    assert world.mailbox == [message_id(email)]
    assert world.last(email).state is DeliveryState.SENT


async def test_without_a_relay_to_ask_it_is_ambiguous_and_not_sent_again() -> None:
    world, state = World(), a_state()
    email = state.unsent(1)[0]
    world.replies[message_id(email)] = [Unknown()]
    sender = world.sender(NoLookup())
    await sender.deliver([email], state)
    world.now_ms += BOUNDS.backoff_max_ms
    await sender.retry_due(state)
    assert world.last(email).state is DeliveryState.AMBIGUOUS
    assert world.mailbox == []


async def test_the_gate_is_asked_again_before_a_retry() -> None:
    world, state = World(), a_state()
    email = state.unsent(1)[0]
    world.replies[message_id(email)] = [Retry("451", 451)]
    sender = world.sender()
    await sender.deliver([email], state)
    state.apply("preferences", f"{email.member}/unsubscribe", unsubscribe(email.member))
    world.now_ms += BOUNDS.backoff_max_ms
    await sender.retry_due(state)
    assert (world.last(email).state, world.last(email).reason) == (DeliveryState.WITHHELD, "unsubscribed")
    assert world.mailbox == []


async def test_an_introduction_is_sent_to_all_or_to_none() -> None:
    world, state = World(), a_state(GROUP, everybody_said_yes=True)
    emails = [email for email in state.unsent(10) if email.kind is EmailKind.INTRODUCTION]
    assert len(emails) == 4
    state.apply("preferences", f"{A}/unsubscribe", unsubscribe(emails[-1].member))
    await world.sender().deliver(emails, state)
    assert {world.last(email).state for email in emails} == {DeliveryState.WITHHELD}
    assert world.mailbox == []


async def test_a_fenced_ledger_sends_nothing() -> None:
    world, state = World(crash_at=1), a_state()
    sender = world.sender()
    with pytest.raises(CrashError):
        await sender.deliver(state.unsent(10), state)
    assert world.mailbox == []
    assert state.unsent_count == 2
    assert sender.in_flight == set()


async def test_one_email_that_cannot_be_composed_holds_up_no_other() -> None:
    world, state = World(), a_state()
    first, second = state.unsent(10)
    world.not_composable.add(first.email)
    await world.sender().deliver([first, second], state)
    assert (world.last(first).state, world.last(first).reason) == (DeliveryState.FAILED, "not-composable")
    assert world.last(second).state is DeliveryState.SENT


async def test_a_transport_that_breaks_unforeseen_may_have_sent() -> None:
    world, state = World(), a_state()
    email = state.unsent(1)[0]
    world.breaks_after_taking.add(message_id(email))
    sender = world.sender()
    await sender.deliver([email], state)
    world.now_ms += BOUNDS.backoff_max_ms
    await sender.retry_due(state)
    assert world.last(email).state is DeliveryState.SENT
    assert len(world.mailbox) == 1


@pytest.mark.parametrize("can_ask", [True, False])
@pytest.mark.parametrize("crash_at", range(1, 14))
async def test_a_crash_at_any_point_loses_nothing_and_sends_nothing_twice(crash_at: int, can_ask: bool) -> None:
    world = World(crash_at)
    state = a_state()
    emails = state.unsent(10)
    world.replies[message_id(emails[0])] = [Retry("451", 451)]

    async def work() -> None:
        state = restarted(world, a_state)
        sender = world.sender(None if can_ask else NoLookup())
        await sender.resolve(state.interrupted(sender.in_flight), state)
        await sender.deliver(state.unsent(10), state)
        while (due_ms := sender.next_due_ms(state)) is not None:
            world.now_ms = due_ms
            await sender.retry_due(state)

    crashed = False
    try:
        await work()
    except CrashError:
        crashed = True
        await work()
    assert crashed == (world.crash_at is not None and world.steps >= world.crash_at)
    finals = {email.email: world.last(email).state for email in emails}
    assert len(world.mailbox) == len(set(world.mailbox)), "nothing twice"
    for email in emails:
        if can_ask:
            assert finals[email.email] is DeliveryState.SENT
        if finals[email.email] is DeliveryState.SENT:
            assert message_id(email) in world.mailbox, "nothing lost"
        else:
            assert finals[email.email] is DeliveryState.AMBIGUOUS


outcomes = st.sampled_from([Sent(), Retry("451", 451), Refused(550, "5.1.1"), Unknown()])


@given(
    crashes=st.lists(st.integers(1, 12), max_size=4),
    replies=st.lists(outcomes.filter(lambda one: not isinstance(one, Sent)), max_size=3),
    taken=st.booleans(),
)
@settings(max_examples=80, deadline=None)
async def test_with_a_relay_to_ask_every_email_has_one_end(
    crashes: list[int], replies: list[Outcome], taken: bool
) -> None:
    world = World()
    emails = [email for email in introduced_group().unsent(20) if email.kind is EmailKind.INTRODUCTION]
    ours = {email.email for email in emails}
    for email in emails[:2]:
        world.replies[message_id(email)] = list(replies)
        if taken:
            world.takes_without_answering.add(message_id(email))
    for crash_after in [*crashes, None]:
        world.crash_at = None if crash_after is None else world.steps + crash_after
        state = restarted(world, introduced_group)
        sender = world.sender()
        try:
            await sender.resolve(state.interrupted(), state)
            await sender.deliver([email for email in state.unsent(20) if email.email in ours], state)
            while (due_ms := sender.next_due_ms(state)) is not None:
                world.now_ms = due_ms
                await sender.retry_due(state)
        except CrashError:
            continue
    assert len(world.mailbox) == len(set(world.mailbox))
    for email in emails:
        finals = [one for one in world.ledger if one.email == email.email and one.state.is_final]
        assert len(finals) == 1
        assert (finals[0].state is DeliveryState.SENT) == (message_id(email) in world.mailbox)


def test_an_invitation_that_waited_too_long_is_not_worth_sending() -> None:
    state = a_state()
    assert may_send(state.unsent(1)[0], state, NOW + ANSWER_MS) == "introduction-decided"
