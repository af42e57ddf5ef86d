"""Where an introduction stands. One per suggestion, and it carries the suggestion's id."""

from __future__ import annotations

from enum import StrEnum

from shared.contracts.record import Record
from shared.contracts.suggestion import Suggestion


class IntroductionState(StrEnum):
    PROPOSED = "proposed"
    """Everybody is invited, blindly. Nobody knows who the others are."""
    INTRODUCED = "introduced"
    """Enough said yes: those who did know each other's names and addresses."""
    CLOSED = "closed"
    """Over, for `closing_reason`. Its members may be suggested to others again."""


class ClosingReason(StrEnum):
    DECLINED = "declined"
    """Not enough could still say yes."""
    EXPIRED = "expired"
    """Not enough had said yes in time. What members are told is the same as for `declined`."""
    LEFT = "left"
    """Somebody left, paused or unsubscribed, and too few remain."""
    UNREACHABLE = "unreachable"
    """Somebody's mail server refused them for good, and too few remain."""
    SETTLED = "settled"
    """It ran its course: they have been introduced, and had their time."""


class Introduction(Record):
    """The state of one introduction. Holds ids only.

    Invariants: `said_yes` and `said_no` are disjoint subsets of `suggestion.members`;
    `introduced` is empty until the state is introduced, and then a subset of `said_yes`.
    """

    introduction: str
    suggestion: Suggestion
    state: IntroductionState
    said_yes: tuple[str, ...] = ()
    said_no: tuple[str, ...] = ()
    """No, or out: paused, left, unsubscribed, unreachable. Never shown to anybody."""
    introduced: tuple[str, ...] = ()
    proposed_at_ms: int
    answer_by_ms: int
    introduced_at_ms: int | None = None
    settles_at_ms: int | None = None
    """When an introduction closes by itself, and its members may be suggested again."""
    closed_at_ms: int | None = None
    closing_reason: ClosingReason | None = None

    @property
    def key(self) -> str:
        return self.introduction

    @property
    def members(self) -> tuple[str, ...]:
        return self.suggestion.members

    @property
    def is_open(self) -> bool:
        """While it is, its members are in no other introduction."""
        return self.state is not IntroductionState.CLOSED

    def engages(self, member: str) -> bool:
        """Whether this keeps `member` from being suggested to others.

        While it is proposed, everybody in it; once people are introduced, those who are.
        """
        if self.state is IntroductionState.PROPOSED:
            return member in self.suggestion.members and member not in self.said_no
        return self.state is IntroductionState.INTRODUCED and member in self.introduced
