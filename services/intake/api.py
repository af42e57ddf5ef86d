"""The HTTP door: `POST /v1/events` takes CloudEvents 1.0, one (structured) or many (batch).

Answers are safe to act on: 202 means that Kafka has acknowledged every record with
acks=all; any other answer means that the event may be sent again as it is. Ids are
derived, so sending twice does no harm.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from time import perf_counter
from typing import Any

import orjson
from aiokafka.errors import KafkaError
from fastapi import APIRouter, FastAPI, Request, Response
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from services.intake.accept import Accepted, Desk, LeaveEvent, SignUpEvent
from services.intake.problems import PROBLEM_MEDIA_TYPE, Problem
from services.intake.settings import IntakeSettings
from shared.clock import Clock
from shared.contracts import EventType
from shared.logs import logger
from shared.metrics import IntakeMetrics
from shared.outgoing import Outgoing

log = logger(__name__)

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
_EVENTS_PATH = "/v1/events"
Publish = Callable[[Sequence[Outgoing]], Awaitable[None]]
"""Returns when all replicas have acknowledged; raises `KafkaError` otherwise."""


class Keyring:
    """Knows partners by their API keys. Keeps hashes only, so that a dump of memory holds no key."""

    def __init__(self, keys_by_source: Mapping[str, str]) -> None:
        self._source_by_hash = {_hash(key): source for source, key in keys_by_source.items()}

    def partner(self, authorization: str | None) -> str | None:
        """The source that a request's Authorization header proves, or `None`.

        What is looked up is a hash of the key: how long that takes says nothing about the key.
        """
        scheme, _, key = (authorization or "").partition(" ")
        return self._source_by_hash.get(_hash(key.strip())) if scheme.lower() == "bearer" else None


def events_router(
    desk: Desk, keyring: Keyring, publish: Publish, settings: IntakeSettings, metrics: IntakeMetrics, clock: Clock
) -> APIRouter:
    """The partner API."""
    accepted = {kind.value: metrics.events.labels(kind, "http", "accepted") for kind in EventType}
    router = APIRouter(tags=["partners"], lifespan=_straight(lambda: post_events))

    @router.post(_EVENTS_PATH, **_DOCUMENTED)
    async def post_events(request: Request) -> Response:
        """Sign members up, update them, or let them leave."""
        headers = dict(request.scope["headers"])
        partner = keyring.partner(headers.get(b"authorization", b"").decode("latin-1"))
        if partner is None:
            return _refused(Problem("no-key", 401, "Send your API key.", "Authorization: Bearer KEY"), metrics)
        media_type = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
        if media_type not in (STRUCTURED, BATCH):
            detail = f"Content-Type must be {STRUCTURED} for one event or {BATCH} for many"
            return _refused(Problem("media-type", 415, "This content type is not understood.", detail), metrics)
        body = await _read(request, headers.get(b"content-length", b""), settings.body_bytes_max)
        if isinstance(body, Problem):
            return _refused(body, metrics)
        began = perf_counter()
        try:
            if media_type == STRUCTURED:
                return await one(body, partner)
            return await many(body, partner)
        except (KafkaError, TimeoutError) as error:
            metrics.publish_failures.inc()
            log.warning("not_acknowledged", error=type(error).__name__)
            problem = Problem("not-acknowledged", 503, "Kafka did not acknowledge in time.", "Send the same again.")
            return _answer(problem, headers={"Retry-After": "1"})
        finally:
            metrics.request_seconds.observe(perf_counter() - began)

    async def one(body: bytes, partner: str) -> Response:
        decision = desk.accept(body, partner=partner, now_ms=clock())
        if isinstance(decision, Problem):
            return _refused(decision, metrics)
        async with asyncio.timeout(settings.acknowledge_seconds_max):
            await publish(decision.records)
        accepted[decision.event_type].inc()
        return _json({"id": decision.event_id, "member": decision.member}, 202)

    async def many(body: bytes, partner: str) -> Response:
        try:
            events = orjson.loads(body)
        except orjson.JSONDecodeError:
            return _refused(Problem("not-json", 400, "The body is not valid JSON."), metrics)
        if not isinstance(events, list) or not events:
            return _refused(Problem("not-a-batch", 422, "A batch is a JSON array of at least one event."), metrics)
        if len(events) > settings.batch_events_max:
            detail = f"at most {settings.batch_events_max} events in one batch"
            return _refused(Problem("batch-too-large", 413, "The batch holds too many events.", detail), metrics)
        now_ms = clock()
        decisions = [desk.accept(event, partner=partner, now_ms=now_ms) for event in events]
        good = [decision for decision in decisions if isinstance(decision, Accepted)]
        async with asyncio.timeout(settings.acknowledge_seconds_max):
            await publish([record for decision in good for record in decision.records])
        for kind, count in Counter([decision.event_type for decision in good]).items():
            accepted[kind].inc(count)
        for decision in decisions if len(good) < len(decisions) else ():
            if isinstance(decision, Problem):
                _count(decision, "http", metrics)
        results = [_result(event, decision) for event, decision in zip(events, decisions, strict=True)]
        return _json({"results": results}, 202 if len(good) == len(decisions) else 207)

    return router


Endpoint = Callable[[Request], Awaitable[Response]]


def _straight(post_events: Callable[[], Endpoint]) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """As the application starts, lay a straight way to the one endpoint that carries load.

    It needs nothing of what lies in between: no middleware, no path to be taken apart, no
    dependencies to solve, no model to fill. That takes two fifths of the time of a small
    request. Everything else, and what is documented, goes the usual way.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        usual, endpoint = app.middleware_stack, post_events()
        assert usual is not None, "it is built before the application starts"

        async def stack(scope: Scope, receive: Receive, send: Send) -> None:
            if scope.get("path") == _EVENTS_PATH and scope.get("method") == "POST":
                response = await endpoint(Request(scope, receive))
                await response(scope, receive, send)
            else:
                await usual(scope, receive, send)

        app.middleware_stack = stack
        yield

    return lifespan


