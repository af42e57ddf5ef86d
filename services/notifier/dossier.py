"""All that the notifier knows of a member, for that member's own eyes.

What others said of them in confidence (a no, a block, a report) is not among it: that is
the others' to keep.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from services.notifier.past import acquainted_in
from services.notifier.state import PartitionState
from shared.contracts import Introduction, IntroductionState


def all_about(member: str, state: PartitionState, now_ms: int) -> dict[str, Any]:
    """As plain values for a page; times are ISO 8601, UTC. No id is among them: they are for us alone."""
    contact = state.members.contact(member)
    return {
        "contact": None
        if contact is None
        else {
            "first_name": contact.first_name,
            "email": contact.email,
            "locale": contact.locale,
            "own_words": contact.own_words,
            "consent_wording": contact.consent_wording,
            "consent_given_at": _time(contact.consent_given_at_ms or contact.accepted_at_ms),
            "accepted_at": _time(contact.accepted_at_ms),
        },
        "preferences": [
            {
                "kind": preference.kind.value,
                "chosen_at": _time(preference.chosen_at_ms),
                "until": _time(preference.until_ms),
                "about": None if preference.about is None else _name(preference.about, state),
                "looking_for": list(preference.looking_for or ()),
            }
            for preference in state.members.preferences(member)
        ],
        # Whom a block is about is left out: a member of the same app whom they may never have met here.
        "passed_on": [
            {"kind": one.kind.value, "chosen_at": _time(one.chosen_at_ms), "until": _time(one.until_ms)}
            for one in state.members.passed_on(member)
        ],
        # No date and no number: they would tell who, and when.
        "review": state.members.reviews.told(member, now_ms),
        "answers": [
            {"answer": choice.kind.value, "chosen_at": _time(choice.chosen_at_ms)}
            for choice in state.answers.of_member(member)
        ],
        "introductions": [
            *(
                {
                    "state": IntroductionState.CLOSED.value,
                    "proposed_at": _time(past.proposed_at_ms),
                    "introduced_at": _time(past.introduced_at_ms),
                    "closed_at": _time(past.closed_at_ms),
                    "with": [_name(other, state) for other in past.acquainted if other != member],
                    "place": None,
                    "next_date": None,
                }
                for past in state.past.of_member(member)
            ),
            *(_open(introduction, member, state) for introduction in state.introductions_of(member)),
        ],
        "emails": [
            {
                "kind": delivery.kind.value,
                "state": delivery.state.value,
                "attempts": delivery.attempts,
                "recorded_at": _time(delivery.recorded_at_ms),
            }
            for delivery in state.mailbag.of_member(member)
        ],
    }


def _open(introduction: Introduction, member: str, state: PartitionState) -> dict[str, Any]:
    acquainted = acquainted_in(introduction)
    meeting = introduction.meeting
    return {
        "state": introduction.state.value,
        "proposed_at": _time(introduction.proposed_at_ms),
        "introduced_at": _time(introduction.introduced_at_ms),
        "closed_at": None,
        "with": [_name(other, state) for other in acquainted if other != member] if member in acquainted else [],
        "place": introduction.suggestion.place.name,
        "next_date": _time(meeting.starts_at_ms) if meeting is not None and member in acquainted else None,
    }


def _name(member: str, state: PartitionState) -> str:
    """The first name of somebody whom the reader was introduced to; who is gone has none any more."""
    contact = state.members.contact(member)
    return contact.first_name if contact is not None else "?"


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
