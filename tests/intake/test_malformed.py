"""Ten thousand bodies that are wrong in every way, with good ones among them: no answer of 500, nothing lost."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from endpoint import InMemory, event
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TYPES = (b"application/cloudevents+json", b"application/cloudevents-batch+json", b"application/json", b"text/plain")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("x" * 5_000),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
PATHS = [
    (name,)
    for name in ("specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data", "data_base64")
] + [("data", name) for name in (*event("a")["data"], "available", "schemaVersion", "travel_km", "until", "blocked")]
KINDS = ["signed_up", "updated", "left", "erased", "paused", "blocked", "exploded"]


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Bytes of any kind; or an event with one to three fields wrong; or one that is cut off, or has a byte changed."""
    kind = draw(st.integers(0, 5))
    if kind == 0:
        return draw(st.binary(max_size=400))
    if kind == 1:
        return json.dumps(draw(JSON)).encode()
    wrong: Any = event("a", type=f"connection.member.{draw(st.sampled_from(KINDS))}")
    for path in draw(st.lists(st.sampled_from(PATHS), min_size=1, max_size=3)):
        parent = wrong if len(path) == 1 else wrong.get("data")
        if isinstance(parent, dict):
            parent[path[-1]] = draw(JSON)
    body = json.dumps([wrong, wrong] if draw(st.booleans()) else wrong).encode("utf-8", "surrogatepass")
    if kind == 2:
        return body[: draw(st.integers(0, len(body)))]
    if kind == 3:
        place = draw(st.integers(0, len(body) - 1))
        return body[:place] + bytes([draw(st.integers(0, 255))]) + body[place + 1 :]
    return body


@st.composite
def requests(draw: st.DrawFn) -> tuple[list[tuple[bytes, bytes]], bytes]:
    headers = [(b"authorization", b"Bearer sesame"), (b"content-type", draw(st.sampled_from(TYPES)))]
    names = [b"ce-specversion", b"ce-id", b"ce-type", b"ce-time", b"idempotency-key", b"content-length", b"webhook-id"]
    more = draw(st.lists(st.tuples(st.sampled_from(names), st.binary(max_size=20)), max_size=3))
    return headers + more, draw(bodies())


async def ask(intake: InMemory, headers: list[tuple[bytes, bytes]], body: bytes) -> tuple[int, bytes, bytes]:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/events", "query_string": b"", "headers": headers}
    await intake.app(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"])[b"content-type"], sent[1]["body"]


@settings(max_examples=1_000, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(requests(), min_size=10, max_size=10))
def test_no_body_whatever_is_a_failure_of_ours(wrong: list[tuple[list[tuple[bytes, bytes]], bytes]]) -> None:
    intake = InMemory()
    good_headers = [(b"authorization", b"Bearer sesame"), (b"content-type", TYPES[0])]

    async def run() -> None:
        for number, (headers, body) in enumerate(wrong):
            before = len(intake.published)
            status, media_type, answer = await ask(intake, headers, body)
            told = json.loads(answer)
            if status in (202, 207):
                continue
            assert status in (400, 409, 413, 415, 422, 403), answer
            assert media_type == b"application/problem+json"
            assert told["status"] == status
            assert told["title"]
            if status != 409:  # a batch that holds an event twice: the first is stored, the whole to be sent again
                assert len(intake.published) == before
            before = len(intake.published)
            good = f"good {number}"
            assert (await ask(intake, good_headers, json.dumps(event(good)).encode()))[0] == 202
            assert len(intake.published) == before + 2
        await intake.ledger.flush()

    asyncio.run(run())
