"""Single events that come in the same turn of the event loop are taken in together, as if they were a batch.

Taken in one by one, each finds the processor's caches full of what lies between two requests:
the socket, the server, the answer. Deciding takes twice as long then as in a row; and claims
and records of all that are in hand go to Kafka together anyway. Nothing waits for others to
come: who comes alone is alone.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from services.intake.accept import Accepted
from services.intake.claims import Verdict
from services.intake.deadlines import Deadlines
from services.intake.envelopes import Event
from services.intake.ledger import Ledger, claim_of
from services.intake.problems import Problem
from shared.clock import Clock
from shared.contracts.claim import Entry, Way

AT_ONCE_MAX = 100
"""Events that are decided about in one turn; a turn of so many takes some 3 ms. The rest waits for the next one."""

Taken = Problem | tuple[Accepted, Verdict]
"""What stands in the way, or what was accepted and what its claim got."""


class _InHand(NamedTuple):
    """An event that was accepted, and who waits for its answer."""

    event: Accepted
    entry: Entry
    answer: asyncio.Future[Taken]


class Together:
    """The single events that are under way. `decide(event, partner, now_ms)` is asked for each, in their order."""

    def __init__(
        self,
        decide: Callable[[Event, str, int], Accepted | Problem],
        ledger: Ledger,
        deadlines: Deadlines,
        clock: Clock,
        *,
        seconds_max: float,
    ) -> None:
        """`seconds_max` is how long it may take until an event is acknowledged."""
        self._decide = decide
        self._ledger = ledger
        self._deadlines = deadlines
        self._clock = clock
        self._seconds_max = seconds_max
        self._waiting: deque[tuple[Event, str, asyncio.Future[Taken]]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, event: Event, partner: str) -> asyncio.Future[Taken]:
        """Decide, claim and publish. Raises `KafkaError` or `TimeoutError`: then the same is to be sent again."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._decide_all)
        answer: asyncio.Future[Taken] = loop.create_future()
        self._waiting.append((event, partner, answer))
        return answer

    def _decide_all(self) -> None:
        now_ms = self._clock()
        accepted: defaultdict[str, list[_InHand]] = defaultdict(list)
        waiting = self._waiting
        for _ in range(min(len(waiting), AT_ONCE_MAX)):
            event, partner, answer = waiting.popleft()
            if answer.done():
                continue  # nobody waits any more
            try:
                decision = self._decide(event, partner, now_ms)
                if isinstance(decision, Problem):
                    answer.set_result(decision)
                else:
                    accepted[partner].append(_InHand(decision, claim_of(decision, now_ms), answer))
            except Exception as error:
                answer.set_exception(error)
        if waiting:
            asyncio.get_running_loop().call_soon(self._decide_all)
        for partner, in_hand in accepted.items():
            task = asyncio.create_task(self._store(partner, in_hand))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _store(self, partner: str, in_hand: Sequence[_InHand]) -> None:
        try:
            with self._deadlines.within(self._seconds_max):
                verdicts = await self._ledger.claim(partner, [one.entry for one in in_hand], Way.HTTP)
                claimed = list(zip(in_hand, verdicts, strict=True))
                if Verdict.WON_AGAIN not in verdicts:
                    await self._publish(partner, claimed)
                    return
                # What somebody had in hand before is looked for in Kafka first; the others need not wait for that.
                again = [[one] for one in claimed if one[1] is Verdict.WON_AGAIN]
                rest = [one for one in claimed if one[1] is not Verdict.WON_AGAIN]
                await asyncio.gather(*(self._publish(partner, part) for part in (rest, *again) if part))
        except Exception as error:
            _fail(in_hand, error)

    async def _publish(self, partner: str, claimed: Sequence[tuple[_InHand, Verdict]]) -> None:
        in_hand, verdicts = zip(*claimed, strict=True)
        try:
            await self._ledger.publish_won(
                partner, [one.event for one in in_hand], [one.entry for one in in_hand], verdicts, Way.HTTP
            )
        except Exception as error:
            _fail(in_hand, error)
            return
        for one, verdict in claimed:
            if not one.answer.done():
                one.answer.set_result((one.event, verdict))


def _fail(in_hand: Sequence[_InHand], error: Exception) -> None:
    for one in in_hand:
        if not one.answer.done():
            one.answer.set_exception(error)
