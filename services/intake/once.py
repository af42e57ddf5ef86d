"""What a sender is told whose event somebody has already sent, or is sending."""

from __future__ import annotations

from services.intake.claims import Verdict
from services.intake.problems import Problem

_OTHER_BODY = Problem(
    "other-body", 422, "This id or key was used before, for something else.", "take a new id for what is new"
)
BUSY = Problem(
    "under-way",
    409,
    "The same event, or another one about the same member, is under way.",
    "send the same again in a moment",
)
_WON = Verdict.WON


def problem_of(verdict: Verdict) -> Problem | None:
    """The problem, or `None` if the event is accepted: now, or when it came before."""
    if verdict is _WON:
        return None
    if verdict is Verdict.OTHER_BODY:
        return _OTHER_BODY
    return BUSY if verdict is Verdict.BUSY else None
