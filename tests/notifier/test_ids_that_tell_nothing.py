"""Nobody outside sees an id that they could work out from a guess: of a member, an introduction, an email, a date.

A group goes through its year, and whatever leaves us meanwhile is looked through: emails
with all their parts, the links in them, calendars, pages, exports, webhooks.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from email.message import EmailMessage
from functools import cache

import pytest
from arc_town import DAY_MS, SLOW, Town
from arc_world import LINKS, WORDS, Received, World
from fastapi import FastAPI
from fastapi.testclient import TestClient
from notifier_samples import GROUP, MEMBERS, NOW, contact
from unkeyed_ids import digest, found_in

from services.intake.webhooks.messages import body_of, headers_of
from services.intake.webhooks.news import course_of, happenings, told
from services.notifier.export import Found, export
from services.notifier.pages import pages_router
from services.notifier.render import Renderer
from services.notifier.sender import Letter
from services.notifier.shown_ids import ShownIds
from services.notifier.verp import ReturnPaths
from shared.contracts import Choice, Contact, Introduction, Preference, Record
from shared.ids import _derive

BASE = "https://london-connection.example"
SECRET = "a secret of the tests"  # noqa: S105
PATHS = ReturnPaths("bounces@london-connection.example", SECRET)
COMMUNITIES = {"london": SLOW}
WEBHOOK_KEY = "a key of one partner's webhook"


@cache
def year() -> tuple[World, tuple[Letter, ...]]:
    """A group, from the invitation to a date that comes back and a newcomer, and every letter that was sent."""
    town, letters = Town(GROUP, 3, yes=1, met=1, again=1, leaves=0.3), []
    world = town.world
    # The samples quote their own ids in what they say of themselves.
    world.tell(*(contact(member, own_words="I still eat lunch alone.") for member in MEMBERS))
    world.renderer = Renderer(WORDS, COMMUNITIES, LINKS, SECRET, PATHS)

    def keep(received: Received) -> None:
        letters.append(world.renderer.compose(received.email, world.state, received.at_ms))
        town.react(received)

    world.on_received = keep
    return town.live(150), tuple(letters)


@cache
def unkeyed() -> frozenset[str]:
    """All ids that somebody who knows how they are made, and guesses references, could work out."""
    world, _ = year()
    introductions = world.introductions()
    # The UIDs of dates were made like the other ids once.
    dates = {_derive("d", (one, str(number))) for one in introductions for number in range(10)}
    return frozenset({*MEMBERS, *introductions, *(one.email.email for one in world.inbox), *dates})


def parts(message: EmailMessage) -> Iterator[tuple[str, bytes]]:
    for part in message.walk():
        if not part.is_multipart():
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            yield part.get_content_type(), content


def links() -> set[str]:
    _, letters = year()
    texts = (content.decode() for one in letters for kind, content in parts(one.message) if kind == "text/plain")
    return {link for text in texts for link in re.findall(rf"{BASE}/[a-z]/[^\s<>\"]+", text)}


def emails() -> Iterator[bytes]:
    """Headers, structure, text and HTML, but for the links, which are looked at by themselves."""
    for letter in year()[1]:
        for content in (letter.message.as_bytes(), *(content for _, content in parts(letter.message))):
            yield re.sub(rb"/[a-z]/[A-Za-z0-9_.-]{60,}", b"", content)


def return_paths() -> Iterator[bytes]:
    return (letter.sender.encode() for letter in year()[1])


def tokens() -> Iterator[bytes]:
    for link in links():
        token = link.rpartition("/")[2].partition(".")[0]
        yield base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))


def calendars() -> Iterator[bytes]:
    return (content for one in year()[1] for kind, content in parts(one.message) if kind == "text/calendar")


@cache
def answers() -> tuple[tuple[str, bytes], ...]:
    """What every link leads to, and every button on it, by the letter of its page; and the file with all data."""
    world, _ = year()

    async def record(choice: Choice | Preference) -> None:
        pass

    async def exported(community: str, member: str) -> dict[str, object]:
        about = [Found(topic, record) for topic, log in world.logs.items() for _, record in log if told_of(record)]
        return export(member, about, world.now_ms, ShownIds(SECRET))

    app = FastAPI()
    app.include_router(
        pages_router(
            LINKS, record, COMMUNITIES, WORDS, lambda: NOW + DAY_MS, lambda name: world.state, exporter=exported
        )
    )
    seen = []
    with TestClient(app, base_url=BASE) as client:
        waiting, known = sorted(links()), set()
        while waiting:
            link = waiting.pop()
            letter = link.rsplit("/", 2)[1]
            if link in known or link.endswith("/json"):
                continue
            known.add(link)
            page = client.get(link)
            seen.append((letter, page.content))
            waiting += re.findall(r'href="([^"]+)"', page.text) if letter in "sd" else []
            person = next(iter(re.findall(r'name="person" value="([^"]+)"', page.text)), "")
            pressed = client.post(link, data={"action": "report", "answer": "met", "person": person})
            seen.append((letter, pressed.content))
            if letter == "d":
                seen.append(("json", client.get(f"{link}/json").content))
    return tuple(seen)


def told_of(record: Record | None) -> bool:
    """What a topic holds, but for the samples' own words, which quote their ids."""
    return record is not None and not (isinstance(record, Contact) and record.own_words.startswith("Own words of"))


