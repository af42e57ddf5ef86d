"""How fast emails go: a token bucket for each recipients' domain, and one for all together.

Mail servers slow down, and then stop, whoever comes too fast; a bucket keeps us below
that. It fills at `per_second` and holds at most `burst`; an email takes one token of its
domain's and one of the common bucket, or none at all. So in any span of t seconds no more
than burst + per_second * t emails go, to one domain or in all.

Pure: the present is an argument. Counts in whole millionths of a token, so nothing drifts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_MILLI = 1000
_DOMAINS_MAX = 50_000
"""A full bucket says nothing: beyond so many, those are forgotten."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How many emails a second, and how many at once after a rest."""

    per_second: float
    burst: int

    def __post_init__(self) -> None:
        if self.per_second <= 0 or self.burst < 1:
            raise ValueError("a rate needs more than 0 emails a second and a burst of at least 1")


class TokenBucket:
    """A bucket that is full at first. Time that runs backwards adds nothing."""

    __slots__ = ("_burst", "_filled_at_ms", "_per_ms", "_tokens")

    def __init__(self, rate: Rate, now_ms: int) -> None:
        # Millionths of a token a millisecond: a rate below one email in 1,000 seconds is rounded up to that.
        self._per_ms = max(1, round(rate.per_second * _MILLI))
        self._burst = rate.burst * _MILLI * _MILLI
        self._tokens = self._burst
        self._filled_at_ms = now_ms

    def available(self, now_ms: int) -> int:
        """Whole tokens that are there now."""
        self._fill(now_ms)
        return self._tokens // (_MILLI * _MILLI)

    def take(self, now_ms: int) -> bool:
        """One token, if there is one."""
        if self.available(now_ms) < 1:
            return False
        self._tokens -= _MILLI * _MILLI
        return True

    def next_ms(self, now_ms: int) -> int:
        """When a whole token is there: now, or later."""
        self._fill(now_ms)
        missing = _MILLI * _MILLI - self._tokens
        return now_ms if missing <= 0 else now_ms + -(-missing // self._per_ms)

    def is_full(self, now_ms: int) -> bool:
        self._fill(now_ms)
        return self._tokens >= self._burst

    def _fill(self, now_ms: int) -> None:
        passed_ms = now_ms - self._filled_at_ms
        if passed_ms > 0:
            self._tokens = min(self._burst, self._tokens + passed_ms * self._per_ms)
            self._filled_at_ms = now_ms


class RateLimits:
    """The buckets of one instance, for all its partitions. Without a rate there is no limit."""

    def __init__(
        self,
        everything: Rate | None = None,
        each_domain: Rate | None = None,
        domains: Mapping[str, Rate] | None = None,
    ) -> None:
        self._everything_rate = everything
        self._each_domain = each_domain
        self._domains = {name.lower(): rate for name, rate in (domains or {}).items()}
        self._everything: TokenBucket | None = None
        self._buckets: dict[str, TokenBucket] = {}

    def queue_of(self, domain: str) -> str:
        """Where emails to `domain` queue up: at its own bucket, or with all others at the common one."""
        return domain if self._domains.get(domain, self._each_domain) is not None else ""

    def may_go(self, domain: str, now_ms: int) -> bool:
        """Takes what an email to `domain` needs, and says so; or takes nothing."""
        common, own = self._common(now_ms), self._own(domain, now_ms)
        if (own is not None and not own.available(now_ms)) or (common is not None and not common.available(now_ms)):
            return False
        for bucket in (common, own):
            if bucket is not None:
                bucket.take(now_ms)
        return True

    def available(self, domain: str, now_ms: int) -> int | None:
        """How many emails of a queue may go now; None if as many as there are."""
        counts = [bucket.available(now_ms) for bucket in (self._common(now_ms), self._own(domain, now_ms)) if bucket]
        return min(counts) if counts else None

    def next_ms(self, domain: str, now_ms: int) -> int:
        """When an email to `domain` may go, if none goes before it."""
        return max(
            (bucket.next_ms(now_ms) for bucket in (self._common(now_ms), self._own(domain, now_ms)) if bucket),
            default=now_ms,
        )

    def _common(self, now_ms: int) -> TokenBucket | None:
        if self._everything is None and self._everything_rate is not None:
            self._everything = TokenBucket(self._everything_rate, now_ms)
        return self._everything

    def _own(self, domain: str, now_ms: int) -> TokenBucket | None:
        bucket = self._buckets.get(domain)
        if bucket is None:
            rate = self._domains.get(domain, self._each_domain)
            if rate is None:
                return None
            if len(self._buckets) >= _DOMAINS_MAX:
                self._buckets = {name: one for name, one in self._buckets.items() if not one.is_full(now_ms)}
            bucket = self._buckets[domain] = TokenBucket(rate, now_ms)
        return bucket
