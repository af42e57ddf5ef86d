"""What the notifier knows of members: how to reach them, and whether they want to be."""

from __future__ import annotations

from shared import topics
from shared.contracts import Contact, PartnerRequest, PartnerRequestKind, Preference, PreferenceKind


class Members:
    """The fold of `contacts`, `preferences` and `partner-requests`."""

    def __init__(self) -> None:
        self._contacts: dict[str, Contact] = {}
        self._requests: dict[str, PartnerRequest] = {}
        self._preferences: dict[str, Preference] = {}

    def apply(self, record: Contact | Preference | PartnerRequest) -> None:
        match record:
            case Contact():
                self._contacts[record.key] = record
            case Preference():
                self._preferences[record.key] = record
            case PartnerRequest():
                self._requests[record.key] = record

    def remove(self, topic: str, key: str) -> str:
        """Take in a tombstone of one of the three topics; gives the member."""
        match topic:
            case topics.CONTACTS.name:
                self._contacts.pop(key, None)
            case topics.PARTNER_REQUESTS.name:
                self._requests.pop(key, None)
            case topics.PREFERENCES.name:
                self._preferences.pop(key, None)
        return key.partition("/")[0]

    def contact(self, member: str) -> Contact | None:
        return self._contacts.get(member)

    def pause(self, member: str) -> Preference | None:
        return self._preferences.get(f"{member}/{PreferenceKind.PAUSE}")

    def is_paused(self, member: str, now_ms: int) -> bool:
        pause = self.pause(member)
        return pause is not None and pause.holds_at(now_ms)

    def has_unsubscribed(self, member: str) -> bool:
        """For good: a partner's later update of their data must not undo what they told us themselves."""
        return f"{member}/{PreferenceKind.UNSUBSCRIBE}" in self._preferences

    def has_left(self, member: str) -> bool:
        """Whether their partner said that they left, and no later sign-up says otherwise."""
        request = self._requests.get(member)
        if request is None or request.kind is not PartnerRequestKind.LEFT:
            return False
        contact = self._contacts.get(member)
        return contact is None or contact.accepted_at_ms <= request.requested_at_ms

    def is_gone(self, member: str) -> bool:
        """Left or unsubscribed: nobody writes to them again."""
        return self.has_left(member) or self.has_unsubscribed(member)

    def is_away(self, member: str, now_ms: int) -> bool:
        """Gone, or on a pause: not to be invited."""
        return self.is_gone(member) or self.is_paused(member, now_ms)
