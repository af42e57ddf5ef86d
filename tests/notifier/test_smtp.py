"""The SMTP transport against a server that says what it is told to say, and against a well-behaved one."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from scripted_server import SILENCE, ScriptedServer, send, serving

from services.notifier.breaker import Scope
from services.notifier.relay import MailpitLookup, NoLookup
from services.notifier.replies import Refused, Retry, Sent, Stopped
from services.notifier.smtp import SmtpServer, SmtpTransport


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


async def test_a_connection_that_rested_for_too_long_is_closed_and_not_used_again() -> None:
    async with serving(connections_max=2, idle_seconds_max=0.05) as (server, transport):
        await asyncio.gather(send(transport), send(transport))
        assert transport.resting == 2
        async with asyncio.timeout(5):
            while transport.resting or server.open_at_once:
                await asyncio.sleep(0.005)
        assert await send(transport) == Sent()
        assert server.connections == 3


async def test_a_half_open_connection_costs_one_time_out_and_no_email() -> None:
    async with serving(connections_max=1, timeout_seconds=0.2) as (server, transport):
        await send(transport)
        server.says["MAIL"] = [SILENCE]  # the other end is gone, and nobody told us
        assert await send(transport) == Sent()
        assert (server.connections, len(server.bodies)) == (2, 2)


async def test_a_connection_is_not_used_for_ever() -> None:
    async with serving(connections_max=1, emails_per_connection_max=3) as (server, transport):
        for _ in range(7):
            assert await send(transport) == Sent()
        assert server.connections == 3


async def test_a_server_of_the_old_days_is_greeted_in_their_way() -> None:
    async with serving() as (server, transport):
        server.says["EHLO"] = ["502 5.5.1 what?"]
        assert await send(transport) == Sent()
        assert server.commands[:2] == ["EHLO", "HELO"]


async def test_the_login_is_made_once_for_each_connection() -> None:
    login = {"username": "us", "password": "a secret"}
    async with serving(connections_max=1, **login) as (server, transport):
        for _ in range(3):
            assert await send(transport) == Sent()
        assert server.commands.count("AUTH") == 1


async def test_a_server_that_is_not_there() -> None:
    assert await send(SmtpTransport(SmtpServer("127.0.0.1", 1))) == Retry("server-unreachable")


async def test_tls_is_not_given_up_when_the_server_has_none() -> None:
    scripted = ScriptedServer()
    listening = await asyncio.start_server(scripted.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    transport = SmtpTransport(SmtpServer("127.0.0.1", port, start_tls=True))
    assert await send(transport) == Stopped("connect-impossible", Scope.EVERYTHING)
    assert scripted.bodies == []
    listening.close()


async def test_an_address_beyond_ascii_needs_a_server_that_can() -> None:
    async with serving() as (_, transport):
        assert await send(transport, "zoë@example.org") == Refused(553, "5.6.7")
        assert await send(transport) == Sent()


async def test_an_address_cannot_smuggle_a_command() -> None:
    async with serving() as (server, transport):
        assert await send(transport, "a\r\nRCPT TO:<b@example.org>") == Refused(553, "5.1.3", address_fault=True)
        assert "RCPT" not in server.commands
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
