"""So many batches of one partner are in hand at once; the rest waits as it was sent, and not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from endpoint import BATCH, InMemory, event

from services.intake.settings import IntakeSettings
from shared.outgoing import Outgoing


class Held:
    """An intake whose Kafka acknowledges when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> None:
        self.intake = InMemory(settings=IntakeSettings(**settings))
        self.acknowledges = asyncio.Event()
        self.under_way: list[int] = []
        """How many records each call was to publish."""
        publish = self.intake.ledger._publish

        async def held(records: Sequence[Outgoing]) -> None:
            self.under_way.append(len(records))
            await self.acknowledges.wait()
            await publish(records)

        monkeypatch.setattr(self.intake.ledger, "_publish", held)

    async def ask(self, *subjects: str, key: str = "sesame", source: str = "book-app") -> int:
        events = [event(subject, source=source) for subject in subjects]
        return (await self.intake.ask(events, BATCH, key=key)).status_code


async def settle() -> None:
    """Let every task go as far as it can."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_a_partner_has_so_many_in_hand_and_another_one_is_not_held_up(monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(monkeypatch, batches_in_hand_max=2)
    mine = [asyncio.create_task(held.ask(f"a{n}", f"b{n}", f"c{n}")) for n in range(4)]
    await settle()
    assert sum(held.under_way) == 12
    theirs = asyncio.create_task(held.ask("theirs", key="mellon", source="chess-app"))
    await settle()
    assert sum(held.under_way) == 14
    held.acknowledges.set()
    assert await asyncio.gather(*mine, theirs) == [202] * 5
    assert len(held.intake.published) == 26


async def test_who_waits_too_long_for_a_turn_is_told_to_send_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(monkeypatch, batches_in_hand_max=1, acknowledge_seconds_max=0.3)
    told = list(await asyncio.gather(held.ask("a"), held.ask("b")))
    assert told == [503, 503]
    assert held.under_way == [2], "of the second nothing was begun"
    held.acknowledges.set()
    held.intake.now_ms += 60_000
    assert await held.ask("b") == 202, "and nobody holds its turn"
