"""Emails and pages in a real browser: they fit a phone and a desk, by day and by night, and keep nobody out.

`make figures` keeps the pictures in docs/figures, to be looked at.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import httpx
import pytest
from browser import Screenshot, Shot
from fastapi import FastAPI
from notifier_samples import COMMUNITIES, GROUP, MEMBERS, NOW, PAIR
from test_pages import LINKS, WORDS, link
from test_render import write

from services.notifier.links import LinkPurpose
from services.notifier.pages import pages_router
from shared.contracts import Choice, EmailKind, Preference

FIGURES = Path(__file__).parents[2] / "docs" / "figures"
WIDTHS = (360, 1280)
SCHEMES = pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])


def keep(shot: Shot, name: str) -> None:
    """Keeps a picture if it is wanted, in 256 colours: a third of the size, and nobody sees the difference."""
    if os.environ.get("KEEP_FIGURES"):
        from PIL import Image

        with Image.open(io.BytesIO(shot.png.read_bytes())) as picture:
            few_colours = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
            few_colours.save(FIGURES / f"{name}.png", optimize=True)


EMAIL_WIDTH_MAX = 600
WIDEST_CARD = """Math.max(...[...document.querySelectorAll(".card, .note")].map(card => card.offsetWidth))"""
# A mail program is the landmark around an email, and says what is main.
NOT_OF_EMAILS = ("landmark-one-main", "region", "page-has-heading-one")


def check(shot: Shot, width: int, but: tuple[str, ...] = ()) -> None:
    assert shot.content_width == width, "nobody should have to scroll sideways"
    assert shot.errors == ()
    assert [told for told in shot.violations if told.split()[0] not in but] == []


@SCHEMES
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", EmailKind)
def test_an_email_fits_and_can_be_read(
    kind: EmailKind, width: int, dark: bool, screenshot: Screenshot, tmp_path: Path
) -> None:
    body = write(GROUP, kind).get_body(("html",))
    assert body is not None
    html = tmp_path / "email.html"
    html.write_text(body.get_content(), encoding="utf-8")
    shot = screenshot(
        html, width, 800, tmp_path / "email.png", dark=dark, whole_page=True, measure=WIDEST_CARD, audited=True
    )
    keep(shot, f"email-{kind}-{width}{'-dark' if dark else ''}")
    check(shot, width, but=NOT_OF_EMAILS)
    assert shot.measured <= EMAIL_WIDTH_MAX, "lines as long as a desk is wide cannot be read"


@SCHEMES
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("purpose", LinkPurpose)
async def test_a_page_fits_and_can_be_read(
    purpose: LinkPurpose, width: int, dark: bool, screenshot: Screenshot, tmp_path: Path
) -> None:
    async def record(decision: Choice | Preference) -> None:
        raise AssertionError("a GET changes nothing")

    app = FastAPI()
    app.include_router(pages_router(LINKS, record, COMMUNITIES, WORDS, lambda: NOW))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        page = await client.get(link(purpose))
    html = tmp_path / "page.html"
    html.write_text(page.text, encoding="utf-8")
    shot = screenshot(html, width, 700, tmp_path / "page.png", dark=dark, audited=True)
    keep(shot, f"page-{purpose.name.lower()}-{width}{'-dark' if dark else ''}")
    check(shot, width)
    assert MEMBERS[0] not in shot.text
    assert PAIR.suggestion not in shot.text
