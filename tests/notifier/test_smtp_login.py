"""The password for the mail server goes out over TLS, or not at all, against real servers with and without it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.smtp import SMTP, AuthResult
from pydantic import SecretStr, ValidationError
from scripted_server import send

from services.notifier.breaker import Scope
from services.notifier.parts import smtp_server
from services.notifier.replies import Sent, Stopped
from services.notifier.settings import NotifierSettings
from services.notifier.smtp import SmtpServer, SmtpTransport

LOGIN = {"username": "us", "password": "a secret"}


class Server:
    """What a mail server was told."""

    def __init__(self) -> None:
        self.passwords: list[bytes] = []
        self.over_tls: list[bool] = []
        self.emails = 0

    def authenticate(self, server: SMTP, session: Any, envelope: Any, mechanism: str, told: Any) -> AuthResult:
        self.passwords.append(told.password)
        self.over_tls.append(session.ssl is not None)
        return AuthResult(success=True)

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:  # noqa: N802
        self.emails += 1
        return "250 2.0.0 taken"


@asynccontextmanager
async def mail_server(tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[Server, int]]:
    """A server that takes any password, and without `tls` in the clear."""
    told, loop = Server(), asyncio.get_running_loop()

    def connection() -> SMTP:
        return SMTP(
            told, hostname="mail.example", tls_context=tls, authenticator=told.authenticate,
            auth_require_tls=tls is not None, loop=loop,
        )  # fmt: skip

    listening = await loop.create_server(connection, "127.0.0.1", 0)
    async with listening:
        yield told, listening.sockets[0].getsockname()[1]


async def test_a_server_without_tls_is_not_told_the_password() -> None:
    async with mail_server() as (told, port):
        transport = SmtpTransport(SmtpServer("127.0.0.1", port, start_tls=True, **LOGIN))
        assert await send(transport) == Stopped("connect-impossible", Scope.EVERYTHING)
        assert (told.passwords, told.emails) == ([], 0)


async def test_with_tls_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    async with mail_server(tls) as (told, port):
        transport = SmtpTransport(SmtpServer("127.0.0.1", port, start_tls=True, **LOGIN))
        assert await send(transport) == Sent()
        await transport.close()
        assert (told.passwords, told.over_tls, told.emails) == ([b"a secret"], [True], 1)


@pytest.mark.parametrize("more", [{"host": "127.0.0.1"}, {"host": "0.0.0.0", "plaintext_login": True}])  # noqa: S104
async def test_in_the_clear_only_to_this_machine_or_by_leave(more: dict[str, Any]) -> None:
    async with mail_server() as (told, port):
        transport = SmtpTransport(SmtpServer(port=port, **more, **LOGIN))
        assert await send(transport) == Sent()
        await transport.close()
        assert told.passwords == [b"a secret"]


@pytest.mark.parametrize("host", ["mail.example.org", "10.0.0.7", "localhost.example.org", "0.0.0.0"])  # noqa: S104
def test_no_server_elsewhere_can_be_told_it_in_the_clear(host: str) -> None:
    with pytest.raises(ValueError, match="in the clear"):
        SmtpServer(host, 587, **LOGIN)


def settings(**changes: Any) -> NotifierSettings:
    return NotifierSettings(
        link_secret=SecretStr("a secret for the tests only"),
        **{"SMTP_USERNAME": "us", "SMTP_PASSWORD": "a secret", "SMTP_HOST": "mail.example.org", **changes},
    )


def test_the_settings_say_which_of_them_would_give_it_away() -> None:
    with pytest.raises(ValidationError, match=r"SMTP_USERNAME needs SMTP_STARTTLS=true.*SMTP_PLAINTEXT_LOGIN") as error:
        settings()
    assert "a secret" not in str(error.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"SMTP_STARTTLS": True},
        {"SMTP_PLAINTEXT_LOGIN": True},
        {"SMTP_USERNAME": None},
        {"SMTP_HOST": "localhost"},
        {"SMTP_HOST": "127.0.0.2"},
        {"SMTP_HOST": "::1"},
    ],
)
def test_settings_that_keep_it_secret_are_taken(changes: dict[str, Any]) -> None:
    assert smtp_server(settings(**changes)).plaintext_login is changes.get("SMTP_PLAINTEXT_LOGIN", False)
