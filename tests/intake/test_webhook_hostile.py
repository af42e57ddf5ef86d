"""Endpoints that mean harm, or are broken in odd ways, on real sockets: a try ends in time, and holds nobody up."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any

import pytest
import trustme
from webhook_world import Endpoint, status

from services.intake.webhooks import sender as sender_module
from services.intake.webhooks.answers import RETRY_AFTER_SECONDS_MAX, Answer
from services.intake.webhooks.sender import WebhookSender
from shared.contracts import WebhookOutcome

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

SECONDS_MAX = 1.0
"""Of a try, here."""
PATIENCE_SECONDS = 10
"""By when it must be over on a busy machine."""
HOLD_SECONDS_MAX = 0.25
"""How long the loop may be kept from everybody else, in seconds of this thread's own work: without bounds on what is
read, 0.5 and more."""
HELLO = b"HTTP/1.1 200 OK\r\n"
REFUSED, UNREACHABLE, SLOW = WebhookOutcome.REFUSED, WebhookOutcome.UNREACHABLE, WebhookOutcome.SLOW
ACCEPTED, BUSY = WebhookOutcome.ACCEPTED, WebhookOutcome.BUSY


@asynccontextmanager
async def server(talk: Talk, **options: Any) -> AsyncIterator[int]:
    """Says what it wants to whoever connects; gives the port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.CancelledError, asyncio.IncompleteReadError):
            await talk(reader, writer)
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, **options)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()


@asynccontextmanager
async def sender(**changes: Any) -> AsyncIterator[WebhookSender]:
    """With a single connection: a try that leaves one behind makes the next one wait for ever."""
    options: dict[str, Any] = {"connections_max": 1, "allows_private": True, "clock": lambda: 0}
    one = WebhookSender(**{"seconds_max": SECONDS_MAX} | options | changes)
    try:
        yield one
    finally:
        await one.close()


async def tried(one: WebhookSender, url: str) -> Answer:
    """One try; it ends in time, and afterwards a good endpoint is reached over the same pool."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        answer = await one.send(url, {"webhook-id": "w_1"}, b"{}")
    async with Endpoint(lambda _: status(204)) as good:
        assert await one.send(good.url, {}, b"{}") == Answer(ACCEPTED, 204)
    return answer


def says(*parts: bytes) -> Talk:
    """All of it, after the request, and hangs up."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
            await writer.drain()

    return talk


