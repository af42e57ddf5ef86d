"""The pages: a GET changes nothing, a POST is recorded, and every dead end says where to go."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from arc_samples import at
from fastapi import FastAPI
from notifier_samples import COMMUNITIES, LONDON, MEMBERS, NAMES, NOW, PAIR, block, contact

import services.notifier
from services.notifier.dossier import all_about
from services.notifier.links import LinkPurpose, Links
from services.notifier.pages import pages_router
from services.notifier.state import PartitionState
from services.notifier.wording import load_words
from shared.contracts import Choice, ChoiceKind, EmailKind, Preference, PreferenceKind

BASE = "https://london-connection.example"
LINKS = Links("a secret of the tests", BASE)
WORDS = load_words(Path(services.notifier.__file__).parent / "words")
END = NOW + 60_000


def a_state() -> PartitionState:
    """In which the first member was introduced to the second, and knows of nobody else."""
    state = PartitionState()
    for member in MEMBERS:
        state.apply("contacts", member, contact(member, own_words="<b>I still eat lunch alone.</b>"))
    introduction, emails = at(PAIR, EmailKind.INTRODUCTION)
    state.apply("introductions", introduction.key, introduction)
    for email in emails:
        state.apply("outbox", email.key, email)
    return state


class Site:
    def __init__(self) -> None:
        self.state: PartitionState | None = a_state()
        self.recorded: list[Choice | Preference] = []
        self.now_ms = NOW
        self.broken = False
        app = FastAPI()
        app.include_router(
            pages_router(
                LINKS,
                self.record,
                COMMUNITIES,
                WORDS,
                lambda: self.now_ms,
                lambda community: self.state,
                self.look_up,
                self.export,
            )
        )
        self.exported: list[tuple[str, str]] = []
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE)

    async def record(self, decision: Choice | Preference) -> None:
        if self.broken:
            raise ConnectionError("no broker")
        self.recorded.append(decision)

    async def look_up(self, community: str, member: str) -> PartitionState:
        if self.broken:
            raise ConnectionError("no broker")
        assert (community, member) == ("london", MEMBERS[0])
        return a_state()

    async def export(self, community: str, member: str) -> dict[str, str]:
        if self.broken:
            raise ConnectionError("no broker")
        self.exported.append((community, member))
        return {"of": member}


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    async with site.client:
        yield site


def link(purpose: LinkPurpose, community: str = "london", occasion: int = 0) -> str:
    return LINKS.sign(
        purpose, community=community, member=MEMBERS[0], introduction=PAIR.suggestion, expires_at_ms=END,
        occasion=occasion,
    )  # fmt: skip


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


@pytest.mark.parametrize("purpose", LinkPurpose)
async def test_no_get_changes_anything_and_no_page_needs_a_script(site: Site, purpose: LinkPurpose) -> None:
    page = await site.client.get(link(purpose))
    assert page.status_code == 200
    assert "<script" not in page.text
    assert site.recorded == []


async def test_three_taps_tell_how_it_was_each_recorded_by_itself(site: Site) -> None:
    page = await site.client.get(link(LinkPurpose.CHECK_IN, occasion=2))
    for answer in ("met", "again", "deeper"):
        assert f'value="{answer}"' in page.text, "it is one of the buttons of the page that they are on"
        page = await site.client.post(link(LinkPurpose.CHECK_IN, occasion=2), data={"answer": answer})
    assert "Thank you" in page.text
    assert site.recorded == [
        Choice(community="london", member=MEMBERS[0], introduction=PAIR.suggestion, kind=kind, chosen_at_ms=NOW,
               occasion=2)
        for kind in (ChoiceKind.MET, ChoiceKind.AGAIN, ChoiceKind.DEEPER)
    ]  # fmt: skip


async def test_who_did_not_meet_is_not_asked_the_rest(site: Site) -> None:
    page = await site.client.post(link(LinkPurpose.CHECK_IN), data={"answer": "not-met"})
    assert "one new time" in page.text
    assert "<form" not in page.text


@pytest.mark.parametrize("sent", [{}, {"answer": "yes"}, {"answer": "nonsense"}, {"answer": "x" * 8000}])
async def test_what_is_no_answer_records_nothing_and_asks_again(site: Site, sent: dict[str, str]) -> None:
    page = await site.client.post(link(LinkPurpose.CHECK_IN), data=sent)
    assert page.status_code == 200
    assert "Did you meet?" in page.text
    assert site.recorded == []


@pytest.mark.parametrize(
    ("purpose", "kind"), [(LinkPurpose.OPEN, ChoiceKind.OPENS), (LinkPurpose.LEAVE, ChoiceKind.LEAVES)]
)
async def test_offering_and_leaving_take_one_tap(site: Site, purpose: LinkPurpose, kind: ChoiceKind) -> None:
    assert (await site.client.post(link(purpose))).status_code == 200
    (told,) = site.recorded
    assert isinstance(told, Choice)
    assert told.kind is kind


DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("until", "days", "words"),
    [
        ("2026-12-01", 70, "Tuesday, 1 December"),
        ("2026-09-21", 0, "Good to have you back"),
        ("2020-01-01", 0, "Good to have you back"),
        ("9999-12-31", 730, "20 September"),
        ("soon", LONDON.pause_seconds / 86_400, "on a pause"),
        ("", LONDON.pause_seconds / 86_400, "on a pause"),
    ],
)
async def test_a_pause_lasts_until_the_morning_of_a_date(site: Site, until: str, days: float, words: str) -> None:
    page = await site.client.post(link(LinkPurpose.PAUSE), data={"until": until})
    assert words in page.text
    (told,) = site.recorded
    assert isinstance(told, Preference)
    assert told.until_ms is not None
    assert abs((told.until_ms - NOW) / DAY_MS - days) < 1
    assert told.holds_at(NOW) == (days > 0)


async def test_what_one_looks_for_is_at_least_one_thing(site: Site) -> None:
    page = await site.client.post(link(LinkPurpose.LOOK_FOR), data={})
    assert "choose at least one" in page.text
    assert site.recorded == []
    await site.client.post(link(LinkPurpose.LOOK_FOR), data={"look_for": ["group", "nonsense"]})
    (told,) = site.recorded
    assert isinstance(told, Preference)
    assert (told.kind, told.looking_for) == (PreferenceKind.LOOKING_FOR, ("group",))


async def test_being_erased_takes_a_press_and_a_get_erases_nobody(site: Site) -> None:
    await site.client.get(link(LinkPurpose.ERASE))
    assert site.recorded == []
    await site.client.post(link(LinkPurpose.ERASE))
    (told,) = site.recorded
    assert isinstance(told, Preference)
    assert (told.kind, told.until_ms) == (PreferenceKind.ERASE, None)


def handles(page: httpx.Response) -> list[str]:
    return re.findall(r'name="person" value="([^"]+)"', page.text)


async def test_one_can_block_whom_one_was_introduced_to_and_nobody_else(site: Site) -> None:
    page = await site.client.get(link(LinkPurpose.BLOCK))
    (handle,) = handles(page)
    assert NAMES[1] in page.text
    assert MEMBERS[1] not in page.text, "an id is nobody's business"
    assert "choose a person" in (await site.client.post(link(LinkPurpose.BLOCK), data={"action": "block"})).text
    for stranger in (MEMBERS[2], LINKS.handle(MEMBERS[0], MEMBERS[2]), LINKS.handle(MEMBERS[1], MEMBERS[0])):
        await site.client.post(link(LinkPurpose.BLOCK), data={"action": "block", "person": stranger})
    assert site.recorded == []
    for action, kind in (("block", PreferenceKind.BLOCK), ("report", PreferenceKind.REPORT)):
        page = await site.client.post(link(LinkPurpose.BLOCK), data={"action": action, "person": handle})
        assert "kept apart" in page.text
        told = site.recorded[-1]
        assert isinstance(told, Preference)
        assert (told.member, told.kind, told.about) == (MEMBERS[0], kind, MEMBERS[1])
    assert site.state is not None
    site.state.apply("preferences", block(MEMBERS[0], MEMBERS[1]).key, block(MEMBERS[0], MEMBERS[1]))
    page = await site.client.get(link(LinkPurpose.BLOCK))
    assert handles(page) == [handle], "who is blocked can still be reported"
    assert "blocked already" in page.text
    report = block(MEMBERS[0], MEMBERS[1]).model_copy(update={"kind": PreferenceKind.REPORT})
    site.state.apply("preferences", report.key, report)
    assert handles(await site.client.get(link(LinkPurpose.BLOCK))) == [], "and who is reported need not be again"


async def test_one_sees_all_that_is_stored_and_nothing_that_others_said(site: Site) -> None:
    assert site.state is not None
    hidden = block(MEMBERS[1], MEMBERS[0])
    site.state.apply("preferences", hidden.key, hidden)
    page = await site.client.get(link(LinkPurpose.DATA))
    assert "&lt;b&gt;I still eat lunch alone.&lt;/b&gt;" in page.text
    assert "amara@example.org" in page.text
    assert f"with {NAMES[1]}" in page.text
    assert "block" not in page.text.split("<h2>", 1)[1]
    assert "others have told us" not in page.text
    stored = all_about(MEMBERS[0], site.state, NOW)
    assert stored["contact"]["email"] == "amara@example.org"
    assert stored["introductions"][0]["with"] == [NAMES[1]]
    assert stored["introductions"][0]["state"] == "introduced"
    assert stored["preferences"] == []
    assert "ben@" not in str(stored), "others' addresses are in their emails, and theirs to give"


async def test_before_an_introduction_not_even_the_data_tells_a_name(site: Site) -> None:
    state = PartitionState()
    for member in MEMBERS:
        state.apply("contacts", member, contact(member))
    introduction, _ = at(PAIR, EmailKind.INVITATION)
    state.apply("introductions", introduction.key, introduction)
    site.state = state
    stored = all_about(MEMBERS[0], state, NOW)
    assert [one["with"] for one in stored["introductions"]] == [[]]
    assert NAMES[1] not in str(stored)
    assert handles(await site.client.get(link(LinkPurpose.BLOCK))) == []


async def test_the_export_is_a_file_that_nobody_keeps_for_them(site: Site) -> None:
    answer = await site.client.get(f"{link(LinkPurpose.DATA)}/json")
    assert answer.json() == {"of": MEMBERS[0]}
    assert site.exported == [(LONDON.community, MEMBERS[0])]
    assert answer.headers["content-disposition"] == 'attachment; filename="what-is-stored.json"'
    assert answer.headers["cache-control"] == "no-store"
    site.broken = True
    answer = await site.client.get(f"{link(LinkPurpose.DATA)}/json")
    assert (answer.status_code, "in a minute" in answer.text) == (503, True), "half of it would be worse"


@pytest.mark.parametrize("path", [link(LinkPurpose.BLOCK), link(LinkPurpose.DATA)])
async def test_where_nobody_looks_after_the_community_the_page_is_the_same(site: Site, path: str) -> None:
    usual = await site.client.get(path)
    site.state = None
    assert (await site.client.get(path)).text == usual.text


async def test_one_can_block_somebody_where_nobody_looks_after_the_community(site: Site) -> None:
    site.state = None
    (handle,) = handles(await site.client.get(link(LinkPurpose.BLOCK)))
    page = await site.client.post(link(LinkPurpose.BLOCK), data={"action": "block", "person": handle})
    assert "kept apart" in page.text
    assert [(one.member, one.about) for one in site.recorded if isinstance(one, Preference)] == [MEMBERS[:2]]


@pytest.mark.parametrize("path", [link(LinkPurpose.BLOCK), link(LinkPurpose.DATA)])
async def test_what_can_be_looked_up_nowhere_is_said_to_be_so(site: Site, path: str) -> None:
    site.state, site.broken = None, True
    page = await site.client.get(path)
    assert page.status_code == 503
    assert "in a minute" in page.text


async def test_the_settings_lead_to_everything_with_links_that_work(site: Site) -> None:
    page = await site.client.get(link(LinkPurpose.SETTINGS))
    ways = re.findall(r'<a href="([^"]+)"', page.text)
    letters = {way.rsplit("/", 2)[-2] for way in ways}
    assert letters == {"p", "w", "l", "b", "d", "u", "e"}
    for way in ways:
        assert (await site.client.get(way)).status_code == 200
    assert site.recorded == []


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
