"""Single events that come at the same moment share a claim and an acknowledgement, and nothing else: no fate."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError
from endpoint import InMemory, Loopback, event
from test_accept import DESK, NOW_MS, changed

from services.intake.accept import Accepted
from services.intake.claims import Claims, Verdict
from services.intake.deadlines import Deadlines
from services.intake.ledger import claim_of
from services.intake.problems import Problem
from services.intake.together import AT_ONCE_MAX, Together
from shared.contracts.claim import Fields, Page, Step, Way
from shared.lifeline import Lifeline
from shared.outgoing import Outgoing


class Town:
    """Events taken in together, without Kafka: what is claimed, and what is published at once, is kept."""

    def __init__(self, *, seconds_max: float = 60.0) -> None:
        self.published: list[list[str]] = []
        """Of each call: the members."""
        self.decided: list[str] = []
        self.fails: set[str] = set()
        """Members whose records Kafka does not acknowledge."""
        self.holds = asyncio.Event()
        """What is looked for in Kafka is found once this is set."""
        self.stored: set[int] = set()
        self.claims = Claims(remembered_ms=86_400_000, lease_ms=20_000)
        self.ledger = Loopback(self.claims, self._publish, self._find, lambda: NOW_MS, Lifeline(), partitions=8)
        self.ledger.owner = InMemory()
        self.together = Together(self._decide, self.ledger, Deadlines(), lambda: NOW_MS, seconds_max=seconds_max)

    def _decide(self, said: Any, partner: str, now_ms: int) -> Accepted | Problem:
        self.decided.append(said["subject"])
        if said["subject"] == "breaks us":
            raise ZeroDivisionError
        return DESK.accept(said, partner=None if partner == "other-app" else partner, now_ms=now_ms)

    async def _publish(self, records: Sequence[Outgoing]) -> None:
        await asyncio.sleep(0)
        members = [record.key for record in records]
        if self.fails.intersection(members):
            raise KafkaTimeoutError
        self.published.append(members)

    async def _find(self, records: Sequence[Outgoing], since_ms: int) -> set[int]:
        await self.holds.wait()
        return self.stored

    def left_by_another(self, said: Any) -> None:
        """Somebody else had taken it in hand, and gave it up."""
        decision = DESK.accept(said, partner=None, now_ms=NOW_MS)
        assert isinstance(decision, Accepted)
        claim = claim_of(decision, NOW_MS)
        for step in (Step.CLAIMED, Step.RELEASED):
            self.claims.apply(Page(b"another.", Way.HTTP, 1, [claim._replace(step=step.value)]), NOW_MS)


def won(taken: Any) -> Verdict:
    """What the claim of an event got that was accepted."""
    assert not isinstance(taken, Problem | BaseException), taken
    verdict: Verdict = taken[1]
    return verdict


async def test_all_that_come_at_the_same_moment_are_published_at_once() -> None:
    town = Town()
    taken = await asyncio.gather(*(town.together.take(event(f"m{n}"), "book-app") for n in range(20)))
    assert list(map(won, taken)) == [Verdict.WON] * 20
    assert [one[0].event_id for one in taken if not isinstance(one, Problem)] == [f"event of m{n}" for n in range(20)]
    assert [len(members) for members in town.published] == [40], "a contact and a profile of each, in one go"


async def test_who_comes_later_is_not_waited_for() -> None:
    town = Town()
    await town.together.take(event("early"), "book-app")
    await town.together.take(event("late"), "book-app")
    assert len(town.published) == 2


async def test_a_problem_is_for_whom_it_is_about() -> None:
    town = Town()
    good, wrong, broken = await asyncio.gather(
        town.together.take(event("good"), "book-app"),
        town.together.take(changed("data.birth_year", 2020), "book-app"),
        town.together.take(event("breaks us"), "book-app"),
        return_exceptions=True,
    )
    assert isinstance(good, tuple)
    assert isinstance(wrong, Problem)
    assert isinstance(broken, ZeroDivisionError)


async def test_where_kafka_does_not_acknowledge_all_are_told_so_and_may_come_again() -> None:
    town = Town()
    said = [event("a"), event("b")]
    town.fails = {DESK.accept(said[0], partner=None, now_ms=NOW_MS).member}  # type: ignore[union-attr]
    told = await asyncio.gather(*(town.together.take(one, "book-app") for one in said), return_exceptions=True)
    assert [type(one) for one in told] == [KafkaTimeoutError] * 2
    assert town.published == []
    await town.ledger.flush()
    town.fails = set()
    town.holds.set()
    again = await asyncio.gather(*(town.together.take(one, "book-app") for one in said))
    assert list(map(won, again)) == [Verdict.WON_AGAIN] * 2
    assert sorted(len(members) for members in town.published) == [2, 2]


async def test_one_partner_does_not_share_the_fate_of_another() -> None:
    town = Town()
    mine, theirs = event("mine"), event("theirs")
    town.fails = {DESK.accept(theirs, partner=None, now_ms=NOW_MS).member}  # type: ignore[union-attr]
    told = await asyncio.gather(
        town.together.take(mine, "book-app"), town.together.take(theirs, "other-app"), return_exceptions=True
    )
    assert isinstance(told[0], tuple)
    assert isinstance(told[1], KafkaTimeoutError)


async def test_what_has_to_be_looked_for_holds_up_nobody_else() -> None:
    town = Town()
    left = event("left by another")
    town.left_by_another(left)
    slow = asyncio.ensure_future(town.together.take(left, "book-app"))
    quick = await town.together.take(event("quick"), "book-app")
    assert won(quick) is Verdict.WON
    assert not slow.done()
    town.stored = {0}
    town.holds.set()
    assert won(await slow) is Verdict.WON_AGAIN
    assert [len(members) for members in town.published] == [2, 1], "the one that was not stored yet"


async def test_what_takes_too_long_is_told_to_those_who_wait_for_it() -> None:
    town = Town(seconds_max=0.01)
    left = event("left by another")
    town.left_by_another(left)
    told = await asyncio.gather(
        town.together.take(left, "book-app"), town.together.take(event("quick"), "book-app"), return_exceptions=True
    )
    assert isinstance(told[0], TimeoutError)
    assert isinstance(told[1], tuple)


async def test_the_same_event_many_times_at_once_is_taken_once() -> None:
    town = Town()
    told = await asyncio.gather(*(town.together.take(event("a"), "book-app") for _ in range(10)))
    assert list(map(won, told)) == [Verdict.WON, *[Verdict.BUSY] * 9]
    assert [len(members) for members in town.published] == [2]
    known, new = await asyncio.gather(
        town.together.take(event("a"), "book-app"), town.together.take(event("b"), "book-app")
    )
    assert [won(known), won(new)] == [Verdict.SEEN, Verdict.WON]
    assert len(town.published) == 2


async def test_what_is_known_already_is_not_claimed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    town = Town()
    await town.together.take(event("known"), "book-app")
    await town.ledger.flush()
    written: list[Fields] = []
    send = town.ledger.send

    async def counted(partition: int, way: Way, number: int, entries: Sequence[Fields]) -> None:
        written.extend(entry for entry in entries if entry[0] == Step.CLAIMED)
        await send(partition, way, number, entries)

    monkeypatch.setattr(town.ledger, "send", counted)
    told = await asyncio.gather(*(town.together.take(event(name), "book-app") for name in ("known", "new", "known")))
    assert list(map(won, told)) == [Verdict.SEEN, Verdict.WON, Verdict.SEEN]
    assert len(written) == 1


async def test_more_than_one_turn_may_hold_are_taken_in_turns_and_in_their_order() -> None:
    town = Town()
    names = [f"m{n}" for n in range(2 * AT_ONCE_MAX + 1)]
    turns: list[int] = []

    async def watch() -> None:
        while len(town.decided) < len(names):
            turns.append(len(town.decided))
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(town.together.take(event(name), "book-app") for name in names))
    await watching
    assert town.decided == names
    assert {AT_ONCE_MAX, 2 * AT_ONCE_MAX} <= set(turns), "others have their turn in between"


async def test_who_does_not_wait_any_more_is_not_decided_about() -> None:
    town = Town()
    gone = town.together.take(event("gone"), "book-app")
    gone.cancel()
    await town.together.take(event("here"), "book-app")
    assert town.decided == ["here"]


@pytest.mark.parametrize("count", [1, 30])
async def test_through_the_endpoint_each_has_an_answer_of_its_own(count: int) -> None:
    intake = InMemory()

    async def ask(number: int) -> tuple[int, str]:
        answer = await intake.ask(event(f"m{number}"))
        return answer.status_code, answer.json()["id"]

    assert await asyncio.gather(*map(ask, range(count))) == [(202, f"event of m{n}") for n in range(count)]
