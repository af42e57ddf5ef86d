"""What takes too long is ended, and nothing else is."""

from __future__ import annotations

import asyncio

import pytest

from services.intake.deadlines import Deadlines


async def test_what_takes_too_long_is_ended_and_what_follows_goes_on() -> None:
    deadlines = Deadlines()
    with pytest.raises(TimeoutError), deadlines.within(0.01):
        await asyncio.sleep(60)
    with deadlines.within(60):
        await asyncio.sleep(0.3)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_each_has_its_own_time() -> None:
    deadlines = Deadlines()

    async def one(seconds: float, takes: float) -> str:
        try:
            with deadlines.within(seconds):
                await asyncio.sleep(takes)
        except TimeoutError:
            return "too long"
        return "in time"

    told = await asyncio.gather(one(0.01, 60), one(60, 0.01), one(0.4, 60), one(60, 0.6))
    assert told == ["too long", "in time", "too long", "in time"]


async def test_who_is_ended_from_elsewhere_stays_ended() -> None:
    deadlines = Deadlines()

    async def waits() -> None:
        with deadlines.within(60):
            await asyncio.sleep(60)

    task = asyncio.create_task(waits())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_of_its_own_comes_through() -> None:
    with pytest.raises(ValueError, match="own"), Deadlines().within(60):
        raise ValueError("own")


def test_it_works_in_one_loop_after_another() -> None:
    deadlines = Deadlines()

    async def too_long() -> None:
        with deadlines.within(0.01):
            await asyncio.sleep(60)

    for _ in range(2):
        with pytest.raises(TimeoutError):
            asyncio.run(too_long())
