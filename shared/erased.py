"""Who is to be forgotten, whoever asked for it, and whether one service has said that it is done: the same fold in all.

Pure. The order in which the topics are read plays no part.
"""

from __future__ import annotations

from collections.abc import Callable

from shared import topics
from shared.contracts import Erasure, ErasureOrder, PartnerRequest, Preference, Record, Service, asks_for_erasure

ASKED_IN = (topics.PREFERENCES, topics.PARTNER_REQUESTS, topics.ERASURE_ORDERS)
"""Where an erasure is asked for: by the member, by their partner app, by an operator."""


class ErasedMembers:
    """The fold of `ASKED_IN` and `erasures`, as one service sees it. Each step is O(1)."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._asked: dict[str, set[tuple[str, str]]] = {}
        """By member: the records that say so."""
        self.has: Callable[[str], bool] = self._asked.__contains__
        """As `in` tells it, for who asks about every event that comes in: without a step of Python."""
        self._said_at_ms: dict[str, int] = {}
        """By member: when this service said that they are forgotten."""
        self._open: dict[str, str] = {}
        """Members of whom it has not said so, with their community, in the order in which they were heard of."""

    def apply(self, topic: str, key: str, record: Record | None) -> bool:
        """Take in a record, or a tombstone, of any topic; whether its member is to be forgotten from now on."""
        member, _, rest = key.partition("/")
        if topic == topics.ERASURES.name:
            if rest == self._service:
                self._acknowledgement(member, record)
            return False
        if isinstance(record, (Preference, PartnerRequest, ErasureOrder)) and asks_for_erasure(record):
            is_new = member not in self._asked
            self._asked.setdefault(member, set()).add((topic, key))
            if is_new and member not in self._said_at_ms:
                self._open[member] = record.community
            return is_new
        if (asked := self._asked.get(member)) is not None:
            asked.discard((topic, key))
            if not asked:
                del self._asked[member]
                self._open.pop(member, None)
        return False

    def __contains__(self, member: str) -> bool:
        return member in self._asked

    def __len__(self) -> int:
        return len(self._asked)

    def unacknowledged(self) -> list[tuple[str, str]]:
        """Community and member of those whom this service has still to say that it has forgotten, oldest first."""
        return [(community, member) for member, community in self._open.items()]

    def said_at_ms(self, member: str) -> int | None:
        """When this service said that it has forgotten them."""
        return self._said_at_ms.get(member)

    def acknowledgement(self, community: str, member: str, now_ms: int) -> Erasure:
        """What this service says, once it is so."""
        return Erasure(community=community, member=member, service=self._service, forgotten_at_ms=now_ms)

    def _acknowledgement(self, member: str, record: Record | None) -> None:
        if isinstance(record, Erasure):
            self._said_at_ms[member] = record.forgotten_at_ms
            self._open.pop(member, None)
        else:
            self._said_at_ms.pop(member, None)
