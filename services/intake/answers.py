"""What is answered about events: the whole answer, and the result of each event in one for many. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from services.intake.accept import Accepted
from services.intake.claims import Verdict
from services.intake.problems import PROBLEM_MEDIA_TYPE, Problem
from shared.security_headers import RawHeaders

_STALE = Verdict.STALE


class Answer(NamedTuple):
    """What is answered: a status, JSON, and headers besides its type and length."""

    status: int
    body: bytes
    media_type: bytes = b"application/json"
    headers: RawHeaders = ()


def told_of(decision: Accepted, verdict: Verdict, told: dict[str, Any]) -> dict[str, Any]:
    """What is said of an event that was accepted, behind what is `told` already."""
    told["id"] = decision.event_id
    told["member"] = decision.member
    if verdict is _STALE:
        told["superseded"] = True
    if decision.withdrawn:
        told["withdrawn"] = True
    return told


def refusal(problem: Problem, event: Any) -> dict[str, Any]:
    event_id = event.get("id") if isinstance(event, dict) else None
    return {
        "id": event_id if isinstance(event_id, str) else None,
        "status": problem.status,
        "problem": problem.to_json(),
    }


def problem_answer(problem: Problem, *headers: tuple[bytes, bytes]) -> Answer:
    if problem.status == 401:
        headers += ((b"www-authenticate", b"Bearer"),)
    return Answer(problem.status, orjson.dumps(problem.to_json()), PROBLEM_MEDIA_TYPE.encode(), headers)
