"""What is pending for one partner, and what of it is due: of each member the oldest alone. Pure.

The first of each member's queue stands in a heap, by when it is to be tried. An entry of what was
tried, taken away or overtaken meanwhile is left there, and passed over when it comes up: so a look
costs what is due and not what waits.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Container, Iterator
from heapq import heapify, heappop, heappush

from shared.contracts import WebhookDelivery, WebhookEvent

_STALE_MIN = 64
"""More entries than this, and than there are queues, that came to nothing: the heap is made anew."""
_ORDER = {event: number for number, event in enumerate(WebhookEvent)}
_Rank = tuple[int, int, str]


class PartnerQueue:
    """The pending deliveries of one partner, by `webhook-id`."""

    def __init__(self) -> None:
        self._pending: dict[str, WebhookDelivery] = {}
        self._ranks: dict[str, list[_Rank]] = {}
        """By member (or event, where it is about none): what is pending, in the order of its happening."""
        self._heap: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._pending)

    def put(self, delivery: WebhookDelivery) -> None:
        """It is to be sent, as it stands now. O(log pending), but for those about one member."""
        self.remove(delivery.event)
        self._pending[delivery.event] = delivery
        ranks = self._ranks.setdefault(_lane_of(delivery), [])
        insort(ranks, _rank_of(delivery))
        if ranks[0][2] == delivery.event:
            self._expect(delivery)

    def remove(self, event: str) -> None:
        """It is not to be sent, whether or not it was."""
        delivery = self._pending.pop(event, None)
        if delivery is None:
            return
        lane, rank = _lane_of(delivery), _rank_of(delivery)
        ranks = self._ranks[lane]
        place = bisect_left(ranks, rank)
        assert ranks[place] == rank, "what is pending stands in its queue"
        del ranks[place]
        if not ranks:
            del self._ranks[lane]
        elif place == 0:
            self._expect(self._pending[ranks[0][2]])

    def due(self, now_ms: int, *, busy: Container[str], at_most: int) -> list[WebhookDelivery]:
        """What is to be sent now and is not `busy`, what has waited longest first. O((due and busy) log pending)."""
        found: list[WebhookDelivery] = []
        standing: dict[str, tuple[int, str]] = {}
        while self._heap and self._heap[0][0] <= now_ms and len(found) < at_most:
            entry = heappop(self._heap)
            delivery = self._pending.get(entry[1])
            if delivery is None or not self._stands(entry, delivery) or delivery.event in standing:
                continue
            standing[delivery.event] = entry
            if delivery.event not in busy:
                found.append(delivery)
        for entry in standing.values():
            heappush(self._heap, entry)
        return found

    def some(self, *, busy: Container[str], at_most: int) -> list[WebhookDelivery]:
        """What is pending and not `busy`, whether or not it is due, at most so much of it."""
        found: list[WebhookDelivery] = []
        for delivery in self:
            if len(found) >= at_most:
                break
            if delivery.event not in busy:
                found.append(delivery)
        return found

    def __iter__(self) -> Iterator[WebhookDelivery]:
        return iter(self._pending.values())

    def _expect(self, delivery: WebhookDelivery) -> None:
        heappush(self._heap, (delivery.next_at_ms, delivery.event))
        if len(self._heap) > 2 * len(self._ranks) + _STALE_MIN:
            self._heap = [(self._pending[ranks[0][2]].next_at_ms, ranks[0][2]) for ranks in self._ranks.values()]
            heapify(self._heap)

    def _stands(self, entry: tuple[int, str], delivery: WebhookDelivery) -> bool:
        return entry[0] == delivery.next_at_ms and self._ranks[_lane_of(delivery)][0][2] == delivery.event


def _lane_of(delivery: WebhookDelivery) -> str:
    return delivery.member or delivery.event


def _rank_of(delivery: WebhookDelivery) -> _Rank:
    return delivery.occurred_at_ms, _ORDER[delivery.type], delivery.event
