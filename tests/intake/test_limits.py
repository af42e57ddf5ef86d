"""What intake takes at most: of a partner, of a body, of somebody's time; and that it says so in problems."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import httpx
import pytest
import uvicorn
from endpoint import BATCH, STRUCTURED, InMemory, event
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from services.intake.app import build_app
from services.intake.endpoint import EventsEndpoint
from services.intake.limits import RateLimits
from services.intake.settings import IntakeSettings
from shared import serving
from shared.lifeline import Lifeline
from shared.settings import KafkaSettings


@given(st.integers(1, 50), st.integers(1, 5), st.lists(st.tuples(st.floats(0, 3), st.integers(0, 60)), max_size=60))
def test_nobody_gets_more_than_their_rate_and_a_burst(rate: int, burst: int, asked: list[tuple[float, int]]) -> None:
    limits, now, got, debt = RateLimits(rate, burst), 0.0, 0, 0
    for later, more in asked:
        now += later
        allowance = limits.take("a", None, now)
        if not allowance.refused:
            got += 1 + more
            debt = more
            limits.charge("a", more)
        assert got - debt <= rate * (now + burst) + 1e-6
        assert 0 <= allowance.left <= rate * burst


def test_who_waits_as_long_as_they_are_told_gets_in() -> None:
    limits = RateLimits(2, 1)
    assert [limits.take("a", None, 0.0).refused for _ in range(3)] == [False, False, True]
    limits.charge("a", 9)
    wait = limits.take("a", None, 0.0).wait_seconds
    assert limits.take("a", None, wait - 0.6).refused
    assert not limits.take("a", None, float(wait)).refused
    assert not limits.take("b", 1, 0.0).refused


def test_more_than_agreed_is_429_and_says_when_to_go_on() -> None:
    intake = InMemory(settings=IntakeSettings(events_per_second_max=1, burst_seconds=3))
    answers = [intake.post(event(f"m{number}")) for number in range(4)]
    assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
    assert [int(answer.headers["ratelimit-remaining"]) for answer in answers] == [2, 1, 0, 0]
    assert answers[3].headers["ratelimit-limit"] == "1"
    assert int(answers[3].headers["retry-after"]) == 1
    assert answers[3].headers["content-type"] == "application/problem+json"
    assert intake.post(event("m", source="chess-app"), key="mellon").status_code == 202


def test_a_batch_costs_as_many_as_it_holds() -> None:
    intake = InMemory(settings=IntakeSettings(events_per_second_max=1, burst_seconds=10))
    assert intake.post([event(f"m{number}") for number in range(20)], BATCH).status_code == 202
    assert int(intake.post(event("m")).headers["retry-after"]) >= 10


@pytest.mark.parametrize("headers", [STRUCTURED, BATCH, {"content-type": "application/json", "ce-specversion": "1.0"}])
@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"data":' * 50_000, b'{"data":' + b"[" * 900 + b"]" * 900 + b"}"])
def test_deep_json_is_refused(headers: dict[str, str], body: bytes) -> None:
    began = time.process_time()
    answer = InMemory().post(body, headers)
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"
    assert time.process_time() - began < 2


class Server:
    """The endpoint behind the server that services run on."""

    def __init__(self, **settings: float) -> None:
        intake = InMemory(settings=IntakeSettings(**settings))  # type: ignore[arg-type]
        config = uvicorn.Config(intake.app, port=0, log_config=None, lifespan="off", http=serving._Connection)
        self._server = uvicorn.Server(config)

    async def __aenter__(self) -> int:
        self._task = asyncio.create_task(self._server.serve())
        while not self._server.started:
            await asyncio.sleep(0.01)
        port: int = self._server.servers[0].sockets[0].getsockname()[1]
        return port

    async def __aexit__(self, *_: object) -> None:
        self._server.should_exit = True
        await self._task


HEAD = (
    b"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sesame\r\n"
    b"Content-Type: application/cloudevents+json\r\n"
)


async def said(port: int, *parts: bytes) -> bytes:
    """What the server says before it hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
        await writer.drain()
    async with asyncio.timeout(20):
        answer = await reader.read()
    writer.close()
    return answer


async def test_whoever_sends_slowly_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "HEAD_SECONDS_MAX", 0.3)
    async with Server(body_seconds_max=0.3) as port:
        assert await said(port, b"POST /v1/events HT") == b""
        assert await said(port) == b""
        slow_body = await said(port, HEAD + b"Content-Length: 100\r\n\r\n{")
        assert b" 408 " in slow_body.splitlines()[0]
        assert b"application/problem+json" in slow_body
        # And a patient one, twice over one connection, is not.
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            for name in "ab":
                headers = STRUCTURED | {"authorization": "Bearer sesame"}
                assert (await client.post("/v1/events", json=event(name), headers=headers)).status_code == 202
                await asyncio.sleep(0.5)


async def test_too_large_a_body_is_cut_off_whether_it_says_so_or_not() -> None:
    async with Server(body_bytes_max=10_000, body_seconds_max=1) as port:
        declared = await said(port, HEAD + b"Content-Length: 10001\r\n\r\n")
        assert b" 413 " in declared.splitlines()[0]

        taken = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal taken
            while True:
                taken += 1
                yield b" " * 1_000
                await asyncio.sleep(0)

        headers = STRUCTURED | {"authorization": "Bearer sesame"}
        async with httpx.AsyncClient(timeout=20) as client:
            with suppress(httpx.TransportError):  # it may be cut off before it has read the answer
                answer = await client.post(f"http://127.0.0.1:{port}/v1/events", content=endless(), headers=headers)
                assert answer.status_code == 413
        assert taken < 100_000


async def test_what_nobody_expected_is_a_problem_on_the_straight_way_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes past all middleware, and the server would answer by itself, bare."""

    async def fails(*_: object) -> None:
        raise RuntimeError("with something private in it")

    monkeypatch.setattr(EventsEndpoint, "_answer", fails)
    async with Server(HSTS_SECONDS=600) as port:
        answer = await said(port, HEAD + b"Content-Length: 2\r\n\r\n{}")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 500 " in head.splitlines()[0]
    assert b"content-type: application/problem+json" in head
    for header in (b"x-content-type-options", b"content-security-policy", b"strict-transport-security"):
        assert header in head
    assert json.loads(body)["status"] == 500
    assert b"private" not in answer


def problems_app() -> Iterator[TestClient]:
    app = build_app(IntakeSettings(), KafkaSettings(), Lifeline())

    @app.get("/fails")
    async def fails() -> None:
        raise RuntimeError("with something private in it")

    yield TestClient(app, raise_server_exceptions=False)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/nothing", 404), ("GET", "/v1/events", 405), ("DELETE", "/v1/events", 405), ("GET", "/fails", 500)],
)
def test_everything_that_goes_wrong_is_a_problem(method: str, path: str, status: int) -> None:
    for client in problems_app():
        answer = client.request(method, path)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        assert json.loads(answer.content)["status"] == status
        assert b"private" not in answer.content
