"""A mail server that takes everything at once and keeps nothing: so that it is not what is measured.

    python -m benchmarks.sink

prints `{"port": N}` and then serves until its standard input ends. It speaks as much of
SMTP as senders say to it, without pipelining, and checks that every message ends.
"""

from __future__ import annotations

import asyncio
import json
import sys

from benchmarks.processes import run_quickly

_REPLIES = {
    b"EHLO": b"250-sink\r\n250-8BITMIME\r\n250 SIZE 10000000\r\n",
    b"HELO": b"250 sink\r\n",
    b"DATA": b"354 go on\r\n",
    b"QUIT": b"221 2.0.0 bye\r\n",
}
_OTHERWISE = b"250 2.0.0 ok\r\n"
_END = b"\r\n.\r\n"


class Sink(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._in_data = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]
        self._say(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._step():
            pass

    def _step(self) -> bool:
        """Deal with one command or message, if it is all there."""
        if self._in_data:
            if not self._buffer.endswith(_END):
                return False
            self._buffer.clear()
            self._in_data = False
            self._say(b"250 2.0.0 taken\r\n")
            return False
        line, newline, rest = self._buffer.partition(b"\r\n")
        if not newline:
            return False
        self._buffer = rest
        command = bytes(line[:4]).upper()
        self._say(_REPLIES.get(command, _OTHERWISE))
        self._in_data = command == b"DATA"
        if command == b"QUIT" and self._transport is not None:
            self._transport.close()
        return bool(self._buffer)

    def _say(self, reply: bytes) -> None:
        if self._transport is not None:
            self._transport.write(reply)


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Sink, "127.0.0.1", 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    async with server:
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    run_quickly(main())
