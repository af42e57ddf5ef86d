"""Simulated members: they decide by a seed, find their links, and press buttons as a browser does."""

from __future__ import annotations

import asyncio
from collections import Counter

import httpx
import pytest

from demo.members import Behaviour, Decision, Form, Invitation, Members, NoFormError, press, read_invitation

TEXT = """Hello Amara,

Somebody near Hackney would like to meet. No names yet, on either side.

Yes, I would like to meet them:
https://links.example/i/AXk-yes.token

Not this time (nobody will know):
https://links.example/i/AW4-no.token

Take a break for a month: https://links.example/p/AXA.token
Unsubscribe: https://links.example/u/AXU.token
"""
PAGE = """<!doctype html><form action="/search"><input name="q"></form>
<form method="post" action="answer"><input type="hidden" name="token" value="a&amp;b">
<button name="answer" value="yes">Yes</button><button name="answer" value="no">No</button></form>"""


def test_links_are_found_by_what_is_written_before_them() -> None:
    assert read_invitation(TEXT) == Invitation(
        yes="https://links.example/i/AXk-yes.token",
        no="https://links.example/i/AW4-no.token",
        pause="https://links.example/p/AXA.token",
    )
    assert read_invitation("Yes: https://a.example/i/1. No: https://a.example/i/2.").no == "https://a.example/i/2"


def test_an_email_without_answers_is_no_invitation() -> None:
    assert read_invitation("Meet Kofi. Unsubscribe: https://a.example/u/1").yes is None


def test_people_answer_in_the_shares_that_were_asked_for_and_the_same_every_time() -> None:
    behaviour = Behaviour()
    answers = [behaviour.decide(7, f"person{number}@inbox.example", 1) for number in range(4000)]
    assert answers == [behaviour.decide(7, f"person{number}@inbox.example", 1) for number in range(4000)]
    shares = Counter(decision for decision, _ in answers)
    assert abs(shares[Decision.YES] / 4000 - 0.82) < 0.03
    assert abs(shares[Decision.NO] / 4000 - 0.08) < 0.02
    assert abs(shares[Decision.SILENCE] / 4000 - 0.08) < 0.02
    assert 0.005 < shares[Decision.PAUSE] / 4000 < 0.04
    assert all(behaviour.delay_seconds_min <= delay <= behaviour.delay_seconds_max for _, delay in answers)
    assert behaviour.decide(8, "person1@inbox.example", 1) != behaviour.decide(7, "person1@inbox.example", 1)


def test_a_form_is_read_as_a_browser_would_send_it() -> None:
    form = Form(PAGE)
    assert form.action == "answer"
    assert form.fields == {"token": "a&b", "answer": "yes"}


class Site:
    """A page with a button, and what was pressed. The first `failures` requests fail."""

    def __init__(self, failures: int = 0, page: str = PAGE) -> None:
        self.failures = failures
        self.page = page
        self.pressed: list[tuple[str, bytes]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.failures:
            self.failures -= 1
            return httpx.Response(503)
        if request.method == "GET":
            return httpx.Response(200, html=self.page)
        self.pressed.append((str(request.url), request.content))
        return httpx.Response(200, html="Thank you")

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self))


async def test_the_button_is_pressed_once_where_the_form_says() -> None:
    site = Site()
    async with site.client() as client:
        assert await press(client, "https://links.example/i/token") == "Thank you"
    assert site.pressed == [("https://links.example/i/answer", b"token=a%26b&answer=yes")]


async def test_a_page_without_a_button_is_an_error() -> None:
    async with Site(page="<p>expired</p>").client() as client:
        with pytest.raises(NoFormError):
            await press(client, "https://links.example/i/token")


async def test_members_act_on_invitations_and_try_again_when_a_page_does_not_load() -> None:
    site, clicked = Site(failures=2), asyncio.Event()
    yes = Behaviour(yes=1, no=0, pause=0, delay_seconds_min=0, delay_seconds_max=0)
    async with site.client() as client:
        members = Members(client, seed=1, behaviour=yes, on_click=lambda decision: clicked.set())
        members.read("amara@inbox.example", "Meet Kofi. Unsubscribe: https://links.example/u/1")
        assert members.thinking == 0
        members.read("amara@inbox.example", TEXT)
        assert members.thinking == 1
        await asyncio.wait_for(clicked.wait(), 20)
    assert members.decided == {Decision.YES: 1}
    assert len(site.pressed) == 1


async def test_who_stays_silent_presses_nothing() -> None:
    site = Site()
    async with site.client() as client:
        members = Members(client, seed=1, behaviour=Behaviour(yes=0, no=0, pause=0))
        members.read("amara@inbox.example", TEXT)
        assert members.thinking == 0
        await members.stop()
    assert members.decided == {Decision.SILENCE: 1}
    assert site.pressed == []
