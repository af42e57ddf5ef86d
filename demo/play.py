"""What happens in a demo while everything runs: people sign up, read, click; the auditor and the page are told.

`Play` holds the facts and the tasks; `demo.run` starts what it plays on and shows it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import httpx

from demo.audit import Auditor
from demo.console import Feed
from demo.members import Members
from demo.observer import Observer
from demo.post import Letterbox, Post
from demo.scene import Arrival, Scene
from demo.stack import Stack
from shared.clock import system_clock
from shared.contracts import Record

_TICK_SECONDS = 0.25
_FIGURES_EVERY_TICKS = 4
_READERS_AT_ONCE_MAX = 8
_CATCH_UP_SECONDS_MAX = 60.0

QUIET_SECONDS = 8.0
"""So long nothing may be under way and no suggestion come before a run counts as over: eight rounds of
the demo, by when the wishes of those who still wait have been relaxed as far as they are going to be."""

SignUps = Callable[["Play"], Awaitable[None]]
"""Signs everybody up, and tells `accepted` and `refused`."""


class Play:
    """One run on a stack. `playing` keeps it going; `over` returns when there is nothing left to happen."""

    def __init__(self, stack: Stack, inbox: httpx.AsyncClient, browser: httpx.AsyncClient, *, seed: int) -> None:
        self.stack = stack
        self.auditor = Auditor(dates_come_soon=True)
        self.scene = Scene()
        self.feed = Feed(self._everything)
        self.members = Members(browser, seed)
        self.refusals: Counter[str] = Counter()
        self.phase = "Starting"
        self.signing_up = True
        self._letterbox = Letterbox(inbox)
        self._observer = Observer(stack.kafka, self._observe)
        self._reading = asyncio.Semaphore(_READERS_AT_ONCE_MAX)
        self._unread = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._trouble: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def say(self, phase: str) -> None:
        """Tell the page how far things are."""
        self.phase = phase
        self.feed.publish({"status": self.status()})

    def accepted(self, member: str) -> None:
        """Intake answered 202."""
        self.auditor.signed_up(member)

    def refused(self, reason: str) -> None:
        """Intake answered something else."""
        self.refusals[reason] += 1

    @contextlib.asynccontextmanager
    async def playing(self, sign_ups: SignUps) -> AsyncIterator[asyncio.Future[None]]:
        """Everything goes on within; the future that it gives fails with whatever goes wrong."""
        parts = (self._observer.run(), self._read_post(), self._tell(), self._sign_up(sign_ups))
        for part in parts:
            self._begin(part)
        try:
            yield self._trouble
        finally:
            self.feed.close()
            await self.members.stop()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._trouble.cancel()

    async def over(self) -> None:
        """Return when everybody has signed up, everything is settled, and nothing new has come for a while."""
        clock = asyncio.get_running_loop().time
        quiet_since, suggestions = clock(), -1
        while clock() - quiet_since < QUIET_SECONDS:
            await asyncio.sleep(_TICK_SECONDS)
            if self._is_busy() or len(self.auditor.suggestions) != suggestions:
                quiet_since, suggestions = clock(), len(self.auditor.suggestions)
        await self._observer.caught_up(within_seconds=_CATCH_UP_SECONDS_MAX)

    @property
    def dead_letters(self) -> int:
        """Messages that some service could not use."""
        return self._observer.dead_letters + self._observer.unreadable

    def status(self) -> dict[str, Any]:
        """The funnel and the figures, as the page shows them."""
        return {
            "phase": self.phase,
            "funnel": {**self.auditor.funnel(), "duplicated": self.auditor.duplicated()},
            "pace": self.scene.pace(system_clock()),
            "dead_letters": self.dead_letters,
        }

    def _is_busy(self) -> bool:
        return bool(self.signing_up or self._unread or self.members.thinking or not self.auditor.unsettled().is_settled)

    def _observe(self, record: Record) -> None:
        self.auditor.observe(record)
        self.scene.observe(record)

    async def _sign_up(self, sign_ups: SignUps) -> None:
        self.say("Live: signing up")
        await sign_ups(self)
        self.signing_up = False
        self.say("Live: all signed up")

    def _begin(self, part: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(part)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not self._trouble.done():
            self._trouble.set_exception(error)

    async def _read_post(self) -> None:
        async for posts in self._letterbox.arrivals():
            self.scene.arrived(
                Arrival(post.id, post.message_id, post.recipient, post.subject, post.received_at_ms) for post in posts
            )
            for post in posts:
                self.auditor.received(post.message_id, post.recipient)
                self._unread += 1
                self._begin(self._read(post))

    async def _read(self, post: Post) -> None:
        async with self._reading:
            self.members.read(post.recipient, await self._letterbox.text(post))
        self._unread -= 1

    async def _tell(self) -> None:
        ticks = 0
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            self.stack.check()
            changes = self.scene.changes()
            if ticks % _FIGURES_EVERY_TICKS == 0:
                changes["status"] = self.status()
            if changes:
                self.feed.publish(changes)
            ticks += 1

    def _everything(self) -> dict[str, Any]:
        return self.scene.snapshot() | {"status": self.status()}
