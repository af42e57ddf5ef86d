"""An answer's head and body leave together; a head whose body is still to be made does not wait for it."""

from __future__ import annotations

import asyncio
from typing import Any

from shared.serving import _OnePiece

HEAD = b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n"


class Wire:
    """A transport that keeps what it is given."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


def piece(wire: Any) -> _OnePiece:
    return _OnePiece(wire, asyncio.get_running_loop())


async def test_head_and_body_are_one_write() -> None:
    wire = Wire()
    transport = piece(wire)
    for _ in range(2):
        transport.write(HEAD)
        assert HEAD not in wire.written
        transport.write(b"{}")
    await asyncio.sleep(0)
    assert wire.written == [HEAD + b"{}"] * 2


async def test_a_head_without_a_body_goes_out_in_the_same_turn() -> None:
    wire = Wire()
    piece(wire).write(HEAD)
    await asyncio.sleep(0)
    assert wire.written == [HEAD]


async def test_a_body_that_comes_in_parts_is_sent_as_it_comes() -> None:
    wire = Wire()
    transport = piece(wire)
    transport.write(HEAD)
    for part in (b"1\r\n{\r\n", b"1\r\n}\r\n", b"0\r\n\r\n"):
        transport.write(part)
    assert wire.written == [HEAD + b"1\r\n{\r\n", b"1\r\n}\r\n", b"0\r\n\r\n"]


async def test_nothing_is_lost_when_it_is_closed() -> None:
    wire = Wire()
    transport = piece(wire)
    transport.write(HEAD)
    transport.close()
    await asyncio.sleep(0)
    assert (wire.written, transport.is_closing()) == ([HEAD], True)
