"""The sender: every email recorded before it goes, and again when it is known what became of it.

    planned ──gate──▶ withheld
       │
       ▼                       250
    sending (durable) ──DATA──────────▶ sent
       ▲                ├─refused─────▶ failed
       │                ├─try later ──▶ waits here, with backoff; then the gate and `sending` again
       └────────────────┘─no answer───▶ waits; then the relay is asked:
                                        it has it ▶ sent · it has not ▶ sending · nobody knows ▶ ambiguous

SMTP cannot be exactly-once. Since `sending` is durable before the first byte of DATA, a
crash leaves at most the question whether an email went, never a silent loss; since the
Message-ID is the same on every try, a relay that can be asked answers that question; and
where none can be asked the email is not sent again but marked `ambiguous`.

Every attempt is recorded before it is made, retries too: so a sender that was replaced
while it slept is fenced by its ledger before it can send anything.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from email.message import EmailMessage
from typing import Protocol, assert_never

from services.notifier.relay import RelayLookup
from services.notifier.replies import Outcome, Refused, Retry, Sent, Unknown
from services.notifier.state import PartitionState
from shared import topics
from shared.clock import Clock
from shared.contracts import Delivery, DeliveryState, Email
from shared.logs import logger, where_it_broke

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class SendingBounds:
    """How often, how soon, how many at once."""

    attempts_max: int = 8
    backoff_first_ms: int = 2_000
    backoff_max_ms: int = 15 * 60 * 1000
    concurrent_max: int = 16


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
    due_ms: int = 0


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
    ) -> None:
        self._transport = transport
        self._lookup = lookup
        self._ledger = ledger
        self._composer = composer
        self._gate = gate
        self._clock = clock
        self._draws = draws
        self._bounds = bounds or SendingBounds()
        self._free = asyncio.Semaphore(self._bounds.concurrent_max)
        self._under_way: set[str] = set()
        self._waiting: dict[str, _Try] = {}

    async def deliver(self, emails: Iterable[Email], state: PartitionState) -> list[Delivery]:
        """Send what was never tried. Emails that are on their way already are left alone."""
        in_flight = self.in_flight
        return await self._run([_Try(email) for email in emails if email.email not in in_flight], state)

    async def retry_due(self, state: PartitionState) -> list[Delivery]:
        """Try again whatever has waited long enough."""
        now_ms = self._clock()
        due = [one for one in self._waiting.values() if one.due_ms <= now_ms]
        for one in due:
            del self._waiting[one.email.email]
        return await self._run(due, state)

    async def resolve(self, interrupted: Iterable[Delivery], state: PartitionState) -> list[Delivery]:
        """Find out what became of emails whose sending was cut short (`PartitionState.interrupted`)."""
        in_flight = self.in_flight
        return await self._run(
            [
                _Try(_email_of(delivery), delivery.attempts, uncertain=True)
                for delivery in interrupted
                if delivery.email not in in_flight
            ],
            state,
        )

    @property
    def in_flight(self) -> AbstractSet[str]:
        """Emails that are being sent, or wait here for their next attempt."""
        return self._under_way | self._waiting.keys()

    @property
    def next_retry_ms(self) -> int | None:
        """When `retry_due` next has something to do."""
        return min((one.due_ms for one in self._waiting.values()), default=None)

    async def _run(self, tries: Sequence[_Try], state: PartitionState) -> list[Delivery]:
        if not tries:
            return []
        ids = {one.email.email for one in tries}
        self._under_way |= ids
        try:
            looked_up = await asyncio.gather(*(self._look_up(one) for one in tries))
            finals = [found for found in looked_up if isinstance(found, Delivery)]
            attempts, withheld = self._pass_gate([found for found in looked_up if isinstance(found, _Try)], state)
            finals += withheld
            await self._record([*finals, *(self._delivery(one, DeliveryState.SENDING) for one in attempts)], state)
            outcomes = await asyncio.gather(*(self._attempt(one, state) for one in attempts))
            done = [
                final
                for one, outcome in zip(attempts, outcomes, strict=True)
                if (final := self._conclude(one, outcome)) is not None
            ]
            await self._record(done, state)
            return finals + done
        finally:
            self._under_way -= ids

    async def _look_up(self, one: _Try) -> Delivery | _Try:
        if not one.uncertain:
            return one
        async with self._free:
            accepted = await self._lookup.was_accepted(self._composer.message_id(one.email))
        if accepted is None:
            return self._delivery(one, DeliveryState.AMBIGUOUS, reason="relay-cannot-tell")
        if accepted:
            return self._delivery(one, DeliveryState.SENT)
        if one.attempts >= self._bounds.attempts_max:
            return self._delivery(one, DeliveryState.FAILED, reason="attempts-exhausted")
        return replace(one, uncertain=False)

    def _pass_gate(self, tries: Sequence[_Try], state: PartitionState) -> tuple[list[_Try], list[Delivery]]:
        """Those that may go, counted as one attempt more, and those that may not."""
        now_ms = self._clock()
        attempts, withheld = [], []
        for one in tries:
            reason = self._gate(one.email, state, now_ms)
            if reason is None:
                attempts.append(replace(one, attempts=one.attempts + 1))
            else:
                withheld.append(self._delivery(one, DeliveryState.WITHHELD, reason=reason))
        return attempts, withheld

    async def _attempt(self, one: _Try, state: PartitionState) -> Outcome:
        async with self._free:
            try:
                letter = self._composer.compose(one.email, state, self._clock())
            except Exception as error:  # One email that cannot be put into words must not hold up the others.
                log.error("email could not be composed", email=one.email.email, **where_it_broke(error))
                return Refused(0, "not-composable")
            try:
                return await self._transport.send(letter.message, sender=letter.sender, recipient=letter.recipient)
            except Exception as error:  # Not foreseen, so it may have gone: ask the relay before anything else.
                log.error("email could not be handed over", email=one.email.email, **where_it_broke(error))
                return Unknown()

    def _conclude(self, one: _Try, outcome: Outcome) -> Delivery | None:
        """The final delivery, or None if there will be another attempt."""
        match outcome:
            case Sent():
                return self._delivery(one, DeliveryState.SENT)
            case Refused(code, reason):
                return self._delivery(one, DeliveryState.FAILED, code=code or None, reason=reason)
            case Unknown():
                self._wait(replace(one, uncertain=True))
                return None
            case Retry(reason, code):
                if one.attempts >= self._bounds.attempts_max:
                    return self._delivery(one, DeliveryState.FAILED, code=code, reason=reason)
                self._wait(one)
                return None
            case _:
                assert_never(outcome)

    def _wait(self, one: _Try) -> None:
        doubled_ms = self._bounds.backoff_first_ms * 2 ** (one.attempts - 1)
        delay_ms = min(doubled_ms, self._bounds.backoff_max_ms) * self._draws.uniform(0.5, 1.0)
        self._waiting[one.email.email] = replace(one, due_ms=self._clock() + int(delay_ms))

    async def _record(self, deliveries: Sequence[Delivery], state: PartitionState) -> None:
        if deliveries:
            await self._ledger.record(deliveries)
            for delivery in deliveries:
                state.apply(topics.DELIVERIES.name, delivery.key, delivery)

    def _delivery(self, one: _Try, state: DeliveryState, *, code: int | None = None, reason: str = "") -> Delivery:
        email = one.email
        return Delivery(
            community=email.community,
            email=email.email,
            introduction=email.introduction,
            member=email.member,
            kind=email.kind,
            occasion=email.occasion,
            state=state,
            attempts=one.attempts,
            message_id=self._composer.message_id(email),
            recorded_at_ms=self._clock(),
            reply_code=code,
            reason=reason,
        )


def _email_of(delivery: Delivery) -> Email:
    """The email that a ledger entry is about, as far as it matters for sending it again."""
    return Email(
        community=delivery.community,
        email=delivery.email,
        introduction=delivery.introduction,
        member=delivery.member,
        kind=delivery.kind,
        occasion=delivery.occasion,
        planned_at_ms=delivery.recorded_at_ms,
    )
