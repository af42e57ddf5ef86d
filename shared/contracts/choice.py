"""What a member decided by pressing a button on one of the notifier's pages."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from shared.contracts.record import Record


class ChoiceKind(StrEnum):
    YES = "yes"
    NO = "no"
    MET = "met"
    NOT_MET = "not-met"
    AGAIN = "again"
    NOT_AGAIN = "not-again"
    DEEPER = "deeper"
    """It got past small talk."""
    SHALLOW = "shallow"
    OPENS = "opens"
    """I would be happy to go first."""
    LEAVES = "leaves"
    """Out of this introduction or standing group."""

    @property
    def question(self) -> str:
        """What it answers: of two answers to one question the later one counts."""
        return _QUESTION[self]


_QUESTION = {
    ChoiceKind.YES: "answer",
    ChoiceKind.NO: "answer",
    ChoiceKind.MET: "met",
    ChoiceKind.NOT_MET: "met",
    ChoiceKind.AGAIN: "again",
    ChoiceKind.NOT_AGAIN: "again",
    ChoiceKind.DEEPER: "depth",
    ChoiceKind.SHALLOW: "depth",
    ChoiceKind.OPENS: "opens",
    ChoiceKind.LEAVES: "leaves",
}


class Choice(Record):
    """An answer within one introduction. The last one to a question before it is decided counts."""

    member: str
    introduction: str
    kind: ChoiceKind
    chosen_at_ms: int
    occasion: int = 0
    """Which date it is about; 0 for what is about the introduction as a whole."""

    @property
    def key(self) -> str:
        return self.member


class PreferenceKind(StrEnum):
    PAUSE = "pause"
    UNSUBSCRIBE = "unsubscribe"
    BLOCK = "block"
    """Never again with `about`, either way."""
    REPORT = "report"
    """A block, and operators learn that `about` was reported; by enough people, and they are held for review."""
    LOOKING_FOR = "looking-for"
    """What they look for from now on, whatever their partner app says."""
    ERASE = "erase"
    """Forget me. For good: who wants to come back signs up anew, under another reference."""


_AWAY = frozenset({PreferenceKind.PAUSE, PreferenceKind.UNSUBSCRIBE, PreferenceKind.ERASE})


class Preference(Record):
    """A choice that lasts: kept as long as the member is, the latest of each kind (and of each person it is about)."""

    member: str
    kind: PreferenceKind
    chosen_at_ms: int
    until_ms: int | None = None
    """The end of a pause; none for what has no end."""
    about: str | None = None
    """The member whom a block or a report is about."""
    looking_for: tuple[Literal["friend", "group"], ...] | None = None
    """For `LOOKING_FOR`; never empty then."""

    @property
    def key(self) -> str:
        return f"{self.member}/{self.kind}" + (f"/{self.about}" if self.about else "")

    def holds_at(self, now_ms: int) -> bool:
        """Whether it is in force."""
        return self.until_ms is None or now_ms < self.until_ms

    def keeps_away_at(self, now_ms: int) -> bool:
        """Whether it keeps the member from being suggested to anybody."""
        return self.kind in _AWAY and self.holds_at(now_ms)
