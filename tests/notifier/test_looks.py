"""Emails and pages in a real browser: they fit a phone and a desk, by day and by night.

`KEEP_FIGURES=1 pytest tests/notifier/test_looks.py` keeps the pictures in docs/figures, to be looked at.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import httpx
import pytest
from arc_samples import SEAT, at, named
from browser import Screenshot
from fastapi import FastAPI
from notifier_samples import COMMUNITIES, GROUP, MEMBERS, NAMES, NOW, PAIR, contact
from test_pages import LINKS, WORDS, link
from test_render import write

from services.notifier.decisions import page_of
from services.notifier.links import LinkPurpose
from services.notifier.pages import pages_router
from services.notifier.state import PartitionState
from shared.contracts import Choice, EmailKind, Preference

FIGURES = Path(__file__).parents[2] / "docs" / "figures"
WIDTHS = (360, 1280)


def own(member: str) -> str:
    return contact(member).first_name


def kept(tmp_path: Path, name: str) -> Path:
    return (FIGURES if os.environ.get("KEEP_FIGURES") else tmp_path) / f"{name}.png"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", EmailKind)
def test_an_email_fits_and_can_be_read(
    kind: EmailKind, width: int, dark: bool, screenshot: Screenshot, tmp_path: Path
) -> None:
    of = SEAT if kind is EmailKind.SEAT else GROUP
    body = write(of, kind, len(at(of, kind)[1]) - 1).get_body(("html",))
    assert body is not None
    html = tmp_path / "email.html"
    html.write_text(body.get_content(), encoding="utf-8")
    name = f"email-{kind}-{width}{'-dark' if dark else ''}"
    shot = screenshot(html, width, 800, kept(tmp_path, name), dark=dark, whole_page=True)
    assert shot.content_width == width, "nobody should have to scroll sideways"
    assert shot.errors == ()
    introduction, emails = at(of, kind)
    told = {other.first_name for other in named(emails[-1], introduction)}
    assert {name for name in NAMES if re.search(rf"\b{name}\b", shot.text)} - {own(emails[-1].member)} == told


# The pages that come before a button is pressed, and those after it: by name, the link and what is sent.
SHOWN: dict[str, tuple[LinkPurpose, dict[str, str] | None]] = {
    **{page_of(purpose): (purpose, None) for purpose in LinkPurpose},
    "check-in-again": (LinkPurpose.CHECK_IN, {"answer": "met"}),
    "check-in-depth": (LinkPurpose.CHECK_IN, {"answer": "again"}),
    "check-in-thanks": (LinkPurpose.CHECK_IN, {"answer": "deeper"}),
    "pause-thanks": (LinkPurpose.PAUSE, {}),
    "yes-thanks": (LinkPurpose.YES, {}),
    "look-for-incomplete": (LinkPurpose.LOOK_FOR, {}),
}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", SHOWN)
async def test_a_page_fits_and_can_be_read_by_everybody(
    name: str, width: int, dark: bool, screenshot: Screenshot, tmp_path: Path
) -> None:
    """WCAG 2.2 AA as far as axe can tell, in both schemes."""

    async def record(decision: Choice | Preference) -> None:
        pass

    state = a_state_with_an_introduction()
    app = FastAPI()
    app.include_router(pages_router(LINKS, record, COMMUNITIES, WORDS, lambda: NOW, lambda community: state))
    purpose, sent = SHOWN[name]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        page = await (client.get(link(purpose)) if sent is None else client.post(link(purpose), data=sent))
    assert page.status_code == 200
    html = tmp_path / "page.html"
    html.write_text(page.text, encoding="utf-8")
    picture = kept(tmp_path, f"page-{name}-{width}{'-dark' if dark else ''}")
    shot = screenshot(html, width, 700, picture, dark=dark, whole_page=True, audited=True)
    assert shot.content_width == width
    assert shot.errors == ()
    assert shot.violations == ()
    if purpose is not LinkPurpose.DATA:
        assert MEMBERS[0] not in shot.text
        assert PAIR.suggestion not in shot.text


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
