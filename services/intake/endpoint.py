"""The HTTP door: `POST /v1/events` takes CloudEvents 1.0, one (structured, binary) or many (batch).

Answers are safe to act on: 202 means that Kafka has acknowledged every record with
acks=all; any other answer means that the event may be sent again as it is. Ids are
derived, so sending twice does no harm.
"""

from __future__ import annotations

from asyncio import Semaphore
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from operator import attrgetter
from time import monotonic, perf_counter
from typing import Any
from urllib.parse import parse_qsl

import orjson
from aiokafka.errors import KafkaError
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from services.intake.accept import Accepted, Desk
from services.intake.answers import Answer, problem_answer, refusal, told_of
from services.intake.claims import Verdict
from services.intake.deadlines import Deadlines
from services.intake.envelopes import Event, One, events_of, from_http, media_problem, unpacked
from services.intake.keyring import Keyring
from services.intake.ledger import Ledger, claim_of, claim_of_key
from services.intake.limits import RateLimits
from services.intake.once import BUSY, problem_of
from services.intake.problem_answers import FAILED
from services.intake.problems import PROBLEM_MEDIA_TYPE, Problem
from services.intake.settings import IntakeSettings
from services.intake.signed import signature_problem
from services.intake.together import Together
from shared.bodies import TooLarge, read_body, throw_away
from shared.clock import Clock
from shared.contracts import EventType, Partner
from shared.contracts.claim import Step, Way
from shared.logs import logger
from shared.metrics import IntakeMetrics
from shared.security_headers import HEADERS, RawHeaders, transport_security

log = logger(__name__)

_KEY_LETTERS_MAX = 200
_DRY_RUN = {"false": False, "0": False, "true": True, "1": True}
_CLOSE = (b"connection", b"close")
"""Whoever sends too much or too slowly is not listened to much longer."""
_SOON = (b"retry-after", b"1")
_WON = Verdict.WON
_TYPE, _WITHDRAWN = attrgetter("event_type"), attrgetter("withdrawn")
_SOON_IF_BUSY: dict[bool, RawHeaders] = {True: (_SOON,), False: ()}
_TOO_MANY = Problem("too-many-requests", 429, "That is more than agreed.", "Retry-After says when to go on")
_TOO_SLOW = Problem("too-slow", 408, "The body did not come in time.", "send it at once")
Headers = Mapping[bytes, bytes]


