"""What is kept of introductions that are over: little, and only what later decisions need.

- that a suggestion was dealt with, since it may be read once more for as long as its topic keeps it;
- who met whom, so that a member can block or report somebody years later, and see what is stored.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import NamedTuple

from shared import topics
from shared.contracts import ClosingReason, Introduction

_DAY_MS = 24 * 3600 * 1000
_SUGGESTION_LIFE_MS = (topics.SUGGESTIONS.retention_ms or 0) + _DAY_MS


class PastIntroduction(NamedTuple):
    """A closed introduction in some 200 bytes, in place of 3,000 or so."""

    introduction: str
    acquainted: tuple[str, ...]
    """Who came to know each other's names; nobody, if it fell through."""
    proposed_at_ms: int
    introduced_at_ms: int | None
    closed_at_ms: int
    closing_reason: ClosingReason
    suggested_at_ms: int


class Past:
    """Closed introductions that nothing waits for any more."""

    def __init__(self) -> None:
        self._of: dict[str, PastIntroduction] = {}
        self._with: defaultdict[str, set[str]] = defaultdict(set)
        self._fell_through: deque[tuple[int, str]] = deque()

    def keep(self, introduction: Introduction) -> None:
        """Take in a closed introduction."""
        assert introduction.closed_at_ms is not None
        assert introduction.closing_reason is not None
        item = introduction.introduction
        acquainted = acquainted_in(introduction)
        self._of[item] = PastIntroduction(
            item,
            acquainted,
            introduction.proposed_at_ms,
            introduction.introduced_at_ms,
            introduction.closed_at_ms,
            introduction.closing_reason,
            introduction.suggestion.suggested_at_ms,
        )
        if acquainted:
            for member in acquainted:
                self._with[member].add(item)
        else:
            self._fell_through.append((introduction.suggestion.suggested_at_ms, item))

    def forget(self, introduction: str) -> None:
        """As if it had never been."""
        gone = self._of.pop(introduction, None)
        for member in gone.acquainted if gone else ():
            self._with[member].discard(introduction)

    def let_go(self, now_ms: int) -> None:
        """Forget what fell through, once its suggestion cannot be read again. Amortised O(1)."""
        while self._fell_through and self._fell_through[0][0] + _SUGGESTION_LIFE_MS < now_ms:
            self._of.pop(self._fell_through.popleft()[1], None)

    def get(self, introduction: str) -> PastIntroduction | None:
        return self._of.get(introduction)

    def of_member(self, member: str) -> list[PastIntroduction]:
        """Those in which they came to know somebody, in the order in which they were proposed."""
        return sorted((self._of[item] for item in self._with.get(member, ())), key=lambda past: past.proposed_at_ms)

    def __contains__(self, introduction: str) -> bool:
        return introduction in self._of

    def __len__(self) -> int:
        return len(self._of)


def acquainted_in(introduction: Introduction) -> tuple[str, ...]:
    """Who knows whose name by an introduction: those introduced, and those who joined later."""
    return (*introduction.introduced, *introduction.joined)
