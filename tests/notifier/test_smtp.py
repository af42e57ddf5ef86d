"""The SMTP transport against a server that says what it is told to say, and against a well-behaved one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage

import httpx
import pytest

from services.notifier.relay import MailpitLookup, NoLookup
from services.notifier.replies import Outcome, Refused, Retry, Sent, Unknown, outcome_of
from services.notifier.smtp import SmtpServer, SmtpTransport

HANG_UP = "hang up"
SILENCE = "silence"


class ScriptedServer:
    """An SMTP server whose answers can be replaced, command by command."""

    def __init__(self) -> None:
        self.says: dict[str, list[str]] = {}
        """By command (GREETING, MAIL, RCPT, DATA, END): what to say instead of yes, one after the other."""
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
                if command == "EHLO":
                    await self.answer(writer, command, "250-hello\r\n250 8BITMIME")
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
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open_at_once -= 1
            writer.close()

    async def answer(self, writer: asyncio.StreamWriter, command: str, usual: str) -> str:
        told = self.says.get(command)
        answer = told.pop(0) if told else usual
        if answer == HANG_UP:
            raise ConnectionError
        if answer != SILENCE:
            writer.write(f"{answer}\r\n".encode())
            await writer.drain()
        return answer


@asynccontextmanager
async def serving(
    connections_max: int = 4, timeout_seconds: float = 5
) -> AsyncIterator[tuple[ScriptedServer, SmtpTransport]]:
    scripted = ScriptedServer()
    server = await asyncio.start_server(scripted.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport = SmtpTransport(
        SmtpServer("127.0.0.1", port, connections_max=connections_max, timeout_seconds=timeout_seconds)
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


@pytest.mark.parametrize(
    ("code", "text", "outcome"),
    [
        (421, "4.3.2 going down", Retry("4.3.2", 421)),
        (450, "busy", Retry("450", 450)),
        (451, "4.7.1 greylisted", Retry("4.7.1", 451)),
        (452, "4.2.2 full", Retry("4.2.2", 452)),
        (552, "full", Retry("552", 552)),
        (552, "5.2.2 full", Retry("5.2.2", 552)),
        (552, "5.3.4 too big", Refused(552, "5.3.4")),
        (550, "5.1.1 <amara@example.org> no such user", Refused(550, "5.1.1")),
        (550, "5.1.10 null MX", Refused(550, "5.1.10")),
        (550, "amara@example.org unknown", Refused(550, "550")),
        (554, "5.7.1 not welcome", Refused(554, "5.7.1")),
        (-1, "what is this", Retry("unexpected-reply", -1)),
        (251, "will forward", Retry("unexpected-reply", 251)),
    ],
)
def test_what_replies_mean(code: int, text: str, outcome: Outcome) -> None:
    assert outcome_of(code, text) == outcome


@pytest.mark.parametrize(
    ("says", "outcome"),
    [
        ({}, Sent()),
        ({"GREETING": ["421 too busy"]}, Retry("greeting-refused", 421)),
        ({"GREETING": [HANG_UP]}, Retry("server-unreachable")),
        ({"MAIL": ["550 5.7.1 not you"]}, Refused(550, "5.7.1")),
        ({"MAIL": ["451 4.3.0 later"]}, Retry("4.3.0", 451)),
        ({"MAIL": [HANG_UP]}, Retry("connection-lost")),
        ({"RCPT": ["550 5.1.1 <amara@example.org> no such user"]}, Refused(550, "5.1.1")),
        ({"RCPT": ["452 4.2.2 amara@example.org is full"]}, Retry("4.2.2", 452)),
        ({"RCPT": [HANG_UP]}, Retry("connection-lost")),
        ({"DATA": ["554 5.7.0 no"]}, Refused(554, "5.7.0")),
        ({"END": ["451 4.3.0 disk full"]}, Retry("4.3.0", 451)),
        ({"END": ["550 5.7.1 looks like spam"]}, Refused(550, "5.7.1")),
        ({"END": [HANG_UP]}, Unknown()),
        ({"END": [SILENCE]}, Unknown()),
    ],
)
async def test_what_a_server_does_is_told_apart(
    says: dict[str, list[str]], outcome: Outcome, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(timeout_seconds=0.3 if SILENCE in says.get("END", []) else 5) as (server, transport):
        server.says = says
        got = await send(transport)
        assert got == outcome
        assert "amara" not in repr(got)
        assert "amara" not in caplog.text
        assert await send(transport) == Sent(), "the next email is none the worse for it"


async def test_connections_are_used_again_and_bounded() -> None:
    async with serving(connections_max=3) as (server, transport):
        outcomes = await asyncio.gather(*(send(transport) for _ in range(40)))
        assert set(map(type, outcomes)) == {Sent}
        assert server.connections <= 3
        assert server.open_max <= 3
        assert len(server.bodies) == 40
        assert b"\r\n..\r\nA line after a dot." in server.bodies[0]


async def test_a_connection_that_the_server_closed_meanwhile_is_replaced_at_once() -> None:
    async with serving(connections_max=1) as (server, transport):
        await send(transport)
        server.says["MAIL"] = ["421 4.4.2 idle for too long"]
        assert await send(transport) == Sent()
        server.writers[-1].close()
        assert await send(transport) == Sent()
        assert server.connections == 3


async def test_a_server_that_is_not_there() -> None:
    assert await send(SmtpTransport(SmtpServer("127.0.0.1", 1))) == Retry("server-unreachable")


async def test_tls_is_not_given_up_when_the_server_has_none() -> None:
    scripted = ScriptedServer()
    listening = await asyncio.start_server(scripted.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    transport = SmtpTransport(SmtpServer("127.0.0.1", port, start_tls=True))
    assert await send(transport) == Retry("server-unreachable")
    assert scripted.bodies == []
    listening.close()


async def test_an_address_beyond_ascii_needs_a_server_that_can() -> None:
    async with serving() as (_, transport):
        assert await send(transport, "zoë@example.org") == Refused(553, "5.6.7")
        assert await send(transport) == Sent()


async def test_a_cancelled_dialogue_leaves_no_half_used_connection() -> None:
    async with serving(connections_max=1, timeout_seconds=5) as (server, transport):
        server.says["END"] = [SILENCE]
        task = asyncio.create_task(send(transport))
        async with asyncio.timeout(5):
            while not server.bodies and server.says["END"]:
                await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await send(transport) == Sent()


def lookup(answer: httpx.Response | Exception) -> tuple[MailpitLookup, list[httpx.Request]]:
    asked: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    client = httpx.AsyncClient(transport=httpx.MockTransport(respond))
    return MailpitLookup("http://relay:8025/", client), asked


@pytest.mark.parametrize(
    ("answer", "accepted"),
    [
        (httpx.Response(200, json={"messages_count": 1, "messages": [{"MessageID": "ab@example.org"}]}), True),
        (httpx.Response(200, json={"messages_count": 0, "messages": []}), False),
        (httpx.Response(200, json={"messages_count": 1, "messages": [{"MessageID": "xab@example.org"}]}), False),
        (httpx.Response(500), None),
        (httpx.Response(200, text="<html>"), None),
        (httpx.Response(200, json={"other": 1}), None),
        (httpx.ConnectError("no"), None),
    ],
)
async def test_asking_the_relay(answer: httpx.Response | Exception, accepted: bool | None) -> None:
    relay, asked = lookup(answer)
    assert await relay.was_accepted("<ab@example.org>") is accepted
    assert str(asked[0].url.copy_with(query=None)) == "http://relay:8025/api/v1/search"
    assert asked[0].url.params["query"] == 'message-id:"ab@example.org"'


async def test_a_relay_that_cannot_be_asked() -> None:
    assert await NoLookup().was_accepted("<ab@example.org>") is None
