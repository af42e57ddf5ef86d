"""What OpenAPI says about the partner API."""

from __future__ import annotations

from typing import Any

from services.intake.envelopes import BATCH, JSON, STRUCTURED
from services.intake.events import EVENT_MODELS
from services.intake.problems import PROBLEM_MEDIA_TYPE
from shared.contracts import EventType

_PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {
                    "pointer": {"type": "string"},
                    "detail": {"type": "string"},
                    "choices": {"type": "array", "items": {"type": "string"}},
                },
            },
        },
    },
}

_RESULT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": ["string", "null"]},
        "status": {"type": "integer"},
        "member": {"type": "string"},
        "superseded": {"type": "boolean", "description": "A newer event about this member was accepted before."},
        "withdrawn": {"type": "boolean", "description": "There was no consent: nobody is signed up, or they left."},
        "problem": _PROBLEM_SCHEMA,
    },
}
_BATCH_RESULT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["results"],
    "properties": {"results": {"type": "array", "items": _RESULT_SCHEMA}},
}
_ANSWER: dict[str, Any] = {"application/json": {"schema": {"anyOf": [_RESULT_SCHEMA, _BATCH_RESULT_SCHEMA]}}}


def _event_schema() -> dict[str, Any]:
    """The schema of one event, whole in itself: OpenAPI has it inline, once for each media type."""
    return {"oneOf": [_inlined(model.model_json_schema()) for model in EVENT_MODELS]}


def _data_schema() -> dict[str, Any]:
    """The schema of an event's data alone, for binary mode."""
    return {
        "anyOf": [_inlined(model.model_json_schema())["properties"]["data"] for model in EVENT_MODELS],
        "description": "The data alone; the rest is in ce- headers, which must all be there but for ce-time.",
    }


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    inlined: dict[str, Any] = _inline(schema, schema.pop("$defs", {}))
    return inlined


def _inline(schema: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(schema, dict):
        if "$ref" in schema:
            return _inline(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions)
        return {key: _inline(value, definitions) for key, value in schema.items()}
    if isinstance(schema, list):
        return [_inline(item, definitions) for item in schema]
    return schema


def _problem_answer(description: str) -> dict[str, Any]:
    return {"description": description, "content": {PROBLEM_MEDIA_TYPE: {"schema": _PROBLEM_SCHEMA}}}


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
    "status_code": 202,
    "responses": {
        200: {"description": "A dry run: what would be stored, and how it was understood.", "content": _ANSWER},
        202: {"description": "Accepted: acknowledged by all replicas.", "content": _ANSWER},
        207: {
            "description": "A batch of which some events are not accepted, or would not be: a result for each.",
            "content": {"application/json": {"schema": _BATCH_RESULT_SCHEMA}},
        },
        400: _problem_answer("The body is not JSON."),
        401: _problem_answer("No valid API key, or a signature that is wrong."),
        403: _problem_answer("The source or the community is not yours."),
        408: _problem_answer("The body came too slowly."),
        410: _problem_answer("The member asked to be erased: nothing of theirs is taken in any more."),
        409: _problem_answer("The same event, or one about the same member, is under way. Send the same again."),
        413: _problem_answer("Too large."),
        415: _problem_answer("The content type is not understood."),
        422: _problem_answer("The event cannot be used; `errors` points at the fields."),
        429: _problem_answer("More than agreed; `Retry-After` says when to go on."),
        503: _problem_answer("Kafka did not acknowledge in time. Send the same again."),
    },
    "openapi_extra": {
        "security": [{"apiKey": []}],
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
                STRUCTURED: {"schema": _event_schema()},
                BATCH: {"schema": {"type": "array", "items": _event_schema()}},
                JSON: {"schema": _data_schema()},
            },
        },
    },
}
"""For the route of POST /v1/events."""
