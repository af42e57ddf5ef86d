"""Emails and pages in a real browser: they fit a phone and a desk, by day and by night, and keep nobody out.

`make figures` keeps the pictures in docs/figures, to be looked at.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from arc_samples import SEAT, at, named
from browser import Screenshot, Shot
from fastapi import FastAPI
from notifier_samples import COMMUNITIES, GROUP, MEMBERS, NAMES, NOW, PAIR, contact
from test_pages import END, LINKS, WORDS, link
from test_render import parts, write

from services.notifier.decisions import page_of
from services.notifier.links import LinkPurpose
from services.notifier.pages import PAGES, failure_page, pages_router
from services.notifier.state import PartitionState
from shared.contracts import Choice, EmailKind, Preference, Suggestion
from shared.security_headers import SecurityHeaders

FIGURES = Path(__file__).parents[2] / "docs" / "figures"
WIDTHS = (360, 1280)
SCHEMES = pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
CARD_WIDTH_MAX = 600
WIDEST_CARD = """Math.max(...[...document.querySelectorAll(".card, .note")].map(card => card.offsetWidth))"""
NOT_OF_EMAILS = ("landmark-one-main", "region")
"""A mail program is the landmark around an email, and says what is main."""
TRANSFER_BYTES_MAX = 100_000


class Written(NamedTuple):
    """An email to be looked at: the figure's name says which."""

    of: Suggestion
    kind: EmailKind
    to_opener: bool = False

    @property
    def place(self) -> int:
        """Which of those who get one: the last, or whoever was asked to go first."""
        emails = at(self.of, self.kind)[1]
        to = [place for place, email in enumerate(emails) if not self.to_opener or email.member == self.of.opener]
        return to[-1]


EMAILS = {
    **{kind.value: Written(SEAT if kind is EmailKind.SEAT else GROUP, kind) for kind in EmailKind},
    "introduction-opener": Written(GROUP, EmailKind.INTRODUCTION, to_opener=True),
    "invitation-pair": Written(PAIR, EmailKind.INVITATION),
    "introduction-pair": Written(PAIR, EmailKind.INTRODUCTION),
    "invitation-seat": Written(SEAT, EmailKind.INVITATION),
}


class Visit(NamedTuple):
    """How somebody comes to a page."""

    purpose: LinkPurpose
    sent: dict[str, str] | None = None
    """The fields of the form, if a button was pressed."""
    broker_away: bool = False
    late: bool = False
    elsewhere: bool = False
    """Another instance looks after the community."""
    forged: bool = False
    broken: bool = False
    """Something happens that nobody expected."""


PERSON = {"person": LINKS.handle(MEMBERS[0], MEMBERS[1])}
NO_STATE_NEEDED = (
    LinkPurpose.SETTINGS,
    LinkPurpose.DATA,
    LinkPurpose.CHECK_IN,
    LinkPurpose.LOOK_FOR,
    LinkPurpose.BLOCK,
)
VISITS = {
    **{page_of(purpose): Visit(purpose) for purpose in LinkPurpose},
    **{f"{page_of(purpose)}-thanks": Visit(purpose, {}) for purpose in LinkPurpose if purpose not in NO_STATE_NEEDED},
    "check-in-again": Visit(LinkPurpose.CHECK_IN, {"answer": "met"}),
    "check-in-not-met-thanks": Visit(LinkPurpose.CHECK_IN, {"answer": "not-met"}),
    "check-in-depth": Visit(LinkPurpose.CHECK_IN, {"answer": "again"}),
    "check-in-thanks": Visit(LinkPurpose.CHECK_IN, {"answer": "deeper"}),
    "look-for-incomplete": Visit(LinkPurpose.LOOK_FOR, {}),
    "look-for-thanks": Visit(LinkPurpose.LOOK_FOR, {"look_for": "friend"}),
    "block-incomplete": Visit(LinkPurpose.BLOCK, {}),
    "block-thanks": Visit(LinkPurpose.BLOCK, PERSON),
    "report-thanks": Visit(LinkPurpose.BLOCK, {**PERSON, "action": "report"}),
    "pause-thanks-over": Visit(LinkPurpose.PAUSE, {"until": "2020-01-01"}),
    "unsaved": Visit(LinkPurpose.YES, {}, broker_away=True),
    "over": Visit(LinkPurpose.YES, late=True),
    "expired": Visit(LinkPurpose.PAUSE, late=True),
    "elsewhere": Visit(LinkPurpose.DATA, elsewhere=True),
    "unknown": Visit(LinkPurpose.YES, forged=True),
    "failed": Visit(LinkPurpose.YES, {}, broken=True),
}


def test_every_page_is_looked_at() -> None:
    assert {name.removesuffix("-incomplete") for name in VISITS} == set(PAGES)


