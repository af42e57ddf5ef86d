"""What an operator decided about a member whom several people had reported.

No words and no reporter are in it: the matcher reads it too, and why something was
decided belongs into the operators' own files.
"""

from __future__ import annotations

from enum import StrEnum

from shared.contracts.record import Record


class ReviewOrderKind(StrEnum):
    CLEAR = "clear"
    """Reports up to `reports_until_ms` do not count any more; later ones do. It takes back a removal, too."""
    REMOVE = "remove"
    """Out: suggested to nobody, and written to no more, until an operator clears them."""


class ReviewOrder(Record):
    """The latest decision about a member (`connection review`)."""

    member: str
    kind: ReviewOrderKind
    reports_until_ms: int = 0
    """When the last report that the operator had before them was made. By the reports' own clock, and not the
    operator's: one that came in the meantime was not looked at, and counts."""
    given_at_ms: int

    @property
    def key(self) -> str:
        return self.member
