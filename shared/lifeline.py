"""One way to stop a service that cannot go on: say why, and let the process end with status 1.

A service that has lost its footing (a consumer that reads nothing but bad messages, a
partition that cannot be fenced) must not linger half alive: it stops, its partitions
go to the others, and whoever supervises it starts it again.
"""

from __future__ import annotations

import asyncio

from shared.logs import logger, where_it_broke

log = logger(__name__)


class Lifeline:
    """Holds the reason for which the service must stop, if there is one."""

    def __init__(self) -> None:
        self.broken = asyncio.Event()
        self.reason: BaseException | None = None

    def fail(self, reason: BaseException) -> None:
        """The service must stop. The first reason counts; safe to call from any task."""
        if self.reason is None:
            self.reason = reason
            log.error("service_must_stop", advice=_advice_of(reason), **where_it_broke(reason))
            self.broken.set()

    def watch(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        """A background task that must never end by itself: if it raises, the service stops."""
        task.add_done_callback(self._on_done)
        return task

    def _on_done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.fail(error)


def _advice_of(reason: BaseException) -> str:
    # Only errors of our own are quoted: their messages are written to hold no personal data.
    return str(reason) if type(reason).__module__.startswith(("shared.", "services.")) else ""
