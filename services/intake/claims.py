"""Which events are taken in hand, done, or too old: a fold over the topic `claims`. Pure.

Two instances may be sent the same event at the same moment. Each writes down that it
takes it in hand; Kafka puts the two in an order that everybody reads alike, and the
first one has it:

============================== ==========================================================
what is known of the event     what a claim gets
============================== ==========================================================
nothing                        WON, or STALE if a newer event about the member was won before
done, saying the same          SEEN: the same answer again
done or under way, saying      OTHER_BODY
something else
under way                      BUSY; so is one about a member of whom another instance has
                               an event under way, so that the two keep their order
under way for too long, or     WON_AGAIN: who had it may have stored some of its records
given up
============================== ==========================================================

Time is that of the records on the topic, so every instance judges alike.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from shared.contracts.claim import NOBODY, Fields, Page, Step, Way


class Verdict(IntEnum):
    WON = 1
    WON_AGAIN = 2
    SEEN = 3
    STALE = 4
    OTHER_BODY = 5
    BUSY = 6


@dataclass(slots=True)
class _Claim:
    digest: bytes
    state: int
    """A `Step`, or `Verdict.STALE` negated."""
    instance: bytes
    way: int
    at_ms: int
    since_ms: int
    """When it was first taken in hand: before that, nobody stored anything of it."""


_STALE = -1
# Members of an enum are looked up in a roundabout way: seven times as slow as a name of our own.
_CLAIMED: int = Step.CLAIMED.value
_WON = Verdict.WON


class Claims:
    """What is known of events for `remembered_ms`. About half a kilobyte of memory each."""

    def __init__(self, *, remembered_ms: int, lease_ms: int) -> None:
        self._remembered_ms = remembered_ms
        self._lease_ms = lease_ms
        self._claims: dict[bytes, _Claim] = {}
        self._newest: dict[bytes, tuple[int, bytes]] = {}
        """By member: the time of their newest event, and which it was."""
        self._order: deque[tuple[int, bytes, bytes]] = deque()

    def __len__(self) -> int:
        return len(self._claims)

    def apply(self, page: Page, at_ms: int) -> list[Verdict]:
        """Take in a page that was written at `at_ms`; the verdict on each of its claims, in their order."""
        self._forget(at_ms - self._remembered_ms)
        instance, way = page.instance, page.way
        claims, order = self._claims, self._order
        verdicts = []
        for fields in page.entries:
            step, event, digest, member, time_ms = fields
            if step != _CLAIMED:
                self._end(step, event, instance)
            elif event in claims or member == NOBODY or not self._is_plainly_next(member, time_ms, instance):
                verdicts.append(self._claim(fields, instance, way, at_ms))
            else:
                # What nearly all of them are.
                claims[event] = _Claim(digest, _CLAIMED, instance, way, at_ms, at_ms)
                self._newest[member] = (time_ms, event)
                order.append((at_ms, event, member))
                verdicts.append(_WON)
        return verdicts

    def end(self, instance: bytes, step: Step, events: Iterable[bytes]) -> None:
        """Know at once what became of claims that an instance had won; on the topic it is said later."""
        for event in events:
            self._end(step.value, event, instance)

    def knows_any(self, events: Iterable[bytes]) -> bool:
        """Whether anything is known of one of them."""
        return not self._claims.keys().isdisjoint(events)

    def judge(self, event: bytes, digest: bytes, now_ms: int) -> Verdict | None:
        """What a claim would surely get, without writing it down; `None` if that must be found out."""
        known = self._claims.get(event)
        if known is None or known.at_ms < now_ms - self._remembered_ms:
            return None
        verdict = self._known(known, digest, Way.HTTP, now_ms)
        return None if verdict is Verdict.WON_AGAIN else verdict

    def since_ms(self, event: bytes) -> int:
        """When the event was first taken in hand; it must be known."""
        return self._claims[event].since_ms

    def _is_plainly_next(self, member: bytes, time_ms: int, instance: bytes) -> bool:
        """Whether a new event about a member is not older than what is known, and nobody else can have them in hand."""
        newest = self._newest.get(member)
        if newest is None:
            return True
        other = self._claims.get(newest[1])
        return time_ms >= newest[0] and (other is None or other.instance == instance)

    def _end(self, step: int, event: bytes, instance: bytes) -> None:
        known = self._claims.get(event)
        if known is not None and known.state == _CLAIMED and known.instance == instance:
            known.state = step

    def _claim(self, fields: Fields, instance: bytes, way: int, at_ms: int) -> Verdict:
        _, event, digest, member, time_ms = fields
        known = self._claims.get(event)
        if known is not None:
            verdict = self._known(known, digest, way, at_ms)
            if verdict is not Verdict.WON_AGAIN:
                return verdict
        else:
            verdict = Verdict.WON
        newest = self._newest.get(member) if member != NOBODY else None
        state = _CLAIMED
        if newest is not None and newest[1] != event:
            other = self._claims.get(newest[1])
            if other is not None and other.instance != instance and self._under_way(other, at_ms):
                return Verdict.BUSY
            if time_ms < newest[0]:
                verdict, state = Verdict.STALE, _STALE
        if state == _CLAIMED and member != NOBODY:
            self._newest[member] = (time_ms, event)
        since_ms = known.since_ms if known is not None else at_ms
        self._claims[event] = _Claim(digest, state, instance, way, at_ms, since_ms)
        self._order.append((at_ms, event, member))
        return verdict

    def _known(self, known: _Claim, digest: bytes, way: int, at_ms: int) -> Verdict:
        if known.state == Step.RELEASED:
            return Verdict.WON_AGAIN
        if known.digest != digest:
            return Verdict.OTHER_BODY
        if known.state == Step.CLAIMED:
            # Of the topic's partitions Kafka gives each to one instance: whoever reads it now is the heir.
            heir = way == known.way == Way.TOPIC
            return Verdict.BUSY if self._under_way(known, at_ms) and not heir else Verdict.WON_AGAIN
        return Verdict.STALE if known.state == _STALE else Verdict.SEEN

    def _under_way(self, known: _Claim, at_ms: int) -> bool:
        return known.state == Step.CLAIMED and at_ms - known.at_ms < self._lease_ms

    def _forget(self, before_ms: int) -> None:
        while self._order and self._order[0][0] < before_ms:
            at_ms, event, member = self._order.popleft()
            known = self._claims.get(event)
            if known is not None and known.at_ms == at_ms:
                del self._claims[event]
            newest = self._newest.get(member)
            if newest is not None and newest[1] == event:
                del self._newest[member]
