"""The pages that links in emails lead to: what you are about to say, one button, and thanks.

=====================  ===============================================================
`/i/{token}`           yes or no to an introduction, whichever the link says
`/c/{token}`           how a date was: three questions, a tap each
`/o/{token}`           "I would be happy to go first"
`/l/{token}`           leaving an introduction or a group
`/p/{token}`           a pause, until a date
`/u/{token}`           unsubscribing (a POST is also RFC 8058's one-click, from a mail program)
`/s/{token}`           the way to all that follows, and to what is above
`/b/{token}`           blocking or reporting somebody one was introduced to
`/w/{token}`           what one looks for
`/d/{token}`           all that is stored; `/d/{token}/json` the same as JSON
`/e/{token}`           being erased
=====================  ===============================================================

Scanners follow every link in an email, so a GET never changes anything; a POST does what
the page said. The link itself says who presses: no cookie, no login, no script. An answer
to what is decided already is recorded all the same and thanked for in the same words:
whether it was decided is not for whoever holds a link to find out.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from jinja2 import Template
from markupsafe import Markup

from services.notifier.decisions import CHECK_IN_PAGES, decide, page_of, pause_end_ms
from services.notifier.dossier import all_about
from services.notifier.forms import FormError, read_form
from services.notifier.links import ExpiredLinkError, ForgedLinkError, Link, LinkPurpose, Links
from services.notifier.reading_back import Exporter, LookUp, ReadBack
from services.notifier.state import PartitionState
from services.notifier.wording import DEFAULT_LOCALE, AllWords, Phrases, words_for
from shared.clock import Clock
from shared.community import Community
from shared.contracts import Choice, Preference
from shared.logs import logger, where_it_broke

log = logger(__name__)

Recorder = Callable[[Choice | Preference], Awaitable[None]]
"""Returns once the choice is durable."""
Directory = Callable[[str], PartitionState | None]
"""What is known of a community, if this instance looks after it."""

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
_NEEDS_STATE = frozenset({LinkPurpose.BLOCK, LinkPurpose.DATA})
_OUR_NAME = "London Connection"
"""On the pages for links that do not even tell the community."""

PAGES = (
    *dict.fromkeys(page_of(purpose) for purpose in LinkPurpose),
    *(
        f"{page_of(purpose)}-thanks"
        for purpose in LinkPurpose
        if purpose not in (LinkPurpose.SETTINGS, LinkPurpose.DATA, LinkPurpose.CHECK_IN)
    ),
    *CHECK_IN_PAGES, "pause-thanks-over", "report-thanks", "elsewhere", "over", "expired", "unknown", "unsaved",
    "failed",
)  # fmt: skip
"""Every page that there is, by the name of its template."""


def pages_router(
    links: Links,
    record: Recorder,
    communities: Mapping[str, Community],
    words: AllWords,
    clock: Clock,
    directory: Directory = lambda community: None,
    look_up: LookUp | None = None,
    exporter: Exporter | None = None,
) -> APIRouter:
    """The routes, to be included in an application. All templates are compiled here, once."""
    pages = _Pages(links, record, communities, words, clock, directory, ReadBack(look_up, exporter))
    router = APIRouter(default_response_class=HTMLResponse, tags=["pages"])

    def add(letter: str, purposes: frozenset[LinkPurpose]) -> None:
        async def see(token: str) -> Response:
            return await pages.show(token, purposes)

        async def press(token: str, request: Request) -> Response:
            return await pages.act(token, purposes, request)

        about = ", ".join(page_of(purpose) for purpose in LinkPurpose if purpose in purposes)
        router.add_api_route(f"/{letter}/{{token}}", see, methods=["GET"], summary=f"See: {about}. Changes nothing")
        router.add_api_route(f"/{letter}/{{token}}", press, methods=["POST"], summary=f"Press the button: {about}")

    add("i", _ANSWERS)
    for purpose in LinkPurpose:
        if purpose not in _ANSWERS:
            add(purpose.value, frozenset({purpose}))

    @router.get("/d/{token}/json", summary="All that is stored about a member, as JSON", response_class=JSONResponse)
    async def see_data(token: str) -> Response:
        return await pages.data(token)

    return router


def failure_page(words: AllWords) -> Response:
    """For what we did not expect. It is put together beforehand, so that nothing about it can fail as well."""
    page = words[DEFAULT_LOCALE].page("failed")
    values = {"style": Markup(_STYLE), "sender_name": _OUR_NAME}  # noqa: S704  # our own file, not anybody's input
    return HTMLResponse(page.render(values), status_code=500, headers=_HEADERS)


class Acquaintance(NamedTuple):
    """Somebody whom a member can block or report."""

    handle: str
    """What stands for them in the form."""
    member: str
    first_name: str
    blocked: bool
    """Already: they can still be reported."""


class _Pages:
    def __init__(
        self,
        links: Links,
        record: Recorder,
        communities: Mapping[str, Community],
        words: AllWords,
        clock: Clock,
        directory: Directory,
        read_back: ReadBack,
    ) -> None:
        self._links = links
        self._record = record
        self._communities = communities
        self._words = words
        self._clock = clock
        self._directory = directory
        self._read_back = read_back
        self._templates: dict[str, dict[str, Template]] = {
            locale: {name: of_locale.page(name) for name in PAGES} for locale, of_locale in words.items()
        }

    async def show(self, token: str, purposes: frozenset[LinkPurpose]) -> Response:
        link = self._read(token, purposes)
        if isinstance(link, HTMLResponse):
            return link
        state = await self._known(link)
        if link.purpose in _NEEDS_STATE and state is None:
            return self._page("elsewhere", 503, link)
        return self._page(page_of(link.purpose), 200, link, state)

    async def act(self, token: str, purposes: frozenset[LinkPurpose], request: Request) -> Response:
        link = self._read(token, purposes)
        if isinstance(link, HTMLResponse):
            return link
        try:
            fields = await read_form(request)
        except FormError as error:
            page = self._page("unsaved", error.status, link)
            page.headers["Connection"] = "close"  # What is still to come of it, nobody reads.
            return page
        state = await self._known(link)
        if link.purpose in _NEEDS_STATE and state is None:
            return self._page("elsewhere", 503, link)
        people = {person.handle: person.member for person in self._people(link, state)}
        now_ms = self._clock()
        decision = decide(link, fields, self._communities[link.community], now_ms, people=people)
        if decision.record is not None:
            try:
                await self._record(decision.record)
            except Exception as error:  # Whatever kept it from being durable: they must know, and can press again.
                log.error("choice could not be recorded", purpose=page_of(link.purpose), **where_it_broke(error))
                return self._page("unsaved", 503, link, state)
        until_ms = decision.record.until_ms if isinstance(decision.record, Preference) else None
        return self._page(decision.page, 200, link, state, until_ms=until_ms, incomplete=decision.record is None)

    async def data(self, token: str) -> Response:
        """All that is stored, to be kept or taken elsewhere. Read from the topics, so that every instance can."""
        link = self._read(token, frozenset({LinkPurpose.DATA}))
        if isinstance(link, HTMLResponse):
            return link
        document = await self._read_back.export(link.community, link.member)
        if document is None:
            return self._page("elsewhere", 503, link)
        headers = {**_HEADERS, "Content-Disposition": 'attachment; filename="what-is-stored.json"'}
        content = orjson.dumps(document, option=orjson.OPT_INDENT_2)
        return Response(content, media_type="application/json", headers=headers)

    def _read(self, token: str, purposes: frozenset[LinkPurpose]) -> Link | HTMLResponse:
        try:
            link = self._links.read(token, purposes, self._clock())
        except ExpiredLinkError as expired:
            over = expired.link.purpose in _ANSWERS or expired.link.purpose is LinkPurpose.CHECK_IN
            return self._page("over" if over else "expired", 410, expired.link)
        except ForgedLinkError:
            return self._page("unknown", 404, None)
        return link if link.community in self._communities else self._page("unknown", 404, None)

    async def _known(self, link: Link) -> PartitionState | None:
        """What is known of the community, or at least of the member; nothing, where the page can do without."""
        state = self._directory(link.community)
        if state is not None or link.purpose not in _NEEDS_STATE:
            return state
        return await self._read_back.state(link.community, link.member)

    def _people(self, link: Link, state: PartitionState | None) -> list[Acquaintance]:
        """Whom the member can block or report."""
        if link.purpose is not LinkPurpose.BLOCK or state is None:
            return []
        avoided = state.members.avoids(link.member)
        return [
            Acquaintance(self._links.handle(link.member, other), other, contact.first_name, other in avoided)
            for other in state.acquaintances(link.member)
            # Who is blocked can still be reported.
            if not state.members.has_reported(link.member, other)
            and (contact := state.members.contact(other)) is not None
        ]

    def _page(
        self,
        name: str,
        status: int,
        link: Link | None,
        state: PartitionState | None = None,
        *,
        until_ms: int | None = None,
        incomplete: bool = False,
    ) -> HTMLResponse:
        community = self._communities.get(link.community) if link is not None else None
        if state is None and link is not None:
            state = self._directory(link.community)
        contact = state.members.contact(link.member) if link is not None and state is not None else None
        words = words_for(self._words, contact.locale if contact is not None else DEFAULT_LOCALE)
        values: dict[str, object] = {
            "style": Markup(_STYLE),  # noqa: S704  # our own file, not anybody's input
            "sender_name": community.sender_name if community else _OUR_NAME,
            "incomplete": incomplete,
        }
        if link is not None and community is not None:
            values |= self._values(name, link, community, state, words.phrases, until_ms)
            if name == "data" and state is not None:
                values["stored"] = all_about(link.member, state, self._clock())
                values["contact_address"] = community.sender if community else ""
        headers = {**_HEADERS, "Retry-After": "60"} if status == 503 else dict(_HEADERS)
        return HTMLResponse(self._templates[words.locale][name].render(values), status_code=status, headers=headers)

    def _values(
        self,
        name: str,
        link: Link,
        community: Community,
        state: PartitionState | None,
        phrases: Phrases,
        until_ms: int | None,
    ) -> dict[str, object]:
        now_ms = self._clock()
        if until_ms is None:
            until_ms = pause_end_ms({}, community, now_ms)
        other = _OPPOSITE.get(link.purpose)
        values: dict[str, object] = {
            "until": phrases.moment(until_ms, community.time_zone),
            "until_date": phrases.day(until_ms, community.time_zone),
            "today": phrases.day(now_ms, community.time_zone),
            "other_link": self._links.also(link, other) if other is not None else "",
            "people": [person._asdict() for person in self._people(link, state)],
        }
        if name in ("settings", "data"):
            values["links"] = {page_of(purpose): self._links.also(link, purpose) for purpose in LinkPurpose}
        return values
