"""What pages read back from the topics: a few at once, none for long, and all of it or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from services.notifier.state import PartitionState
from shared.logs import logger, where_it_broke

log = logger(__name__)

LookUp = Callable[[str, str], Awaitable[PartitionState]]
"""Of a community and a member: what is known of them, whoever looks after them. May raise what reading raises."""
Exporter = Callable[[str, str], Awaitable[dict[str, Any]]]
"""Likewise: everything that is stored."""

READ_BACK_SECONDS_MAX = 25.0
"""After that the page says: in a minute. Most of it is waiting for what others have read back."""
_AT_ONCE_MAX = 2
"""Each reads a partition from its beginning."""

_T = TypeVar("_T")


class ReadBack:
    """Of a member: their state and their export. None where it cannot be had just now."""

    def __init__(self, look_up: LookUp | None, exporter: Exporter | None) -> None:
        self._look_up = look_up
        self._exporter = exporter
        self._free = asyncio.Semaphore(_AT_ONCE_MAX)

    async def state(self, community: str, member: str) -> PartitionState | None:
        return await self._read("look_up_failed", self._look_up, community, member)

    async def export(self, community: str, member: str) -> dict[str, Any] | None:
        return await self._read("export_failed", self._exporter, community, member)

    async def _read(
        self, failed: str, read: Callable[[str, str], Awaitable[_T]] | None, community: str, member: str
    ) -> _T | None:
        if read is None:
            return None
        try:
            async with asyncio.timeout(READ_BACK_SECONDS_MAX), self._free:
                return await read(community, member)
        except Exception as error:  # Whatever keeps it from being whole: half of it would be worse.
            log.error(failed, **where_it_broke(error))
            return None
