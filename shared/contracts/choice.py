"""What a member decided by pressing a button on one of the notifier's pages."""

from __future__ import annotations

from enum import StrEnum

from shared.contracts.record import Record


class ChoiceKind(StrEnum):
    YES = "yes"
    NO = "no"


class Choice(Record):
    """An answer to one introduction. The last one before it is decided counts."""

    member: str
    introduction: str
    kind: ChoiceKind
    chosen_at_ms: int

    @property
    def key(self) -> str:
        return self.member


class PreferenceKind(StrEnum):
    PAUSE = "pause"
    UNSUBSCRIBE = "unsubscribe"


class Preference(Record):
    """A choice that lasts: kept as long as the member is, the latest of each kind."""

    member: str
    kind: PreferenceKind
    chosen_at_ms: int
    until_ms: int | None = None
    """The end of a pause; none for what has no end."""

    @property
    def key(self) -> str:
        return f"{self.member}/{self.kind}"

    def holds_at(self, now_ms: int) -> bool:
        """Whether it is in force: from then on the member is neither suggested nor written to."""
        return self.until_ms is None or now_ms < self.until_ms
