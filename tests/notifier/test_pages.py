"""The pages: a GET changes nothing, a POST is recorded, and every dead end says where to go."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from notifier_samples import COMMUNITIES, LONDON, MEMBERS, NOW, PAIR

import services.notifier
from services.notifier.links import LinkPurpose, Links
from services.notifier.pages import pages_router
from services.notifier.wording import load_words
from shared.contracts import Choice, ChoiceKind, Preference, PreferenceKind

BASE = "https://london-connection.example"
LINKS = Links("a secret of the tests", BASE)
WORDS = load_words(Path(services.notifier.__file__).parent / "words")
END = NOW + 60_000


class Site:
    def __init__(self) -> None:
        self.recorded: list[Choice | Preference] = []
        self.now_ms = NOW
        self.broken = False
        app = FastAPI()
        app.include_router(pages_router(LINKS, self.record, COMMUNITIES, WORDS, lambda: self.now_ms))
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE)

    async def record(self, decision: Choice | Preference) -> None:
        if self.broken:
            raise ConnectionError("no broker")
        self.recorded.append(decision)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    async with site.client:
        yield site


def link(purpose: LinkPurpose, community: str = "london") -> str:
    return LINKS.sign(purpose, community=community, member=MEMBERS[0], introduction=PAIR.suggestion, expires_at_ms=END)


ONE_BUTTON = [
    LinkPurpose.YES, LinkPurpose.NO, LinkPurpose.OPEN, LinkPurpose.LEAVE, LinkPurpose.UNSUBSCRIBE, LinkPurpose.LOOK_FOR,
    LinkPurpose.ERASE,
]  # fmt: skip


@pytest.mark.parametrize("purpose", ONE_BUTTON)
async def test_a_get_shows_one_button_and_changes_nothing(site: Site, purpose: LinkPurpose) -> None:
    page = await site.client.get(link(purpose))
    assert page.status_code == 200
    assert page.text.count("<button") == 1
    assert '<form method="post">' in page.text
    assert "<script" not in page.text
    assert site.recorded == []


@pytest.mark.parametrize(("purpose", "kind"), [(LinkPurpose.YES, ChoiceKind.YES), (LinkPurpose.NO, ChoiceKind.NO)])
async def test_an_answer_is_recorded_and_thanked_for(site: Site, purpose: LinkPurpose, kind: ChoiceKind) -> None:
    page = await site.client.post(link(purpose))
    assert page.status_code == 200
    assert "Thank you" in page.text
    assert site.recorded == [
        Choice(community="london", member=MEMBERS[0], introduction=PAIR.suggestion, kind=kind, chosen_at_ms=NOW)
    ]
    other = re.search(r'href="([^"]+)"', page.text)
    assert other is not None
    await site.client.post(other[1])
    last = site.recorded[-1]
    assert isinstance(last, Choice)
    assert last.kind is not kind, "the page offers the way back"


async def test_a_pause_lasts_as_long_as_the_community_says(site: Site) -> None:
    page = await site.client.post(link(LinkPurpose.PAUSE))
    assert "on a pause" in page.text
    assert site.recorded == [
        Preference(
            community="london", member=MEMBERS[0], kind=PreferenceKind.PAUSE, chosen_at_ms=NOW,
            until_ms=NOW + LONDON.pause_seconds * 1000,
        )
    ]  # fmt: skip


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""])
async def test_one_click_unsubscribes_without_cookies_whatever_the_form(site: Site, content_type: str) -> None:
    page = await site.client.post(
        link(LinkPurpose.UNSUBSCRIBE),
        content=b"List-Unsubscribe=One-Click",
        headers={"Content-Type": content_type} if content_type else {},
    )
    assert page.status_code == 200
    assert not page.cookies
    assert site.recorded == [
        Preference(community="london", member=MEMBERS[0], kind=PreferenceKind.UNSUBSCRIBE, chosen_at_ms=NOW)
    ]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("purpose", "words"), [(LinkPurpose.YES, "a new invitation"), (LinkPurpose.UNSUBSCRIBE, "most recent email")]
)
async def test_an_expired_link_says_what_to_do(site: Site, method: str, purpose: LinkPurpose, words: str) -> None:
    site.now_ms = END
    page = await site.client.request(method, link(purpose))
    assert page.status_code == 410
    assert words in page.text
    assert site.recorded == []


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "path",
    [
        "/i/forged",
        "/u/" + "x" * 2000,
        link(LinkPurpose.YES).removeprefix(BASE)[:-1],
        link(LinkPurpose.YES).removeprefix(BASE).replace("/i/", "/u/"),
        link(LinkPurpose.YES, "atlantis").removeprefix(BASE),
    ],
)
async def test_a_forged_link_says_what_to_do(site: Site, method: str, path: str) -> None:
    page = await site.client.request(method, path)
    assert page.status_code == 404
    assert "open it again from the email" in page.text
    assert site.recorded == []


async def test_when_it_cannot_be_saved_the_person_is_told(site: Site) -> None:
    site.broken = True
    page = await site.client.post(link(LinkPurpose.YES))
    assert page.status_code == 503
    assert page.headers["retry-after"] == "60"
    assert "press the button once more" in page.text
    assert "Thank you" not in page.text


@pytest.mark.parametrize("path", [link(LinkPurpose.YES), "/i/forged"])
async def test_pages_are_shut_tight(site: Site, path: str) -> None:
    page = await site.client.get(path)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"
    assert 'style="' not in page.text, "the policy allows the one style sheet alone"
    assert not re.search(r'(src|href)="(?!https://london-connection\.example/i/)', page.text)


def luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_colours_can_be_read_in_both_schemes() -> None:
    style = (Path(services.notifier.__file__).parent / "words" / "page.css").read_text()
    schemes = re.findall(r"--paper:[^}]+", style)
    assert len(schemes) == 2
    for scheme in schemes:
        colours = {
            name: value if len(value) == 7 else "#" + "".join(c * 2 for c in value[1:])
            for name, value in re.findall(r"--([a-z-]+): (#[0-9a-f]+)", scheme)
        }
        for front, back in [
            ("ink", "card"), ("title", "card"), ("quiet", "card"), ("link", "card"), ("quiet", "paper"),
            ("on-press", "press"), ("on-press", "press-hover"),
        ]:  # fmt: skip
            light, dark = sorted((luminance(colours[front]), luminance(colours[back])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, f"{front} on {back}"