def pages() -> Iterator[bytes]:
    """Without the links on them: those are like the links in emails."""
    for letter, content in answers():
        if letter != "json":
            yield re.sub(rb"/[a-z]/[A-Za-z0-9_.-]{60,}", b"", content)


def exports() -> Iterator[bytes]:
    return (content for letter, content in answers() if letter == "json")


def webhooks() -> Iterator[bytes]:
    records = [record for _, record in year()[0].logs["introductions"] if isinstance(record, Introduction)]
    for record in records:
        course = course_of(record)
        for happening in happenings(course):
            delivery = told(happening, course, source="club", id_key=WEBHOOK_KEY, now_ms=NOW)
            body = body_of(delivery, "a-reference")
            yield body + json.dumps(headers_of(delivery, body, ["whsec_c2VjcmV0"], NOW)).encode()


SURFACES = (emails, return_paths, tokens, calendars, pages, exports, webhooks)


@pytest.mark.parametrize("surface", SURFACES)
def test_no_id_that_could_be_guessed_is_seen_outside(surface: object) -> None:
    assert callable(surface)
    looked_at = list(dict.fromkeys(surface()))
    assert len(looked_at) > 3, "or nothing was looked at"
    seen = {identifier[:2] for content in looked_at for identifier in found_in(content, unkeyed())}
    assert seen == set(), "ids that begin so"


def test_the_year_shows_whatever_there_is_to_show() -> None:
    world, letters = year()
    assert {letter for letter, _ in answers()} >= {*"iclopusbdwe", "json"}
    assert any(one.suggestion.joins for one in world.introductions().values()), "a newcomer too"
    assert len(letters) == len(world.inbox) > 50


@pytest.mark.parametrize(
    "spelt",
    [
        lambda raw: raw,
        lambda raw: raw.hex().encode(),
        lambda raw: raw.hex().upper().encode(),
        lambda raw: base64.b32encode(raw),
        lambda raw: base64.b32encode(b"x" + raw + b"yz").lower(),
        lambda raw: b"?a=" + base64.b64encode(b"xy" + raw + b"z"),
        lambda raw: b"/i/" + base64.urlsafe_b64encode(b"x" + raw),
        lambda raw: base64.b64encode(raw).rstrip(b"="),
    ],
)
def test_an_id_is_found_however_it_is_spelt(spelt: object) -> None:
    assert callable(spelt)
    for member in MEMBERS:
        assert found_in(b'{"a": "' + spelt(digest(member)) + b'"}', MEMBERS) == {member}
    assert found_in(b'{"a": "' + spelt(b"something else!!") + b'"}', MEMBERS) == set()
