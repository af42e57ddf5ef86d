"""kill -9, twenty times, on whichever service: nobody is lost, and nothing comes twice."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import httpx
import pytest
from town import town

from demo.london import synthesize
from shared.contracts import IntroductionState

MEMBERS = 500
KILLS = 20
SEED = 2026


@pytest.mark.kafka
@pytest.mark.timeout(600)
async def test_nobody_is_lost_and_nothing_comes_twice(tmp_path: Path) -> None:
    draws = random.Random(SEED)
    async with town(tmp_path) as running, httpx.AsyncClient(timeout=20) as partner:
        events = synthesize(MEMBERS, SEED)
        signing_up = asyncio.create_task(running.sign_up(events, partner, pause_seconds=1.5))
        for _ in range(KILLS):
            await asyncio.sleep(draws.uniform(0.5, 4.0))
            name = draws.choice(sorted(running.services))
            running.services[name].kill()
            running.services[name].start()
        await signing_up
        for name in running.services:
            await running.ready(name)
        await running.settled()
        await running.observer.caught_up(within_seconds=60)

        summary = running.auditor.summary()
        assert running.auditor.violations() == []
        assert summary.signed_up == MEMBERS
        assert summary.introduced > MEMBERS / 4
        states = {introduction.state for introduction in running.auditor.introductions.values()}
        assert states == {IntroductionState.INTRODUCED, IntroductionState.CLOSED}
        assert running.observer.dead_letters == 0
        assert running.observer.unreadable == 0
