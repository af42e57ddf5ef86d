"""Addresses that are not written to any more, members who cannot be reached, and what operators ordered.

    bounces ─────▶ delivery `bounced` ─┐
                   delivery `failed` ──┴─▶ suppression ──▶ unreachable (for the matcher)
    a complaint ──▶ unsubscribed ─────────▶     ▲
                                                └── lifted by an operator's order

Like the rest of the notifier's knowledge it is a fold: facts are laid down, and what
follows from them is worked out (`due`), so that a crash at any point only delays it. An
address is known by its keyed hash alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Set
from types import MappingProxyType
from typing import NamedTuple

from services.notifier.mailbag import Settled
from shared import ids, topics
from shared.contracts import (
    EVERYWHERE,
    Bounce,
    BounceKind,
    Contact,
    Delivery,
    DeliveryState,
    Fault,
    MailOrder,
    OrderKind,
    Preference,
    PreferenceKind,
    Record,
    Suppression,
    SuppressionReason,
    Unreachable,
)
from shared.outgoing import Outgoing, tombstone
from shared.topics import TopicSpec

_FAULTS = MappingProxyType({BounceKind.ADDRESS: Fault.ADDRESS, BounceKind.FAILED: Fault.RECIPIENT})
FAILURES_MAX = 3
"""So many emails that could not be delivered, one after the other, and the address is given up."""
FAILURES_WITHIN_MS = 60 * 24 * 60 * 60 * 1000
"""Failures that lie further apart are chance."""

Deliveries = Callable[[str], Delivery | Settled | None]


class Change(NamedTuple):
    """A record that is to be written, or a tombstone."""

    topic: TopicSpec
    community: str
    key: str
    record: Record | None
    is_policy: bool = False
    """It came back since they want no mail from us: sending there should stop."""

    def as_tombstone(self) -> Outgoing:
        return tombstone(self.topic, self.community, self.key)


class Orders:
    """What operators ordered: the fold of `mail-orders`."""

    def __init__(self) -> None:
        self._orders: dict[str, MailOrder] = {}

    def apply(self, order: MailOrder) -> None:
        # The last one written counts, and not the one with the latest time: operators' clocks differ.
        self._orders[order.key] = order

    def forget(self, key: str) -> None:
        self._orders.pop(key, None)

    def is_stopped(self, community: str) -> bool:
        """Whether no email of a community may leave now."""
        return any(
            (order := self._orders.get(f"stop/{of}")) is not None and order.kind is OrderKind.STOP
            for of in (community, EVERYWHERE)
        )

    def lifted_at_ms(self, address: str) -> int:
        """Suppressions from up to then do not hold."""
        order = self._orders.get(f"lift/{address}")
        return order.given_at_ms if order is not None else -1


class Suppressions:
    """The fold of `bounces`, `suppressions`, `unreachable` and of addresses in `contacts` and `deliveries`.

    Pure. Applying a record again changes nothing. O(1) each, and `due` is O(what has changed since).
    """

    def __init__(self, orders: Orders, secret: str) -> None:
        self._orders = orders
        self._secret = secret
        self._address_of: dict[str, str] = {}
        self._members_at: defaultdict[str, set[str]] = defaultdict(set)
        self._suppressions: dict[str, Suppression] = {}
        self._published: dict[str, Unreachable] = {}
        self._faults: dict[str, Delivery] = {}
        """By address: the last delivery that said that there is none."""
        self._failures: defaultdict[str, dict[str, Delivery]] = defaultdict(dict)
        """By address, then by email: what failed for a reason of the recipient's."""
        # What is to be looked at.
        self._bounces: dict[str, Bounce] = {}
        self._addresses: set[str] = set()
        self._members: set[str] = set()

    # What others ask

    def is_unreachable(self, member: str) -> bool:
        """Whether the address that we have of a member is suppressed."""
        address = self._address_of.get(member)
        return address is not None and self.is_suppressed(address)

    def is_suppressed(self, address: str) -> bool:
        found = self._suppressions.get(address)
        return found is not None and found.since_ms > self._orders.lifted_at_ms(address)

    def address_of(self, member: str) -> str:
        """The keyed hash of a member's address; empty if we have none."""
        return self._address_of.get(member, "")

    @property
    def count(self) -> int:
        """Addresses that are suppressed now. O(suppressions)."""
        return sum(map(self.is_suppressed, self._suppressions))

    # Laying down

    def contact(self, contact: Contact) -> None:
        self._leave(contact.member)
        address = ids.address_id(contact.email, self._secret)
        self._address_of[contact.member] = address
        self._members_at[address].add(contact.member)
        self._members.add(contact.member)

    def forget_member(self, member: str) -> None:
        """Their contact is gone; the hash of the address stays suppressed, if it is."""
        self._leave(member)
        self._members.add(member)

    def delivery(self, delivery: Delivery) -> None:
        if delivery.state not in (DeliveryState.FAILED, DeliveryState.BOUNCED):
            return
        address = delivery.address or self._address_of.get(delivery.member)
        if not address:
            return
        match delivery.fault:
            case Fault.ADDRESS:
                self._faults[address] = delivery
            case Fault.RECIPIENT:
                self._failures[address][delivery.email] = delivery
        self._addresses.add(address)

    def apply(self, record: Bounce | Suppression | Unreachable | MailOrder) -> Set[str]:
        """Lay down one record; gives the members of whom something else may be true now."""
        match record:
            case Bounce():
                self._bounces[record.email] = record
                return frozenset()
            case Suppression():
                self._suppressions[record.address] = record
                return self._look_at(record.address)
            case Unreachable():
                self._published[record.member] = record
                self._members.add(record.member)
                return frozenset()
            case MailOrder():
                self._orders.apply(record)
                return self._look_at(record.address) if record.address else frozenset()

    def remove(self, topic: str, key: str) -> Set[str]:
        """A tombstone of one of the four topics."""
        match topic:
            case topics.SUPPRESSIONS.name:
                self._suppressions.pop(key, None)
                return self._look_at(key)
            case topics.UNREACHABLE.name:
                self._published.pop(key, None)
                self._members.add(key)
            case topics.MAIL_ORDERS.name:
                self._orders.forget(key)
                return self._look_at(key.partition("/")[2]) if key.startswith("lift/") else frozenset()
        return frozenset()

    # What follows

    def due(self, now_ms: int, deliveries: Deliveries, has_unsubscribed: Callable[[str], bool]) -> list[Change]:
        """What is to be written now. Commit it, then `apply` it; until then this gives the same again."""
        changes = [
            *self._from_bounces(now_ms, deliveries, has_unsubscribed),
            *self._from_addresses(),
            *self._from_members(now_ms),
        ]
        # Two bounces for one address: what follows from the second is worked out when the first is there.
        return list({(change.topic.name, change.key): change for change in changes}.values())

    def _from_bounces(
        self, now_ms: int, deliveries: Deliveries, has_unsubscribed: Callable[[str], bool]
    ) -> Iterator[Change]:
        for email, bounce in list(self._bounces.items()):
            delivery = deliveries(email)
            if delivery is not None and not delivery.state.is_final:
                continue  # It went, as the bounce shows; the sender finds that out first.
            changes = [] if delivery is None else list(self._from_bounce(bounce, delivery, now_ms, has_unsubscribed))
            if changes:
                yield from changes
            else:
                del self._bounces[email]

    def _from_bounce(
        self, bounce: Bounce, delivery: Delivery | Settled, now_ms: int, has_unsubscribed: Callable[[str], bool]
    ) -> Iterator[Change]:
        address = delivery.address or self._address_of.get(delivery.member, "")
        if bounce.kind is BounceKind.COMPLAINT:
            if not has_unsubscribed(delivery.member):
                wish = Preference(
                    community=bounce.community,
                    member=delivery.member,
                    kind=PreferenceKind.UNSUBSCRIBE,
                    chosen_at_ms=bounce.received_at_ms,
                )
                yield Change(topics.PREFERENCES, wish.community, wish.key, wish)
            yield from self._suppress_at_once(bounce, address, SuppressionReason.COMPLAINT)
        elif isinstance(delivery, Settled):
            # Of an introduction that is over: its ledger entry is let go of, and what matters is the address.
            if bounce.kind is BounceKind.ADDRESS:
                yield from self._suppress_at_once(bounce, address, SuppressionReason.NO_SUCH_ADDRESS)
        elif delivery.state is not DeliveryState.BOUNCED:
            back = delivery.model_copy(
                update={
                    "state": DeliveryState.BOUNCED,
                    "reason": bounce.status or str(bounce.kind),
                    "reply_code": None,
                    "fault": _FAULTS.get(bounce.kind),
                    "recorded_at_ms": now_ms,
                }
            )
            yield Change(topics.DELIVERIES, back.community, back.key, back, is_policy=bounce.kind is BounceKind.POLICY)

    def _suppress_at_once(self, bounce: Bounce, address: str, reason: SuppressionReason) -> Iterator[Change]:
        at_ms = bounce.received_at_ms
        if address and not self.is_suppressed(address) and at_ms > self._orders.lifted_at_ms(address):
            yield _suppress(bounce, address, reason, bounce.status, at_ms)

    def _from_addresses(self) -> Iterator[Change]:
        for address in list(self._addresses):
            found = self._suppression_for(address)
            if found is None:
                self._addresses.discard(address)
            else:
                yield found

    def _suppression_for(self, address: str) -> Change | None:
        if self.is_suppressed(address):
            return None
        lifted_at_ms = self._orders.lifted_at_ms(address)
        fault = self._faults.get(address)
        if fault is not None and fault.recorded_at_ms > lifted_at_ms:
            return _suppress(fault, address, SuppressionReason.NO_SUCH_ADDRESS, fault.reason, fault.recorded_at_ms)
        since = [one for one in self._failures.get(address, {}).values() if one.recorded_at_ms > lifted_at_ms]
        last = max(since, key=lambda one: one.recorded_at_ms, default=None)
        if last is None:
            return None
        close = [one for one in since if one.recorded_at_ms > last.recorded_at_ms - FAILURES_WITHIN_MS]
        if len(close) < FAILURES_MAX:
            return None
        return _suppress(last, address, SuppressionReason.KEEPS_FAILING, last.reason, last.recorded_at_ms)

    def _from_members(self, now_ms: int) -> Iterator[Change]:
        for member in list(self._members):
            known = self._published.get(member)
            if self.is_unreachable(member) == (known is not None):
                self._members.discard(member)
            elif known is not None:
                yield Change(topics.UNREACHABLE, known.community, member, None)
            else:
                community = self._suppressions[self._address_of[member]].community
                unreachable = Unreachable(community=community, member=member, since_ms=now_ms)
                yield Change(topics.UNREACHABLE, community, member, unreachable)

    # Details

    def _leave(self, member: str) -> None:
        address = self._address_of.pop(member, None)
        if address is not None:
            there = self._members_at[address]
            there.discard(member)
            if not there:
                del self._members_at[address]

    def _look_at(self, address: str) -> Set[str]:
        self._addresses.add(address)
        members = frozenset(self._members_at.get(address, ()))
        self._members |= members
        return members


def _suppress(about: Delivery | Bounce, address: str, reason: SuppressionReason, status: str, since_ms: int) -> Change:
    suppression = Suppression(
        community=about.community,
        address=address,
        reason=reason,
        status=status,
        email=about.email,
        since_ms=since_ms,
    )
    return Change(topics.SUPPRESSIONS, suppression.community, suppression.key, suppression)
