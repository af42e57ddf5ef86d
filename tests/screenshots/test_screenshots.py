"""The browser fixture shows pages as they are: otherwise looking at them proves nothing."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from browser import BrowserError, Screenshot

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Hello</title>
<style>
  body { margin: 0; background: #fff }
  @media (prefers-color-scheme: dark) { body { background: #000 } }
  div { %s }
</style>
<div>Somebody has to go first.</div>
<script>%s</script></html>"""


def write(folder: Path, *, style: str = "", script: str = "") -> Path:
    page = folder / "page.html"
    page.write_text(PAGE % (style, script))
    return page


def png_size(png: Path) -> tuple[int, int]:
    width, height = struct.unpack(">II", png.read_bytes()[16:24])
    return width, height


@pytest.mark.parametrize("width", [360, 1280])
def test_the_viewport_is_as_wide_as_asked(screenshot: Screenshot, tmp_path: Path, width: int) -> None:
    shot = screenshot(write(tmp_path), width, 640, tmp_path / "page.png")
    assert (shot.viewport_width, shot.content_width) == (width, width)
    assert png_size(shot.png) == (width, 640)
    assert (shot.title, shot.text.strip(), shot.errors) == ("Hello", "Somebody has to go first.", ())


def test_content_that_is_too_wide_is_told(screenshot: Screenshot, tmp_path: Path) -> None:
    shot = screenshot(write(tmp_path, style="width: 500px"), 360, 640, tmp_path / "page.png")
    assert shot.content_width == 500


def test_the_whole_page_is_taller_than_the_viewport(screenshot: Screenshot, tmp_path: Path) -> None:
    page = write(tmp_path, style="height: 2000px")
    assert png_size(screenshot(page, 360, 640, tmp_path / "page.png", whole_page=True).png) == (360, 2000)


def test_dark_is_another_picture(screenshot: Screenshot, tmp_path: Path) -> None:
    page = write(tmp_path)
    light = screenshot(page, 360, 640, tmp_path / "light.png")
    dark = screenshot(page, 360, 640, tmp_path / "dark.png", dark=True)
    assert light.png.read_bytes() != dark.png.read_bytes()


def test_it_waits_for_what_the_page_does_later(screenshot: Screenshot, tmp_path: Path) -> None:
    page = write(tmp_path, script="setTimeout(() => { document.title = 'Later' }, 300)")
    assert screenshot(page, 360, 640, tmp_path / "page.png", until="document.title === 'Later'").title == "Later"


@pytest.mark.parametrize("script", ["throw new Error('ouch')", "console.error('ouch')"])
def test_errors_of_the_page_are_told(screenshot: Screenshot, tmp_path: Path, script: str) -> None:
    shot = screenshot(write(tmp_path, script=script), 360, 640, tmp_path / "page.png")
    assert any("ouch" in error for error in shot.errors)


def test_what_keeps_people_out_is_told(screenshot: Screenshot, tmp_path: Path) -> None:
    good = PAGE % ("color: #333", "")
    good = good.replace("<div>", "<main><h1>Hello</h1><div>").replace("</div>", "</div></main>")
    page = tmp_path / "page.html"

    def rules(html: str) -> list[str]:
        page.write_text(html)
        return [told.split()[0] for told in screenshot(page, 360, 640, tmp_path / "a.png", audited=True).violations]

    assert rules(good) == []
    assert rules(good.replace("#333", "#999")) == ["color-contrast"]
    assert rules(good.replace('lang="en"', "")) == ["html-has-lang"]
    assert rules(good.replace("h1>", "p>")) == ["page-has-heading-one"]


def test_a_page_that_cannot_be_opened_is_an_error(screenshot: Screenshot, tmp_path: Path) -> None:
    with pytest.raises(BrowserError, match="ERR_"):
        screenshot("http://127.0.0.1:9/", 360, 640, tmp_path / "page.png")
