"""Sending over SMTP: a bounded pool of connections that are used again and again.

Reaching a server, greeting it and logging in costs more than handing over an email, so
a connection is kept. A kept connection may have been closed by the server while it
rested; that shows at MAIL FROM, where nothing has been sent yet, and a new one is tried
at once. What happens once DATA was sent is told apart with care: without an answer the
email may or may not have been taken (`Unknown`), and it must not simply be sent again.

No error of the server's or the network's leaves `send`, and no address and no text of a server's gets into a reason.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage

import aiosmtplib

from services.notifier.replies import Outcome, Refused, Retry, Sent, Unknown, outcome_of

_UTF8 = policy.SMTPUTF8.clone(max_line_length=998)


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where and how to reach the mail server."""

    host: str
    port: int
    start_tls: bool = False
    """Upgrade to TLS before anything else is said, and refuse to go on without."""
    username: str | None = None
    password: str | None = None
    connections_max: int = 8
    timeout_seconds: float = 30.0
    """For connecting, and for each answer."""


class _NotReachedError(Exception):
    """There is no connection, for a reason of ours."""

    def __init__(self, outcome: Retry) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


class SmtpTransport:
    """Hands emails to one mail server. Safe to use from many tasks of one event loop at once."""

    def __init__(self, server: SmtpServer) -> None:
        self._server = server
        self._free = asyncio.Semaphore(server.connections_max)
        self._idle: list[aiosmtplib.SMTP] = []

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
            return Retry("connection-lost") if isinstance(outcome, _Stale) else outcome

    async def close(self) -> None:
        """Say goodbye on all resting connections."""
        while self._idle:
            client = self._idle.pop()
            try:
                await client.quit(timeout=1)
            except (aiosmtplib.SMTPException, OSError, TimeoutError):
                client.close()

    def _take_idle(self) -> aiosmtplib.SMTP | None:
        while self._idle:
            client = self._idle.pop()
            if client.is_connected:
                return client
            client.close()
        return None

    async def _connect(self) -> aiosmtplib.SMTP:
        server = self._server
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            start_tls=server.start_tls,
            username=server.username,
            password=server.password,
            timeout=server.timeout_seconds,
        )
        try:
            await client.connect()
        except aiosmtplib.SMTPAuthenticationError:
            raise _NotReachedError(Retry("login-refused")) from None
        except aiosmtplib.SMTPResponseException as error:
            raise _NotReachedError(Retry("greeting-refused", error.code)) from None
        except (aiosmtplib.SMTPException, OSError, ValueError):
            raise _NotReachedError(Retry("server-unreachable")) from None
        return client

    async def _hand_over(
        self, client: aiosmtplib.SMTP, message: EmailMessage, sender: str, recipient: str
    ) -> Outcome | _Stale:
        reusable = False
        try:
            outcome = await _dialogue(client, message, sender, recipient)
            reusable = client.is_connected
            if reusable and not isinstance(outcome, Sent | _Stale):
                await client.rset()
        except (aiosmtplib.SMTPException, OSError):
            reusable = False  # RSET failed: what is known about the email stays known.
        finally:
            # A cancelled task leaves the dialogue half-way: such a connection is not for the next email.
            if reusable and not isinstance(outcome, _Stale):
                self._idle.append(client)
            else:
                client.close()
        return outcome


class _Stale:
    """The connection had ended before anything was said."""


async def _dialogue(client: aiosmtplib.SMTP, message: EmailMessage, sender: str, recipient: str) -> Outcome | _Stale:
    utf8 = not (sender + recipient).isascii()
    options = ["SMTPUTF8"] if utf8 else []
    encoding = "utf-8" if utf8 else "ascii"
    if utf8 and not client.supports_extension("smtputf8"):
        return Refused(553, "5.6.7")
    content = message.as_bytes(policy=_UTF8 if utf8 else None)
    try:
        await client.mail(sender, options=options, encoding=encoding)
    except aiosmtplib.SMTPResponseException as error:
        return _Stale() if error.code == 421 else outcome_of(error.code, error.message)
    except (aiosmtplib.SMTPException, OSError):
        return _Stale()
    try:
        await client.rcpt(recipient, encoding=encoding)
    except aiosmtplib.SMTPResponseException as error:
        return outcome_of(error.code, error.message)
    except (aiosmtplib.SMTPException, OSError):
        return Retry("connection-lost")
    try:
        await client.data(content)
    except aiosmtplib.SMTPResponseException as error:
        return outcome_of(error.code, error.message)
    except (aiosmtplib.SMTPException, OSError):
        return Unknown()
    return Sent()
