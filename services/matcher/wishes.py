"""What members wish, and what others wish and decide about them: who may be suggested at all, and to whom not.

preferences, partner-preferences,   apply   ┌────────┐   is_away, apart, looks_for
review-orders, unreachable        ────────▶ │ Wishes │ ───────────────────────────▶ `MatcherState`
                                            └────────┘
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from shared import topics
from shared.contracts import (
    PartnerPreference,
    PartnerPreferenceKind,
    Preference,
    PreferenceKind,
    Record,
    ReviewOrder,
    Service,
    Unreachable,
)
from shared.erased import ErasedMembers
from shared.safety import KeptApart, Reviews


class Wishes:
    """The fold of the four topics, for one partition. Each wish holds by itself, until it is replaced or gone."""

    def __init__(self) -> None:
        self.apart = KeptApart()
        self.reviews = Reviews()
        self._own: defaultdict[str, dict[str, Preference]] = defaultdict(dict)
        """By member, then by key."""
        self._passed_on: defaultdict[str, dict[str, PartnerPreference]] = defaultdict(dict)
        """The same, of what partner apps passed on: it holds beside what members told us themselves."""
        self._unreachable: set[str] = set()
        self.erased = ErasedMembers(Service.MATCHER)
        """Who is to be forgotten, and of whom we have said that they are."""

    def apply(self, topic: str, key: str, record: Record | None) -> Collection[str]:
        """Take in one record, `None` is a tombstone; gives the members of whom something else may be true now."""
        member = key.partition("/")[0]
        match topic:
            case topics.PREFERENCES.name:
                return self._preference(member, key, record)
            case topics.PARTNER_PREFERENCES.name:
                return self._partner_preference(member, key, record)
            case topics.REVIEW_ORDERS.name:
                self._review_order(member, record)
            case topics.UNREACHABLE.name:
                self._reachability(member, record)
        return (member,)

    def is_away(self, member: str, now_ms: int) -> bool:
        """Whether nobody may be suggested to them: paused, gone, out of reach, or held for review. In O(wishes)."""
        if member in self.erased or member in self._unreachable or self.reviews.is_held(member):
            return True
        if any(wish.keeps_away_at(now_ms) for wish in self._own.get(member, {}).values()):
            return True
        return any(
            wish.kind is PartnerPreferenceKind.PAUSE and wish.holds_at(now_ms)
            for wish in self._passed_on.get(member, {}).values()
        )

    def is_erased(self, member: str) -> bool:
        """For good: what a partner sends of them after it is not theirs to send."""
        return member in self.erased

    def looks_for(self, member: str) -> tuple[str, ...] | None:
        """What a member told us themselves that they look for."""
        told = self._own.get(member, {}).get(f"{member}/{PreferenceKind.LOOKING_FOR}")
        return told.looking_for if told is not None and told.looking_for else None

    # One topic each

    def _preference(self, member: str, key: str, record: Record | None) -> Collection[str]:
        assert record is None or isinstance(record, Preference)
        concerned = {member}
        known = self._own[member].pop(key, None)
        if known is not None:
            self.apart.discard(known)
            self.reviews.discard(known)
            concerned |= {known.about or member}
        if record is not None:
            self._own[member][key] = record
            self.apart.add(record)
            self.reviews.add(record)
            concerned |= {record.about or member}
        return concerned

    def _partner_preference(self, member: str, key: str, record: Record | None) -> Collection[str]:
        assert record is None or isinstance(record, PartnerPreference)
        known = self._passed_on[member].pop(key, None)
        if known is not None:
            self.apart.discard(known)
        if record is not None:
            self._passed_on[member][key] = record
            self.apart.add(record)
        return {member, *(wish.about for wish in (known, record) if wish is not None and wish.about is not None)}

    def _review_order(self, member: str, record: Record | None) -> None:
        assert record is None or isinstance(record, ReviewOrder)
        if record is None:
            self.reviews.forget_order(member)
        else:
            self.reviews.order(record)

    def _reachability(self, member: str, record: Record | None) -> None:
        assert record is None or isinstance(record, Unreachable)
        if record is None:
            self._unreachable.discard(member)
        else:
            self._unreachable.add(member)
