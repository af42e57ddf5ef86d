"""Where an introduction stands. One per suggestion, and it carries the suggestion's id.

proposed ──▶ introduced ──▶ standing ──▶ closed
    │            │                          ▲
    └────────────┴──────────────────────────┘
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from shared.contracts.record import Record
from shared.contracts.suggestion import Suggestion, SuggestionKind


class IntroductionState(StrEnum):
    PROPOSED = "proposed"
    """Everybody is invited, blindly. Nobody knows who the others are."""
    INTRODUCED = "introduced"
    """Enough said yes: those who did know each other's names and addresses, and have a date."""
    STANDING = "standing"
    """They met three times and want to go on: a date that comes back, for as long as they like."""
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
    SEATED = "seated"
    """Of a free seat: the newcomer has joined the group that `suggestion.joins` names."""


class Meeting(BaseModel):
    """A date, and what those who were to be there told us about it, each in confidence.

    What is said about a date is counted and never shown. `met` and the others hold
    members in the order of the introduction's, so that the order of taps leaves no trace.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    occasion: int
    """Which date of this introduction it is, from 1: links and emails are bound to it."""
    number: int
    """How often they will have met once it has taken place, from 1."""
    attempt: int = 1
    """2 for the new date that is offered where the first did not come about."""
    starts_at_ms: int
    ends_at_ms: int
    invited: tuple[str, ...]
    """Who was to be there."""
    check_in_at_ms: int
    """When they are asked how it was."""
    decide_at_ms: int | None = None
    """Answers count until then; none before they were asked."""
    met: tuple[str, ...] = ()
    not_met: tuple[str, ...] = ()
    again: tuple[str, ...] = ()
    not_again: tuple[str, ...] = ()
    deeper: tuple[str, ...] = ()
    """It got past small talk."""
    shallow: tuple[str, ...] = ()

    @property
    def took_place(self) -> bool:
        """As far as we were told; where one says so and another does not, it did."""
        return bool(self.met) and len(self.met) >= len(self.not_met)

    @property
    def did_not_take_place(self) -> bool:
        """Somebody said so, and more than said the contrary. Silence says neither."""
        return len(self.not_met) > len(self.met)


class Introduction(Record):
    """The state of one introduction. Holds ids only.

    Invariants: `said_yes` and `said_no` are disjoint subsets of `suggestion.members`, `set_aside` is one of `said_no`;
    `introduced` is empty until the state is introduced, and then a subset of `said_yes`;
    `present` is a subset of `introduced` and `joined`, and nobody in it is in `left`.
    """

    introduction: str
    suggestion: Suggestion
    state: IntroductionState
    said_yes: tuple[str, ...] = ()
    said_no: tuple[str, ...] = ()
    """No, or out: paused, left, unsubscribed, unreachable. Never shown to anybody."""
    set_aside: tuple[str, ...] = ()
    """Of those, who said yes all the same, and cannot be introduced since somebody in it is held for review. For them
    it falls through like any other: they are told so, at the time of telling. Never shown to anybody."""
    introduced: tuple[str, ...] = ()
    proposed_at_ms: int
    answer_by_ms: int
    remind_at_ms: int | None = None
    """When those who have not answered are reminded, once; none when that is done, or not wanted."""
    introduced_at_ms: int | None = None
    present: tuple[str, ...] = ()
    """Who of them is still in it. Whoever is not has left, or did not want to meet again: never said which."""
    left: tuple[str, ...] = ()
    """Who is in it no more, for whatever reason. Never shown to anybody."""
    opener: str | None = None
    """Who was asked to go first, once they are introduced: the suggestion's opener, or who offered since."""
    meeting: Meeting | None = None
    """The date that they have, or had last."""
    standing_since_ms: int | None = None
    seats: int = 0
    """Of a standing group: how many it had when it became one."""
    seat_from_ms: int | None = None
    """From when on somebody may be suggested for a free seat."""
    joined: tuple[str, ...] = ()
    """Newcomers who took a free seat, in the order in which they did."""
    settles_at_ms: int | None = None
    """When the members of a standing group may be suggested to others as well; none once they may."""
    closed_at_ms: int | None = None
    closing_reason: ClosingReason | None = None
    revision: int = 0
    """Grows with every change: of two records of one introduction the later one counts."""

    @property
    def key(self) -> str:
        return self.introduction

    @property
    def members(self) -> tuple[str, ...]:
        return self.suggestion.members

    @property
    def everybody(self) -> tuple[str, ...]:
        """Whoever has a part in it: those suggested, and those who joined later."""
        return (*self.members, *(member for member in self.joined if member not in self.members))

    @property
    def is_open(self) -> bool:
        """Whether anything can still happen to it."""
        return self.state is not IntroductionState.CLOSED

    @property
    def wants_newcomer(self) -> bool:
        """Whether it is a standing group with a free seat (from `seat_from_ms` on)."""
        return (
            self.state is IntroductionState.STANDING
            and self.suggestion.kind is SuggestionKind.GROUP
            and 2 <= len(self.present) < self.seats
        )

    def engages(self, member: str) -> bool:
        """Whether this keeps `member` from being suggested to others.

        While it is proposed, everybody in it (of a seat, the newcomer alone: the others have
        their group); once people are introduced, those who are; of a standing group, those
        in it, until they have settled.
        """
        match self.state:
            case IntroductionState.PROPOSED:
                return member in self.suggestion.engages and member not in self.said_no
            case IntroductionState.INTRODUCED:
                return member in self.present
            case IntroductionState.STANDING:
                return self.settles_at_ms is not None and member in self.present
            case IntroductionState.CLOSED:
                return False
