"""Emails and pages in a real browser: they fit a phone and a desk, by day and by night.

`KEEP_FIGURES=1 pytest tests/notifier/test_looks.py` keeps the pictures in docs/figures, to be looked at.
"""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest
from browser import Screenshot
from fastapi import FastAPI
from notifier_samples import COMMUNITIES, GROUP, MEMBERS, NOW, PAIR
from test_pages import LINKS, WORDS, link
from test_render import write

from services.notifier.links import LinkPurpose
from services.notifier.pages import pages_router
from shared.contracts import Choice, EmailKind, Preference

FIGURES = Path(__file__).parents[2] / "docs" / "figures"
WIDTHS = (360, 1280)


def kept(tmp_path: Path, name: str) -> Path:
    return (FIGURES if os.environ.get("KEEP_FIGURES") else tmp_path) / f"{name}.png"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", EmailKind)
def test_an_email_fits_and_can_be_read(
    kind: EmailKind, width: int, dark: bool, screenshot: Screenshot, tmp_path: Path
) -> None:
    body = write(GROUP, kind).get_body(("html",))
    assert body is not None
    html = tmp_path / "email.html"
    html.write_text(body.get_content(), encoding="utf-8")
    name = f"email-{kind}-{width}{'-dark' if dark else ''}"
    shot = screenshot(html, width, 800, kept(tmp_path, name), dark=dark, whole_page=True)
    assert shot.content_width == width, "nobody should have to scroll sideways"
    assert shot.errors == ()
    assert ("Ben" in shot.text) == (kind is EmailKind.INTRODUCTION)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
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
    name = f"page-{purpose.name.lower()}-{width}{'-dark' if dark else ''}"
    shot = screenshot(html, width, 700, kept(tmp_path, name), dark=dark)
    assert shot.content_width == width
    assert shot.errors == ()
    assert MEMBERS[0] not in shot.text
    assert PAIR.suggestion not in shot.text
