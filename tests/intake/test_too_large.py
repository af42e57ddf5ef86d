"""Whoever sends too much is told so: also if they listen only once they have sent everything, as most clients do."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterable

import pytest
from test_limits import HEAD, Server

from shared import bodies

MEGABYTE = 1_000_000
SIZES = [2 * MEGABYTE, 20 * MEGABYTE]
CHUNK_BYTES = 64_000
PATIENCE_SECONDS = 60.0
Way = Callable[..., Iterable[bytes]]


def declared(size: int, head: bytes = HEAD) -> Iterable[bytes]:
    yield head + b"Content-Length: %d\r\n\r\n" % size
    yield from (b" " * CHUNK_BYTES for _ in range(size // CHUNK_BYTES))
    yield b" " * (size % CHUNK_BYTES)


def chunked(size: int, head: bytes = HEAD) -> Iterable[bytes]:
    yield head + b"Transfer-Encoding: chunked\r\n\r\n"
    for _ in range(size // CHUNK_BYTES):
        yield b"%x\r\n" % CHUNK_BYTES + b" " * CHUNK_BYTES + b"\r\n"
    yield b"0\r\n\r\n"


def answer_to(port: int, parts: Iterable[bytes]) -> tuple[int, dict[str, str], bytes]:
    """The answer that somebody reads who sends everything first. Raises `OSError` if they are hung up on before."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as connection:
        for part in parts:
            connection.sendall(part)
        said = b""
        while b"\r\n\r\n" not in said:
            said += received(connection)
        head, _, body = said.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        while len(body) < int(headers["content-length"]):
            body += received(connection)
        return int(status.split()[1]), headers, body


def received(connection: socket.socket) -> bytes:
    part = connection.recv(65_536)
    if not part:
        raise ConnectionResetError("hung up on before the answer was whole")
    return part


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("way", [declared, chunked])
async def test_the_answer_arrives(way: Way, size: int) -> None:
    async with Server() as port:
        for _ in range(5):  # the answer would be lost now and then, and not every time
            status, headers, body = await asyncio.to_thread(answer_to, port, way(size))
            problem = json.loads(body)
            assert (status, problem["status"]) == (413, 413)
            assert headers["content-type"] == "application/problem+json"
            assert "1000000 bytes" in problem["detail"]


@pytest.mark.parametrize("way", [declared, chunked])
async def test_other_refusals_arrive_too(way: Way) -> None:
    async with Server() as port:
        for head, wanted in [
            (HEAD.replace(b"sesame", b"wrong"), 401),
            (HEAD.replace(b"application/cloudevents+json", b"text/plain"), 415),
        ]:
            status, headers, _ = await asyncio.to_thread(answer_to, port, way(20 * MEGABYTE, head))
            assert (status, headers["content-type"]) == (wanted, "application/problem+json")


async def test_who_waits_to_be_asked_for_the_body_need_not_send_it() -> None:
    async with Server() as port:
        head = HEAD + b"Expect: 100-continue\r\nContent-Length: 20000000\r\n\r\n"
        status, _, _ = await asyncio.to_thread(answer_to, port, [head])
        assert status == 413


async def test_what_is_read_to_its_end_and_was_too_large_leaves_the_connection_open() -> None:
    async with Server(body_bytes_max=1_000) as port:
        body = b"7d0\r\n" + b" " * 2_000 + b"\r\n0\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):
            writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body)
            async with asyncio.timeout(PATIENCE_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                assert b" 413 " in head.splitlines()[0]
                length = next(line for line in head.lower().splitlines() if line.startswith(b"content-length"))
                await reader.readexactly(int(length.split(b": ")[1]))
            if b"connection: close" in head.lower():
                break  # it came in parts: then the rest was listened to, and that is all
        writer.close()


async def test_nobody_is_listened_to_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "LINGER_BYTES_MAX", 3 * MEGABYTE)
    sent = 0

    def endless() -> Iterable[bytes]:
        nonlocal sent
        for part in chunked(10_000 * MEGABYTE):
            yield part
            sent += len(part)

    async with Server() as port:
        with pytest.raises(OSError):  # noqa: PT011 - reset, broken pipe: it depends
            await asyncio.to_thread(answer_to, port, endless())
        assert sent < 100 * MEGABYTE
    # Nor is who sends nothing more.
    async with Server(body_seconds_max=0.3) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD + b"Content-Length: 20000000\r\n\r\n")
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert b" 413 " in (await reader.read()).splitlines()[0]
        writer.close()
