"""What keeps an email back for a while: an operator's stop, the night, a server's policy, the rate.

None of them decides that an email is not sent; that is the gate's (`services.notifier.gate`).
The emails of one introduction set out together, so that nobody learns a name hours before
the others learn theirs: as long as none of them has gone, what holds one holds all.

One for each instance, shared by the senders of all its partitions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple
from weakref import WeakSet

from services.notifier.breaker import PolicyBreaker, Scope
from services.notifier.quiet_hours import known_zone, quiet_until_ms
from services.notifier.rate_limits import RateLimits
from services.notifier.replies import Outcome, Sent, Stopped
from services.notifier.state import PartitionState
from services.notifier.waiting import Hold, WaitingRoom
from shared import ids
from shared.community import Community
from shared.contracts import Email, EmailKind

TOGETHER_MS = 24 * 60 * 60 * 1000
"""Where people live so far apart that it is always night for one of them, so long is waited for the others' morning."""
AT_ONCE: frozenset[str] = frozenset({EmailKind.GO_FIRST})
"""Kinds of email that answer something a member has just done, and so are wanted at night too."""


class Held(NamedTuple):
    """Why an email waits, and until when, in milliseconds; None if only an operator knows."""

    why: Hold
    until_ms: int | None


class Traffic:
    """Says what may go now. Pure, but for what it remembers of the servers' replies and of how much went."""

    def __init__(
        self,
        communities: Mapping[str, Community] | None = None,
        limits: RateLimits | None = None,
        breaker: PolicyBreaker | None = None,
        *,
        keeps_quiet_hours: bool = True,
        on_stop: Callable[[Scope, str], None] = lambda scope, reason: None,
    ) -> None:
        self.limits = limits or RateLimits()
        self.breaker = breaker or PolicyBreaker()
        self.rooms: WeakSet[WaitingRoom[Any]] = WeakSet()
        """The waiting rooms of the senders at work, to be counted."""
        self._communities = communities or {}
        self._keeps_quiet_hours = keeps_quiet_hours
        self._on_stop = on_stop

    def held(self, email: Email, state: PartitionState, now_ms: int) -> Held | None:
        """None if nothing but the rate keeps `email` back."""
        if state.orders.is_stopped(email.community):
            return Held(Hold.STOPPED, None)
        together = _set_out_together(email, state)
        quiet_ms = self._quiet_until_ms(email, together, state, now_ms)
        if quiet_ms is not None:
            return Held(Hold.QUIET, quiet_ms)
        policy_ms = [
            until_ms
            for member in together
            if (until_ms := self.breaker.held_until_ms(domain_of(member, state), now_ms)) is not None
        ]
        return Held(Hold.POLICY, max(policy_ms)) if policy_ms else None

    def is_cut_off(self, email: Email, state: PartitionState, now_ms: int, *, is_probe: bool) -> bool:
        """Whether an email that was let go must not go after all: a stop since then, by an operator or by policy."""
        if state.orders.is_stopped(email.community):
            return True
        return not is_probe and self.breaker.held_until_ms(domain_of(email.member, state), now_ms) is not None

    def learn(self, domain: str, outcome: Outcome, *, was_probe: bool, set_out_at_ms: int, now_ms: int) -> None:
        """What a server said to an email."""
        if isinstance(outcome, Stopped):
            if self.breaker.refused(domain, outcome.scope, now_ms):
                self._on_stop(outcome.scope, outcome.reason)
        elif isinstance(outcome, Sent):
            self.breaker.taken(domain, set_out_at_ms)
        elif was_probe:
            self.breaker.told_nothing(domain)

    def came_back_by_policy(self, member: str, reason: str, state: PartitionState, now_ms: int) -> None:
        """An email bounced that our relay had taken: their domain wants no mail from us, for now."""
        domain = domain_of(member, state)
        if domain:
            self.learn(domain, Stopped(reason, Scope.DOMAIN), was_probe=False, set_out_at_ms=now_ms, now_ms=now_ms)

    def waiting(self) -> dict[Hold, int]:
        """How many emails wait in this instance, by why."""
        rooms = list(self.rooms)
        return {why: sum(room.counts.get(why, 0) for room in rooms) for why in Hold}

    def _quiet_until_ms(self, email: Email, together: Iterable[str], state: PartitionState, now_ms: int) -> int | None:
        community = self._communities.get(email.community)
        if not self._keeps_quiet_hours or community is None or email.kind in AT_ONCE:
            return None
        zones = {
            known_zone(contact.time_zone if contact is not None else None, community.time_zone)
            for contact in map(state.members.contact, together)
        }
        if len(zones) > 1 and now_ms - email.planned_at_ms > TOGETHER_MS:
            return self._quiet_until_ms(email, (email.member,), state, now_ms)
        return max(
            (until for zone in zones if (until := quiet_until_ms(community.quiet_hours, zone, now_ms)) is not None),
            default=None,
        )


def domain_of(member: str, state: PartitionState) -> str:
    """The domain of a member's address, in lower case; empty if we have none."""
    contact = state.members.contact(member)
    return contact.email.rpartition("@")[2].lower() if contact is not None else ""


def _set_out_together(email: Email, state: PartitionState) -> tuple[str, ...]:
    """The members whose emails wait for each other; the email's own alone, once any of them has set out."""
    introduction = state.introduction(email.introduction)
    if email.kind is not EmailKind.INTRODUCTION or introduction is None:
        return (email.member,)
    of_all = (
        state.delivery(ids.email_id(email.introduction, member, email.kind)) for member in introduction.introduced
    )
    has_begun = any(delivery is not None and delivery.has_set_out for delivery in of_all)
    return (email.member,) if has_begun else (introduction.introduced or (email.member,))
