"""The OpenAPI document: what FastAPI makes of the routes, with named schemas and what a key is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from services.intake.documented import ref
from services.intake.events import EVENT_MODELS

_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_GROUPS = {"type": "object", "additionalProperties": _TEXTS}


def _object(required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required.split(), "properties": properties}


def _array(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


_UNDERSTOOD_WORD = _object(
    "given kept known",
    given=_TEXT,
    kept=_TEXTS,
    known={"type": "boolean"},
    did_you_mean=_TEXTS,
    life_topics=_TEXTS,
    note=_TEXT,
)
_EXPLAINED = {
    "id": _TEXT,
    "member": _TEXT,
    "event": {"type": "object", "description": "Its attributes."},
    "would_store": _array(ref("WouldStore")),
    "understood": ref("Understood"),
    "withdrawn": {"type": "boolean"},
}
_ACCEPTED = {
    "id": {"type": "string", "description": "Of the event."},
    "member": {"type": "string", "description": "Our id of the member."},
    "superseded": {"type": "boolean", "description": "A newer event about this member was accepted before."},
    "withdrawn": {"type": "boolean", "description": "There was no consent: nobody is signed up, and who was has left."},
}
_SCHEMAS: dict[str, Any] = {
    "Problem": {
        **_object(
            "type title status",
            type={"type": "string", "format": "uri-reference", "pattern": "^/problems/[a-z-]+$"},
            title=_TEXT,
            status={"type": "integer", "minimum": 400, "maximum": 599},
            detail=_TEXT,
            errors=_array(ref("FieldError")),
            results=_array(ref("Result")),
        ),
        "description": "RFC 9457. `type` is a path on intake, with a page that explains it. It repeats no value.",
    },
    "FieldError": _object(
        "pointer detail",
        pointer={"type": "string", "description": "RFC 6901."},
        detail=_TEXT,
        choices={**_TEXTS, "description": "What can be sent instead."},
    ),
    "Accepted": _object("id member", **_ACCEPTED),
    "Result": _object(
        "status", **_ACCEPTED | {"id": {"type": ["string", "null"]}}, status={"type": "integer"}, problem=ref("Problem")
    ),
    "BatchResults": _object("results", results=_array(ref("Result")), dry_run={"const": True}),
    "WouldStore": _object("topic value", topic=_TEXT, value={"type": ["object", "null"]}),
    "UnderstoodWord": _UNDERSTOOD_WORD,
    "Understood": _object(
        "interests life_topics place available",
        interests=_array(ref("UnderstoodWord")),
        life_topics=_array(ref("UnderstoodWord")),
        place=ref("UnderstoodPlace"),
        available=_array(ref("UnderstoodTime")),
    ),
    "UnderstoodPlace": _object(
        "name latitude longitude", name=_TEXT, latitude={"type": "number"}, longitude={"type": "number"}
    ),
    "UnderstoodTime": _object("given slots", given=_TEXT, slots=_TEXTS),
    "Answer": {"anyOf": [ref("Accepted"), ref("BatchResults")]},
    "DryRunAnswer": {"anyOf": [ref("Explained"), ref("ExplainedBatch")]},
    "Explained": _object("dry_run id member event would_store", dry_run={"const": True}, **_EXPLAINED),
    "ExplainedResult": _object("status id member event would_store", status={"const": 200}, **_EXPLAINED),
    "ExplainedBatch": _object("dry_run results", dry_run={"const": True}, results=_array(ref("ExplainedResult"))),
    "Vocabulary": _object(
        "interests life_topics slots places", interests=_GROUPS, life_topics=_GROUPS, slots=_TEXTS, places=_GROUPS
    ),
    "Readiness": _object("ready", ready={"type": "boolean"}, reason=_TEXT),
    "AsyncApiDocument": {"type": "object", "required": ["asyncapi"], "properties": {"asyncapi": _TEXT}},
}
_SIGNATURE = "Standard Webhooks 1.0.0; asked for where an operator said that a partner's events must be signed."
_SECURITY: dict[str, Any] = {
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key that `connection partner add` or `rotate` has printed.",
    },
    "webhookId": {"type": "apiKey", "in": "header", "name": "webhook-id", "description": _SIGNATURE},
    "webhookTimestamp": {"type": "apiKey", "in": "header", "name": "webhook-timestamp", "description": _SIGNATURE},
    "webhookSignature": {"type": "apiKey", "in": "header", "name": "webhook-signature", "description": _SIGNATURE},
}
_OPERATIONS = {
    "/livez": "isAlive",
    "/readyz": "isReady",
    "/metrics": "readMetrics",
    "/asyncapi.json": "readAsyncApi",
    "/asyncapi": "showAsyncApi",
}
"""Routes that every service has, under the names that they have here."""


def documents(app: FastAPI, batch_events_max: int) -> None:
    """Have the application give the whole document out. It is made when it is first asked for."""
    of_routes: Callable[[], dict[str, Any]] = app.openapi

    def whole() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _whole(of_routes(), batch_events_max)
        return app.openapi_schema

    app.openapi = whole  # type: ignore[method-assign]


def _whole(document: dict[str, Any], batch_events_max: int) -> dict[str, Any]:
    _, models = models_json_schema(
        [(model, "validation") for model in EVENT_MODELS], ref_template="#/components/schemas/{model}"
    )
    schemas = {**models["$defs"], **_SCHEMAS}
    schemas["Event"] = {
        "oneOf": [ref(model.__name__) for model in EVENT_MODELS],
        "discriminator": {
            "propertyName": "type",
            "mapping": {
                kind: ref(model.__name__)["$ref"]
                for model in EVENT_MODELS
                for kind in schemas[model.__name__]["properties"]["type"].get("enum")
                or [schemas[model.__name__]["properties"]["type"]["const"]]
            },
        },
    }
    schemas["EventBatch"] = {"type": "array", "items": ref("Event"), "maxItems": batch_events_max}
    schemas["EventData"] = {
        "anyOf": [ref(name) for name in ("SignUp", "Leaving", "Pausing", "Blocking")],
        "description": "The data alone; the rest is in ce- headers, which must all be there but for ce-time.",
    }
    document["components"] = {"schemas": dict(sorted(schemas.items())), "securitySchemes": _SECURITY}
    paths = document["paths"]
    for path, name in _OPERATIONS.items():
        paths[path]["get"]["operationId"] = name
    paths["/readyz"]["get"]["responses"] = {
        "200": _json("It is ready.", "Readiness", {"ready": True}),
        "503": _json("Not yet, and why.", "Readiness", {"ready": False, "reason": "not connected to Kafka"}),
    }
    paths["/asyncapi.json"]["get"]["responses"] = {
        "200": _json("AsyncAPI 3.0.", "AsyncApiDocument", {"asyncapi": "3.0.0"})
    }
    document["security"] = []
    return document


def _json(description: str, schema: str, example: Any) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": ref(schema), "example": example}}}
