"""What OpenAPI says about `POST /v1/events`: the modes, the answers, and an example of each."""

from __future__ import annotations

from typing import Any

from services.intake import examples
from services.intake.envelopes import BATCH, JSON, STRUCTURED
from services.intake.explanations import EXPLANATIONS
from services.intake.problems import PROBLEM_MEDIA_TYPE
from shared.contracts import EventType

_ANSWERED_TO_EVENTS = {
    "no-key", "bad-signature", "foreign-source", "not-your-community", "too-slow", "under-way", "erased", "too-large",
    "batch-too-large", "media-type", "not-json", "invalid-event", "not-a-batch", "bad-envelope", "bad-dry-run",
    "bad-idempotency-key", "other-body", "too-many-requests", "not-acknowledged",
}  # fmt: skip
_WHY = {
    400: "The body is not JSON.",
    401: "No valid API key, or a signature that is wrong.",
    403: "The source or the community is not yours.",
    404: "There is nothing of this name.",
    408: "The body came too slowly.",
    409: "The same event, or one about the same member, is under way. Send the same again.",
    410: "The member asked to be erased: nothing of theirs is taken in any more.",
    413: "Too large.",
    415: "The content type is not understood.",
    422: "The event cannot be used; `errors` points at the fields.",
    429: "More than agreed; `Retry-After` says when to go on.",
    503: "Kafka did not acknowledge in time. Send the same again.",
}
_RATE = {
    "RateLimit-Limit": "Events a second that were agreed.",
    "RateLimit-Remaining": "Events that may be sent at once.",
    "RateLimit-Reset": "Seconds until all of it may be sent again.",
}
_RETRY_AFTER = {"Retry-After": "Seconds to wait."}
_WAITED_AFTER = (409, 429, 503)


def ref(name: str) -> dict[str, str]:
    """The reference to a named schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def problem_answer(*kinds: str) -> dict[str, Any]:
    """The answer of some kinds of problems, all of one status."""
    [status] = {EXPLANATIONS[kind].status for kind in kinds}
    return {
        "description": _WHY[status],
        "content": {PROBLEM_MEDIA_TYPE: {"schema": ref("Problem"), "examples": examples.problems(kinds)}},
    }


def _problem_answers() -> dict[int, dict[str, Any]]:
    by_status: dict[int, list[str]] = {}
    for kind, explanation in EXPLANATIONS.items():
        if kind in _ANSWERED_TO_EVENTS:
            by_status.setdefault(explanation.status, []).append(kind)
    answers = {status: problem_answer(*kinds) for status, kinds in by_status.items()}
    for status, answer in answers.items():
        headers = {} if status == 401 else _RATE
        answer["headers"] = _headers(headers | (_RETRY_AFTER if status in _WAITED_AFTER else {}))
    return answers


def _headers(told: dict[str, str]) -> dict[str, Any]:
    return {name: {"description": text, "schema": {"type": "integer", "minimum": 0}} for name, text in told.items()}


def _answer(description: str, schema: dict[str, Any], shown: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": schema, "examples": shown}}
    return {"description": description, "content": content, "headers": _headers(_RATE)}


def _header(name: str, description: str, **schema: Any) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string", **schema},
    }


DOCUMENTED: dict[str, Any] = {
    "summary": "Send one event, or a batch",
    "operation_id": "sendEvents",
    "status_code": 202,
    "responses": {
        200: _answer(
            "A dry run: what would be stored, and how it was understood.",
            ref("DryRunAnswer"),
            examples.explained(),
        ),
        202: _answer(
            "Accepted: acknowledged by all replicas.",
            ref("Answer"),
            examples.accepted(),
        ),
        207: _answer(
            "A batch of which some events are not accepted, or would not be: a result for each.",
            ref("BatchResults"),
            examples.partly(),
        ),
        **_problem_answers(),
    },
    "openapi_extra": {
        "security": [{"apiKey": []}, {"apiKey": [], "webhookId": [], "webhookTimestamp": [], "webhookSignature": []}],
        "parameters": [
            {
                "name": "dry_run",
                "in": "query",
                "required": False,
                "description": "Store nothing; say what would be stored and how it was understood.",
                "schema": {"type": "boolean", "default": False},
            },
            _header("Idempotency-Key", "The same key and body get the same answer.", minLength=1, maxLength=200),
            # Plain strings: in the other modes they are not looked at, whatever they hold.
            _header("ce-specversion", "In binary mode, with `application/json`: 1.0."),
            _header("ce-id", "In binary mode; at most 200 characters."),
            _header("ce-source", "In binary mode; at most 200 characters."),
            _header("ce-type", f"In binary mode: {', '.join(EventType)}."),
            _header("ce-subject", "In binary mode; at most 200 characters."),
            _header("ce-time", "In binary mode; RFC 3339."),
        ],
        "requestBody": {
            "required": True,
            "content": {
                STRUCTURED: {"schema": ref("Event"), "examples": examples.events()},
                BATCH: {"schema": ref("EventBatch"), "examples": examples.batches()},
                JSON: {"schema": ref("EventData"), "examples": examples.data()},
            },
        },
    },
}
"""For the route of POST /v1/events."""
