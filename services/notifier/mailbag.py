"""The outbox and the ledger together: which emails wait, which are on their way, which are done."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container
from itertools import islice
from typing import NamedTuple

from shared.contracts import Delivery, DeliveryState, Email, EmailKind


class Settled(NamedTuple):
    """What is kept of a delivery when its introduction is over: a tenth of it."""

    member: str
    kind: EmailKind
    state: DeliveryState
    attempts: int
    recorded_at_ms: int
    address: str = ""

    @property
    def has_set_out(self) -> bool:
        return self.state not in (DeliveryState.PLANNED, DeliveryState.WITHHELD)


class Mailbag:
    """The fold of `outbox` and `deliveries`. Their order against each other does not matter."""

    def __init__(self) -> None:
        self._unsent: dict[str, Email] = {}
        self._deliveries: dict[str, Delivery | Settled] = {}
        self._sending: dict[str, Delivery] = {}
        self._written_to: set[str] = set()
        self._unfinished: Counter[str] = Counter()
        """By introduction: how many of its emails are not in a final state."""
        self._of_introduction: defaultdict[str, set[str]] = defaultdict(set)
        self._of_member: defaultdict[str, set[str]] = defaultdict(set)

    def plan(self, email: Email) -> None:
        if email.email not in self._deliveries and email.email not in self._unsent:
            self._unsent[email.email] = email
            self._unfinished[email.introduction] += 1

    def record(self, delivery: Delivery) -> bool:
        """Take in what became of an email; False if more is known already (an echo of our own earlier record)."""
        known = self._deliveries.get(delivery.email)
        if known is not None and _progress(delivery) <= _progress(known):
            return False
        if self._unsent.pop(delivery.email, None) is not None or delivery.email in self._sending:
            self._finish(delivery.introduction)
        self._deliveries[delivery.email] = delivery
        self._of_introduction[delivery.introduction].add(delivery.email)
        self._of_member[delivery.member].add(delivery.email)
        self._sending.pop(delivery.email, None)
        if not delivery.state.is_final:
            self._unfinished[delivery.introduction] += 1
        if delivery.state is DeliveryState.PLANNED:
            self._unsent[delivery.email] = delivery.as_email()
        elif delivery.state is DeliveryState.SENDING:
            self._sending[delivery.email] = delivery
        if delivery.state is DeliveryState.SENT:
            self._written_to.add(delivery.member)
        return True

    def forget(self, email: str) -> None:
        """A tombstone: the email is neither to be sent nor was it ever."""
        unsent, sending = self._unsent.pop(email, None), self._sending.pop(email, None)
        for waiting in (unsent, sending):
            if waiting is not None:
                self._finish(waiting.introduction)
        gone = self._deliveries.pop(email, None)
        if gone is not None:
            self._of_member[gone.member].discard(email)

    def is_done_with(self, introduction: str) -> bool:
        """Whether all of an introduction's emails that we know of are in a final state."""
        return introduction not in self._unfinished

    def settle(self, introduction: str) -> None:
        """The introduction is over, and so are its emails: keep of them only what its members may ask for."""
        for email in self._of_introduction.pop(introduction, ()):
            known = self._deliveries.get(email)
            if isinstance(known, Delivery):
                self._deliveries[email] = Settled(
                    known.member, known.kind, known.state, known.attempts, known.recorded_at_ms, known.address
                )

    def delivery(self, email: str) -> Delivery | Settled | None:
        return self._deliveries.get(email)

    def of_member(self, member: str) -> list[Delivery | Settled]:
        """What became of each email to them, in the order of the records."""
        found = [self._deliveries[email] for email in self._of_member.get(member, ())]
        return sorted(found, key=lambda delivery: (delivery.recorded_at_ms, delivery.kind))

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

    def _finish(self, introduction: str) -> None:
        self._unfinished[introduction] -= 1
        if self._unfinished[introduction] <= 0:
            del self._unfinished[introduction]


_ORDER = {DeliveryState.SENDING: 0, DeliveryState.PLANNED: 1}


def _progress(delivery: Delivery | Settled) -> tuple[int, int, int]:
    # What came back had gone out before; and within one attempt, being put off comes after setting out.
    stage = delivery.state.is_final + (delivery.state is DeliveryState.BOUNCED)
    return stage, delivery.attempts, _ORDER.get(delivery.state, 2)
