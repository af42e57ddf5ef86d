"""From JSON to an event: plain sign-ups quickly, everything else by the models. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from pydantic import ValidationError

from services.intake.events import BATCH_READER, READER, AnyEvent, MemberEvent
from services.intake.plain_signups import is_plain, plain_sign_up, plain_sign_ups, written_out
from services.intake.problems import Problem, validation_problem


def read(event: bytes | Mapping[str, Any]) -> AnyEvent | Problem:
    """One event: JSON as bytes, or decoded; or what is wrong with it."""
    return (plain_sign_up(event) if isinstance(event, bytes) else None) or read_by_model(event)


def read_by_model(event: bytes | Mapping[str, Any]) -> MemberEvent | Problem:
    """One event, as its model. What was decoded is written out again: every way in is as strict as the others."""
    try:
        event_read: MemberEvent = READER.validate_json(event if isinstance(event, bytes) else orjson.dumps(event))
        return event_read
    except ValidationError as error:
        return validation_problem(error)
    except orjson.JSONEncodeError:
        return Problem("invalid-event", 422, "The event is nested too deep.", "nothing in it needs more than 3 levels")


def read_batch(body: bytes) -> Sequence[AnyEvent] | None:
    """A JSON array of events, read in one go; `None` if not all of them have the form of an event."""
    plain = plain_sign_ups(body)
    try:
        if plain is None:
            events: Sequence[AnyEvent] = BATCH_READER.validate_json(body)
            return events
        return [event if is_plain(event) else READER.validate_json(written_out(event)) for event in plain]
    except ValidationError:
        return None
