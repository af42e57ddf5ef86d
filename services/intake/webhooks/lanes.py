"""How many may be under way: in all, and to each partner. Pure; one for an instance.

A partner whose last try failed has a single place until one succeeds: endpoints that are
dead, each try taking all of its time, must not fill the places of those that are well.
"""

from __future__ import annotations


class Lanes:
    """Places, by partner."""

    def __init__(self, *, in_all_max: int, partner_max: int) -> None:
        self._in_all_max = in_all_max
        self._partner_max = partner_max
        self._under_way: dict[str, int] = {}
        self._failing: set[str] = set()
        self._paused_until_ms: dict[str, int] = {}

    def free(self, source: str, now_ms: int) -> int:
        """How many more may begin to go to a partner now."""
        if now_ms < self._paused_until_ms.get(source, 0):
            return 0
        lane = 1 if source in self._failing else self._partner_max
        return min(lane - self._under_way.get(source, 0), self._in_all_max - sum(self._under_way.values()))

    def enter(self, source: str) -> None:
        self._under_way[source] = self._under_way.get(source, 0) + 1

    def leave(self, source: str, *, failed: bool, pause_until_ms: int = 0) -> None:
        """`pause_until_ms` is until when the partner asked for nothing more."""
        self._under_way[source] -= 1
        if not self._under_way[source]:
            del self._under_way[source]
        (self._failing.add if failed else self._failing.discard)(source)
        if pause_until_ms > self._paused_until_ms.get(source, 0):
            self._paused_until_ms[source] = pause_until_ms