@SCHEMES
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", EMAILS)
def test_an_email_fits_and_can_be_read_by_everybody(
    name: str, width: int, dark: bool, screenshot: Screenshot, tmp_path: Path
) -> None:
    of, kind, _ = EMAILS[name]
    place = EMAILS[name].place
    _, html = parts(write(of, kind, place))
    page = tmp_path / "email.html"
    page.write_text(html, encoding="utf-8")
    shot = screenshot(
        page, width, 800, tmp_path / "a.png", dark=dark, whole_page=True, measure=WIDEST_CARD, audited=True
    )
    keep(shot, f"email-{name}-{width}{'-dark' if dark else ''}")
    check(shot, width, but=NOT_OF_EMAILS)
    assert shot.measured <= CARD_WIDTH_MAX, "lines as long as a desk is wide cannot be read"
    introduction, emails = at(of, kind)
    told = {other.first_name for other in named(emails[place], introduction)}
    own = contact(emails[place].member).first_name
    assert {name for name in NAMES if re.search(rf"\b{name}\b", shot.text)} - {own} == told


@SCHEMES
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", VISITS)
async def test_a_page_fits_and_can_be_read_by_everybody(
    name: str, width: int, dark: bool, screenshot: Screenshot, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    page.write_text(await visited(VISITS[name]), encoding="utf-8")
    shot = screenshot(page, width, 700, tmp_path / "a.png", dark=dark, whole_page=True, audited=True)
    keep(shot, f"page-{name}-{width}{'-dark' if dark else ''}")
    check(shot, width)
    assert MEMBERS[0] not in shot.text
    assert PAIR.suggestion not in shot.text


@pytest.mark.parametrize("name", EMAILS)
def test_the_text_part_says_the_same(name: str) -> None:
    """Every word of the HTML that a reader sees is in the text, and so is every link."""
    text, html = parts(write(EMAILS[name].of, EMAILS[name].kind, EMAILS[name].place))
    assert not re.search(r"<\w|{{|{%|&\w+;|\n\n\n\n", text)
    links = set(re.findall(r'href="(https:[^"]+)"', html))
    assert links
    assert links == set(re.findall(r"https:\S+", text))
    addresses = set(re.findall(r"[\w.]+@example\.org", html))
    assert addresses == set(re.findall(r"[\w.]+@example\.org", text))
    body = re.sub(r"(?s)<(style|title|head|!--).*?(</\1>|-->)", " ", html.split("</head>")[1])
    words = set(re.findall(r"[a-z]{4,}", re.sub(r"<[^>]+>", " ", body).lower()))
    missing = words - set(re.findall(r"[a-z]{4,}", text.lower())) - BUTTON_WORDS
    assert len(missing) <= 0.1 * len(words), missing


BUTTON_WORDS = {"write", "tell", "nbsp", "taps"}


@pytest.mark.parametrize("kind", EmailKind)
def test_no_email_is_too_big_even_with_the_longest_names_and_lines_that_intake_lets_in(kind: EmailKind) -> None:
    written = EMAILS[kind.value]
    people = {m: contact(m).model_copy(update={"first_name": "👋" * 60, "own_words": "👋" * 280}) for m in MEMBERS}
    assert len(write(written.of, kind, written.place, people).as_bytes()) < TRANSFER_BYTES_MAX


def keep(shot: Shot, name: str) -> None:
    """Keeps a picture if it is wanted, in 256 colours: a third of the size, and nobody sees the difference."""
    if os.environ.get("KEEP_FIGURES"):
        from PIL import Image

        with Image.open(shot.png) as picture:
            few_colours = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
            few_colours.save(FIGURES / f"{name}.png", optimize=True)


def check(shot: Shot, width: int, but: tuple[str, ...] = ()) -> None:
    assert shot.content_width == width, "nobody should have to scroll sideways"
    assert shot.errors == ()
    assert [told for told in shot.violations if told.split()[0] not in but] == []


async def visited(visit: Visit) -> str:
    """The page that somebody comes to."""

    async def record(decision: Choice | Preference) -> None:
        if visit.broker_away:
            raise ConnectionError("no broker")

    state = None if visit.elsewhere else a_state_with_an_introduction()

    def clock() -> int:
        if visit.broken:
            raise RuntimeError("nobody expected this")
        return END + 1 if visit.late else NOW

    app = FastAPI()
    app.add_middleware(SecurityHeaders, failed=failure_page(WORDS))
    app.include_router(pages_router(LINKS, record, COMMUNITIES, WORDS, clock, lambda community: state))
    url = link(visit.purpose) + ("x" if visit.forged else "")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False)) as client:
        answer = await (client.get(url) if visit.sent is None else client.post(url, data=visit.sent))
    usual = not (visit.broker_away or visit.late or visit.elsewhere or visit.forged or visit.broken)
    assert (answer.status_code == 200) == usual
    return answer.text


def a_state_with_an_introduction() -> PartitionState:
    """In which the first member was introduced to the second."""
    state = PartitionState()
    for member in MEMBERS:
        state.apply("contacts", member, contact(member, own_words="I still eat lunch alone."))
    introduction, emails = at(PAIR, EmailKind.INTRODUCTION)
    state.apply("introductions", introduction.key, introduction)
    for email in emails:
        state.apply("outbox", email.key, email)
    return state
