"""The local inbox: an SMTP server that takes every email and delivers it nowhere, and a page that shows it.

It stands in for Mailpit where there is no Docker: the same paths, parameters and
field names for what we use of its REST API, so that programs work with either.

========================================  ====================================================
`GET /api/v1/messages?start=0&limit=50`   newest first
`GET /api/v1/search?query=...`            `message-id:`, `to:`, `subject:`, words
`GET /api/v1/message/{ID}`                one message, with its text and its HTML
`GET /api/v1/message/{ID}/raw`            its source
`GET /view/{ID}.html`                     its HTML part, as a mail program would show it
`GET /livez`, `GET /readyz`               both ports are open
========================================  ====================================================

A message is in the mailbox before the server answers 250. The inbox is a process of
its own, so that killing services does not touch it:

    python -m demo.inbox --smtp-port 8025 --http-port 8026
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
from aiosmtpd.smtp import SMTP
from fastapi import FastAPI, HTTPException, Query
from fastapi.responses import HTMLResponse, PlainTextResponse, Response

from demo.mailbox import Bounds, Mailbox, Stored, detail, html_of, summary
from demo.web import HOST, web_serving
from shared.clock import Clock, system_clock

SMTP_PORT, HTTP_PORT = 8025, 8026
_PAGE_LIMIT_MAX = 1_000
_MESSAGE_BYTES_MAX = 1024 * 1024
_READ_BYTES = 64 * 1024

_EMAIL_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox allow-popups"
"""What an email's HTML may do in a browser: look like itself."""


class Inbox(SMTP):
    """The SMTP side: one connection. Everything is accepted, and stored before it is acknowledged."""

    def __init__(self, mailbox: Mailbox, clock: Clock, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(object(), enable_SMTPUTF8=True, hostname="inbox", ident="Local inbox", loop=loop)
        self._mailbox = mailbox
        self._clock = clock

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        """Take a message in a few reads.

        aiosmtpd awaits every line of one, and so takes 700 emails of 10 kB a second where
        this takes over 1,500: the inbox must not be what holds the sender back.
        """
        if self.envelope is None or not self.envelope.rcpt_tos:
            await self.push("503 5.5.1 RCPT first")
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        message, whole = await self._message()
        if whole:
            stored = self._mailbox.add(message, self.envelope.rcpt_tos, self._clock())
        self._set_post_data_state()  # type: ignore[no-untyped-call]  # aiosmtpd has no annotation there
        await self.push(f"250 2.0.0 Ok: kept as {stored.id}" if whole else "552 5.3.4 Message too big")

    async def _message(self) -> tuple[bytes, bool]:
        """What comes before the lone dot, and whether it is all of it.

        We announce no pipelining, so what follows the dot comes only after our answer.
        When the connection is lost, aiosmtpd cancels us: half a message is never kept.
        """
        data, whole = bytearray(b"\r\n"), True  # so that a message without lines ends like any other
        while not data.endswith(b"\r\n.\r\n"):
            data += await self._reader.read(_READ_BYTES)
            if len(data) > _MESSAGE_BYTES_MAX:
                del data[:-5]  # only its end still matters
                whole = False
        return bytes(data[:-3].replace(b"\r\n..", b"\r\n.")[2:]), whole


def build_app(mailbox: Mailbox) -> FastAPI:
    """The HTTP side."""
    app = FastAPI(title="Local inbox", docs_url=None, redoc_url=None)

    def listing(found: list[Stored], start: int, matching: int) -> dict[str, Any]:
        return {
            "total": len(mailbox),
            "unread": len(mailbox),
            "count": len(found),
            "messages_count": matching,
            "messages_unread": matching,
            "start": start,
            "tags": [],
            "messages": [summary(stored) for stored in found],
        }

    def existing(id_: str) -> Stored:
        stored = mailbox.get(id_)
        if stored is None:
            raise HTTPException(404, "no such message: it was never here, or it was dropped as one of the oldest")
        return stored

    @app.get("/api/v1/messages")
    async def messages(start: int = Query(0, ge=0), limit: int = Query(50, ge=0, le=_PAGE_LIMIT_MAX)) -> Response:
        return _json(listing(mailbox.page(start, limit), start, len(mailbox)))

    @app.get("/api/v1/search")
    async def search(
        query: str = Query(min_length=1),
        start: int = Query(0, ge=0),
        limit: int = Query(50, ge=0, le=_PAGE_LIMIT_MAX),
    ) -> Response:
        found = mailbox.search(query)
        return _json(listing(found[start : start + limit], start, len(found)))

    @app.get("/api/v1/message/{id_}")
    async def message(id_: str) -> Response:
        return _json(detail(existing(id_)))

    @app.get("/api/v1/message/{id_}/raw")
    async def raw(id_: str) -> Response:
        return Response(existing(id_).raw, media_type="text/plain; charset=utf-8")

    @app.get("/view/{id_}.html")
    async def view(id_: str) -> Response:
        return HTMLResponse(
            html_of(existing(id_)),
            headers={"Content-Security-Policy": _EMAIL_POLICY, "Referrer-Policy": "no-referrer"},
        )

    @app.get("/livez")
    @app.get("/readyz")
    async def ready() -> Response:
        return PlainTextResponse("ok")

    return app


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")


@contextlib.asynccontextmanager
async def serving(
    mailbox: Mailbox, *, smtp_port: int = 0, http_port: int = 0, clock: Clock = system_clock
) -> AsyncIterator[tuple[int, int]]:
    """Serve a mailbox in this event loop; gives the ports of SMTP and HTTP (0 asks for free ones).

    Raises
    ------
    OSError
        if a port is taken.
    """
    loop = asyncio.get_running_loop()
    smtp = await loop.create_server(lambda: Inbox(mailbox, clock, loop), HOST, smtp_port)
    async with smtp, web_serving(build_app(mailbox), http_port) as web_port:
        yield smtp.sockets[0].getsockname()[1], web_port


async def main(smtp_port: int, http_port: int, bounds: Bounds, *, announce: Callable[[str], None] = print) -> None:
    """Run until SIGTERM or SIGINT."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with serving(Mailbox(bounds), smtp_port=smtp_port, http_port=http_port) as (smtp, http):
        announce(f"inbox: smtp://{HOST}:{smtp} http://{HOST}:{http}")
        await ended.wait()


def command(arguments: list[str]) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m demo.inbox", description="A local inbox that takes every email.")
    parser.add_argument("--smtp-port", type=int, default=SMTP_PORT, help="where emails are taken (default %(default)s)")
    parser.add_argument("--http-port", type=int, default=HTTP_PORT, help="where they are shown (default %(default)s)")
    parser.add_argument(
        "--messages-max", type=int, default=Bounds().messages_max, help="how many are kept (default %(default)s)"
    )
    options = parser.parse_args(arguments)
    logging.getLogger("mail.log").setLevel(logging.WARNING)  # aiosmtpd notes every command, and addresses with it
    with contextlib.suppress(ImportError):
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(main(options.smtp_port, options.http_port, Bounds(messages_max=options.messages_max)))


if __name__ == "__main__":
    command(sys.argv[1:])
