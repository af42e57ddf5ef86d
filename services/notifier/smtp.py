"""Sending over SMTP: a bounded pool of connections that are used again and again.

Reaching a server, greeting it and logging in costs more than handing over an email, so
a connection is kept, for a while: servers hang up on those who say nothing, and routers
forget them without a word. A kept connection may be dead all the same; that shows at
MAIL FROM, where nothing has been sent yet, and a new one is tried at once. What happens
once the content was sent is told apart with care: without an answer the email may or may
not have been taken (`Unknown`), and it must not simply be sent again.

No error of the server's or the network's leaves `send`, and no address and no text of a server's gets into a reason.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from email.message import EmailMessage
from ipaddress import ip_address
from typing import NamedTuple

import aiosmtplib

from services.notifier.breaker import Scope
from services.notifier.envelope import wire_bytes
from services.notifier.replies import Outcome, Refused, Retry, Sent, Stage, Stopped, Unknown, outcome_of
from shared.logs import logger

log = logger(__name__)

_LOST = (aiosmtplib.SMTPException, OSError, TimeoutError)
_NOT_KNOWN = (500, 501, 502, 504)
_GOODBYE_SECONDS_MAX = 1.0


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where and how to reach the mail server."""

    host: str
    port: int
    start_tls: bool = False
    """Upgrade to TLS before anything else is said, and refuse to go on without."""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    plaintext_login: bool = False
    """Log in without TLS, too. On this machine that needs no leave."""
    connections_max: int = 8
    timeout_seconds: float = 30.0
    """For connecting, and for each answer."""
    idle_seconds_max: float = 20.0
    """A connection that rested for longer is closed."""
    emails_per_connection_max: int = 500
    """After so many a connection is closed: many servers want that."""

    def __post_init__(self) -> None:
        if self.username is not None and not (self.start_tls or self.plaintext_login or is_this_machine(self.host)):
            raise ValueError("logging in without TLS would send the password in the clear")


def is_this_machine(host: str) -> bool:
    """Whether a host is surely this machine: by its name or address alone, nothing is looked up."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class _Kept(NamedTuple):
    """A connection of ours."""

    client: aiosmtplib.SMTP
    emails: int = 0
    """Handed over on it."""
    since: float = 0.0
    """When it began to rest, by the event loop's clock."""


