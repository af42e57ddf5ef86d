"""An SMTP server that says what it is told to say, at each step of the dialogue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from typing import Any

from services.notifier.replies import Outcome
from services.notifier.smtp import SmtpServer, SmtpTransport

HANG_UP = "hang up"
SILENCE = "silence"
HALF = "half"
"""Half a reply, and then nothing more: the connection is cut."""


class ScriptedServer:
    """An SMTP server whose answers can be replaced, command by command."""

    def __init__(self) -> None:
        self.says: dict[str, list[str]] = {}
        """By command (GREETING, EHLO, AUTH, MAIL, RCPT, DATA, END): what to say instead of yes, one after the other."""
        self.commands: list[str] = []
        self.connections = 0
        self.open_at_once = 0
        self.open_max = 0
        self.bodies: list[bytes] = []
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open_at_once += 1
        self.open_max = max(self.open_max, self.open_at_once)
        self.writers.append(writer)
        try:
            await self.answer(writer, "GREETING", "220 ready")
            open_transaction = False
            while line := await reader.readline():
                command = line.decode()[:4].upper().strip()
                self.commands.append(command)
                if command == "EHLO":
                    await self.answer(writer, command, "250-hello\r\n250-8BITMIME\r\n250 AUTH PLAIN")
                elif command == "AUTH":
                    await self.answer(writer, command, "235 2.7.0 welcome")
                elif command == "MAIL" and open_transaction:
                    await self.answer(writer, "NESTED", "503 5.5.1 nested MAIL")
                elif command == "DATA":
                    if not (await self.answer(writer, command, "354 go on")).startswith("354"):
                        continue
                    body = await reader.readuntil(b"\r\n.\r\n")
                    await asyncio.sleep(0)
                    await self.answer(writer, "END", "250 2.0.0 taken")
                    self.bodies.append(body)
                    open_transaction = False
                else:
                    answer = await self.answer(writer, command, "250 ok")
                    if command in ("MAIL", "RSET"):
                        open_transaction = command == "MAIL" and answer.startswith("250")
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.open_at_once -= 1
            writer.close()

    async def answer(self, writer: asyncio.StreamWriter, command: str, usual: str) -> str:
        told = self.says.get(command)
        answer = told.pop(0) if told else usual
        if answer == HANG_UP:
            raise ConnectionError
        if answer == HALF:
            writer.write(b"250-2.0")
            await writer.drain()
            raise ConnectionError
        if answer != SILENCE:
            writer.write(f"{answer}\r\n".encode())
            await writer.drain()
        return answer


@asynccontextmanager
async def serving(
    connections_max: int = 4, timeout_seconds: float = 5, **more: Any
) -> AsyncIterator[tuple[ScriptedServer, SmtpTransport]]:
    scripted = ScriptedServer()
    server = await asyncio.start_server(scripted.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport = SmtpTransport(
        SmtpServer("127.0.0.1", port, connections_max=connections_max, timeout_seconds=timeout_seconds, **more)
    )
    try:
        yield scripted, transport
    finally:
        await transport.close()
        server.close()


def a_message() -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = "Hello"
    message.set_content("A line.\n.\nA line after a dot.\n")
    return message


async def send(transport: SmtpTransport, recipient: str = "amara@example.org") -> Outcome:
    return await transport.send(a_message(), sender="hello@example.org", recipient=recipient)
