"""Simulated members: they read their email, follow a link in it, and press the button on the page, as people do.

What somebody does is drawn from a seed, their address and how often they were invited
before, so that a demo can be repeated. They use what everybody has: the text of the
email and the forms of the pages.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx

_LINK = re.compile(r"https?://[^\s<>\"')\]]+")
_HUNDRED_PERCENT = 2**64
_TRIES_MAX = 12
_BACKOFF_SECONDS, _BACKOFF_SECONDS_MAX = 0.2, 3.0
_CLICKS_AT_ONCE_MAX = 24
_OVER = frozenset({404, 409, 410})
"""What a page answers when its link's time is over: trying again does not help."""


class Decision(StrEnum):
    """What somebody does with an email."""

    YES = "yes"
    NO = "no"
    SILENCE = "silence"
    PAUSE = "pause"
    CHECK_IN = "check-in"
    """Tells how a date was."""
    OPEN = "open"
    """Offers to go first."""
    LEAVE = "leave"
    """Leaves a standing group."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How people answer, as probabilities, and how long they take. What is left of 1 is silence."""

    yes: float = 0.82
    no: float = 0.08
    pause: float = 0.02
    tells: float = 0.98
    """Answers when asked how a date was."""
    met: float = 0.97
    again: float = 0.95
    """Would like to meet again, of those who met."""
    deeper: float = 0.7
    opens: float = 0.08
    """Offers to go first, of those who were not asked to."""
    leaves: float = 0.1
    """Leaves a standing group when it becomes one."""
    delay_seconds_min: float = 0.4
    delay_seconds_max: float = 3.5

    def decide(self, seed: int, address: str, invitation: int) -> tuple[Decision, float]:
        """What the owner of an address does with their n-th invitation, and after how many seconds. Pure."""
        chance, patience = _uniform(seed, address, invitation, "choice"), _uniform(seed, address, invitation, "delay")
        delay = self.delay_seconds_min + patience * (self.delay_seconds_max - self.delay_seconds_min)
        for decision, share in ((Decision.YES, self.yes), (Decision.NO, self.no), (Decision.PAUSE, self.pause)):
            if chance < share:
                return decision, delay
            chance -= share
        return Decision.SILENCE, delay

    def check_in(self, seed: int, address: str, date: int) -> tuple[str, ...]:
        """What the owner of an address says about their n-th date, question by question; nothing at all if empty."""

        def says(question: str, share: float) -> bool:
            return _uniform(seed, address, date, question) < share

        if not says("tells", self.tells):
            return ()
        if not says("met", self.met):
            return ("not-met",)
        return ("met", "again" if says("again", self.again) else "not-again",
                "deeper" if says("deeper", self.deeper) else "shallow")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Invitation:
    """The links of an invitation, as far as somebody finds them in its text."""

    yes: str | None = None
    no: str | None = None
    pause: str | None = None

    def link(self, decision: Decision) -> str | None:
        """Where a decision leads."""
        return {Decision.YES: self.yes, Decision.NO: self.no, Decision.PAUSE: self.pause}.get(decision)


def find_links(text: str) -> dict[str, str]:
    """By the page that it leads to (a letter, as in `/c/...`), the first link of an email."""
    found: dict[str, str] = {}
    for link in _LINK.finditer(text):
        url = link.group().rstrip(".,;")
        found.setdefault(url.rsplit("/", 2)[-2], url)
    return found


_ANSWER = re.compile(r"\b(yes|no|not this time)\b", re.IGNORECASE)
_PAGES = {"p": "pause"}


def read_invitation(text: str) -> Invitation:
    """Find the links. Two lead to pages for an answer (`/i/...`): what is written before each tells which.

    An email without a link that says yes is no invitation: then `yes` is None.
    """
    found: dict[str, str] = {}
    end = 0
    for link in _LINK.finditer(text):
        before, end = text[end : link.start()], link.end()
        url = link.group().rstrip(".,;")
        page = url.rsplit("/", 2)[-2]
        if page == "i":
            answers = _ANSWER.findall(before)
            if answers:
                found.setdefault("yes" if answers[-1].lower() == "yes" else "no", url)
        elif page in _PAGES:
            found.setdefault(_PAGES[page], url)
    return Invitation(**found)


