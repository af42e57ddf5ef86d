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
    """What somebody does with an invitation."""

    YES = "yes"
    NO = "no"
    SILENCE = "silence"
    PAUSE = "pause"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How people answer, as probabilities, and how long they take. What is left of 1 is silence."""

    yes: float = 0.82
    no: float = 0.08
    pause: float = 0.02
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


@dataclass(frozen=True, slots=True)
class Invitation:
    """The links of an invitation, as far as somebody finds them in its text."""

    yes: str | None = None
    no: str | None = None
    pause: str | None = None

    def link(self, decision: Decision) -> str | None:
        """Where a decision leads."""
        return {Decision.YES: self.yes, Decision.NO: self.no, Decision.PAUSE: self.pause}.get(decision)


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
            return
        self._invitations[address] += 1
        decision, delay = self.behaviour.decide(self.seed, address, self._invitations[address])
        self.decided[decision] += 1
        link = invitation.link(decision)
        if link is not None:
            task = asyncio.create_task(self._act(decision, link, delay))
            self._busy.add(task)
            task.add_done_callback(self._busy.discard)

    async def stop(self) -> None:
        """Nobody presses anything any more."""
        for task in list(self._busy):
            task.cancel()
        await asyncio.gather(*self._busy, return_exceptions=True)

    async def _act(self, decision: Decision, link: str, delay: float) -> None:
        await asyncio.sleep(delay)
        for attempt in range(_TRIES_MAX):
            try:
                async with self._hands:
                    await press(self.client, link)
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


async def press(client: httpx.AsyncClient, link: str) -> str:
    """Open a page and press its button, like a browser; gives the page that then comes.

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
    answer = await client.post(urljoin(str(page.url), form.action), data=form.fields, follow_redirects=True)
    answer.raise_for_status()
    return answer.text


def _uniform(seed: int, address: str, invitation: int, what: str) -> float:
    """In [0, 1), the same for the same arguments on every machine."""
    digest = hashlib.blake2b(f"{seed}/{address}/{invitation}/{what}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / _HUNDRED_PERCENT
