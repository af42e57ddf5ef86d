"""The HTTP door: `POST /v1/events` takes CloudEvents 1.0, one (structured, binary) or many (batch).

Answers are safe to act on: 202 means that Kafka has acknowledged every record with
acks=all; any other answer means that the event may be sent again as it is. Ids are
derived, so sending twice does no harm.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any, NamedTuple

import orjson
from aiokafka.errors import KafkaError
from fastapi import APIRouter, FastAPI, Response
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from services.intake.accept import Accepted, Desk
from services.intake.documented import DOCUMENTED
from services.intake.envelopes import Event, One, events_of, from_http, media_problem, unpacked
from services.intake.keyring import Keyring
from services.intake.problems import PROBLEM_MEDIA_TYPE, Problem
from services.intake.settings import IntakeSettings
from services.intake.signed import signature_problem
from shared.clock import Clock
from shared.contracts import EventType
from shared.logs import logger
from shared.metrics import IntakeMetrics
from shared.outgoing import Outgoing

log = logger(__name__)

_EVENTS_PATH = "/v1/events"
_TRUE = (b"dry_run=true", b"dry_run=1")
Publish = Callable[[Sequence[Outgoing]], Awaitable[None]]
"""Returns when all replicas have acknowledged; raises `KafkaError` otherwise."""
Headers = Mapping[bytes, bytes]


class Answer(NamedTuple):
    """What is answered: a status, JSON, and headers besides its type and length."""

    status: int
    body: bytes
    media_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()


class EventsEndpoint:
    """POST /v1/events, as a bare ASGI application: nothing of a framework lies between it and the socket."""

    def __init__(
        self,
        desk: Desk,
        keyring: Keyring,
        publish: Publish,
        settings: IntakeSettings,
        metrics: IntakeMetrics,
        clock: Clock,
    ) -> None:
        self._desk = desk
        self._keyring = keyring
        self._publish = publish
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._accepted = {kind.value: metrics.events.labels(kind, "http", "accepted") for kind in EventType}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = await self._answer(scope, receive)
        await send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": [
                    (b"content-type", answer.media_type),
                    (b"content-length", b"%d" % len(answer.body)),
                    *answer.headers,
                ],
            }
        )
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        headers: Headers = dict(scope["headers"])
        partner = self._keyring.partner(headers.get(b"authorization", b"").decode("latin-1"))
        if partner is None:
            return self._refused(Problem("no-key", 401, "Send your API key.", "Authorization: Bearer KEY"))
        problem = media_problem(headers)
        if problem is not None:
            return self._refused(problem)
        body = await _read(receive, headers.get(b"content-length", b""), self._settings.body_bytes_max)
        if isinstance(body, Problem):
            return self._refused(body)
        if partner.signature_required or (partner.signing_secrets and b"webhook-signature" in headers):
            problem = signature_problem(partner, headers, body, self._clock())
            if problem is not None:
                return self._refused(problem)
        began = perf_counter()
        try:
            return await self._take(headers, body, partner.source, dry_run=scope["query_string"] in _TRUE)
        except (KafkaError, TimeoutError) as error:
            self._metrics.publish_failures.inc()
            log.warning("not_acknowledged", error=type(error).__name__)
            problem = Problem("not-acknowledged", 503, "Kafka did not acknowledge in time.", "Send the same again.")
            return _problem_answer(problem, (b"retry-after", b"1"))
        finally:
            self._metrics.request_seconds.observe(perf_counter() - began)

    async def _take(self, headers: Headers, body: bytes, partner: str, *, dry_run: bool) -> Answer:
        content = from_http(headers, body)
        if isinstance(content, Problem):
            return self._refused(content)
        if isinstance(content, One):
            return self._explain(content.event, partner) if dry_run else await self._one(content.event, partner)
        return self._explain_many(content.body, partner) if dry_run else await self._many(content.body, partner)

    async def _one(self, event: Event, partner: str) -> Answer:
        decision = self._desk.accept(event, partner=partner, now_ms=self._clock())
        if isinstance(decision, Problem):
            return self._refused(decision)
        async with asyncio.timeout(self._settings.acknowledge_seconds_max):
            await self._publish(decision.records)
        self._accepted[decision.event_type].inc()
        return Answer(202, orjson.dumps({"id": decision.event_id, "member": decision.member}))

    async def _many(self, body: bytes, partner: str) -> Answer:
        now_ms = self._clock()
        decisions = self._desk.accept_batch(body, partner=partner, now_ms=now_ms)
        events: Sequence[Any] = ()
        if decisions is None:
            decoded = events_of(body)
            if isinstance(decoded, Problem):
                return self._refused(decoded)
            events = decoded
        count = len(events if decisions is None else decisions)
        if count > self._settings.batch_events_max:
            return self._too_many()
        if decisions is None:
            decisions = [self._desk.accept(unpacked(event), partner=partner, now_ms=now_ms) for event in events]
        good = [decision for decision in decisions if isinstance(decision, Accepted)]
        async with asyncio.timeout(self._settings.acknowledge_seconds_max):
            await self._publish([record for decision in good for record in decision.records])
        for kind, times in Counter([decision.event_type for decision in good]).items():
            self._accepted[kind].inc(times)
        if len(good) == count:
            results = [{"id": one.event_id, "status": 202, "member": one.member} for one in good]
            return Answer(202, orjson.dumps({"results": results}))
        for decision in decisions:
            if isinstance(decision, Problem):
                self._count(decision)
        each = zip(decisions, events or decisions, strict=True)
        return Answer(207, orjson.dumps({"results": [_result(decision, event) for decision, event in each]}))

    def _explain_many(self, body: bytes, partner: str) -> Answer:
        events = events_of(body)
        if isinstance(events, Problem):
            return self._refused(events)
        if len(events) > self._settings.batch_events_max:
            return self._too_many()
        results = []
        for event in events:
            one = self._desk.explain(unpacked(event), partner=partner, now_ms=self._clock())
            results.append(_result(one, event) if isinstance(one, Problem) else {"status": 200, **one})
        return Answer(200, orjson.dumps({"dry_run": True, "results": results}))

    def _too_many(self) -> Answer:
        detail = f"at most {self._settings.batch_events_max} events in one batch"
        return self._refused(Problem("batch-too-large", 413, "The batch holds too many events.", detail))

    def _explain(self, event: Event, partner: str) -> Answer:
        explained = self._desk.explain(event, partner=partner, now_ms=self._clock())
        if isinstance(explained, Problem):
            return self._refused(explained)
        return Answer(200, orjson.dumps(explained | {"dry_run": True}))

    def _refused(self, problem: Problem) -> Answer:
        self._count(problem)
        return _problem_answer(problem)

    def _count(self, problem: Problem) -> None:
        self._metrics.events.labels("unknown", "http", "rejected").inc()
        self._metrics.rejections.labels(problem.kind).inc()


def events_router(endpoint: EventsEndpoint) -> APIRouter:
    """The partner API, documented; and as the application starts, a straight way to the endpoint.

    It needs nothing of what lies in between: no middleware, no path to be taken apart, no
    dependencies to solve, no model to fill. That takes two fifths of the time of a small
    request. Everything else, and what is documented, goes the usual way.
    """

    @asynccontextmanager
    async def straight(app: FastAPI) -> AsyncIterator[None]:
        usual = app.middleware_stack
        assert usual is not None, "it is built before the application starts"

        async def stack(scope: Scope, receive: Receive, send: Send) -> None:
            if scope.get("path") == _EVENTS_PATH and scope.get("method") == "POST":
                await endpoint(scope, receive, send)
            else:
                await usual(scope, receive, send)

        app.middleware_stack = stack
        yield

    router = APIRouter(tags=["partners"], lifespan=straight)

    @router.post(_EVENTS_PATH, **DOCUMENTED)
    async def post_events() -> Response:
        """Sign members up, update them, let them leave, be forgotten, pause, or block somebody."""
        raise AssertionError("the straight way is taken while the application runs")

    return router


async def _read(receive: Receive, declared: bytes, bytes_max: int) -> bytes | Problem:
    """The body, refused as soon as it is known to be too large: before it is read, if it says so itself."""
    if declared.isdigit() and int(declared) > bytes_max:
        return _too_large(bytes_max)
    body, more = b"", True
    while more:
        message = await receive()
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


def _result(decision: Accepted | Problem, event: Any) -> dict[str, Any]:
    if isinstance(decision, Accepted):
        return {"id": decision.event_id, "status": 202, "member": decision.member}
    event_id = event.get("id") if isinstance(event, dict) else None
    return {
        "id": event_id if isinstance(event_id, str) else None,
        "status": decision.status,
        "problem": decision.to_json(),
    }


def _problem_answer(problem: Problem, *headers: tuple[bytes, bytes]) -> Answer:
    if problem.status == 401:
        headers += ((b"www-authenticate", b"Bearer"),)
    return Answer(problem.status, orjson.dumps(problem.to_json()), PROBLEM_MEDIA_TYPE.encode(), headers)
