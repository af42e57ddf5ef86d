"""How much each partner may send: a bucket for each, that fills at their rate. Pure; time in seconds is passed in.

A batch costs as many as it holds, which is known only when it has been read: so it may
leave a debt, and the next request waits until that is paid off.
"""

from __future__ import annotations

from typing import NamedTuple


class Allowance(NamedTuple):
    """What a partner may send now."""

    per_second: int
    left: int
    """Events that may be sent at once; none if it is 0."""
    wait_seconds: int
    """Until there is one again, rounded up; 0 if there is."""
    full_seconds: int
    """Until all of it is there again, rounded up."""

    @property
    def refused(self) -> bool:
        return self.wait_seconds > 0


class RateLimits:
    """The buckets of one instance. Memory: one for each partner with a key."""

    def __init__(self, per_second: int, burst_seconds: int) -> None:
        self._per_second = per_second
        self._burst_seconds = burst_seconds
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, source: str, own_per_second: int | None, now: float) -> Allowance:
        """Take one, if there is one."""
        rate = own_per_second or self._per_second
        full = float(rate * self._burst_seconds)
        tokens, at = self._buckets.get(source, (full, now))
        tokens = min(full, tokens + (now - at) * rate)
        wait = 0 if tokens >= 1 else -int(-(1 - tokens) // rate)
        if not wait:
            tokens -= 1
        self._buckets[source] = (tokens, now)
        return Allowance(rate, max(0, int(tokens)), wait, -int(-(full - tokens) // rate))

    def charge(self, source: str, more: int) -> None:
        """Take so many more, whether or not they are there."""
        tokens, at = self._buckets[source]
        self._buckets[source] = (tokens - more, at)