class EventsEndpoint:
    """POST /v1/events, as a bare ASGI application: nothing of a framework lies between it and the socket."""

    def __init__(
        self,
        desk: Desk,
        keyring: Keyring,
        ledger: Ledger,
        settings: IntakeSettings,
        metrics: IntakeMetrics,
        clock: Clock,
    ) -> None:
        self._desk = desk
        self._keyring = keyring
        self._ledger = ledger
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._guarding = HEADERS + transport_security(settings.hsts_seconds)
        self._deadlines = Deadlines()
        self._together = Together(
            lambda event, partner, now_ms: desk.accept(event, partner=partner, now_ms=now_ms),
            ledger,
            self._deadlines,
            clock,
            seconds_max=settings.acknowledge_seconds_max,
        )
        self._turns = defaultdict[str, Semaphore](lambda: Semaphore(settings.batches_in_hand_max))
        self._limits = RateLimits(settings.events_per_second_max, settings.burst_seconds)
        self._accepted = {kind.value: metrics.events.labels(kind, "http", "accepted") for kind in EventType}
        self._rejected = metrics.events.labels("unknown", "http", "rejected")
        self._too_many_requests = metrics.rejections.labels(_TOO_MANY.kind)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer, more = await self._answer(scope, receive)
        except ClientDisconnect:
            return  # nobody is there to be answered
        except Exception:  # To be logged by the server; without this it would answer by itself, and bare.
            await self._send(receive, send, problem_answer(FAILED), ())
            raise
        await self._send(receive, send, answer, more)

    async def _send(self, receive: Receive, send: Send, answer: Answer, more: RawHeaders) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": [
                    (b"content-type", answer.media_type),
                    (b"content-length", b"%d" % len(answer.body)),
                    *self._guarding,
                    *answer.headers,
                    *more,
                ],
            }
        )
        if _CLOSE in answer.headers:
            await send({"type": "http.response.body", "body": answer.body, "more_body": True})
            with suppress(TimeoutError), self._deadlines.within(self._settings.body_seconds_max):
                await throw_away(receive)
            await send({"type": "http.response.body", "body": b""})
        else:
            await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[Answer, RawHeaders]:
        """The answer, and the headers that say what the partner may send."""
        headers: Headers = dict(scope["headers"])
        partner = self._keyring.partner(headers.get(b"authorization", b"").decode("latin-1"))
        if partner is None:
            return self._refused(Problem("no-key", 401, "Send your API key.", "Authorization: Bearer KEY")), ()
        allowance = self._limits.take(partner.source, partner.events_per_second, monotonic())
        if allowance.refused:
            # Refused often by whom it hits: so before the body is read, and with an answer that is ready.
            self._rejected.inc()
            self._too_many_requests.inc()
            retry_after = (b"retry-after", b"%d" % allowance.wait_seconds)
            answer = _TOO_MANY_ANSWER._replace(headers=(retry_after,))
        else:
            answer = await self._answer_partner(headers, partner, receive, scope["query_string"])
        return answer, (
            (b"ratelimit-limit", b"%d" % allowance.per_second),
            (b"ratelimit-remaining", b"%d" % allowance.left),
            (b"ratelimit-reset", b"%d" % allowance.full_seconds),
        )

    async def _answer_partner(self, headers: Headers, partner: Partner, receive: Receive, query: bytes) -> Answer:
        dry_run = _is_dry_run(query) if query else False
        if dry_run is None:
            detail = "dry_run must be true or false; nothing was stored"
            return self._refused(Problem("bad-dry-run", 422, "The query cannot be used.", detail))
        problem = media_problem(headers) or _key_problem(headers)
        if problem is not None:
            return self._refused(problem)
        try:
            with self._deadlines.within(self._settings.body_seconds_max):
                body = await read_body(receive, headers.get(b"content-length", b""), self._settings.body_bytes_max)
        except TimeoutError:
            return self._refused(_TOO_SLOW, _CLOSE)
        if isinstance(body, TooLarge):
            detail = f"at most {self._settings.body_bytes_max} bytes"
            too_large = Problem("too-large", 413, "The request is too large.", detail)
            return self._refused(too_large) if body.is_over else self._refused(too_large, _CLOSE)
        if partner.signature_required or (partner.signing_secrets and b"webhook-signature" in headers):
            problem = signature_problem(partner, headers, body, self._clock())
            if problem is not None:
                return self._refused(problem)
        began = perf_counter()
        try:
            if b"idempotency-key" in headers and not dry_run:
                return await self._take_once(headers, body, partner.source)
            return await self._take(headers, body, partner.source, dry_run=dry_run)
        except (KafkaError, TimeoutError) as error:
            self._metrics.publish_failures.inc()
            log.warning("not_acknowledged", error=type(error).__name__)
            problem = Problem("not-acknowledged", 503, "Kafka did not acknowledge in time.", "Send the same again.")
            return problem_answer(problem, _SOON)
        finally:
            self._metrics.request_seconds.observe(perf_counter() - began)

    async def _take_once(self, headers: Headers, body: bytes, partner: str) -> Answer:
        """Under an `Idempotency-Key`: another body is refused. The answer is worked out anew, and is the same."""
        key = headers[b"idempotency-key"].decode("latin-1").strip()
        entry = claim_of_key(partner, key, body)
        with self._deadlines.within(self._settings.acknowledge_seconds_max):
            [verdict] = await self._ledger.claim(partner, [entry], Way.HTTP)
        problem = problem_of(verdict)
        if problem is not None:
            return self._refused(problem, *_SOON_IF_BUSY[problem is BUSY])
        step = Step.RELEASED
        try:
            answer = await self._take(headers, body, partner, dry_run=False)
            if answer.status in (202, 207):
                step = Step.DONE
            return answer
        finally:
            if verdict is not Verdict.SEEN:
                self._ledger.note(partner, [entry], step, Way.HTTP)

    async def _take(self, headers: Headers, body: bytes, partner: str, *, dry_run: bool) -> Answer:
        content = from_http(headers, body)
        if isinstance(content, Problem):
            return self._refused(content)
        if isinstance(content, One):
            return self._explain(content.event, partner) if dry_run else await self._one(content.event, partner)
        return self._explain_many(content.body, partner) if dry_run else await self._in_turn(content.body, partner)

    async def _one(self, event: Event, partner: str) -> Answer:
        taken = await self._together.take(event, partner)
        if isinstance(taken, Problem):
            return self._refused(taken)
        accepted, verdict = taken
        problem = problem_of(verdict)
        if problem is not None:
            return self._refused(problem, *_SOON_IF_BUSY[problem is BUSY])
        self._accepted[accepted.event_type].inc()
        return Answer(202, orjson.dumps(told_of(accepted, verdict, {})))

    async def _store(self, partner: str, events: Sequence[Accepted], now_ms: int) -> list[Verdict]:
        """Claim and publish; what each event got. Raises `KafkaError` or `TimeoutError`: then send all again."""
        with self._deadlines.within(self._settings.acknowledge_seconds_max):
            entries = [claim_of(event, now_ms) for event in events]
            verdicts = await self._ledger.claim(partner, entries, Way.HTTP)
            await self._ledger.publish_won(partner, events, entries, verdicts, Way.HTTP)
            return verdicts

    async def _in_turn(self, body: bytes, partner: str) -> Answer:
        # Decided about, a batch takes some ten times the memory that it came in.
        turn = self._turns[partner]
        with self._deadlines.within(self._settings.acknowledge_seconds_max):
            await turn.acquire()
        try:
            return await self._many(body, partner)
        finally:
            turn.release()

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
        self._limits.charge(partner, max(0, count - 1))
        if decisions is None:
            decisions = [self._desk.accept(unpacked(event), partner=partner, now_ms=now_ms) for event in events]
        good = [decision for decision in decisions if isinstance(decision, Accepted)]
        verdicts = await self._store(partner, good, now_ms)
        if len(decisions) == verdicts.count(_WON) and not any(map(_WITHDRAWN, good)):
            # As it nearly always is: nothing is wrong with any, and all are new.
            self._count_accepted(good)
            told = [{"status": 202, "id": one.event_id, "member": one.member} for one in good]
            return Answer(202, orjson.dumps({"results": told}))
        return self._answer_each(decisions, verdicts, events)

    def _answer_each(
        self, decisions: Sequence[Accepted | Problem], verdicts: Sequence[Verdict], events: Sequence[Any]
    ) -> Answer:
        """A result for each event of a batch; `events` are the decoded ones, where they had to be."""
        results: list[dict[str, Any]] = []
        refused, busy = 0, False
        accepted: list[Accepted] = []
        rest = iter(verdicts)
        for decision, event in zip(decisions, events or decisions, strict=True):
            if isinstance(decision, Accepted):
                verdict = next(rest)
                problem = problem_of(verdict)
                if problem is None:
                    results.append(told_of(decision, verdict, {"status": 202}))
                    accepted.append(decision)
                    continue
                results.append({"id": decision.event_id, "status": problem.status, "problem": problem.to_json()})
                busy |= verdict is Verdict.BUSY
            else:
                problem = decision
                results.append(refusal(problem, event))
            self._count(problem)
            refused += 1
        self._count_accepted(accepted)
        if busy:
            # The whole is to be sent again: for those that are accepted already that changes nothing.
            body = orjson.dumps(BUSY.to_json() | {"results": results})
            return Answer(BUSY.status, body, PROBLEM_MEDIA_TYPE.encode(), (_SOON,))
        return Answer(207 if refused else 202, orjson.dumps({"results": results}))

    def _explain_many(self, body: bytes, partner: str) -> Answer:
        events = events_of(body)
        if isinstance(events, Problem):
            return self._refused(events)
        if len(events) > self._settings.batch_events_max:
            return self._too_many()
        results = []
        for event in events:
            one = self._desk.explain(unpacked(event), partner=partner, now_ms=self._clock())
            results.append(refusal(one, event) if isinstance(one, Problem) else {"status": 200, **one})
        status = 207 if any("problem" in result for result in results) else 200
        return Answer(status, orjson.dumps({"dry_run": True, "results": results}))

    def _too_many(self) -> Answer:
        detail = f"at most {self._settings.batch_events_max} events in one batch"
        return self._refused(Problem("batch-too-large", 413, "The batch holds too many events.", detail))

    def _explain(self, event: Event, partner: str) -> Answer:
        explained = self._desk.explain(event, partner=partner, now_ms=self._clock())
        if isinstance(explained, Problem):
            return self._refused(explained)
        return Answer(200, orjson.dumps(explained | {"dry_run": True}))

    def _refused(self, problem: Problem, *headers: tuple[bytes, bytes]) -> Answer:
        self._count(problem)
        return problem_answer(problem, *headers)

    def _count_accepted(self, events: Sequence[Accepted]) -> None:
        # Those of one type mostly follow each other, and the type of each is looked at once.
        for kind, alike in groupby(events, _TYPE):
            self._accepted[kind].inc(sum(1 for _ in alike))

    def _count(self, problem: Problem) -> None:
        self._rejected.inc()
        self._metrics.rejections.labels(problem.kind).inc()


def _is_dry_run(query: bytes) -> bool | None:
    """`None` for a word that is neither yes nor no: who asked for a dry run must not have it stored."""
    told = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)).get("dry_run", "false")
    return _DRY_RUN.get(told.lower())


def _key_problem(headers: Headers) -> Problem | None:
    key = headers.get(b"idempotency-key")
    if key is None or 0 < len(key.strip()) <= _KEY_LETTERS_MAX:
        return None
    detail = f"Idempotency-Key must have 1 to {_KEY_LETTERS_MAX} characters"
    return Problem("bad-idempotency-key", 422, "The key cannot be used.", detail)


_TOO_MANY_ANSWER = problem_answer(_TOO_MANY)
