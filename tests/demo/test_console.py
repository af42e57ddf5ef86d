"""The live page: fed with made-up facts, looked at in a real browser at phone and desk width, by day and by night."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack
from email.message import EmailMessage
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from browser import Screenshot

from demo.console import Feed, build_console
from demo.inbox import build_app
from demo.london import neighbourhoods, synthesize
from demo.mailbox import Mailbox
from demo.scene import Arrival, Scene
from demo.web import web_serving
from shared.contracts import (
    Anchor,
    ClosingReason,
    Contact,
    Delivery,
    DeliveryState,
    EmailKind,
    Introduction,
    IntroductionState,
    MeetingPlace,
    Openness,
    Profile,
    RoundReference,
    ScoreParts,
    Suggestion,
    SuggestionKind,
)

PEOPLE = 240
FUNNEL = {
    "signed_up": PEOPLE, "suggested": 208, "invited": 204, "accepted": 171, "introduced": 139, "emails": 402,
    "duplicated": 0,
}  # fmt: skip
NOW_MS = 1_795_000_000_000


def profile(member: int, data: dict[str, Any]) -> Profile:
    place = next(place for place in neighbourhoods() if place.name == data["place"]["name"])
    return Profile(
        community="london", member=f"m{member}", partner="demo-app", birth_year=1990, languages=("en",),
        place=place.name, latitude=place.latitude, longitude=place.longitude, travel_km=5, interests=("books",),
        openness=Openness(**data["openness"]), available=("tue-evening",), looking_for=("friend",),
        accepted_at_ms=NOW_MS - 9000,
    )  # fmt: skip


def introduction(
    number: int, members: tuple[str, ...], state: IntroductionState, opener: str | None = None
) -> Introduction:
    pair = len(members) == 2
    suggestion = Suggestion(
        community="london", suggestion=f"s{number}", members=members, opener=opener, shared_interests=("jazz",),
        kind=SuggestionKind.PAIR if pair else SuggestionKind.GROUP, slot="tue-evening", reasons=(), waited_ms=0,
        anchor=Anchor(kind="interest", word="jazz"), suggested_at_ms=NOW_MS, weights={},
        place=MeetingPlace(name="Hackney", latitude=51.5, longitude=-0.1, farthest_km=1),
        score=ScoreParts(interests=1, openness=1, practical=1, total=1),
        round=RoundReference(round="r1", seed=1, engine="test", offsets={}),
    )  # fmt: skip
    introduced = state is IntroductionState.INTRODUCED
    return Introduction(
        community="london", introduction=f"s{number}", suggestion=suggestion, state=state, proposed_at_ms=NOW_MS,
        answer_by_ms=NOW_MS + 9000, said_yes=members if introduced else (), introduced=members if introduced else (),
    )  # fmt: skip


def fill(scene: Scene, mailbox: Mailbox) -> None:
    """Some hundred people near each other, half of them introduced."""
    draw, numbers = random.Random(5), count()
    events = [event["data"] for event in synthesize(PEOPLE, 3)]
    profiles = [profile(number, data) for number, data in enumerate(events)]
    for number, (known, data) in enumerate(zip(profiles, events, strict=True)):
        scene.observe(known)
        scene.observe(
            Contact(
                community="london", member=f"m{number}", first_name=data["first_name"], email=data["email"],
                locale="en-GB", consent_wording="x", accepted_at_ms=NOW_MS - draw.randint(1000, 9000),
            )
        )  # fmt: skip
    waiting = sorted(profiles, key=lambda known: (round(known.longitude, 1), known.latitude))
    while len(waiting) > 40:
        size = draw.choice((2, 2, 2, 3, 4))
        together, waiting = waiting[:size], waiting[size:]
        state = IntroductionState.INTRODUCED if draw.random() < 0.7 else IntroductionState.PROPOSED
        members = tuple(sorted(known.member for known in together))
        scene.observe(introduction(next(numbers), members, state, opener=members[0]))
    for number, data in enumerate(events[:30]):
        kind = EmailKind.INTRODUCTION if number % 3 else EmailKind.INVITATION
        message = EmailMessage()
        message["Message-ID"] = f"<{number}@london.example>"
        message["Subject"] = f"{data['first_name']}, meet Kofi" if number % 3 else "Would you like to meet somebody?"
        message.set_content("Hello")
        message.add_alternative(f"<h1>{data['first_name']}, meet Kofi</h1><p>You both said yes.</p>", subtype="html")
        stored = mailbox.add(message.as_bytes(), [data["email"]], NOW_MS)
        scene.observe(
            Delivery(
                community="london", email=f"e{number}", introduction="s1", member="m1", kind=kind, attempts=1,
                state=DeliveryState.SENT, message_id=f"<{number}@london.example>", recorded_at_ms=NOW_MS,
            )
        )  # fmt: skip
        scene.arrived([Arrival(stored.id, stored.message_id, data["email"], message["Subject"], NOW_MS)])


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    """The address of a page with a scene on it; its server has a thread and a loop of its own."""
    addresses: list[str] = []
    ready, done = threading.Event(), threading.Event()

    async def serve() -> None:
        scene, mailbox = Scene(), Mailbox()
        fill(scene, mailbox)
        status = {"phase": "Live: signing up", "funnel": FUNNEL, "pace": scene.pace(NOW_MS), "dead_letters": 0}
        feed = Feed(lambda: scene.snapshot() | {"status": status})
        async with AsyncExitStack() as stack:
            inbox_port = await stack.enter_async_context(web_serving(build_app(mailbox), 0))
            client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{inbox_port}")
            inbox = await stack.enter_async_context(client)
            port = await stack.enter_async_context(web_serving(build_console(feed, inbox), 0))
            addresses.append(f"http://127.0.0.1:{port}")
            ready.set()
            await asyncio.to_thread(done.wait)
            feed.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(30)
    yield addresses[0]
    done.set()
    thread.join(30)


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (360, 780)])
@pytest.mark.parametrize("dark", [False, True], ids=["day", "night"])
def test_the_page_in_a_browser(
    page: str, screenshot: Screenshot, tmp_path: Path, width: int, height: int, dark: bool
) -> None:
    shot = screenshot(
        page, width, height, tmp_path / "page.png", dark=dark, whole_page=True,
        until="document.querySelectorAll('.member').length === 240 && document.querySelector('#email').dataset.shows",
    )  # fmt: skip
    assert shot.errors == ()
    assert shot.content_width <= shot.viewport_width
    for text in ("Somebody has to go first.", "139 of 240 people", "Would you like to meet somebody?", "jazz"):
        assert text in shot.text


def test_an_email_can_do_nothing_but_look_like_itself(page: str) -> None:
    email = httpx.get(f"{page}/email/00000001.html")
    assert "You both said yes" in email.text
    assert "sandbox" in email.headers["content-security-policy"]
    assert "script-src 'self'" in httpx.get(page).headers["content-security-policy"]
    assert httpx.get(f"{page}/email/..%2Fapi.html").status_code == 404


def test_the_map_knows_places_and_no_people(page: str) -> None:
    places = httpx.get(f"{page}/map.json").json()
    assert any(name == "Notting Hill" for name, _, _ in places)


async def test_a_slow_reader_is_given_a_snapshot_again_rather_than_a_gap() -> None:
    at = count()
    feed = Feed(lambda: {"at": next(at)})
    stream = feed.stream()
    assert (await anext(stream)).startswith(b"event: snapshot")
    feed.publish({"n": 1})
    assert b'{"n":1}' in await anext(stream)
    for number in range(1000):
        feed.publish({"n": number})
    assert (await anext(stream)).startswith(b"event: snapshot")
    feed.publish({"n": 2000})
    told = await anext(stream)
    while b"2000" not in told:
        told = await anext(stream)
    feed.close()
    assert [event async for event in stream] == []


def test_the_scene_tells_no_names_and_each_change_once() -> None:
    scene = Scene()
    fill(scene, Mailbox())
    first = scene.changes()
    assert len(first["members"]) == PEOPLE
    assert scene.changes() == {}
    dots = orjson.dumps([first["members"], first["introductions"]]).decode()
    assert "Amara" not in dots
    assert "@" not in dots


def test_an_introduction_comes_and_goes() -> None:
    scene = Scene()
    for number, event in enumerate(synthesize(2, 3)):
        scene.observe(profile(number, event["data"]))
    scene.observe(introduction(1, ("m0", "m1"), IntroductionState.PROPOSED))
    assert scene.snapshot()["introductions"][0]["state"] == "proposed"
    scene.observe(introduction(1, ("m0", "m1"), IntroductionState.INTRODUCED))
    scene.observe(introduction(1, ("m0", "m1"), IntroductionState.INTRODUCED))
    assert scene.pace(NOW_MS)["pairs"] == 1
    closed = introduction(1, ("m0", "m1"), IntroductionState.CLOSED)
    scene.observe(closed.model_copy(update={"closing_reason": ClosingReason.EXPIRED}))
    assert scene.snapshot()["introductions"] == []
    assert scene.changes()["introductions"][-1]["state"] == "closed"


def test_latency_is_from_sign_up_to_the_first_email_and_rates_are_of_the_last_ten_seconds() -> None:
    scene = Scene()
    for number in range(100):
        scene.observe(
            Contact(
                community="london", member=f"m{number}", first_name="x", email=f"{number}@x.example",
                locale="en-GB", consent_wording="x", accepted_at_ms=NOW_MS,
            )
        )  # fmt: skip
        scene.arrived([Arrival("1", "1", f"{number}@X.example", "s", NOW_MS + (number + 1) * 100)])
    scene.arrived(Arrival("2", "2", f"{number}@x.example", "s", NOW_MS + 99_000) for number in range(100))
    pace = scene.pace(NOW_MS + 99_000)
    assert (pace["first_email_p50_seconds"], pace["first_email_p99_seconds"]) == (5.0, 9.9)
    assert pace["emails_per_second"] == 10.0
    assert Scene().pace(0)["first_email_p50_seconds"] is None
