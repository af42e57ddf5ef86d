"""What the notifier knows of members: how to reach them, whether they want to be, and by whom never again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from itertools import combinations

from shared import topics
from shared.contracts import Contact, PartnerRequest, PartnerRequestKind, Preference, PreferenceKind, Record, Service
from shared.erased import ErasedMembers

_KEEPS_APART = frozenset({PreferenceKind.BLOCK, PreferenceKind.REPORT})


class Members:
    """The fold of `contacts`, `preferences` and `partner-requests`, and of erasures."""

    def __init__(self) -> None:
        self.erased = ErasedMembers(Service.NOTIFIER)
        self._contacts: dict[str, Contact] = {}
        self._requests: dict[str, PartnerRequest] = {}
        self._preferences: dict[str, Preference] = {}
        self._apart: defaultdict[str, set[str]] = defaultdict(set)
        """By member: the keys of the blocks and reports that they made."""

    def apply(self, record: Contact | Preference | PartnerRequest) -> None:
        match record:
            case Contact() if record.member in self.erased:
                pass  # For good: what a partner sends of them after it is not theirs to send.
            case Contact():
                self._contacts[record.key] = record
            case Preference():
                self._preferences[record.key] = record
                if record.kind in _KEEPS_APART and record.about is not None:
                    self._apart[record.member].add(record.key)
            case PartnerRequest() if record.kind is PartnerRequestKind.LEFT:
                self._requests[record.key] = record

    def hear_of_erasure(self, topic: str, key: str, record: Record | None) -> bool:
        """Take in what any record says about erasures; whether its member is forgotten by that."""
        is_forgotten = self.erased.apply(topic, key, record)
        if is_forgotten:
            self._contacts.pop(key.partition("/")[0], None)
        return is_forgotten

    def remove(self, topic: str, key: str) -> str:
        """Take in a tombstone of one of the three topics; gives the member."""
        member = key.partition("/")[0]
        match topic:
            case topics.CONTACTS.name:
                self._contacts.pop(key, None)
            case topics.PARTNER_REQUESTS.name:
                self._requests.pop(key, None)
            case topics.PREFERENCES.name:
                self._preferences.pop(key, None)
                self._apart.get(member, set()).discard(key)
        return member

    def contact(self, member: str) -> Contact | None:
        """How to reach them; None from the moment on at which they asked to be erased."""
        return self._contacts.get(member)

    def preferences(self, member: str) -> list[Preference]:
        """All that they told us about themselves, in a fixed order."""
        own = [self._preferences.get(f"{member}/{kind}") for kind in PreferenceKind]
        apart = [self._preferences[key] for key in sorted(self._apart.get(member, ()))]
        return [preference for preference in own if preference is not None] + apart

    def pause(self, member: str) -> Preference | None:
        return self._preferences.get(f"{member}/{PreferenceKind.PAUSE}")

    def is_paused(self, member: str, now_ms: int) -> bool:
        pause = self.pause(member)
        return pause is not None and pause.holds_at(now_ms)

    def has_unsubscribed(self, member: str) -> bool:
        """For good: a partner's later update of their data must not undo what they told us themselves."""
        return f"{member}/{PreferenceKind.UNSUBSCRIBE}" in self._preferences

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
        """Left, unsubscribed or erased: nobody writes to them again."""
        return self.has_left(member) or self.has_unsubscribed(member) or self.is_erased(member)

    def is_away(self, member: str, now_ms: int) -> bool:
        """Gone, or on a pause: not to be invited."""
        return self.is_gone(member) or self.is_paused(member, now_ms)

    def avoids(self, member: str) -> set[str]:
        """Whom they have blocked or reported."""
        return {key.rpartition("/")[2] for key in self._apart.get(member, ())}

    def are_apart(self, one: str, other: str) -> bool:
        """Whether either of two has blocked or reported the other: it holds both ways, whoever did it."""
        return other in self.avoids(one) or one in self.avoids(other)

    def any_apart(self, members: Iterable[str]) -> bool:
        """Whether any two of some members are to be kept apart."""
        return any(self.are_apart(one, other) for one, other in combinations(members, 2))

    def avoids_one_of(self, member: str, others: Collection[str]) -> bool:
        """Whether they have blocked or reported one of `others`."""
        return not self.avoids(member).isdisjoint(others)
