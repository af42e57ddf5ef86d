"""The live page's server: static files, the map's names, and a stream of what happens.

======================  ===============================================================
`GET /`                 the page
`GET /events`           server-sent events: `snapshot` first, then `changes`
`GET /map.json`         neighbourhoods with coordinates, the largest first
`GET /email/{id}.html`  an email's HTML part, for a sandboxed frame
======================  ===============================================================
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import orjson
from fastapi import FastAPI, HTTPException
from fastapi.responses import FileResponse, Response, StreamingResponse
from fastapi.staticfiles import StaticFiles

from demo.london import neighbourhoods

_STATIC = Path(__file__).parent / "static"
_KEPT_MAX = 400
"""Changes kept for slow readers; who falls further behind is given a snapshot again."""
_KEEP_ALIVE_SECONDS = 15.0

_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "frame-src 'self'; base-uri 'none'; form-action 'none'"
)
_EMAIL_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
_MESSAGE_ID = re.compile(r"[A-Za-z0-9]{1,64}")


class Feed:
    """Spreads changes to any number of open pages.

    `snapshot` gives all that a page needs to begin with. Memory is bounded however
    many pages there are and however slowly they read.
    """

    def __init__(self, snapshot: Callable[[], dict[str, Any]]) -> None:
        self._snapshot = snapshot
        self._kept: deque[tuple[int, bytes]] = deque(maxlen=_KEPT_MAX)
        self._last = 0
        self._news = asyncio.Event()
        self._closed = False

    def publish(self, changes: dict[str, Any]) -> None:
        """Tell every page."""
        self._last += 1
        self._kept.append((self._last, _event("changes", changes)))
        self._wake()

    def close(self) -> None:
        """End all streams."""
        self._closed = True
        self._wake()

    async def stream(self) -> AsyncIterator[bytes]:
        """One page's events, from now on."""
        at = -1
        while not self._closed:
            news = self._news
            if at < 0 or (self._kept and at < self._kept[0][0] - 1):
                at = self._last
                yield _event("snapshot", self._snapshot())
            for number, change in list(self._kept):
                if number > at:
                    at = number
                    yield change
            try:
                await asyncio.wait_for(news.wait(), _KEEP_ALIVE_SECONDS)
            except TimeoutError:
                yield b": still here\n\n"

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


def build_console(feed: Feed, inbox: httpx.AsyncClient) -> FastAPI:
    """The page's application; `inbox` has the base URL of the inbox's API."""
    app = FastAPI(title="London Connection, live", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/")
    async def page() -> Response:
        return FileResponse(
            _STATIC / "index.html",
            headers={"Content-Security-Policy": _PAGE_POLICY, "Referrer-Policy": "no-referrer"},
        )

    @app.get("/events")
    async def events() -> Response:
        return StreamingResponse(feed.stream(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    @app.get("/map.json")
    async def places() -> Response:
        known = sorted(neighbourhoods(), key=lambda place: (-place.weight, place.name))
        return _json([[place.name, place.latitude, place.longitude] for place in known])

    @app.get("/email/{id_}.html")
    async def email(id_: str) -> Response:
        if not _MESSAGE_ID.fullmatch(id_):
            raise HTTPException(404)
        try:
            answer = await inbox.get(f"/view/{id_}.html")
        except httpx.TransportError:
            raise HTTPException(502, "the inbox does not answer") from None
        return Response(
            answer.content,
            answer.status_code,
            media_type="text/html",
            headers={"Content-Security-Policy": _EMAIL_POLICY, "Referrer-Policy": "no-referrer"},
        )

    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    return app


def _event(name: str, data: dict[str, Any]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")
