"""The sender: every email recorded before it goes, and again when it is known what became of it.

    planned ──gate──▶ withheld
     ▲ │
     │ ▼                       250
     │ sending (durable) ──DATA──────▶ sent ──a bounce──▶ bounced
     │    ▲               ├─refused──▶ failed
     └────┼─try later─────┤            (with backoff; then the gate and `sending` again)
          └───────────────┘─no answer▶ waits; then the relay is asked:
                                       it has it ▶ sent · it has not ▶ sending · nobody knows ▶ ambiguous

SMTP cannot be exactly-once. Since `sending` is durable before the first byte of DATA, a
crash leaves at most the question whether an email went, never a silent loss; since the
Message-ID is the same on every try, a relay that can be asked answers that question; and
where none can be asked the email is not sent again but marked `ambiguous`.

Every attempt is recorded before it is made, retries too: so a sender that was replaced
while it slept is fenced by its ledger before it can send anything. What the server put
off is recorded as `planned` again, since it was certainly not taken: a crash while it
waits leaves no doubt. What is kept back (an operator's stop, the night, a policy, the
rate: `services.notifier.traffic`) waits here, and is asked of the gate when its time has come.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from email.message import EmailMessage
from typing import Protocol, assert_never

from services.notifier.relay import RelayLookup
from services.notifier.replies import Outcome, Refused, Retry, Sent, Stopped, Unknown, is_about_recipient
from services.notifier.state import PartitionState
from services.notifier.traffic import Traffic, domain_of
from services.notifier.waiting import Hold, WaitingRoom
from shared import topics
from shared.clock import Clock
from shared.contracts import Delivery, DeliveryState, Email, Fault
from shared.logs import logger, where_it_broke

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class SendingBounds:
    """How often, how soon, how many at once."""

    attempts_max: int = 40
    backoff_first_ms: int = 2_000
    backoff_max_ms: int = 15 * 60 * 1000
    concurrent_max: int = 16
    batch_max: int = 200
    """Of those who waited, so many are tried at once."""


@dataclass(frozen=True, slots=True)
class Letter:
    """An email in words, and the envelope it goes in."""

    message: EmailMessage
    sender: str
    recipient: str


class Composer(Protocol):
    """Puts an email into words at the moment it is sent."""

    def message_id(self, email: Email) -> str:
        """The Message-ID: the same on every try."""

    def compose(self, email: Email, state: PartitionState, now_ms: int) -> Letter: ...


class Transport(Protocol):
    async def send(self, message: EmailMessage, *, sender: str, recipient: str) -> Outcome: ...


class Ledger(Protocol):
    async def record(self, deliveries: Sequence[Delivery]) -> None:
        """Durable when it returns. If it raises, nothing may be sent, and this sender is to be let go."""


Gate = Callable[[Email, PartitionState, int], str | None]


@dataclass(frozen=True, slots=True)
class _Try:
    """An email on its way, as far as this process knows."""

    email: Email
    attempts: int = 0
    """Those that were recorded."""
    uncertain: bool = False
    """The last attempt may have succeeded: ask the relay first."""
    has_waited: bool = False
    """It has waited here before, so it need not queue again."""
    domain: str = ""
    is_probe: bool = False


class _NotTried:
    """Kept back at the very last moment: nothing was said to the server."""


class Sender:
    """Sends the emails of one partition, as long as this instance is its master.

    All three of `deliver`, `retry_due` and `resolve` give back the final deliveries they
    recorded, and apply to `state` whatever they recorded. They raise what the ledger
    raises; the sender is of no use after that.
    """

    def __init__(
        self,
        transport: Transport,
        lookup: RelayLookup,
        ledger: Ledger,
        composer: Composer,
        gate: Gate,
        clock: Clock,
        draws: random.Random,
        bounds: SendingBounds | None = None,
        traffic: Traffic | None = None,
    ) -> None:
        self._transport = transport
        self._lookup = lookup
        self._ledger = ledger
        self._composer = composer
        self._gate = gate
        self._clock = clock
        self._draws = draws
        self._bounds = bounds or SendingBounds()
        self._traffic = traffic or Traffic()
        self._free = asyncio.Semaphore(self._bounds.concurrent_max)
        self._in_flight: set[str] = set()
        self._under_way: dict[str, Email] = {}
        self._room: WaitingRoom[_Try] = WaitingRoom()
        self._traffic.rooms.add(self._room)

    async def deliver(self, emails: Iterable[Email], state: PartitionState) -> list[Delivery]:
        """Send what is to be sent. Emails that are on their way already are left alone."""
        fresh = [email for email in emails if email.email not in self._in_flight]
        return await self._run([_Try(email, _attempts_so_far(email, state)) for email in fresh], state)

    async def retry_due(self, state: PartitionState) -> list[Delivery]:
        """Try again what has waited long enough; `next_due_ms` tells whether there is more."""
        waited = self._room.take(self._clock(), self._bounds.batch_max, self._traffic.limits, state.orders.is_stopped)
        return await self._run([replace(one, has_waited=True) for one in waited], state)

    async def resolve(self, interrupted: Iterable[Delivery], state: PartitionState) -> list[Delivery]:
        """Find out what became of emails whose sending was cut short (`PartitionState.interrupted`)."""
        return await self._run(
            [
                _Try(delivery.as_email(), delivery.attempts, uncertain=True)
                for delivery in interrupted
                if delivery.email not in self._in_flight
            ],
            state,
        )

    @property
    def in_flight(self) -> AbstractSet[str]:
        """Emails that are being sent, or wait here for their time. Not to be changed."""
        return self._in_flight

    @property
    def under_way(self) -> Mapping[str, Email]:
        """By id: emails that were let through the gate, and of which it is not recorded yet what came of that.

        Whatever of a member's is not in it, nor in the ledger as `sending`, asks the gate before it goes.
        """
        return self._under_way

    def next_due_ms(self, state: PartitionState) -> int | None:
        """When `retry_due` next has something to do."""
        return self._room.next_ms(self._clock(), self._traffic.limits, state.orders.is_stopped)

    async def _run(self, tries: Sequence[_Try], state: PartitionState) -> list[Delivery]:
        if not tries:
            return []
        self._in_flight |= {one.email.email for one in tries}
        finals: list[Delivery] = []
        waiting: list[_Try] = []
        let_go: list[str] = []
        try:
            looked_up = await asyncio.gather(*(self._look_up(one, state) for one in tries))
            finals += [found for found in looked_up if isinstance(found, Delivery)]
            attempts, withheld = self._let_go([found for found in looked_up if isinstance(found, _Try)], state, waiting)
            finals += withheld
            let_go = [one.email.email for one in attempts]
            await self._record(
                [*finals, *(self._delivery(one, DeliveryState.SENDING, state) for one in attempts)], state
            )
            outcomes = await asyncio.gather(*(self._attempt(one, state) for one in attempts))
            concluded = [
                delivery
                for one, outcome in zip(attempts, outcomes, strict=True)
                if (delivery := self._conclude(one, outcome, state, waiting)) is not None
            ]
            await self._record(concluded, state)
            return finals + [delivery for delivery in concluded if delivery.state.is_final]
        finally:
            for email in let_go:
                self._under_way.pop(email, None)
            self._in_flight -= {one.email.email for one in tries} - {one.email.email for one in waiting}

    async def _look_up(self, one: _Try, state: PartitionState) -> Delivery | _Try:
        if not one.uncertain:
            return one
        async with self._free:
            accepted = await self._lookup.was_accepted(self._composer.message_id(one.email))
        if accepted is None:
            return self._delivery(one, DeliveryState.AMBIGUOUS, state, reason="relay-cannot-tell")
        if accepted:
            return self._delivery(one, DeliveryState.SENT, state)
        if one.attempts >= self._bounds.attempts_max:
            return self._delivery(one, DeliveryState.FAILED, state, reason="attempts-exhausted")
        return replace(one, uncertain=False)

    # Before it goes

    def _let_go(
        self, tries: Sequence[_Try], state: PartitionState, waiting: list[_Try]
    ) -> tuple[list[_Try], list[Delivery]]:
        """Those that may go, counted as one attempt more, and those that may not; the rest is added to `waiting`."""
        now_ms = self._clock()
        attempts, withheld = [], []
        for one in tries:
            if self._is_held(one, state, now_ms):
                waiting.append(one)
                continue
            reason = self._gate(one.email, state, now_ms)
            if reason is not None:
                withheld.append(self._delivery(one, DeliveryState.WITHHELD, state, reason=reason))
                continue
            domain = domain_of(one.email.member, state)
            if not self._has_its_turn(one, domain, now_ms):
                waiting.append(one)
                continue
            is_probe = self._traffic.breaker.probe(domain, now_ms)
            attempts.append(replace(one, attempts=one.attempts + 1, domain=domain, is_probe=is_probe))
            self._under_way[one.email.email] = one.email
        return attempts, withheld

    def _is_held(self, one: _Try, state: PartitionState, now_ms: int) -> bool:
        held = self._traffic.held(one.email, state, now_ms)
        if held is None:
            return False
        if held.until_ms is None:
            self._room.for_a_start(one.email.community, one)
        else:
            self._room.until(held.until_ms, one, held.why)
        return True

    def _has_its_turn(self, one: _Try, domain: str, now_ms: int) -> bool:
        limits = self._traffic.limits
        queue = limits.queue_of(domain)
        if (one.has_waited or not self._room.has_queue(queue)) and limits.may_go(domain, now_ms):
            return True
        self._room.for_its_turn(queue, one)
        return False

    # As it goes

    async def _attempt(self, one: _Try, state: PartitionState) -> Outcome | _NotTried:
        async with self._free:
            set_out_at_ms = self._clock()
            if self._traffic.is_cut_off(one.email, state, set_out_at_ms, is_probe=one.is_probe):
                return _NotTried()
            # Once more, since it was recorded and has waited for its turn since: it is put into words in the
            # next moment, and whoever has gone by then is neither written to nor told of.
            if self._gate(one.email, state, set_out_at_ms) is not None:
                return _NotTried()
            outcome = await self._hand_over(one, state, set_out_at_ms)
        self._traffic.learn(
            one.domain, outcome, was_probe=one.is_probe, set_out_at_ms=set_out_at_ms, now_ms=self._clock()
        )
        return outcome

    async def _hand_over(self, one: _Try, state: PartitionState, now_ms: int) -> Outcome:
        try:
            letter = self._composer.compose(one.email, state, now_ms)
        except Exception as error:  # One email that cannot be put into words must not hold up the others.
            log.error("email could not be composed", email=one.email.email, **where_it_broke(error))
            return Refused(0, "not-composable")
        try:
            return await self._transport.send(letter.message, sender=letter.sender, recipient=letter.recipient)
        except Exception as error:  # Not foreseen, so it may have gone: ask the relay before anything else.
            log.error("email could not be handed over", email=one.email.email, **where_it_broke(error))
            return Unknown()

    # After it went

    def _conclude(
        self, one: _Try, outcome: Outcome | _NotTried, state: PartitionState, waiting: list[_Try]
    ) -> Delivery | None:
        """What is to be recorded: the end of it, or that it is planned again; None where nobody knows yet."""
        match outcome:
            case Sent():
                return self._delivery(one, DeliveryState.SENT, state)
            case Refused(code, reason, address_fault):
                fault = Fault.ADDRESS if address_fault else _fault_of(reason)
                return self._delivery(one, DeliveryState.FAILED, state, code=code or None, reason=reason, fault=fault)
            case Unknown():
                self._wait(replace(one, uncertain=True), waiting)
                return None
            case Retry() | Stopped():
                # Where nobody answered, nobody said no: it is tried until the gate finds no meaning in it any more.
                if one.attempts >= self._bounds.attempts_max and outcome.code is not None:
                    fault = _fault_of(outcome.reason) if isinstance(outcome, Retry) else None
                    return self._delivery(
                        one, DeliveryState.FAILED, state, code=outcome.code, reason=outcome.reason, fault=fault
                    )
                self._wait(one, waiting)
                return self._delivery(one, DeliveryState.PLANNED, state, code=outcome.code, reason=outcome.reason)
            case _NotTried():
                # It counts as an attempt all the same: the ledger has it, and numbers only grow there.
                self._room.until(self._clock(), one, Hold.RETRY)
                waiting.append(one)
                return self._delivery(one, DeliveryState.PLANNED, state, reason="kept-back")
            case _:
                assert_never(outcome)

    def _wait(self, one: _Try, waiting: list[_Try]) -> None:
        doubled_ms = self._bounds.backoff_first_ms * 2 ** (one.attempts - 1)
        delay_ms = min(doubled_ms, self._bounds.backoff_max_ms) * self._draws.uniform(0.5, 1.0)
        self._room.until(self._clock() + int(delay_ms), one, Hold.RETRY)
        waiting.append(one)

    async def _record(self, deliveries: Sequence[Delivery], state: PartitionState) -> None:
        if deliveries:
            await self._ledger.record(deliveries)
            for delivery in deliveries:
                state.apply(topics.DELIVERIES.name, delivery.key, delivery)

    def _delivery(
        self,
        one: _Try,
        to: DeliveryState,
        state: PartitionState,
        *,
        code: int | None = None,
        reason: str = "",
        fault: Fault | None = None,
    ) -> Delivery:
        email = one.email
        return Delivery(
            community=email.community,
            email=email.email,
            introduction=email.introduction,
            member=email.member,
            kind=email.kind,
            occasion=email.occasion,
            state=to,
            attempts=one.attempts,
            message_id=self._composer.message_id(email),
            recorded_at_ms=self._clock(),
            reply_code=code,
            reason=reason,
            address=state.suppressions.address_of(email.member),
            fault=fault,
        )


def _attempts_so_far(email: Email, state: PartitionState) -> int:
    """Attempts of an earlier process that were put off."""
    known = state.delivery(email.email)
    return known.attempts if known is not None else 0


def _fault_of(reason: str) -> Fault | None:
    return Fault.RECIPIENT if is_about_recipient(reason) else None
