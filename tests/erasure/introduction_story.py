"""One introduction with real services, up to a stage, and what the mail server does with its emails meanwhile."""

from __future__ import annotations

import asyncio
import email
import json
import random
from collections import defaultdict
from collections.abc import Callable
from enum import StrEnum

import httpx
from erasing import KEY

from demo.inbox import Inbox
from demo.london import SOURCE
from demo.mailbox import Mailbox, Stored, detail
from demo.members import find_links, press, read_invitation
from shared import ids
from shared.contracts import Delivery, EmailKind, Introduction, IntroductionState, Record

PATIENCE_SECONDS = 150.0
"""For anything at all to happen, on a machine that is busy with other things."""
_POLL_SECONDS = 0.05
_SLOW_SECONDS = 0.15
"""How long the mail server thinks about an email at most, unless told to hold it."""


class Stage(StrEnum):
    SUGGESTED = "suggested"
    ONE_YES = "one yes"
    INTRODUCED = "introduced"
    MEETING_DECIDED = "meeting decided"


async def until(condition: Callable[[], bool], what: str) -> None:
    """Poll, generously."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not condition():
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        raise AssertionError(f"not within {PATIENCE_SECONDS:.0f} s: {what}") from None


class Hold:
    """An email to an address is not accepted before it is released: the first after so many that were."""

    def __init__(self, address: str, after: int) -> None:
        self.address = address
        self.after = after
        self.is_here = False
        self.released = asyncio.Event()


class Post:
    """A mailbox, and what is held on the way into it."""

    def __init__(self, seed: int) -> None:
        self.mailbox = Mailbox()
        self.holds: list[Hold] = []
        self._draws = random.Random(seed)

    async def take_in(self, recipient: str) -> None:
        for hold in self.holds:
            if hold.address == recipient and not hold.is_here and len(self.to(recipient)) == hold.after:
                hold.is_here = True
                await hold.released.wait()
                return
        await asyncio.sleep(self._draws.uniform(0, _SLOW_SECONDS))

    def to(self, address: str) -> list[Stored]:
        """What was accepted for an address, newest first."""
        return [stored for stored in self.mailbox.page(0, len(self.mailbox)) if address in stored.recipients]


class SlowInbox(Inbox):
    """Accepts every email in its own time; one whose sender dies meanwhile is not accepted."""

    post: Post

    async def _message(self) -> tuple[bytes, bool]:
        message, whole = await super()._message()
        assert self.envelope is not None, "asked for once there are recipients"
        await self.post.take_in(self.envelope.rcpt_tos[0])
        return message, whole


def text_of(stored: Stored) -> str:
    """Everything that can be read in a message: headers, both parts, the calendar."""
    message = email.message_from_bytes(stored.raw)
    bodies = [part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()]
    return "\n".join([*message.values(), *(body.decode() for body in bodies if isinstance(body, bytes))])


class Topics:
    """The latest introductions and deliveries, as an observer is told of them."""

    def __init__(self) -> None:
        self.introductions: dict[str, Introduction] = {}
        self.deliveries: defaultdict[str, dict[str, Delivery]] = defaultdict(dict)
        """By introduction, by email."""

    def observe(self, record: Record) -> None:
        if isinstance(record, Introduction):
            self.introductions[record.introduction] = record
        elif isinstance(record, Delivery):
            self.deliveries[record.introduction][record.email] = record


class Story:
    """People in a community of their own, who sign up, are suggested to each other, and come as far as `stage`."""

    def __init__(self, number: int, stage: Stage, size: int, post: Post, topics: Topics, client: httpx.AsyncClient):
        self.community = f"town-{number}"
        self.stage = stage
        self.size = size
        self.topics = topics
        self._post, self._client = post, client
        self._answered: set[str] = set()
        self._references = [f"{self.community}-{person}" for person in range(size)]
        self.members = [ids.member_id(self.community, SOURCE, one) for one in self._references]
        self.reference = dict(zip(self.members, self._references, strict=True))
        self.address = {member: f"zq{self.reference[member]}@inbox.example" for member in self.members}
        self.name = {member: f"Zq{self.reference[member].replace('-', 'x')}q" for member in self.members}

    async def sign_up(self, intake: str) -> None:
        kinds = ["friend"] if self.size == 2 else ["group"]
        events = [
            {
                "specversion": "1.0", "id": f"sign-up-{self.reference[member]}", "source": SOURCE,
                "type": "connection.member.signed_up", "subject": self.reference[member],
                "data": {
                    "community": self.community, "first_name": self.name[member], "email": self.address[member],
                    "birth_year": 1990 + number, "place": {"name": "Notting Hill"}, "looking_for": kinds,
                    "interests": ["running", "book club"],
                    "openness": {"shares": 4, "listens": 4, "goes_first": 4, "depth": 3},
                    "consent": {"introductions": True, "wording": "2026-11", "given_at": "2026-11-22T10:00:00Z"},
                },
            }
            for number, member in enumerate(self.members)
        ]  # fmt: skip
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/cloudevents-batch+json"}
        answer = await self._client.post(f"{intake}/v1/events", content=json.dumps(events), headers=headers)
        assert answer.status_code == 202, answer.text

    @property
    def introduction(self) -> Introduction | None:
        """The one that this is about: their first."""
        return next((one for one in self.topics.introductions.values() if one.community == self.community), None)

    async def comes_to(self, member: str, find: Callable[[str], str | None]) -> str:
        """The link that `find` finds in an email to a member, the newest first; waits for one."""
        found: list[str] = []

        def is_there() -> bool:
            links = (find(detail(stored)["Text"]) for stored in self._post.to(self.address[member]))
            found[:] = [link for link in links if link is not None]
            return bool(found)

        await until(is_there, f"{self.community}: an email with a link")
        return found[0]

    async def say_yes(self, *members: str) -> None:
        for member in members:
            await self.press(await self.comes_to(member, lambda text: read_invitation(text).yes))

    async def say_again(self, *members: str) -> None:
        """They met, and would like to meet again: in answer to every email that asks, once."""
        for member in members:
            for stored in self._post.to(self.address[member]):
                link = find_links(detail(stored)["Text"]).get("c")
                if link is not None and stored.id not in self._answered:
                    self._answered.add(stored.id)
                    for answer in ("met", "again"):
                        await self.press(link, answer)

    async def press(self, link: str, answer: str = "") -> None:
        """As people do: a page that does not load is loaded again."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                try:
                    await press(self._client, link, answer)
                except (httpx.TransportError, httpx.HTTPStatusError) as error:
                    if isinstance(error, httpx.HTTPStatusError) and error.response.status_code == 410:
                        return
                    await asyncio.sleep(0.3)
                else:
                    return

    async def comes_to_stage(self) -> None:
        """What its people do until it is there; or until it is over, should the machine have been too slow."""
        if self.stage is Stage.SUGGESTED:
            await until(lambda: self.introduction is not None, f"{self.community}: proposed")
        elif self.stage is Stage.ONE_YES:
            await self.say_yes(self.members[0])
            await self.has(lambda one: bool(one.said_yes))
        else:
            await self.say_yes(*self.members)
            await self.has(lambda one: bool(one.introduced))
        if self.stage is Stage.MEETING_DECIDED:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while self.is_open and self.meeting_number < 2:
                    await self.say_again(*self.members)
                    await asyncio.sleep(_POLL_SECONDS)

    async def goes_on_without(self, gone: str) -> list[str]:
        """What the others do from now on; returns who was told, when all who hoped have been."""
        others = [member for member in self.members if member != gone]
        if self.stage in (Stage.SUGGESTED, Stage.ONE_YES):
            await self.say_yes(*others)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while (told := self._who_was_told(gone)) is None:
                    await self.say_again(*others)
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            one = self.introduction
            mail = (
                [(each.kind, each.state) for each in self.topics.deliveries[one.introduction].values()] if one else []
            )
            raise AssertionError(f"{self.community}, {self.stage}: nobody was told; {one!r}; {mail}") from None
        return told

    async def has(self, condition: Callable[[Introduction], bool]) -> None:
        def is_so() -> bool:
            one = self.introduction
            return one is not None and (condition(one) or not one.is_open)

        await until(is_so, f"{self.community}: {self.stage}")

    @property
    def is_open(self) -> bool:
        one = self.introduction
        return one is None or one.is_open

    @property
    def meeting_number(self) -> int:
        one = self.introduction
        return one.meeting.number if one is not None and one.meeting is not None else 0

    def _who_was_told(self, gone: str) -> list[str] | None:
        one = self.introduction
        word = calm_word(one, gone) if one is not None else None
        if one is None or word is None:
            return None
        kind, hoped = word
        told = {
            delivery.member
            for delivery in self.topics.deliveries[one.introduction].values()
            if delivery.kind is kind and self._post.mailbox.search(f"message-id:{delivery.message_id}")
        }
        return sorted(hoped) if set(hoped) <= told else None


def calm_word(one: Introduction, gone: str) -> tuple[EmailKind, tuple[str, ...]] | None:
    """What those who hoped are told once somebody has gone: that it goes on, or that it does not. None: not yet."""
    if not one.is_open:
        if not one.introduced:
            return EmailKind.CLOSING, tuple(member for member in one.said_yes if member != gone)
        assert one.meeting is not None
        willing = set(one.meeting.again) - {gone}
        return EmailKind.PARTING, tuple(member for member in one.present if member in willing)
    if gone in one.present or one.state is IntroductionState.PROPOSED:
        return None
    if gone not in one.introduced:
        return EmailKind.INTRODUCTION, one.present
    if one.meeting is None or gone in one.meeting.invited:
        return None
    return (EmailKind.STANDING if one.state is IntroductionState.STANDING else EmailKind.AGAIN), one.present
