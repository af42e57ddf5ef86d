"""The outbox and the ledger together: which emails wait, which are on their way, which are done."""

from __future__ import annotations

from collections.abc import Container, Iterator
from itertools import islice

from shared.contracts import Delivery, DeliveryState, Email


class Mailbag:
    """The fold of `outbox` and `deliveries`. Their order against each other does not matter."""

    def __init__(self) -> None:
        self._unsent: dict[str, Email] = {}
        self._deliveries: dict[str, Delivery] = {}
        self._sending: dict[str, Delivery] = {}
        self._written_to: set[str] = set()

    def plan(self, email: Email) -> None:
        if email.email not in self._deliveries:
            self._unsent.setdefault(email.email, email)

    def record(self, delivery: Delivery) -> bool:
        """Take in what became of an email; False if more is known already (an echo of our own earlier record)."""
        known = self._deliveries.get(delivery.email)
        if known is not None and _progress(delivery) <= _progress(known):
            return False
        self._deliveries[delivery.email] = delivery
        if delivery.state is DeliveryState.PLANNED:
            self._unsent[delivery.email] = delivery.as_email()
        else:
            self._unsent.pop(delivery.email, None)
        if delivery.state is DeliveryState.SENDING:
            self._sending[delivery.email] = delivery
        else:
            self._sending.pop(delivery.email, None)
        if delivery.state is DeliveryState.SENT:
            self._written_to.add(delivery.member)
        return True

    def forget(self, email: str) -> None:
        """A tombstone: the email is neither to be sent nor was it ever."""
        self._unsent.pop(email, None)
        self._sending.pop(email, None)
        self._deliveries.pop(email, None)

    def delivery(self, email: str) -> Delivery | None:
        return self._deliveries.get(email)

    def unsent(self, limit: int, in_flight: Container[str] = ()) -> list[Email]:
        """Planned, and not being sent or waiting to be; in the order of planning. O(limit + those in flight)."""
        return list(islice((email for email in self._unsent.values() if email.email not in in_flight), limit))

    def interrupted(self, in_flight: Container[str]) -> list[Delivery]:
        """Recorded as `sending`, and not being sent by this process: it stopped in between."""
        return [delivery for delivery in self._sending.values() if delivery.email not in in_flight]

    def was_written_to(self, member: str) -> bool:
        """Whether any email to them was ever taken by a server."""
        return member in self._written_to

    def __len__(self) -> int:
        """How many wait to be sent."""
        return len(self._unsent)

    def __iter__(self) -> Iterator[Delivery]:
        return iter(self._deliveries.values())


_ORDER = {DeliveryState.SENDING: 0, DeliveryState.PLANNED: 1}


def _progress(delivery: Delivery) -> tuple[int, int, int]:
    # What came back had gone out before; and within one attempt, being put off comes after setting out.
    stage = delivery.state.is_final + (delivery.state is DeliveryState.BOUNCED)
    return stage, delivery.attempts, _ORDER.get(delivery.state, 2)
