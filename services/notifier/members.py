"""What the notifier knows of members: how to reach them, whether they want to be, and by whom never again."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from shared import topics
from shared.contracts import (
    Contact,
    PartnerPreference,
    PartnerPreferenceKind,
    PartnerRequest,
    PartnerRequestKind,
    Preference,
    PreferenceKind,
    Record,
    ReviewOrder,
    Service,
)
from shared.erased import ErasedMembers
from shared.safety import KeptApart, Reviews

Pause = Preference | PartnerPreference


class Members:
    """The fold of who members are, what they wish, what operators decide of them, and who is erased."""

    def __init__(self) -> None:
        self.reviews = Reviews()
        self.erased = ErasedMembers(Service.NOTIFIER)
        self._contacts: dict[str, Contact] = {}
        self._requests: dict[str, PartnerRequest] = {}
        self._own: dict[str, dict[str, Preference]] = {}
        """By member, then by key: what they told us on our pages."""
        self._passed_on: dict[str, dict[str, PartnerPreference]] = {}
        """The same, of what their partner app passed on."""
        self._apart = KeptApart()

    def apply(self, record: Contact | Preference | PartnerPreference | PartnerRequest | ReviewOrder) -> set[str]:
        """Take in one record; gives the members of whom something else may be true now."""
        match record:
            case Contact() if record.member in self.erased:
                pass  # For good: what a partner sends of them after it is not theirs to send.
            case Contact():
                self._contacts[record.key] = record
            case PartnerRequest() if record.kind is PartnerRequestKind.LEFT:
                self._requests[record.key] = record
            case ReviewOrder():
                self.reviews.order(record)
            case Preference():
                concerned = self._forget_preference(record.key)
                self._own.setdefault(record.member, {})[record.key] = record
                self._apart.add(record)
                self.reviews.add(record)
                return {*concerned, record.about or record.member}
            case PartnerPreference():
                self._forget_passed_on(record.key)
                self._passed_on.setdefault(record.member, {})[record.key] = record
                self._apart.add(record)
        return {record.member}

    def hear_of_erasure(self, topic: str, key: str, record: Record | None) -> bool:
        """Take in what any record says about erasures; whether its member is forgotten by that."""
        is_forgotten = self.erased.apply(topic, key, record)
        if is_forgotten:
            self._contacts.pop(key.partition("/")[0], None)
        return is_forgotten

    def remove(self, topic: str, key: str) -> set[str]:
        """Take in a tombstone of one of the topics; gives the members whom it concerns."""
        match topic:
            case topics.CONTACTS.name:
                self._contacts.pop(key, None)
            case topics.PARTNER_REQUESTS.name:
                self._requests.pop(key, None)
            case topics.REVIEW_ORDERS.name:
                self.reviews.forget_order(key)
            case topics.PREFERENCES.name:
                return self._forget_preference(key)
            case topics.PARTNER_PREFERENCES.name:
                self._forget_passed_on(key)
        return {key.partition("/")[0]}

    # Who they are, and what they told us

    def contact(self, member: str) -> Contact | None:
        """How to reach them; None from the moment on at which they asked to be erased."""
        return self._contacts.get(member)

    def preferences(self, member: str) -> list[Preference]:
        """All that they told us about themselves on our pages, in a fixed order."""
        order = list(PreferenceKind)
        return sorted(self._own.get(member, {}).values(), key=lambda one: (order.index(one.kind), one.key))

    def passed_on(self, member: str) -> list[PartnerPreference]:
        """All that their partner app has passed on of them, in a fixed order."""
        return [one for _, one in sorted(self._passed_on.get(member, {}).items())]

    # Whether they want to be reached

    def pauses(self, member: str) -> list[Pause]:
        """Their own, and the one that their partner app passed on: each holds by itself, over or not."""
        own = self._own.get(member, {}).get(f"{member}/{PreferenceKind.PAUSE}")
        passed_on = self._passed_on.get(member, {}).get(f"{member}/{PartnerPreferenceKind.PAUSE}")
        return [pause for pause in (own, passed_on) if pause is not None]

    def is_paused(self, member: str, now_ms: int) -> bool:
        return any(pause.holds_at(now_ms) for pause in self.pauses(member))

    def has_unsubscribed(self, member: str) -> bool:
        """For good: a partner's later update of their data must not undo what they told us themselves."""
        return f"{member}/{PreferenceKind.UNSUBSCRIBE}" in self._own.get(member, {})

    def is_erased(self, member: str) -> bool:
        """By themselves, by their partner app or by an operator: for good, too."""
        return member in self.erased

    def has_left(self, member: str) -> bool:
        """Whether their partner said that they left, and no later sign-up says otherwise."""
        request = self._requests.get(member)
        if request is None or request.kind is not PartnerRequestKind.LEFT:
            return False
        contact = self._contacts.get(member)
        return contact is None or contact.accepted_at_ms <= request.requested_at_ms

    def is_gone(self, member: str) -> bool:
        """Left, unsubscribed, erased, or removed by an operator: nobody writes to them again."""
        return (
            self.has_left(member)
            or self.has_unsubscribed(member)
            or self.is_erased(member)
            or self.reviews.is_removed(member)
        )

    def is_away(self, member: str, now_ms: int) -> bool:
        """Gone, or on a pause: not to be invited."""
        return self.is_gone(member) or self.is_paused(member, now_ms)

    # By whom never again

    def avoids(self, member: str) -> Collection[str]:
        """Whom they have blocked or reported."""
        return self._apart.avoids(member)

    def has_reported(self, member: str, other: str) -> bool:
        return f"{member}/{PreferenceKind.REPORT}/{other}" in self._own.get(member, {})

    def are_apart(self, one: str, other: str) -> bool:
        """Whether either of two has blocked or reported the other: it holds both ways, whoever did it."""
        return self._apart.are_apart(one, other)

    def any_apart(self, members: Iterable[str]) -> bool:
        """Whether any two of some members are to be kept apart."""
        return self._apart.any_apart(members)

    def avoids_one_of(self, member: str, others: Iterable[str]) -> bool:
        """Whether they have blocked or reported one of `others`."""
        avoided = self.avoids(member)
        return any(other in avoided for other in others)

    def any_held(self, members: Iterable[str]) -> bool:
        """Whether any of some members is to be introduced to nobody new: held for review, or removed."""
        return any(map(self.reviews.is_held, members))

    # Details

    def _forget_preference(self, key: str) -> set[str]:
        member = key.partition("/")[0]
        known = self._own.get(member, {}).pop(key, None)
        if known is None:
            return {member}
        self._apart.discard(known)
        self.reviews.discard(known)
        return {member, known.about or member}

    def _forget_passed_on(self, key: str) -> None:
        known = self._passed_on.get(key.partition("/")[0], {}).pop(key, None)
        if known is not None:
            self._apart.discard(known)