def goes_on_with(first: bytes, part: bytes, *, pause_seconds: float = 0.0) -> Talk:
    """And so on until the other side has had enough."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(first)
        while True:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause_seconds)

    return talk


@asynccontextmanager
async def longest_hold() -> AsyncIterator[list[float]]:
    """How long the loop was kept from everybody else at a stretch, in seconds of work."""
    longest = [0.0]

    async def look() -> None:
        while True:
            began = time.thread_time()
            await asyncio.sleep(0)
            longest[0] = max(longest[0], time.thread_time() - began)

    looking = asyncio.create_task(look())
    try:
        yield longest
    finally:
        looking.cancel()


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ([b"HTTP/1.1 100 Continue\r\n\r\n" * 3, status(204)], Answer(ACCEPTED, 204)),
        ([b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n", status(500)], Answer(REFUSED, 500)),
        ([b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n\x81\x00"], None),
        ([b"HTTP/1.1 101 Switching Protocols\r\n\r\n"], None),
        ([b"HTTP/1.1 099 Hm\r\n\r\n"], Answer(UNREACHABLE)),
        ([b"HTTP/1.1 999 Hm\r\ncontent-length: 0\r\n\r\n"], Answer(REFUSED, 999)),
        ([b"HTTP/1.1 1000 Hm\r\n\r\n"], Answer(UNREACHABLE)),
        ([b"HTTP/1.1 -1 Hm\r\n\r\n"], Answer(UNREACHABLE)),
        ([b"HTTP/9.9 200 OK\r\n\r\n"], Answer(ACCEPTED, 200)),
        ([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], Answer(UNREACHABLE)),
        ([b"\x00" * 1000], Answer(UNREACHABLE)),
        ([b"\xff\xfe" * 1000 + b"\r\n\r\n"], Answer(UNREACHABLE)),
        ([b"SSH-2.0-OpenSSH_9.9\r\n"], Answer(UNREACHABLE)),
        ([HELLO + "x-naïve: ü\r\n\r\n".encode()], Answer(UNREACHABLE)),
        ([HELLO + b"no colon\r\n\r\n"], Answer(UNREACHABLE)),
        ([HELLO + b"a: b\x00c\r\n\r\n"], Answer(UNREACHABLE)),
        ([HELLO + b"content-length: -1\r\n\r\n"], Answer(UNREACHABLE)),
        ([HELLO + b"content-length: 1\r\ncontent-length: 2\r\n\r\n"], Answer(UNREACHABLE)),
        ([HELLO + b"transfer-encoding: gzip, chunked\r\n\r\n"], Answer(UNREACHABLE)),
        ([b"HTTP/1.1 429 Busy\r\nretry-after: \xff\xfe\r\ncontent-length: 0\r\n\r\n"], Answer(BUSY, 429)),
        (
            [b"HTTP/1.1 503 Busy\r\nretry-after: Fri, 31 Dec 9999 23:59:59 -2359\r\ncontent-length: 0\r\n\r\n"],
            Answer(BUSY, 503, RETRY_AFTER_SECONDS_MAX),
        ),
        (
            [b"HTTP/1.1 503 Busy\r\nretry-after: 1 Jan 2020 0:0:0 +" + b"9" * 30 + b"\r\ncontent-length: 0\r\n\r\n"],
            Answer(BUSY, 503),
        ),
        ([b"HTTP/1.1 500 " + b"\xe9" * 100 + b"\r\ncontent-length: 0\r\n\r\n"], Answer(REFUSED, 500)),
        ([status(204) + b"HTTP/1.1 200 OK\r\n\r\nand another that nobody asked for"], Answer(ACCEPTED, 204)),
        ([status(302, "location: http://169.254.169.254/")], Answer(WebhookOutcome.REDIRECTED, 302)),
    ],
)  # fmt: skip
async def test_odd_answers_have_an_outcome(said: list[bytes], answer: Answer | None) -> None:
    async with server(says(*said)) as port, sender() as one:
        told = await tried(one, f"http://127.0.0.1:{port}/")
        assert told == answer or (answer is None and told.outcome is not WebhookOutcome.ACCEPTED), told


@pytest.mark.parametrize(
    "talk",
    [
        goes_on_with(HELLO, b"x-header: bomb\r\n"),
        goes_on_with(HELLO, b"x" * 65_536),
        goes_on_with(HELLO, b"x-header: bomb\r\n" * 4000),
        goes_on_with(b"", b"HTTP/1.1 100 \r\n\r\n" * 60_000),
        goes_on_with(b"", b"HTTP/1.1 199 \r\na:b\r\n\r\n" * 60_000),
        goes_on_with(b"", b"\r\n" * 100_000),
        goes_on_with(b"HTTP/1.1 500 No\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 100_000),
        goes_on_with(b"HTTP/1.1 500 No\r\ntransfer-encoding: chunked\r\n\r\n", b"1;" + b"e" * 100_000),
        goes_on_with(b"HTTP/1.1 500 No\r\n\r\n", b"x" * 1_000_000),
    ],
)
async def test_an_answer_without_end_is_left_soon_and_holds_nobody_up(talk: Talk) -> None:
    async with server(talk) as port, sender(seconds_max=PATIENCE_SECONDS) as one, longest_hold() as longest:
        answer = await tried(one, f"http://127.0.0.1:{port}/")
        assert answer.outcome in (UNREACHABLE, REFUSED)
        assert longest[0] < HOLD_SECONDS_MAX


@pytest.mark.parametrize(
    "talk",
    [
        goes_on_with(b"", b"", pause_seconds=0.05),
        goes_on_with(b"H", b"T", pause_seconds=0.05),
        goes_on_with(HELLO, b"a: b\r\n", pause_seconds=0.05),
        goes_on_with(b"", b"HTTP/1.1 100 \r\n\r\n", pause_seconds=0.05),
    ],
)
async def test_an_answer_that_drips_is_left_in_time(talk: Talk) -> None:
    async with server(talk) as port, sender(seconds_max=0.4) as one:
        assert await tried(one, f"http://127.0.0.1:{port}/") == Answer(SLOW)


@pytest.mark.parametrize(
    ("head", "answer"),
    [
        (b"HTTP/1.1 200 OK", Answer(ACCEPTED, 200)),
        (b"HTTP/1.1 202 Accepted", Answer(ACCEPTED, 202)),
        (b"HTTP/1.1 410 Gone", Answer(WebhookOutcome.GONE, 410)),
        (b"HTTP/1.1 503 Busy\r\nretry-after: 7", Answer(BUSY, 503, 7)),
    ],
)
@pytest.mark.parametrize(
    "body",
    [
        says(b"content-length: 100\r\n\r\nand it breaks"),
        says(b"transfer-encoding: chunked\r\n\r\n5\r\nand"),
        says(b"transfer-encoding: chunked\r\n\r\nno chunk\r\n"),
        says(b"transfer-encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 100_000),
        says(b"content-length: 1000000000\r\n\r\n" + b"x" * 1_000_000),
        goes_on_with(b"transfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n", pause_seconds=0.05),
        goes_on_with(b"content-length: 1000\r\n\r\n", b"", pause_seconds=0.05),
        goes_on_with(b"\r\n", b"x" * 1_000_000),
    ],
)
async def test_the_status_decides_whatever_comes_of_the_body(
    head: bytes, answer: Answer, body: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partner that has taken an event does not get it again because of what it said afterwards."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head + b"\r\n")
        await body(reader, writer)

    monkeypatch.setattr(sender_module, "_DRAIN_SECONDS_MAX", 0.2)
    async with server(talk) as port, sender(seconds_max=PATIENCE_SECONDS) as one:
        assert await tried(one, f"http://127.0.0.1:{port}/") == answer


async def test_the_status_decides_also_where_the_time_of_the_try_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender_module, "_DRAIN_SECONDS_MAX", PATIENCE_SECONDS)
    drips = goes_on_with(HELLO + b"content-length: 1000\r\n\r\n", b"x", pause_seconds=0.05)
    async with server(drips) as port, sender(seconds_max=2.0) as one:
        assert await tried(one, f"http://127.0.0.1:{port}/") == Answer(ACCEPTED, 200)


async def test_a_body_that_breaks_costs_its_connection_alone() -> None:
    connections = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzzz\r\n")
        assert await reader.read() == b"{}", "no second request comes over it"

    async with server(talk) as port, sender() as one:
        for _ in range(3):
            assert await one.send(f"http://127.0.0.1:{port}/", {}, b"{}") == Answer(ACCEPTED, 200)
    assert connections == 3


async def test_one_that_takes_nothing_is_left_in_time() -> None:
    """It accepts, and never reads: a body that does not fit into the buffers on the way cannot be written."""

    async def talk(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(PATIENCE_SECONDS)

    async with server(talk) as port, sender(seconds_max=0.4) as one:
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await one.send(f"http://127.0.0.1:{port}/", {}, b"x" * 50_000_000) == Answer(SLOW)


@pytest.mark.parametrize("kind", ["plain", "garbage", "silent", "stranger", "other name", "expired", "hangs up"])
async def test_tls_that_is_not_good(kind: str) -> None:
    authority = trustme.CA()
    trusts = ssl.create_default_context()
    authority.configure_trust(trusts)
    issuer = trustme.CA() if kind == "stranger" else authority
    host = "elsewhere.example" if kind == "other name" else "localhost"
    certificate = issuer.issue_cert(host, **({"not_after": datetime(2020, 1, 1)} if kind == "expired" else {}))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"\x16\x03\x01\xff\xff" + b"\x00" * 70_000)
        await writer.drain()

    async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)

    talk = {"silent": silent, "garbage": garbage, "hangs up": hangs_up}.get(kind, says(status(200)))
    options = {} if kind in ("plain", "garbage", "silent", "hangs up") else {"ssl": context}
    async with server(talk, **options) as port, sender(trusts=trusts) as one:
        wanted = SLOW if kind in ("silent", "plain") else UNREACHABLE
        assert await tried(one, f"https://localhost:{port}/") == Answer(wanted)


async def test_tls_that_is_good_and_says_a_lot_at_once() -> None:
    authority = trustme.CA()
    trusts, context = ssl.create_default_context(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.configure_trust(trusts)
    authority.issue_cert("localhost").configure_cert(context)
    async with sender(trusts=trusts, seconds_max=PATIENCE_SECONDS) as one:
        async with server(says(status(204)), ssl=context) as port:
            assert await tried(one, f"https://localhost:{port}/") == Answer(ACCEPTED, 204)
        bomb = goes_on_with(b"", b"HTTP/1.1 100 \r\n\r\n" * 60_000)
        async with server(bomb, ssl=context) as port, longest_hold() as longest:
            assert await tried(one, f"https://localhost:{port}/") == Answer(UNREACHABLE)
            assert longest[0] < HOLD_SECONDS_MAX


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/a b", "http://127.0.0.1:{port}/\r\nx: y", "http://127.0.0.1:{port}/\x00",
        "http://127.0.0.1:{port}/\x7f", "http://127.0.0.1:{port}/ü", "http://127.0.0.1:{port}/\u2028",
        "http://bücher.example/",
        "http://" + "a" * 64 + ".example/", "http://a..example/", "http://.example/",
        "http://" + "a." * 200 + "example/",
        "http://xn--/", "http://exa mple/", "http://exa\x00mple/", "http://127.0.0.1%00.example/",
        "http://[::1/", "http://[zz]/",
        "http://[fe80::1%25lo]:{port}/", "http://127.0.0.1:0/", "http://127.0.0.1:99999/", "http://127.0.0.1:-1/",
        "http://127.0.0.1:{port}/" + "a" * 10_000, "http://\ud800/", "http://xn--a-ecp.ru/", "http:///", "http://:{port}/",
        "http://user@127.0.0.1:{port}/", "http://a_b.invalid/", "http://nobody.invalid./", "http://127.0.0.1:{port}\\@x/",
    ],
)  # fmt: skip
async def test_odd_urls_have_an_outcome(url: str) -> None:
    async with server(says(status(500))) as port, sender() as one:
        answer = await tried(one, url.replace("{port}", str(port)))
        assert answer.outcome in (WebhookOutcome.FORBIDDEN, UNREACHABLE), answer


async def test_odd_headers_have_an_outcome() -> None:
    async with server(says(status(500))) as port, sender() as one:
        for headers in ({"a": "b\r\nc: d"}, {"a": "ü"}, {"ü": "a"}, {"a b": "c"}, {"a": "\x00"}):
            assert await one.send(f"http://127.0.0.1:{port}/", headers, b"{}") == Answer(UNREACHABLE), headers


async def test_names_that_take_for_ever_leave_threads_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name's server that does not answer holds a thread for half a minute, whatever the try's own limit."""
    released, real = threading.Event(), socket.getaddrinfo

    def slow(host: Any, *arguments: Any, **options: Any) -> Any:
        if host == "slow.example":
            released.wait()
            raise socket.gaierror
        return real(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    async with sender(seconds_max=0.2, connections_max=100) as one:
        try:
            answers = await asyncio.gather(*(one.send("http://slow.example/", {}, b"") for _ in range(24)))
            assert set(answers) == {Answer(SLOW)}
            async with asyncio.timeout(PATIENCE_SECONDS):
                assert await asyncio.to_thread(lambda: "here") == "here"
        finally:
            released.set()
