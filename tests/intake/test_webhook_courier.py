"""The courier of one partition, without Kafka: one delivery's trouble stays that delivery's."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from courier_world import ACCEPTED, CourierWorld, Post
from structlog.testing import capture_logs
from webhook_world import NOW, member, partner, proposed, reference

from services.intake.webhooks import courier as courier_module
from services.intake.webhooks.answers import Answer
from shared import topics
from shared.contracts import WebhookDelivery, WebhookEvent, WebhookOutcome, WebhookState

A, B, C = member("a"), member("b"), member("c")


def world_of(answer: Post) -> CourierWorld:
    """Three members of one partner, each with something to be told."""
    world = CourierWorld(post=answer)
    world.partition.put(topics.REFERENCES, reference("a"), reference("b"), reference("c"))
    world.partition.put(topics.INTRODUCTIONS, proposed(A, B, C))
    return world


@pytest.mark.parametrize(
    "trouble", [OverflowError("secret-token"), RuntimeError(), RecursionError(), AssertionError(), KeyError("x")]
)
async def test_a_sender_that_raises_costs_a_try_and_nothing_else(trouble: Exception) -> None:
    bad: list[str] = []

    def answer(event: str) -> Answer:
        bad[:] = bad or [event]
        if event in bad:
            raise trouble
        return ACCEPTED

    world = world_of(Post(answer))
    with capture_logs() as logs:
        async with world.at_work() as courier:
            await world.until(
                lambda: sum(one.finished_at_ms is not None for one in world.partition.last().values()) == 3
            )
            assert not courier._busy
            assert not world.lanes._under_way
    last = world.partition.last()
    failed = last.pop(bad[0])
    assert (failed.state, failed.outcome, failed.status) == (WebhookState.FAILED, WebhookOutcome.UNREACHABLE, None)
    assert {one.state for one in last.values()} == {WebhookState.DELIVERED}
    assert world.post.sent.count(bad[0]) == 3, "the first, and as many more as the schedule has"
    said = [one for one in logs if one["event"] == "webhook_try_broke"]
    assert len(said) == 3
    assert said[0]["error"] == type(trouble).__name__
    assert "secret-token" not in str(logs)
    assert world.metrics.webhooks_given_up._value.get() == 1


@pytest.mark.parametrize("trouble", [asyncio.CancelledError(), OverflowError()])
async def test_what_ends_without_a_result_is_tried_again(trouble: BaseException, monkeypatch: Any) -> None:
    """A task that is cancelled from within, or a try of which not even the failure can be worked out."""
    times = 0
    real = courier_module.after

    def breaks_once(*arguments: object, **options: object) -> object:
        nonlocal times
        times += 1
        if times == 1:
            raise trouble
        return real(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(courier_module, "after", breaks_once)
    world = world_of(Post())
    async with world.at_work() as courier:
        await world.until(lambda: world.is_over(3))
        assert not courier._busy
        assert not world.lanes._under_way
    assert len(world.post.sent) == 4
    assert {one.state for one in world.partition.last().values()} == {WebhookState.DELIVERED}


async def test_what_is_pending_under_an_id_without_a_key_is_dropped_and_not_sent() -> None:
    """A record from before there was a key; once there is one, it is told under an id that nobody can derive."""
    world = CourierWorld(partners=[])
    world.keyring.put("book-app", partner(webhook_id_key=""))
    world.partition.put(topics.REFERENCES, reference("a"))
    world.partition.put(topics.INTRODUCTIONS, proposed(A, B))
    old = WebhookDelivery(
        community="london", event="w_old", type=WebhookEvent.SUGGESTED, source="book-app", member=A, data={},
        occurred_at_ms=NOW, queued_at_ms=NOW,
    )  # fmt: skip
    world.partition.put(topics.WEBHOOK_DELIVERIES, old)
    async with world.at_work():
        await world.until(lambda: [one.value for some in world.partition.committed for one in some] == [None])
        assert world.post.sent == []
        world.keyring.put("book-app", partner())
        await world.until(lambda: world.is_over(1))
    assert "w_old" not in world.post.sent


@pytest.mark.parametrize("turns", range(8))
async def test_who_is_ended_just_after_something_has_changed_ends(turns: int) -> None:
    """A leave wakes the couriers, and the service is told to stop at that moment: it is not to wait for ever."""
    world = CourierWorld()
    work = asyncio.create_task(world.courier().work())
    await world.until(lambda: world.partition.state.is_worked_out)
    for _ in range(20):
        await asyncio.sleep(0)
    world.partition.changed.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    work.cancel()
    _, left = await asyncio.wait({work}, timeout=5)
    world.partition.is_master = False  # the end of one that goes on
    world.partition.changed.set()
    assert not left
    assert work.cancelled()