async def _read(request: Request, declared: bytes, bytes_max: int) -> bytes | Problem:
    """The body, refused as soon as it is known to be too large: before it is read, if it says so itself."""
    if declared.isdigit() and int(declared) > bytes_max:
        return _too_large(bytes_max)
    body, more = b"", True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        if len(body) + len(chunk) > bytes_max:
            return _too_large(bytes_max)
        body = body + chunk if body else chunk
        more = message.get("more_body", False)
    return body


def _too_large(bytes_max: int) -> Problem:
    return Problem("too-large", 413, "The request is too large.", f"at most {bytes_max} bytes")


def _result(event: Any, decision: Accepted | Problem) -> dict[str, Any]:
    if isinstance(decision, Accepted):
        return {"id": decision.event_id, "status": 202, "member": decision.member}
    event_id = event.get("id") if isinstance(event, dict) else None
    return {
        "id": event_id if isinstance(event_id, str) else None,
        "status": decision.status,
        "problem": decision.to_json(),
    }


def _refused(problem: Problem, metrics: IntakeMetrics) -> Response:
    _count(problem, "http", metrics)
    return _answer(problem)


def _count(problem: Problem, way: str, metrics: IntakeMetrics) -> None:
    metrics.events.labels("unknown", way, "rejected").inc()
    metrics.rejections.labels(problem.kind).inc()


def _answer(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    if problem.status == 401:
        headers = {"WWW-Authenticate": "Bearer", **(headers or {})}
    return Response(orjson.dumps(problem.to_json()), problem.status, headers=headers, media_type=PROBLEM_MEDIA_TYPE)


def _json(body: Any, status: int) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


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
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}

_ACCEPTED_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"id": {"type": ["string", "null"]}, "status": {"type": "integer"}, "member": {"type": "string"}},
}


def _event_schema() -> dict[str, Any]:
    """The schema of one event, whole in itself: OpenAPI has it inline, once for each media type."""
    sign_up = SignUpEvent.model_json_schema()
    leave = LeaveEvent.model_json_schema()
    definitions = sign_up.pop("$defs", {}) | leave.pop("$defs", {})
    inlined: dict[str, Any] = _inline({"oneOf": [sign_up, leave]}, definitions)
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


_DOCUMENTED: dict[str, Any] = {
    "summary": "Send one event, or a batch",
    "status_code": 202,
    "responses": {
        202: {
            "description": "Accepted: acknowledged by all replicas.",
            "content": {"application/json": {"schema": _ACCEPTED_SCHEMA}},
        },
        207: {"description": "A batch of which some events were not accepted: a result for each, in their order."},
        400: _problem_answer("The body is not JSON."),
        401: _problem_answer("No valid API key."),
        403: _problem_answer("The source or the community is not yours."),
        413: _problem_answer("Too large."),
        415: _problem_answer("The content type is not understood."),
        422: _problem_answer("The event cannot be used; `errors` points at the fields."),
        503: _problem_answer("Kafka did not acknowledge in time. Send the same again."),
    },
    "openapi_extra": {
        "security": [{"apiKey": []}],
        "requestBody": {
            "required": True,
            "content": {
                STRUCTURED: {"schema": _event_schema()},
                BATCH: {"schema": {"type": "array", "items": _event_schema()}},
            },
        },
    },
}
