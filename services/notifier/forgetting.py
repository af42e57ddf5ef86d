"""When the notifier may say that it has forgotten somebody: nothing to them, or of them, is under way any more.

From the moment at which the state knows of an erasure, the gate lets no email to them
through, and none that is put into words from then on names them. What was let through before
that is what has to be waited for: each such email either goes, and that is recorded, or is
kept back. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from services.notifier.state import PartitionState
from shared.contracts import Email, Erasure


class Forgetting:
    """Remembers, for each erasure that was heard of, the emails that were under way then."""

    def __init__(self) -> None:
        self._awaited: dict[str, set[str]] = {}

    def to_acknowledge(
        self, state: PartitionState, under_way: Mapping[str, Email], in_flight: Collection[str], now_ms: int
    ) -> list[Erasure]:
        """Those who are forgotten, to be said by the master of the partition; given again until the state knows it.

        `under_way` are the emails that were let through the gate here and not concluded, `in_flight` all that this
        process has in hand. What another process recorded as `sending` and did not conclude is waited for too: the
        relay is asked about it. O(emails under way) for each erasure that is not acknowledged.
        """
        erased = state.members.erased
        waiting = erased.unacknowledged()
        if not waiting:
            self._awaited.clear()
            return []
        interrupted = {delivery.email: delivery.as_email() for delivery in state.interrupted(in_flight)}
        going = {**interrupted, **under_way}
        ready = []
        for community, member in waiting:
            if member not in self._awaited:
                self._awaited[member] = {email for email, one in going.items() if _concerns(one, member, state)}
            self._awaited[member] &= going.keys()
            if not self._awaited[member]:
                ready.append(erased.acknowledgement(community, member, now_ms))
        return ready


def _concerns(email: Email, member: str, state: PartitionState) -> bool:
    """Whether it goes to them, or may tell of them."""
    introduction = state.introduction(email.introduction)
    return email.member == member or introduction is None or member in introduction.everybody
