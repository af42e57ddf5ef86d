"""What is known of partners' members and of what partners were told: a fold over one partition's topics. Pure.

What is to be told is worked out from the state, and what was told is part of it: so nothing
is lost or forgotten by a restart, and nothing is queued twice.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from functools import partial
from typing import NamedTuple

from services.intake.webhooks.answers import finished
from services.intake.webhooks.news import Course, course_of, event_id, happenings, keyed_id, told
from services.intake.webhooks.queue import PartnerQueue
from shared import topics
from shared.contracts import (
    ErasureOrder,
    Introduction,
    Partner,
    PartnerRequest,
    PartnerRequestKind,
    Preference,
    PreferenceKind,
    Record,
    Reference,
    Service,
    WebhookDelivery,
    WebhookEvent,
    WebhookOrder,
    WebhookOrderKind,
    WebhookOutcome,
    WebhookState,
)
from shared.erased import ErasedMembers
from shared.outgoing import Outgoing, outgoing, tombstone

READS = (
    topics.REFERENCES,
    topics.INTRODUCTIONS,
    topics.PREFERENCES,
    topics.PARTNER_REQUESTS,
    topics.ERASURE_ORDERS,
    topics.WEBHOOK_DELIVERIES,
    topics.WEBHOOK_ORDERS,
)
PartnerOf = Callable[[str], Partner | None]
_Find = Callable[[str, PartnerOf, int], Iterable[Outgoing]]
"""What follows from one thing, by its key: a look."""


class _Departure(NamedTuple):
    community: str
    how: str
    at_ms: int


class WebhooksState:
    """A partition's fold of `READS`. `kept_ms` is how long the end of a delivery is remembered, and can be replayed."""

    def __init__(self, *, kept_ms: int) -> None:
        self._kept_ms = kept_ms
        self._references: dict[str, Reference] = {}
        self._courses: dict[str, Course] = {}
        self._courses_of: dict[str, set[str]] = {}
        """By member: the introductions that they have a part in."""
        self._departures: dict[str, _Departure] = {}
        self._left_at_ms: dict[str, int] = {}
        """By member: when their partner said that they left. A later sign-up outlives it."""
        self._erased = ErasedMembers(Service.INTAKE)
        self._orders: dict[str, WebhookOrder] = {}
        self.deliveries: dict[str, WebhookDelivery] = {}
        self._queues: dict[str, PartnerQueue] = {}
        """By partner: what is pending."""
        self._gone_at_ms: dict[str, int] = {}
        """By partner: when its webhook last said 410."""
        self._courses_to_look_at: set[str] = set()
        self._members_to_look_at: set[str] = set()
        self._orders_to_look_at: set[str] = set()
        self._backlog: list[tuple[_Find, Iterator[str]]] = []
        """What is to be looked at besides, the last first: how, and what is left of it."""

    def apply(self, topic: str, key: str, record: Record | None) -> None:
        """Take in one record; `None` is a tombstone."""
        if topic == topics.WEBHOOK_DELIVERIES.name:
            self._apply_delivery(key, record)
        elif topic == topics.REFERENCES.name:
            self._apply_reference(key, record)
        elif topic == topics.INTRODUCTIONS.name:
            self._apply_introduction(key, record)
        elif topic == topics.WEBHOOK_ORDERS.name:
            if isinstance(record, WebhookOrder):
                self._orders[key] = record
                self._orders_to_look_at.add(key)
        else:
            self._apply_choice(topic, key, record)

    # What is to be done

    def look_at_everything(self) -> None:
        """Whatever there may be to tell is to be worked out anew: at the start, and when partners have changed."""
        for changed in (self._courses_to_look_at, self._members_to_look_at, self._orders_to_look_at):
            changed.clear()
        self._backlog = [
            (self._of_course, iter(list(self._courses))),
            (self._of_member, iter(list(self._references))),
            (self._ordered, iter(list(self._orders))),
        ]

    def stopped(self, partner_of: PartnerOf) -> set[str]:
        """The partners whose webhook said 410, and was not set anew since."""
        known = (_with_webhook(partner_of(source)) for source in self._gone_at_ms)
        return {partner.source for partner in known if partner is not None and self.is_stopped(partner)}

    def look_for_outdated(self) -> None:
        """Deliveries that were over long ago, and would not be worked out again, are to be forgotten."""
        self._backlog.insert(0, (self._outdated, iter(list(self.deliveries))))

    def news(self, partner_of: PartnerOf, now_ms: int, *, looks_max: int) -> list[Outgoing]:
        """What is to be written after so many looks: new deliveries, and what is to be forgotten.

        Nothing does not mean that there is nothing more: `is_worked_out` does. What was looked at is
        not looked at again until it changes: write it, or `look_at_everything`.
        """
        news: list[Outgoing] = []
        for _ in range(looks_max):
            found = self._look(partner_of, now_ms)
            if found is None:
                break
            news += found
        return news

    @property
    def is_worked_out(self) -> bool:
        """Whether everything was looked at that has changed, or was to be."""
        return not (self._orders_to_look_at or self._members_to_look_at or self._courses_to_look_at or self._backlog)

    def due(self, source: str, now_ms: int, *, busy: Container[str], at_most: int) -> list[WebhookDelivery]:
        """What is to be sent to a partner now: of each member the oldest alone, none that is `busy`."""
        queue = self._queues.get(source)
        return [] if queue is None else queue.due(now_ms, busy=busy, at_most=at_most)

    def sources(self) -> list[str]:
        """The partners for whom something is pending."""
        return list(self._queues)

    def pending(self, source: str, *, busy: Container[str], at_most: int) -> list[WebhookDelivery]:
        """Some of what is pending for a partner, due or not, and not `busy`."""
        queue = self._queues.get(source)
        return [] if queue is None else queue.some(busy=busy, at_most=at_most)

    @property
    def pending_number(self) -> int:
        """How many are pending, for all partners."""
        return sum(map(len, self._queues.values()))

    def subject_of(self, delivery: WebhookDelivery) -> str | None:
        """How the partner calls the member; `None` if that is forgotten."""
        if delivery.subject is not None or delivery.member is None:
            return delivery.subject
        reference = self._references.get(delivery.member)
        return None if reference is None or reference.source != delivery.source else reference.subject

    def is_stopped(self, partner: Partner) -> bool:
        """Whether its webhook said 410, and was not set anew since."""
        return self._gone_at_ms.get(partner.source, -1) >= partner.webhook_set_at_ms

    # What follows from what

    def _look(self, partner_of: PartnerOf, now_ms: int) -> Iterable[Outgoing] | None:
        """One look, at what is first; `None` if there is nothing left to look at."""
        finds: tuple[tuple[set[str], _Find], ...] = (
            (self._orders_to_look_at, self._ordered),
            (self._members_to_look_at, self._of_member),
            (self._courses_to_look_at, self._of_course),
        )
        for changed, find in finds:
            if changed:
                return find(changed.pop(), partner_of, now_ms)
        while self._backlog:
            find, left = self._backlog[-1]
            if (key := next(left, None)) is not None:
                return find(key, partner_of, now_ms)
            self._backlog.pop()
        return None

    def _of_course(self, introduction: str, partner_of: PartnerOf, now_ms: int) -> Iterator[Outgoing]:
        course = self._courses.get(introduction)
        if course is None:
            return
        if course.closed_at_ms is not None and course.closed_at_ms < now_ms - self._kept_ms:
            self._forget_course(introduction)
            return
        for happening in happenings(course):
            reference = self._references.get(happening.member)
            if reference is None or happening.member in self._erased:
                continue
            partner = _with_webhook(partner_of(reference.source))
            if partner is None or happening.occurred_at_ms < partner.webhook_since_ms:
                continue
            if event_id(happening, introduction, partner.webhook_id_key) not in self.deliveries:
                delivery = told(happening, course, source=partner.source, id_key=partner.webhook_id_key, now_ms=now_ms)
                yield outgoing(topics.WEBHOOK_DELIVERIES, delivery)

    def _of_member(self, member: str, partner_of: PartnerOf, now_ms: int) -> Iterator[Outgoing]:
        reference, departure = self._references.get(member), self._departures.get(member)
        if reference is None:
            return
        is_erased = member in self._erased
        partner = _with_webhook(partner_of(reference.source))
        # The last word and the end of the reference in one transaction: never the one without the other.
        if departure is not None and partner is not None and departure.at_ms >= partner.webhook_since_ms:
            event = keyed_id(partner.webhook_id_key, "w", WebhookEvent.LEFT, member, str(departure.at_ms))
            if event not in self.deliveries and departure.at_ms >= now_ms - self._kept_ms:
                yield outgoing(
                    topics.WEBHOOK_DELIVERIES,
                    WebhookDelivery(
                        community=departure.community,
                        event=event,
                        type=WebhookEvent.LEFT,
                        source=partner.source,
                        member=member,
                        subject=reference.subject if is_erased else None,
                        data={"community": departure.community, "how": departure.how},
                        occurred_at_ms=departure.at_ms,
                        queued_at_ms=now_ms,
                        next_at_ms=now_ms,
                    ),
                )
        if is_erased or self._left_at_ms.get(member, -1) >= reference.accepted_at_ms:
            yield tombstone(topics.REFERENCES, reference.community, member)

    def _ordered(self, key: str, partner_of: PartnerOf, now_ms: int) -> Iterator[Outgoing]:
        order = self._orders[key]
        partner = _with_webhook(partner_of(order.source))
        if partner is None or order.ordered_at_ms < now_ms - self._kept_ms:
            return
        if order.kind is WebhookOrderKind.TEST:
            event = keyed_id(partner.webhook_id_key, "w", WebhookEvent.TEST, str(order.ordered_at_ms))
            if event not in self.deliveries:
                test = WebhookDelivery(
                    community=order.community,
                    event=event,
                    type=WebhookEvent.TEST,
                    source=order.source,
                    data={},
                    occurred_at_ms=order.ordered_at_ms,
                    queued_at_ms=now_ms,
                    next_at_ms=now_ms,
                )
                yield outgoing(topics.WEBHOOK_DELIVERIES, test)
            return
        found = self.deliveries if order.event is None else [order.event]
        self._backlog.append((partial(self._replayed, order), iter(list(found))))

    def _replayed(self, order: WebhookOrder, event: str, _partner_of: PartnerOf, now_ms: int) -> Iterator[Outgoing]:
        delivery = self.deliveries.get(event)
        if delivery is None or not _is_meant(order, delivery):
            return
        if delivery.member is None or self.subject_of(delivery) is not None:
            again = delivery.model_copy(
                update={
                    "state": WebhookState.PENDING,
                    "attempts": 0,
                    "queued_at_ms": now_ms,
                    "next_at_ms": now_ms,
                    "finished_at_ms": None,
                    "revision": delivery.revision + 1,
                }
            )
            yield outgoing(topics.WEBHOOK_DELIVERIES, again)

    def _outdated(self, event: str, _partner_of: PartnerOf, now_ms: int) -> Iterator[Outgoing]:
        delivery, old_ms = self.deliveries.get(event), now_ms - self._kept_ms
        if delivery is None or delivery.finished_at_ms is None or delivery.finished_at_ms >= old_ms:
            return
        if not self._still_follows(delivery, old_ms):
            yield tombstone(topics.WEBHOOK_DELIVERIES, delivery.community, event)

    def _still_follows(self, delivery: WebhookDelivery, old_ms: int) -> bool:
        course = self._courses.get(delivery.about or "")
        return course is not None and (course.closed_at_ms is None or course.closed_at_ms >= old_ms)

    # The fold

    def _apply_delivery(self, key: str, record: Record | None) -> None:
        known = self.deliveries.get(key)
        if record is None:
            if known is not None:
                self._unqueue(known)
                del self.deliveries[key]
            return
        assert isinstance(record, WebhookDelivery)
        if known is not None and known.revision >= record.revision:
            return  # an echo of our own, or told to us once more
        if known is not None:
            self._unqueue(known)
        self.deliveries[key] = record
        if record.state is WebhookState.PENDING:
            self._queues.setdefault(record.source, PartnerQueue()).put(record)
        elif record.outcome is WebhookOutcome.GONE and record.finished_at_ms is not None:
            self._gone_at_ms[record.source] = max(self._gone_at_ms.get(record.source, 0), record.finished_at_ms)

    def _unqueue(self, delivery: WebhookDelivery) -> None:
        queue = self._queues.get(delivery.source)
        if queue is not None:
            queue.remove(delivery.event)
            if not queue:
                del self._queues[delivery.source]

    def _apply_reference(self, member: str, record: Record | None) -> None:
        if isinstance(record, Reference):
            self._references[member] = record
            self._look_at_member(member)
        else:
            self._references.pop(member, None)

    def _apply_introduction(self, key: str, record: Record | None) -> None:
        before = self._courses.get(key)
        if not isinstance(record, Introduction):
            self._forget_course(key)
        elif before is None or record.revision > before.revision:
            course = self._courses[key] = course_of(record, before)
            for member in {*course.suggested, *course.introduced}:
                self._courses_of.setdefault(member, set()).add(key)
            self._courses_to_look_at.add(key)

    def _forget_course(self, introduction: str) -> None:
        course = self._courses.pop(introduction, None)
        for member in () if course is None else {*course.suggested, *course.introduced}:
            if (theirs := self._courses_of.get(member)) is not None:
                theirs.discard(introduction)
                if not theirs:
                    del self._courses_of[member]

    def _apply_choice(self, topic: str, key: str, record: Record | None) -> None:
        self._erased.apply(topic, key, record)
        member, _, kind = key.partition("/")
        if isinstance(record, PartnerRequest) and record.kind is PartnerRequestKind.LEFT:
            self._left_at_ms[member] = record.requested_at_ms
        elif isinstance(record, ErasureOrder):
            self._departures[member] = _Departure(record.community, "erased", record.ordered_at_ms)
        elif isinstance(record, Preference) and record.kind is PreferenceKind.ERASE:
            self._departures[member] = _Departure(record.community, "erased", record.chosen_at_ms)
        elif isinstance(record, Preference) and record.kind is PreferenceKind.UNSUBSCRIBE and record.until_ms is None:
            self._departures.setdefault(member, _Departure(record.community, "unsubscribed", record.chosen_at_ms))
        elif record is None and kind == PreferenceKind.UNSUBSCRIBE and member not in self._erased:
            self._departures.pop(member, None)
        if member in self._references:
            self._look_at_member(member)

    def _look_at_member(self, member: str) -> None:
        self._members_to_look_at.add(member)
        self._courses_to_look_at |= self._courses_of.get(member, set())


def given_up(delivery: WebhookDelivery, now_ms: int, outcome: WebhookOutcome | None = None) -> WebhookDelivery:
    """A delivery that is not tried (any more)."""
    update = {"revision": delivery.revision + 1, "outcome": outcome or delivery.outcome}
    return finished(delivery.model_copy(update=update), WebhookState.FAILED, now_ms)


def _with_webhook(partner: Partner | None) -> Partner | None:
    return partner if partner is not None and partner.is_told else None


def _is_meant(order: WebhookOrder, delivery: WebhookDelivery) -> bool:
    if delivery.source != order.source or delivery.queued_at_ms >= order.ordered_at_ms:
        return False
    if delivery.finished_at_ms is None or delivery.finished_at_ms >= order.ordered_at_ms:
        return False
    if order.event is not None:
        return delivery.event == order.event
    is_wanted = order.everything or delivery.state is WebhookState.FAILED
    return is_wanted and delivery.occurred_at_ms >= order.since_ms