class _NotReachedError(Exception):
    """There is no connection."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(type(outcome).__name__)
        self.outcome = outcome


class SmtpTransport:
    """Hands emails to one mail server. Safe to use from many tasks of one event loop at once."""

    def __init__(self, server: SmtpServer) -> None:
        self._server = server
        self._free = asyncio.Semaphore(server.connections_max)
        self._idle: list[_Kept] = []
        """Those that rested longest come first; the last is used next."""
        self._janitor: asyncio.TimerHandle | None = None
        self.opened = 0
        """Connections made so far."""

    async def send(self, message: EmailMessage, *, sender: str, recipient: str) -> Outcome:
        """Hand over one email; waits while all connections are in use."""
        async with self._free:
            used = self._take_idle()
            if used is not None:
                outcome = await self._hand_over(used, message, sender, recipient)
                if not isinstance(outcome, _Stale):
                    return outcome
            try:
                fresh = await self._connect()
            except _NotReachedError as error:
                return error.outcome
            outcome = await self._hand_over(fresh, message, sender, recipient)
            return outcome.otherwise if isinstance(outcome, _Stale) else outcome

    async def close(self) -> None:
        """Say goodbye on all resting connections."""
        if self._janitor is not None:
            self._janitor.cancel()
            self._janitor = None
        resting, self._idle = self._idle, []
        await asyncio.gather(*(_say_goodbye(kept.client) for kept in resting))

    @property
    def resting(self) -> int:
        """Connections that are open and not in use."""
        return len(self._idle)

    # Connections

    def _take_idle(self) -> _Kept | None:
        oldest = asyncio.get_running_loop().time() - self._server.idle_seconds_max
        while self._idle:
            kept = self._idle.pop()
            if kept.client.is_connected and kept.since >= oldest:
                return kept
            kept.client.close()
        return None

    def _keep(self, kept: _Kept) -> None:
        if kept.emails >= self._server.emails_per_connection_max:
            kept.client.close()
            return
        loop = asyncio.get_running_loop()
        self._idle.append(kept._replace(since=loop.time()))
        if self._janitor is None:
            self._janitor = loop.call_later(self._server.idle_seconds_max, self._close_idle)

    def _close_idle(self) -> None:
        loop = asyncio.get_running_loop()
        oldest = loop.time() - self._server.idle_seconds_max
        while self._idle and self._idle[0].since <= oldest:
            self._idle.pop(0).client.close()
        self._janitor = (
            loop.call_at(self._idle[0].since + self._server.idle_seconds_max, self._close_idle) if self._idle else None
        )

    async def _connect(self) -> _Kept:
        server = self._server
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            start_tls=server.start_tls,
            timeout=server.timeout_seconds,
        )
        stage = Stage.CONNECT
        try:
            await client.connect()
            await _greet(client)
            self.opened += 1
            if server.username is not None:
                stage = Stage.LOGIN
                await client.login(server.username, server.password or "")
        except aiosmtplib.SMTPResponseException as error:
            client.close()
            raise _NotReachedError(outcome_of(error.code, error.message, stage)) from None
        except (aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPConnectError, aiosmtplib.SMTPTimeoutError):
            client.close()
            raise _NotReachedError(Retry("server-unreachable")) from None
        except (aiosmtplib.SMTPException, ValueError):
            # No TLS where we insist on it, no way of logging in that both know: nothing gets better by trying.
            client.close()
            setting = "SMTP_USERNAME" if stage is Stage.LOGIN else "SMTP_STARTTLS"
            log.error("mail_server_lacks_what_is_set", setting=setting, stage=stage)
            raise _NotReachedError(Stopped(f"{stage}-impossible", Scope.EVERYTHING)) from None
        except OSError:
            client.close()
            raise _NotReachedError(Retry("server-unreachable")) from None
        return _Kept(client)

    async def _hand_over(self, kept: _Kept, message: EmailMessage, sender: str, recipient: str) -> Outcome | _Stale:
        client, in_step = kept.client, False
        try:
            outcome, in_step = await _dialogue(client, message, sender, recipient)
            if in_step and client.is_connected and not isinstance(outcome, Sent | _Stale):
                await client.rset()
        except _LOST:
            in_step = False  # RSET failed: what is known about the email stays known.
        finally:
            # A cancelled task leaves the dialogue half-way: such a connection is not for the next email.
            if in_step and client.is_connected:
                self._keep(kept._replace(emails=kept.emails + 1))
            else:
                client.close()
        return outcome


async def _greet(client: aiosmtplib.SMTP) -> None:
    """Say who we are; in the old way to a server that does not know the new one."""
    if client.is_ehlo_or_helo_needed:
        try:
            await client.ehlo()
        except aiosmtplib.SMTPHeloError as error:
            if error.code not in _NOT_KNOWN:
                raise
            await client.helo()


@dataclass(frozen=True, slots=True)
class _Stale:
    """The connection had ended before anything was said on it; on a new one, `otherwise` is what it means."""

    otherwise: Retry


async def _dialogue(
    client: aiosmtplib.SMTP, message: EmailMessage, sender: str, recipient: str
) -> tuple[Outcome | _Stale, bool]:
    """What became of the email, and whether the connection can be used for another."""
    utf8 = not (sender + recipient).isascii()
    if utf8 and not client.supports_extension("smtputf8"):
        return Refused(553, "5.6.7"), True
    content = _for_the_wire(message, utf8=utf8)
    stage = Stage.MAIL
    try:
        await _say(client, 250, b"MAIL FROM:<" + sender.encode() + b">" + (b" SMTPUTF8" if utf8 else b""))
        stage = Stage.RCPT
        await _say(client, 250, b"RCPT TO:<" + recipient.encode() + b">")
        stage = Stage.DATA
        await _say(client, 354, b"DATA")
        stage = Stage.END
        await _send_content(client, content)
    except aiosmtplib.SMTPResponseException as error:
        in_step = 400 <= error.code <= 599 and error.code != aiosmtplib.SMTPStatus.domain_unavailable
        outcome = outcome_of(error.code, error.message, stage)
        if error.code == aiosmtplib.SMTPStatus.domain_unavailable and stage is Stage.MAIL:
            assert isinstance(outcome, Retry), "421 is always worth another try"
            return _Stale(outcome), False
        return outcome, in_step or isinstance(outcome, Sent)
    except ValueError:
        return Refused(553, "5.1.3", address_fault=True), False  # Control characters in an address: never said.
    except _LOST:
        lost = Retry("connection-lost")
        if stage is Stage.MAIL:
            return _Stale(lost), False
        return (Unknown() if stage is Stage.END else lost), False
    return Sent(), True


async def _say(client: aiosmtplib.SMTP, hoped_for: int, command: bytes) -> None:
    """One command. aiosmtplib's `mail` and `rcpt` would parse the addresses, which were checked when they came in."""
    if client.protocol is None:
        raise aiosmtplib.SMTPServerDisconnected("Connection lost")
    reply = await client.protocol.execute_command(command, timeout=client.timeout)
    if reply.code != hoped_for:
        raise aiosmtplib.SMTPResponseException(reply.code, reply.message)


async def _send_content(client: aiosmtplib.SMTP, content: bytes) -> None:
    """The content, and the server's answer to it. aiosmtplib's `data` would not tell which of the two steps failed."""
    if client.protocol is None:
        raise aiosmtplib.SMTPServerDisconnected("Connection lost")
    client.protocol.write(content)
    reply = await client.protocol.read_response(timeout=client.timeout)
    if reply.code != aiosmtplib.SMTPStatus.completed:
        raise aiosmtplib.SMTPResponseException(reply.code, reply.message)


def _for_the_wire(message: EmailMessage, *, utf8: bool) -> bytes:
    """The content with dots doubled (RFC 5321, 4.5.2) and the end that nothing within it can be taken for."""
    content = wire_bytes(message, utf8=utf8)
    stuffed = content.replace(b"\r\n.", b"\r\n..")
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    return stuffed + (b".\r\n" if stuffed.endswith(b"\r\n") else b"\r\n.\r\n")


async def _say_goodbye(client: aiosmtplib.SMTP) -> None:
    try:
        await client.quit(timeout=_GOODBYE_SECONDS_MAX)
    except _LOST:
        client.close()
