"""One try, against endpoints that behave badly."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from webhook_world import Endpoint, status

from services.intake.webhooks.answers import Answer
from services.intake.webhooks.sender import WebhookSender
from shared.contracts import WebhookOutcome


def sender(**changes: Any) -> WebhookSender:
    options: dict[str, Any] = {"seconds_max": 5.0, "connections_max": 4, "allows_private": True, "clock": lambda: 0}
    return WebhookSender(**options | changes)


async def asked(endpoint: Endpoint, **changes: Any) -> Answer:
    one = sender(**changes)
    try:
        return await one.send(endpoint.url, {"webhook-id": "w_1"}, b"{}")
    finally:
        await one.close()


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (status(204), Answer(WebhookOutcome.ACCEPTED, 204)),
        (status(500, body=b"oh no"), Answer(WebhookOutcome.REFUSED, 500)),
        (status(410), Answer(WebhookOutcome.GONE, 410)),
        (status(429, "Retry-After: 17"), Answer(WebhookOutcome.BUSY, 429, 17)),
        (status(503, "retry-after: Thu, 01 Jan 1970 00:00:30 GMT"), Answer(WebhookOutcome.BUSY, 503, 30)),
        (b"", Answer(WebhookOutcome.UNREACHABLE)),
        (b"nonsense\r\n\r\n", Answer(WebhookOutcome.UNREACHABLE)),
    ],
)
async def test_an_answer(said: bytes, answer: Answer) -> None:
    async with Endpoint(lambda _: said) as endpoint:
        assert await asked(endpoint) == answer
    assert [one.headers["webhook-id"] for one in endpoint.received] == ["w_1"]


async def test_a_redirect_is_not_followed() -> None:
    async with Endpoint(lambda _: status(200)) as elsewhere:
        async with Endpoint(lambda _: status(307, f"location: {elsewhere.url}")) as endpoint:
            assert await asked(endpoint) == Answer(WebhookOutcome.REDIRECTED, 307)
        assert elsewhere.received == []


async def test_an_endpoint_that_does_not_answer_is_left_in_time() -> None:
    async with Endpoint(lambda _: status(200), hangs=True) as endpoint:
        began = time.monotonic()
        assert await asked(endpoint, seconds_max=0.3) == Answer(WebhookOutcome.SLOW)
        assert time.monotonic() - began < 4


async def test_a_long_answer_is_not_read() -> None:
    """A body of a gigabyte is announced, and some of it sent: the answer is its status."""
    endless = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n" + b"x" * 100_000
    async with Endpoint(lambda _: endless) as endpoint:
        assert await asked(endpoint) == Answer(WebhookOutcome.ACCEPTED, 200)


async def test_nobody_there_and_no_such_name() -> None:
    async with Endpoint(lambda _: status(200)) as endpoint:
        pass
    assert await asked(endpoint) == Answer(WebhookOutcome.UNREACHABLE)
    one = sender()
    assert await one.send("http://nobody.invalid/", {}, b"") == Answer(WebhookOutcome.UNREACHABLE)
    await one.close()


async def test_private_addresses_are_not_called_whatever_name_leads_there() -> None:
    async with Endpoint(lambda _: status(200)) as endpoint:
        one = sender(allows_private=False)
        for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0x7f000001", "2130706433"):
            answer = await one.send(f"https://{host}:{endpoint.port}/hook", {}, b"{}")
            assert answer == Answer(WebhookOutcome.FORBIDDEN), host
        assert await one.send(endpoint.url, {}, b"{}") == Answer(WebhookOutcome.FORBIDDEN)
        await one.close()
        assert endpoint.received == []


async def test_a_connection_is_used_again() -> None:
    async with Endpoint(lambda _: status(200, body=b"thanks")) as endpoint:
        one = sender()
        sent: Callable[[], Awaitable[Answer]] = lambda: one.send(endpoint.url, {}, b"{}")  # noqa: E731
        answers = [await sent() for _ in range(3)] + list(await asyncio.gather(*(sent() for _ in range(8))))
        assert {answer.outcome for answer in answers} == {WebhookOutcome.ACCEPTED}
        await one.close()
