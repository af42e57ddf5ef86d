"""What partner apps pass on from their members and what lasts."""

from __future__ import annotations

from enum import StrEnum

from shared.contracts.record import Record


class PartnerPreferenceKind(StrEnum):
    PAUSE = "pause"
    BLOCK = "block"
    """Never to be introduced to `about`, either way."""


class PartnerPreference(Record):
    """A choice that a member made in the partner's app: the latest of each kind, and of each person it is about.

    Written as `shared.contracts.choice.Preference` is, on a topic of its own since it has
    another writer: what a member chose on our pages and what they chose there hold both.
    """

    member: str
    kind: PartnerPreferenceKind
    chosen_at_ms: int
    until_ms: int | None = None
    """The end of a pause; none for what has no end."""
    about: str | None = None
    """The member whom a block is about."""

    @property
    def key(self) -> str:
        return f"{self.member}/{self.kind}" + (f"/{self.about}" if self.about else "")

    def holds_at(self, now_ms: int) -> bool:
        """Whether it is in force."""
        return self.until_ms is None or now_ms < self.until_ms
