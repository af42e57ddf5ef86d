"""Who is kept apart from whom, and who is held for review: folds that the matcher and the notifier share.

Both decide by them, so they must come to the same: the matcher whom it suggests, the
notifier whom it still introduces and writes to. Pure. Order plays no part, and the same
record twice is once. All of it is O(1) for each record and each question.

What is known of reporters stays in here: `Reviews` counts them, and names none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from itertools import combinations
from typing import NamedTuple

from shared.contracts import (
    PartnerPreference,
    PartnerPreferenceKind,
    Preference,
    PreferenceKind,
    ReviewOrder,
    ReviewOrderKind,
)

REPORTS_UNTIL_REVIEW = 3
"""Whom so many different members have reported is introduced to nobody until an operator has looked."""
REVIEW_TOLD_AFTER_MS = 72 * 60 * 60 * 1000
"""So long after a member was held their own pages say so. At once would tell whom they had just met who it was."""

_KEEPS_APART = frozenset({PreferenceKind.BLOCK, PreferenceKind.REPORT, PartnerPreferenceKind.BLOCK})


class KeptApart:
    """The fold of all blocks and reports, whether they were made on our pages or in a partner's app."""

    def __init__(self) -> None:
        self._avoids: dict[str, dict[str, set[tuple[bool, str]]]] = {}
        """By member, then by whom they avoid: each wish of theirs, by whether a partner passed it on, and its key."""
        self._avoided_by: defaultdict[str, set[str]] = defaultdict(set)

    def add(self, wish: Preference | PartnerPreference) -> None:
        """Take in a block or a report; anything else means nothing here."""
        if wish.kind in _KEEPS_APART and wish.about is not None:
            self._avoids.setdefault(wish.member, {}).setdefault(wish.about, set()).add(_tag(wish))
            self._avoided_by[wish.about].add(wish.member)

    def discard(self, wish: Preference | PartnerPreference) -> None:
        """What was wished is wished no more; another wish about the same two may still stand."""
        if wish.kind not in _KEEPS_APART or wish.about is None:
            return
        avoided = self._avoids.get(wish.member, {})
        wishes = avoided.get(wish.about, set())
        wishes.discard(_tag(wish))
        if not wishes:
            avoided.pop(wish.about, None)
            self._avoided_by[wish.about].discard(wish.member)

    def avoids(self, member: str) -> Collection[str]:
        """Whom a member has blocked or reported."""
        return self._avoids.get(member, {}).keys()

    def others(self, member: str) -> Collection[str]:
        """Whom a member is kept apart from, whoever wished it."""
        avoids, avoided_by = self._avoids.get(member), self._avoided_by.get(member)
        if not avoids:
            return avoided_by or ()
        return avoids.keys() | (avoided_by or set())

    def are_apart(self, one: str, other: str) -> bool:
        """Whether either of two has blocked or reported the other: it holds both ways, whoever did it."""
        return other in self.avoids(one) or one in self.avoids(other)

    def any_apart(self, members: Iterable[str]) -> bool:
        """Whether any two of some members are to be kept apart."""
        return any(self.are_apart(one, other) for one, other in combinations(members, 2))


def _tag(wish: Preference | PartnerPreference) -> tuple[bool, str]:
    return isinstance(wish, PartnerPreference), wish.key


class Held(NamedTuple):
    """A member who is held for review."""

    member: str
    community: str
    reports: int
    """By so many different members, since an operator last cleared them."""
    since_ms: int
    """When the report was made that was one too many."""
    last_report_ms: int


class Reviews:
    """The fold of the reports among `preferences`, and of `review-orders`.

    A report is one for each member who made one, however often; all count alike, those of
    people who met in one group too. It goes on counting when its reporter has left or been
    erased: their going must not bring somebody back.
    """

    def __init__(self) -> None:
        self._reports: defaultdict[str, dict[str, Preference]] = defaultdict(dict)
        """By member who was reported, by who did it."""
        self._orders: dict[str, ReviewOrder] = {}
        self._held: dict[str, Held] = {}
        self._removed: set[str] = set()

    def add(self, wish: Preference) -> None:
        """Take in a report; anything else means nothing here."""
        if wish.kind is PreferenceKind.REPORT and wish.about is not None:
            self._reports[wish.about][wish.member] = wish
            self._weigh(wish.about)

    def discard(self, wish: Preference) -> None:
        """The report is gone from the topic."""
        if wish.kind is PreferenceKind.REPORT and wish.about is not None:
            self._reports[wish.about].pop(wish.member, None)
            self._weigh(wish.about)

    def order(self, order: ReviewOrder) -> None:
        self._orders[order.member] = order
        self._weigh(order.member)

    def forget_order(self, member: str) -> None:
        self._orders.pop(member, None)
        self._weigh(member)

    def is_held(self, member: str) -> bool:
        """Whether they are introduced to nobody new: held for review, or removed."""
        return member in self._held or member in self._removed

    def is_removed(self, member: str) -> bool:
        """Whether an operator has decided that they are out."""
        return member in self._removed

    def held(self) -> Iterator[Held]:
        """Those who wait for an operator; not those of whom one has decided that they are out."""
        return iter(self._held.values())

    def of(self, member: str) -> Held | None:
        """What an operator is to look at, if anything."""
        return self._held.get(member)

    def last_report_ms(self, member: str) -> int:
        """When the last report about them was made, whether or not it counts; 0 if there is none."""
        return max((report.chosen_at_ms for report in self._reports.get(member, {}).values()), default=0)

    def told(self, member: str, now_ms: int) -> str | None:
        """What the member's own pages say of it: "removed", "held" when some days have passed, or nothing."""
        if member in self._removed:
            return "removed"
        held = self._held.get(member)
        return "held" if held is not None and now_ms >= held.since_ms + REVIEW_TOLD_AFTER_MS else None

    def _weigh(self, member: str) -> None:
        order = self._orders.get(member)
        cleared_until_ms = order.reports_until_ms if order is not None else -1
        counted = sorted(
            report.chosen_at_ms
            for report in self._reports.get(member, {}).values()
            if report.chosen_at_ms > cleared_until_ms
        )
        self._held.pop(member, None)
        self._removed.discard(member)
        if order is not None and order.kind is ReviewOrderKind.REMOVE:
            self._removed.add(member)
        elif len(counted) >= REPORTS_UNTIL_REVIEW:
            community = next(iter(self._reports[member].values())).community
            since_ms = counted[REPORTS_UNTIL_REVIEW - 1]
            self._held[member] = Held(member, community, len(counted), since_ms, counted[-1])
