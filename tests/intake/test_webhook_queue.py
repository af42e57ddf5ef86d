"""What is due is found without going through all that waits, and is what going through it would find."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from courier_world import CourierWorld
from hypothesis import given
from hypothesis import strategies as st
from webhook_world import NOW, member, proposed, reference

from services.intake.webhooks.queue import PartnerQueue
from shared import topics
from shared.contracts import Partner, WebhookDelivery, WebhookEvent

TYPES = [WebhookEvent.SUGGESTED, WebhookEvent.INTRODUCED, WebhookEvent.MET]


def delivery(event: str, **changes: Any) -> WebhookDelivery:
    base = WebhookDelivery(
        community="london", event=event, type=WebhookEvent.MET, source="a", data={}, occurred_at_ms=0, queued_at_ms=0
    )
    return base.model_copy(update=changes)


def by_going_through(known: Iterable[WebhookDelivery], now_ms: int) -> set[str]:
    """What is due, the slow way."""
    first: dict[str, WebhookDelivery] = {}
    for one in sorted(known, key=lambda one: (one.occurred_at_ms, TYPES.index(one.type), one.event)):
        first.setdefault(one.member or one.event, one)
    return {one.event for one in first.values() if one.next_at_ms <= now_ms}


_DELIVERIES = st.builds(
    delivery,
    st.sampled_from("abcdefgh"),
    member=st.sampled_from(["m", "n", None]),
    type=st.sampled_from(TYPES),
    occurred_at_ms=st.integers(0, 3),
    next_at_ms=st.integers(0, 9),
)
_EVENTS = st.sampled_from("abcdefgh")


@given(steps=st.lists(_DELIVERIES | _EVENTS, max_size=60), now_ms=st.integers(0, 9), busy=st.sets(_EVENTS))
def test_what_is_due_is_what_going_through_all_would_find(
    steps: list[WebhookDelivery | str], now_ms: int, busy: set[str]
) -> None:
    queue, known = PartnerQueue(), dict[str, WebhookDelivery]()
    for step in steps:
        if isinstance(step, str):
            queue.remove(step)
            known.pop(step, None)
        else:
            queue.put(step)
            known[step.event] = step
        wanted = by_going_through(known.values(), now_ms)
        found = queue.due(now_ms, busy=busy, at_most=100)
        assert {one.event for one in found} == wanted - busy
        assert len(found) == len(wanted - busy), "each once"
        assert [known[one.event] for one in found] == found, "as it stands now"
        assert [one.next_at_ms for one in found] == sorted(one.next_at_ms for one in found)
        assert len(queue.due(now_ms, busy=(), at_most=1)) == min(1, len(wanted))
    assert {one.event for one in queue} == set(known)
    assert {one.event for one in queue.some(busy=busy, at_most=3)} <= set(known) - busy


def test_a_look_costs_what_is_due_and_what_is_tried_over_and_over_leaves_nothing_behind() -> None:
    queue, asked = PartnerQueue(), list[object]()

    class Busy:
        def __contains__(self, event: object) -> bool:
            asked.append(event)
            return False

    for number in range(10_000):
        queue.put(delivery(f"e{number}", member=f"m{number}", next_at_ms=10 if number % 1000 else 0))
    assert len(queue.due(5, busy=Busy(), at_most=100)) == len(asked) == 10
    for again in range(50_000):
        queue.put(delivery(f"e{again % 10}", member=f"m{again % 10}", next_at_ms=again))
    assert len(queue._heap) < 30_000


class _Counted:
    """A keyring that notes how often it was asked since somebody else had their turn."""

    def __init__(self, world: CourierWorld) -> None:
        self._real, self.asked, self.most, self.turns = world.keyring, 0, 0, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def get(self, source: str) -> Partner | None:
        self.asked += 1
        self.most = max(self.most, self.asked)
        return self._real.get(source)

    def turn(self) -> bool:
        self.asked = 0
        self.turns += 1
        return False


async def test_a_change_of_partners_is_worked_out_little_by_little_and_to_its_end() -> None:
    """Most introductions are of before the webhook: there are slices in which there is nothing to write."""
    world = CourierWorld()
    counted = _Counted(world)
    world.keyring = counted  # type: ignore[assignment]
    told = {1, 1500, 2999}
    for number in range(3000):
        at_ms = NOW if number in told else NOW - 10 * 86_400_000
        subjects = (f"{number}-a", f"{number}-b")
        world.partition.put(topics.REFERENCES, *(reference(one) for one in subjects))
        world.partition.put(topics.INTRODUCTIONS, proposed(*map(member, subjects), at_ms=at_ms))
    # Whoever waits for the loop: it has its turn between any two slices.
    async with world.at_work():
        await world.until(lambda: counted.turn() or world.is_over(6), pause_seconds=0)
        await world.until(lambda: world.partition.state.is_worked_out)
    assert counted.most <= 2 * 100 + 10, "so many looks at a stretch, at two members each"
    assert counted.turns > 30
