"""The pages that links in emails lead to: what you are about to say, one button, and thanks.

=====================  ===============================================================
`GET  /i/{token}`      yes or no to an introduction, whichever the link says; changes nothing
`POST /i/{token}`      records it
`GET  /p/{token}`      a pause; `POST` begins it
`GET  /u/{token}`      unsubscribing; `POST` does it (also RFC 8058's one-click, from a mail program)
=====================  ===============================================================

Scanners follow every link in an email, so a GET never changes anything. The link itself
says who presses: no cookie, no login, no form fields, no script. An answer to what is
decided already is recorded all the same and thanked for in the same words: whether it
was decided is not for whoever holds a link to find out.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path
from types import MappingProxyType

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from services.notifier.links import ExpiredLinkError, ForgedLinkError, Link, LinkPurpose, Links
from services.notifier.wording import DEFAULT_LOCALE, AllWords
from shared.clock import Clock
from shared.community import Community
from shared.contracts import Choice, ChoiceKind, Preference, PreferenceKind
from shared.logs import logger, where_it_broke

log = logger(__name__)

Recorder = Callable[[Choice | Preference], Awaitable[None]]
"""Returns once the choice is durable."""

_STYLE = (Path(__file__).parent / "words" / "page.css").read_text(encoding="utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = MappingProxyType(
    {
        "Content-Security-Policy": (
            f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; "
            "base-uri 'none'; frame-ancestors 'none'"
        ),
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "X-Robots-Tag": "noindex",
    }
)
_OPPOSITE = {LinkPurpose.YES: LinkPurpose.NO, LinkPurpose.NO: LinkPurpose.YES}
_ANSWERS = frozenset(_OPPOSITE)
_OUR_NAME = "London Connection"
"""On the pages for links that do not even tell the community."""


def pages_router(
    links: Links, record: Recorder, communities: Mapping[str, Community], words: AllWords, clock: Clock
) -> APIRouter:
    """The routes, to be included in an application. All templates are compiled here, once."""
    pages = _Pages(links, record, communities, words, clock)
    router = APIRouter(default_response_class=HTMLResponse, tags=["pages"])

    @router.get("/i/{token}", summary="See what you are about to answer")
    async def see_answer(token: str) -> HTMLResponse:
        return pages.show(token, _ANSWERS)

    @router.post("/i/{token}", summary="Answer yes or no to an introduction")
    async def answer(token: str) -> HTMLResponse:
        return await pages.act(token, _ANSWERS)

    @router.get("/p/{token}", summary="See what a pause means")
    async def see_pause(token: str) -> HTMLResponse:
        return pages.show(token, {LinkPurpose.PAUSE})

    @router.post("/p/{token}", summary="Begin a pause")
    async def pause(token: str) -> HTMLResponse:
        return await pages.act(token, {LinkPurpose.PAUSE})

    @router.get("/u/{token}", summary="See what unsubscribing means")
    async def see_unsubscribe(token: str) -> HTMLResponse:
        return pages.show(token, {LinkPurpose.UNSUBSCRIBE})

    @router.post("/u/{token}", summary="Unsubscribe (RFC 8058 one-click)")
    async def unsubscribe(token: str) -> HTMLResponse:
        return await pages.act(token, {LinkPurpose.UNSUBSCRIBE})

    return router


class _Pages:
    def __init__(
        self, links: Links, record: Recorder, communities: Mapping[str, Community], words: AllWords, clock: Clock
    ) -> None:
        self._links = links
        self._record = record
        self._communities = communities
        self._phrases = words[DEFAULT_LOCALE].phrases
        self._clock = clock
        names = [f"{purpose.name.lower()}{ending}" for purpose in LinkPurpose for ending in ("", "-thanks")]
        self._templates = {
            name: words[DEFAULT_LOCALE].page(name) for name in (*names, "over", "expired", "unknown", "unsaved")
        }

    def show(self, token: str, purposes: Collection[LinkPurpose]) -> HTMLResponse:
        link = self._read(token, purposes)
        if isinstance(link, HTMLResponse):
            return link
        return self._page(link.purpose.name.lower(), 200, link)

    async def act(self, token: str, purposes: Collection[LinkPurpose]) -> HTMLResponse:
        link = self._read(token, purposes)
        if isinstance(link, HTMLResponse):
            return link
        try:
            await self._record(self._decision(link))
        except Exception as error:  # Whatever kept it from being durable: the person must know, and can press again.
            log.error("choice could not be recorded", purpose=link.purpose.name.lower(), **where_it_broke(error))
            return self._page("unsaved", 503, link)
        return self._page(f"{link.purpose.name.lower()}-thanks", 200, link)

    def _read(self, token: str, purposes: Collection[LinkPurpose]) -> Link | HTMLResponse:
        try:
            link = self._links.read(token, purposes, self._clock())
        except ExpiredLinkError as expired:
            return self._page("over" if expired.link.purpose in _ANSWERS else "expired", 410, expired.link)
        except ForgedLinkError:
            return self._page("unknown", 404, None)
        return link if link.community in self._communities else self._page("unknown", 404, None)

    def _decision(self, link: Link) -> Choice | Preference:
        now_ms = self._clock()
        match link.purpose:
            case LinkPurpose.YES | LinkPurpose.NO:
                return Choice(
                    community=link.community,
                    member=link.member,
                    introduction=link.introduction,
                    kind=ChoiceKind.YES if link.purpose is LinkPurpose.YES else ChoiceKind.NO,
                    chosen_at_ms=now_ms,
                )
            case LinkPurpose.PAUSE:
                return Preference(
                    community=link.community,
                    member=link.member,
                    kind=PreferenceKind.PAUSE,
                    chosen_at_ms=now_ms,
                    until_ms=now_ms + self._communities[link.community].pause_seconds * 1000,
                )
            case LinkPurpose.UNSUBSCRIBE:
                return Preference(
                    community=link.community,
                    member=link.member,
                    kind=PreferenceKind.UNSUBSCRIBE,
                    chosen_at_ms=now_ms,
                )

    def _page(self, name: str, status: int, link: Link | None) -> HTMLResponse:
        community = self._communities.get(link.community) if link is not None else None
        values: dict[str, object] = {
            "style": Markup(_STYLE),  # noqa: S704  # our own file, not anybody's input
            "sender_name": community.sender_name if community else _OUR_NAME,
        }
        if link is not None and community is not None:
            until_ms = self._clock() + community.pause_seconds * 1000
            values |= {
                "pause_for": self._phrases.pause(community.pause_seconds),
                "until": self._phrases.moment(until_ms, community.time_zone),
                "other_link": self._opposite(link),
            }
        headers = {**_HEADERS, "Retry-After": "60"} if status == 503 else dict(_HEADERS)
        return HTMLResponse(self._templates[name].render(values), status_code=status, headers=headers)

    def _opposite(self, link: Link) -> str:
        other = _OPPOSITE.get(link.purpose)
        if other is None:
            return ""
        return self._links.sign(
            other,
            community=link.community,
            member=link.member,
            introduction=link.introduction,
            expires_at_ms=link.expires_at_ms,
        )
