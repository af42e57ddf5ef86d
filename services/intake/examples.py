"""An example of each kind of event, and of each answer, for the document: a test sends and compares them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from services.intake.explanations import EXPLANATIONS
from services.intake.problems import FieldError, Problem
from shared.contracts import EventType

SOURCE = "demo-app"
_MEMBER: dict[str, Any] = {
    "community": "london",
    "first_name": "Kofi",
    "email": "kofi@inbox.example",
    "birth_year": 1988,
    "place": {"name": "Notting Hill"},
    "interests": ["football", "second-hand bookshops", "jollof"],
    "openness": {"shares": 3, "listens": 5, "goes_first": 2, "depth": 4},
    "available": ["weekday evenings", "Sundays"],
    "consent": {"introductions": True, "wording": "2026-11", "given_at": "2026-11-22T10:00:00Z"},
    "schemaVersion": 2,
}
DATA: dict[EventType, dict[str, Any]] = {
    EventType.SIGNED_UP: _MEMBER,
    EventType.UPDATED: _MEMBER | {"place": {"latitude": 51.51, "longitude": -0.21}, "travel_km": 8},
    EventType.PAUSED: {"community": "london", "until": "2027-01-07T00:00:00Z"},
    EventType.BLOCKED: {"community": "london", "blocked": "your-reference-of-the-other"},
    EventType.LEFT: {"community": "london"},
    EventType.ERASED: {"community": "london"},
}
"""By the type of the event."""

_RESULT = {"id": "example-signed_up", "member": "m_34qfivehj4yi5svnwcgvva6que"}


def event_of(kind: EventType) -> dict[str, Any]:
    """A whole event, in structured mode."""
    return {
        "specversion": "1.0",
        "id": f"example-{kind.rpartition('.')[2]}",
        "source": SOURCE,
        "type": kind.value,
        "subject": "your-own-reference-18",
        "time": "2026-11-22T10:00:00Z",
        "data": DATA[kind],
    }


def events() -> dict[str, Any]:
    """One for each type, by its short name."""
    return {kind.rpartition(".")[2]: {"value": event_of(kind)} for kind in EventType}


def data() -> dict[str, Any]:
    """The data alone, for binary mode."""
    return {kind.rpartition(".")[2]: {"value": DATA[kind]} for kind in EventType}


def batches() -> dict[str, Any]:
    """A batch of two."""
    return {"two": {"value": [event_of(EventType.SIGNED_UP), event_of(EventType.PAUSED)]}}


def accepted() -> dict[str, Any]:
    """What 202 says."""
    return {
        "one": {"value": _RESULT},
        "superseded": {"value": _RESULT | {"superseded": True}},
        "withdrawn": {"value": _RESULT | {"withdrawn": True}},
        "batch": {"value": {"results": [{"status": 202, **_RESULT}]}},
    }


def partly() -> dict[str, Any]:
    """What 207 says."""
    refused = {"id": "example-updated", "status": 422, "problem": _problem("invalid-event")}
    return {"one refused": {"value": {"results": [{"status": 202, **_RESULT}, refused]}}}


def explained() -> dict[str, Any]:
    """What a dry run says."""
    return {
        "pause": {
            "value": {
                "id": "example-paused",
                "member": _RESULT["member"],
                "event": {name: value for name, value in event_of(EventType.PAUSED).items() if name != "data"},
                "would_store": [{"topic": "partner-preferences", "value": {"community": "london", "kind": "pause"}}],
                "dry_run": True,
            }
        }
    }


def problems(kinds: Iterable[str]) -> dict[str, Any]:
    """An example of each of some kinds of problems."""
    return {kind: {"summary": EXPLANATIONS[kind].meaning, "value": _problem(kind)} for kind in kinds}


def _problem(kind: str) -> dict[str, Any]:
    explanation = EXPLANATIONS[kind]
    errors: tuple[FieldError, ...] = ()
    if kind == "invalid-event":
        errors = (FieldError("/data/place/name", "could be several places", ("Kingston upon Thames", "Kingston Vale")),)
    detail = "" if errors else explanation.mend
    return Problem(kind, explanation.status, explanation.title, detail, errors).to_json()
