"""Forms over a real connection: whoever sends slowly or without end is answered, cut off, and holds up nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from notifier_samples import COMMUNITIES, MEMBERS, NOW, PAIR
from pydantic import SecretStr

import services.notifier
from services.notifier import forms
from services.notifier.app import build_app
from services.notifier.links import LinkPurpose, Links
from services.notifier.pages import pages_router
from services.notifier.settings import NotifierSettings
from services.notifier.wording import load_words
from shared import serving
from shared.contracts import Choice, Preference
from shared.lifeline import Lifeline
from shared.settings import KafkaSettings

SECRET = SecretStr("a secret of the tests")
LINKS = Links(SECRET.get_secret_value(), "https://x")
WORDS = load_words(Path(services.notifier.__file__).parent / "words")
RECORDED: list[Choice | Preference] = []
SERVERS: list[uvicorn.Server] = []


@asynccontextmanager
async def served() -> AsyncIterator[int]:
    """The whole service behind the server that it runs on, without Kafka; what is pressed is in `RECORDED`."""
    app = build_app(NotifierSettings(link_secret=SECRET), KafkaSettings(), Lifeline())

    async def record(choice: Choice | Preference) -> None:
        RECORDED.append(choice)

    ours = pages_router(LINKS, record, COMMUNITIES, WORDS, lambda: NOW)
    app.router.routes[:0] = ours.routes
    RECORDED.clear()
    config = uvicorn.Config(app, port=0, log_config=None, lifespan="off", http=serving._Connection)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    SERVERS[:] = [server]
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await task


def connections() -> list[serving._Connection]:
    (server,) = SERVERS
    return [each for each in server.server_state.connections if isinstance(each, serving._Connection)]


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.01)


def path(purpose: LinkPurpose) -> str:
    return LINKS.sign(
        purpose, community="london", member=MEMBERS[0], introduction=PAIR.suggestion, expires_at_ms=NOW + 1000
    ).removeprefix("https://x")


def head(to: str, *more: str, kind: str = "application/x-www-form-urlencoded") -> bytes:
    lines = (f"POST {to} HTTP/1.1", "Host: x", f"Content-Type: {kind}", *more, "", "")
    return "\r\n".join(lines).encode()


async def dripped(port: int, begin: bytes) -> bytes:
    """What the server says to who sends a byte now and then, until it hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(begin)

    async def drip() -> None:
        while True:
            await asyncio.sleep(0.05)
            writer.write(b"a")

    dripping = asyncio.create_task(drip())
    try:
        async with asyncio.timeout(30):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        dripping.cancel()
        writer.close()


async def test_a_form_that_drips_is_answered_408_and_its_connection_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert forms.FORM_SECONDS_MAX <= 10
    monkeypatch.setattr(forms, "FORM_SECONDS_MAX", 0.4)
    async with served() as port:
        for length in ("Content-Length: 5000", "Transfer-Encoding: chunked"):
            begin = head(path(LinkPurpose.UNSUBSCRIBE), length)
            answer = await dripped(port, begin + (b"1388\r\n" if "chunked" in length else b""))
            assert b" 408 " in answer.splitlines()[0]
            assert b"press the button once more" in answer
            assert b"content-security-policy" in answer
        assert RECORDED == []
        monkeypatch.undo()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            assert (await client.post(path(LinkPurpose.UNSUBSCRIBE), data={"a": "b"})).status_code == 200
        assert len(RECORDED) == 1


async def test_a_form_that_is_too_long_is_answered_413_whether_it_says_so_or_not() -> None:
    async with served() as port:
        declared = await dripped(port, head(path(LinkPurpose.PAUSE), f"Content-Length: {forms.FORM_BYTES_MAX + 1}"))
        assert b" 413 " in declared.splitlines()[0]
        piece = b"1000\r\n" + b"a" * 0x1000 + b"\r\n"
        endless = await dripped(port, head(path(LinkPurpose.PAUSE), "Transfer-Encoding: chunked") + piece * 3)
        assert b" 413 " in endless.splitlines()[0]
        assert RECORDED == []


@pytest.mark.parametrize(
    ("to", "kind", "status"),
    [
        (path(LinkPurpose.UNSUBSCRIBE), "multipart/form-data; boundary=x", b" 200 "),
        ("/u/forged", "application/x-www-form-urlencoded", b" 404 "),
        ("/livez", "application/x-www-form-urlencoded", b" 405 "),
    ],
    ids=["one-click", "forged", "no-form"],
)
async def test_whose_body_is_not_read_has_an_answer_at_once_and_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, to: str, kind: str, status: bytes
) -> None:
    monkeypatch.setattr(serving, "HEAD_SECONDS_MAX", 0.4)
    async with served() as port:
        answer = await dripped(port, head(to, "Content-Length: 5000", kind=kind))
        assert status in answer.splitlines()[0]


async def test_who_sends_the_rest_may_go_on() -> None:
    async with served() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):
            writer.write(head("/u/forged", "Content-Length: 5"))
            assert b" 404 " in await reader.readuntil(b"\r\n\r\n")
            await eventually(lambda: [each._patience is None for each in connections()] == [False])
            writer.write(b"hello")
            await eventually(lambda: [each._patience is None for each in connections()] == [True])
        writer.close()
