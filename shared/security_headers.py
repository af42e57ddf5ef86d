"""The headers that every answer has, so that a browser does with it what we mean and nothing else.

Nothing that we serve is framed, guessed at, or tells another site where somebody came
from: links in emails are secrets. Pages bring a stricter policy of their own where they
have one; the few pages for engineers need scripts, and get them from us alone.

So have the answers to what we did not expect: a framework's own way of saying 500 lies
outside of all middleware, so it is said here.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

RawHeaders = tuple[tuple[bytes, bytes], ...]

HEADERS: RawHeaders = (
    (b"content-security-policy", b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
"""Of whatever says nothing else itself."""
_SCRIPTED = (
    b"default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    b"img-src 'self' data:; font-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_POLICY = b"content-security-policy"
_FAILED = PlainTextResponse("That was us, not you: try again in a minute.\n", status_code=500)


def transport_security(seconds: int) -> RawHeaders:
    """HSTS for so many seconds; nothing for 0."""
    return ((b"strict-transport-security", b"max-age=%d; includeSubDomains" % seconds),) if seconds else ()


class SecurityHeaders:
    """ASGI middleware: adds what an answer does not have yet. `scripted` are paths whose pages need our scripts.

    What raises before it has answered is answered by `failed`, with status 500 and the same
    headers, and raised on, to be logged by the server. What was raised is in no answer.
    """

    def __init__(
        self, app: ASGIApp, *, hsts_seconds: int = 0, scripted: Iterable[str] = (), failed: ASGIApp = _FAILED
    ) -> None:
        self._app = app
        self._failed = failed
        self._headers = HEADERS + transport_security(hsts_seconds)
        self._scripted = frozenset(scripted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scripted = scope["path"] in self._scripted
        answered = False

        async def guarded(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                there = {name.lower() for name, _ in message["headers"]}
                added = [
                    (name, _SCRIPTED if scripted and name == _POLICY else value)
                    for name, value in self._headers
                    if name not in there
                ]
                message["headers"] = [*message["headers"], *added]
            await send(message)

        try:
            await self._app(scope, receive, guarded)
        except Exception:
            if not answered:
                await self._failed(scope, receive, guarded)
            raise
