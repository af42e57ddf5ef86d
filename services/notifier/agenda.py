"""What is to be looked at now, and what later: so that reconciling never scans all there is."""

from __future__ import annotations

import heapq


class Agenda:
    """Ids to look at, oldest first, and times at which an id is to be looked at again.

    `touch` and `at` cost O(log n); an id is never on the agenda twice.
    """

    def __init__(self) -> None:
        self._now: list[tuple[int, str]] = []
        self._on_it: set[str] = set()
        self._later: list[tuple[int, int, str]] = []
        self._alarm: dict[str, int] = {}

    def touch(self, since_ms: int, item: str) -> None:
        """Look at `item`, after those that have been there since longer."""
        if item not in self._on_it:
            self._on_it.add(item)
            heapq.heappush(self._now, (since_ms, item))

    def at(self, due_ms: int, since_ms: int, item: str) -> None:
        """Look at `item` at `due_ms`; replaces what was said about it before."""
        if self._alarm.get(item) != due_ms:
            self._alarm[item] = due_ms
            heapq.heappush(self._later, (due_ms, since_ms, item))

    def cancel(self, item: str) -> None:
        """No alarm for `item` any more."""
        self._alarm.pop(item, None)

    def wake(self, now_ms: int) -> None:
        """Put on the agenda whatever is due by now."""
        while self._later and self._later[0][0] <= now_ms:
            due_ms, since_ms, item = heapq.heappop(self._later)
            if self._alarm.get(item) == due_ms:
                del self._alarm[item]
                self.touch(since_ms, item)

    def next_alarm_ms(self) -> int | None:
        """When `wake` next has something to do; it may have been cancelled since."""
        return self._later[0][0] if self._later else None

    def take(self) -> tuple[int, str] | None:
        """The oldest, off the agenda, with the time that it was touched with."""
        if not self._now:
            return None
        since_ms, item = heapq.heappop(self._now)
        self._on_it.remove(item)
        return since_ms, item

    def __len__(self) -> int:
        return len(self._on_it)