class Form(HTMLParser):
    """The first form of a page that is sent with POST: where it goes and what it holds."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.action: str | None = None
        self.fields: dict[str, str] = {}
        self._inside = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form" and self.action is None and values.get("method", "").lower() == "post":
            self._inside, self.action = True, values.get("action", "")
        elif tag in ("input", "button") and self._inside and values.get("name"):
            # A browser sends the button that is pressed; the first one is.
            self.fields.setdefault(values["name"], values.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False


class NoFormError(RuntimeError):
    """A page without a button to press."""


@dataclass
class Members:
    """Everybody whose emails arrive in the inbox.

    `client` follows redirects or not, as it likes; it needs no base URL. `on_click` is
    told each decision once it was taken by a page.
    """

    client: httpx.AsyncClient
    seed: int
    behaviour: Behaviour = field(default_factory=Behaviour)
    on_click: Callable[[Decision], None] = lambda decision: None

    def __post_init__(self) -> None:
        self._invitations: Counter[str] = Counter()
        self._dates: Counter[str] = Counter()
        self._busy: set[asyncio.Task[None]] = set()
        self._hands = asyncio.Semaphore(_CLICKS_AT_ONCE_MAX)
        self.decided: Counter[Decision] = Counter()
        self.too_late = 0
        """Clicks on links whose time was over: the page had no button any more."""
        self.gave_up = 0
        """Clicks that no page took, however often they were tried."""

    @property
    def thinking(self) -> int:
        """How many have not yet pressed the button that they are going to press."""
        return len(self._busy)

    def read(self, address: str, text: str) -> None:
        """An email has been read by the owner of an address. Returns at once; they act in their own time."""
        invitation = read_invitation(text)
        if invitation.yes is None:
            self._read_what_comes_later(address, find_links(text))
            return
        self._invitations[address] += 1
        decision, delay = self.behaviour.decide(self.seed, address, self._invitations[address])
        self._do(decision, invitation.link(decision), delay)

    def _read_what_comes_later(self, address: str, links: dict[str, str]) -> None:
        """How was it? Would you go first? This is your group: some of it asks for something, most of it does not."""
        behaviour, times = self.behaviour, self._dates[address]
        _, delay = behaviour.decide(self.seed, address, times)
        if "c" in links:
            self._dates[address] += 1
            if answers := behaviour.check_in(self.seed, address, times):
                self._do(Decision.CHECK_IN, links["c"], delay, answers)
        elif "o" in links:
            if _uniform(self.seed, address, times, "opens") < behaviour.opens:
                self._do(Decision.OPEN, links["o"], delay)
        elif "l" in links and _uniform(self.seed, address, times, "leaves") < behaviour.leaves:
            self._do(Decision.LEAVE, links["l"], delay)

    def _do(self, decision: Decision, link: str | None, delay: float, answers: tuple[str, ...] = ("",)) -> None:
        self.decided[decision] += 1
        if link is not None:
            task = asyncio.create_task(self._act(decision, link, delay, answers))
            self._busy.add(task)
            task.add_done_callback(self._busy.discard)

    async def stop(self) -> None:
        """Nobody presses anything any more."""
        for task in list(self._busy):
            task.cancel()
        await asyncio.gather(*self._busy, return_exceptions=True)

    async def _act(self, decision: Decision, link: str, delay: float, answers: tuple[str, ...]) -> None:
        await asyncio.sleep(delay)
        for attempt in range(_TRIES_MAX):
            try:
                async with self._hands:
                    for answer in answers:
                        await press(self.client, link, answer)
            except NoFormError:
                self.too_late += 1
                return
            except (httpx.TransportError, httpx.HTTPStatusError) as error:
                if isinstance(error, httpx.HTTPStatusError) and error.response.status_code in _OVER:
                    self.too_late += 1
                    return
                # A page that does not load is loaded again, as people do.
                await asyncio.sleep(min(_BACKOFF_SECONDS * 2**attempt, _BACKOFF_SECONDS_MAX))
            else:
                self.on_click(decision)
                return
        self.gave_up += 1


async def press(client: httpx.AsyncClient, link: str, answer: str = "") -> str:
    """Open a page and press its button, like a browser; gives the page that then comes.

    Of several buttons the first is pressed, or the one with `answer` as its value; where the
    page has none such (it asks the first of several questions), it is sent all the same, as
    the page that the browser is on by then would send it.

    Raises
    ------
    NoFormError
        if the page has no form with POST.
    httpx.HTTPStatusError, httpx.TransportError
        if one of the two is not answered with a page.
    """
    page = await client.get(link, follow_redirects=True)
    page.raise_for_status()
    form = Form(page.text)
    if form.action is None:
        raise NoFormError("the page has no button to press")
    fields = {**form.fields, "answer": answer} if answer else form.fields
    pressed = await client.post(urljoin(str(page.url), form.action), data=fields, follow_redirects=True)
    pressed.raise_for_status()
    return pressed.text


def _uniform(seed: int, address: str, invitation: int, what: str) -> float:
    """In [0, 1), the same for the same arguments on every machine."""
    digest = hashlib.blake2b(f"{seed}/{address}/{invitation}/{what}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / _HUNDRED_PERCENT
