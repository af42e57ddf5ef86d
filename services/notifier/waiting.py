"""Where emails wait: for a time, for their turn, or for an operator."""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable, Mapping
from enum import StrEnum
from itertools import count
from typing import Generic, TypeVar

from services.notifier.rate_limits import RateLimits

T = TypeVar("T")


class Hold(StrEnum):
    """Why an email waits."""

    RETRY = "retry"
    """The server or the network put it off."""
    QUIET = "quiet-hours"
    POLICY = "policy"
    """Its domain, or everybody, does not want mail from us for now: `services.notifier.breaker`."""
    RATE = "rate"
    STOPPED = "stopped"
    """By an operator."""


class WaitingRoom(Generic[T]):
    """Those of one partition that wait. Nobody is forgotten: whoever comes in is taken out again when it is time.

    Coming in is O(log n); `take` is O(what is taken * log n + queues), and never looks through all.
    """

    def __init__(self) -> None:
        self._timed: list[tuple[int, int, Hold, T]] = []
        self._queues: dict[str, deque[T]] = {}
        """For their turn, by the rate limit's queue."""
        self._stopped: dict[str, list[T]] = {}
        """By community."""
        self._order = count()
        self._counts: Counter[Hold] = Counter()

    def until(self, due_ms: int, one: T, why: Hold) -> None:
        """Wait for a time."""
        heapq.heappush(self._timed, (due_ms, next(self._order), why, one))
        self._counts[why] += 1

    def for_its_turn(self, queue: str, one: T) -> None:
        """Wait until the rate limit lets one more of `queue` go; first come, first served."""
        self._queues.setdefault(queue, deque()).append(one)
        self._counts[Hold.RATE] += 1

    def for_a_start(self, community: str, one: T) -> None:
        """Wait until an operator starts the mail of `community` again."""
        self._stopped.setdefault(community, []).append(one)
        self._counts[Hold.STOPPED] += 1

    def has_queue(self, queue: str) -> bool:
        """Whether somebody waits there: then nobody who comes now goes first."""
        return queue in self._queues

    def take(self, now_ms: int, limit: int, limits: RateLimits, is_stopped: Callable[[str], bool]) -> list[T]:
        """At most `limit` of those whose wait is over; whoever waited for their turn comes first."""
        self._release_started(now_ms, is_stopped)
        taken: list[T] = []
        for queue in list(self._queues):
            waiting = self._queues[queue]
            free = limits.available(queue, now_ms)
            some = min(len(waiting), limit - len(taken), len(waiting) if free is None else free)
            if some > 0:
                taken.extend(waiting.popleft() for _ in range(some))
                self._counts[Hold.RATE] -= some
                del self._queues[queue]
                if waiting:
                    self._queues[queue] = waiting  # Behind the others: no domain is always first.
        while self._timed and self._timed[0][0] <= now_ms and len(taken) < limit:
            _, _, why, one = heapq.heappop(self._timed)
            self._counts[why] -= 1
            taken.append(one)
        return taken

    def next_ms(self, now_ms: int, limits: RateLimits, is_stopped: Callable[[str], bool]) -> int | None:
        """When `take` next has something to give; None if only an operator knows."""
        if any(not is_stopped(community) for community in self._stopped):
            return now_ms
        times = [limits.next_ms(queue, now_ms) for queue in self._queues]
        if self._timed:
            times.append(self._timed[0][0])
        return min(times, default=None)

    @property
    def counts(self) -> Mapping[Hold, int]:
        """How many wait, by why."""
        return self._counts

    def __len__(self) -> int:
        return self._counts.total()

    def _release_started(self, now_ms: int, is_stopped: Callable[[str], bool]) -> None:
        for community in [name for name in self._stopped if not is_stopped(name)]:
            for one in self._stopped.pop(community):
                self._counts[Hold.STOPPED] -= 1
                self.until(now_ms, one, Hold.RETRY)
