"""Keeps one partition's partners told: queues what there is to tell, sends what is due, records what became of it.

An event is on `webhook-deliveries` before it is first sent, and its outcome is written after
the answer: a crash in between sends it again, with the same webhook-id. Each commit is a
transaction as master of the partition, so an instance that was replaced records nothing.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from services.intake.keyring import Keyring
from services.intake.webhooks.answers import Answer, after, is_too_late
from services.intake.webhooks.lanes import Lanes
from services.intake.webhooks.messages import body_of, headers_of
from services.intake.webhooks.sender import WebhookSender
from services.intake.webhooks.state import WebhooksState, given_up
from shared import topics
from shared.clock import Clock
from shared.contracts import Partner, WebhookDelivery, WebhookOutcome, WebhookState
from shared.kafka.codec import decode
from shared.kafka.mastership import MasteredPartition, Mastership
from shared.kafka.transactions import MastershipLost
from shared.logs import logger, where_it_broke
from shared.metrics import IntakeMetrics
from shared.outgoing import Outgoing, outgoing, tombstone
from shared.signatures import BadSignature

log = logger(__name__)

ROLE = "intake-webhooks"
_RECORDS_MAX = 500
"""Written in one transaction."""
_LOOKS_MAX = 100
"""Worked out at a stretch, in some milliseconds: a change of partners is a look at every introduction, and the doors
are on the same loop."""
_LOOK_SECONDS = 0.5
"""How often it is looked whether something has become due."""
_TIDY_SECONDS = 3600


class Courier:
    """One partition's. `work` returns when the partition is somebody else's."""

    def __init__(
        self,
        mastership: Mastership[WebhooksState],
        partition: MasteredPartition[WebhooksState],
        keyring: Keyring,
        sender: WebhookSender,
        lanes: Lanes,
        metrics: IntakeMetrics,
        clock: Clock,
        *,
        schedule: Sequence[float],
        draws: random.Random,
    ) -> None:
        self._mastership = mastership
        self._partition = partition
        self._state = partition.state
        self._keyring = keyring
        self._sender = sender
        self._lanes = lanes
        self._metrics = metrics
        self._clock = clock
        self._schedule = schedule
        self._draws = draws
        self._busy: dict[str, asyncio.Task[None]] = {}
        """By event: what is being sent, or was and is not on record yet."""
        self._tried: list[WebhookDelivery] = []
        self._woken = asyncio.Event()
        self._seen_partners = -1
        self._tidy_at_ms = 0

    async def work(self) -> None:
        """Until the partition goes to somebody else. What is being sent then is sent again by them."""
        self._state.look_at_everything()
        try:
            while self._partition.is_master:
                changed = self._mastership.changed
                self._woken.clear()
                await self._record()
                await self._queue()
                await self._send_due()
                if self._state.is_worked_out:
                    await self._wait_for(changed)
                else:
                    await asyncio.sleep(0)  # the doors have their turn
        except MastershipLost:
            pass
        finally:
            for task in self._busy.values():
                task.cancel()
            await asyncio.gather(*self._busy.values(), return_exceptions=True)

    async def _record(self) -> None:
        """Write what became of the tries since the last time."""
        while self._tried:
            tried = self._tried[:_RECORDS_MAX]
            await self._commit([outgoing(topics.WEBHOOK_DELIVERIES, each) for each in tried])
            del self._tried[: len(tried)]
            for each in tried:
                self._busy.pop(each.event, None)

    async def _queue(self) -> None:
        """Queue some of what there is to tell; `is_worked_out` says whether that was all."""
        if self._keyring.changes != self._seen_partners:
            self._seen_partners = self._keyring.changes
            self._state.look_at_everything()
        now_ms = self._clock()
        if now_ms >= self._tidy_at_ms:
            self._tidy_at_ms = now_ms + _TIDY_SECONDS * 1000
            self._state.look_for_outdated()
        if news := self._state.news(self._keyring.get, now_ms, looks_max=_LOOKS_MAX):
            await self._commit(news)

    async def _send_due(self) -> None:
        now_ms = self._clock()
        for source in self._state.sources():
            partner = self._keyring.get(source)
            if partner is None or partner.webhook_url is None or not partner.is_told:
                await self._drop(self._idle(source))
            elif self._state.is_stopped(partner):
                await self._give_up(self._idle(source), now_ms, WebhookOutcome.STOPPED)
            else:
                await self._send_to(partner, partner.webhook_url, now_ms)

    def _idle(self, source: str) -> list[WebhookDelivery]:
        """What is to end without being sent, as much as is written at once."""
        some = self._state.pending(source, busy=self._busy, at_most=_RECORDS_MAX)
        if len(some) == _RECORDS_MAX:
            self._woken.set()  # there may be more
        return some

    async def _send_to(self, partner: Partner, url: str, now_ms: int) -> None:
        free = self._lanes.free(partner.source, now_ms)
        if free <= 0:
            return
        late, unknown = [], []
        for delivery in self._state.due(partner.source, now_ms, busy=self._busy, at_most=free):
            subject = self._state.subject_of(delivery)
            if delivery.member is not None and subject is None:
                unknown.append(delivery)
            elif is_too_late(delivery, self._schedule, now_ms):
                late.append(delivery)
            else:
                self._begin(partner, url, delivery, subject)
        await self._drop(unknown)
        await self._give_up(late, now_ms)

    def _begin(self, partner: Partner, url: str, delivery: WebhookDelivery, subject: str | None) -> None:
        # Taken before anything is awaited, so that no other partition's courier takes the same place.
        self._lanes.enter(partner.source)
        sending = asyncio.create_task(self._send(partner, url, delivery, subject))
        self._busy[delivery.event] = sending
        sending.add_done_callback(lambda ended: self._on_ended(delivery.event, ended))

    async def _send(self, partner: Partner, url: str, delivery: WebhookDelivery, subject: str | None) -> None:
        answer = Answer(WebhookOutcome.UNREACHABLE)
        try:
            answer = await self._ask(partner, url, delivery, subject)
        except Exception as error:  # Whatever it is, it is this delivery's failure: the service goes on for everybody.
            log.error("webhook_try_broke", source=partner.source, webhook_id=delivery.event, **where_it_broke(error))
        finally:
            now_ms = self._clock()
            failed = answer.outcome is not WebhookOutcome.ACCEPTED
            pause_until_ms = now_ms + answer.retry_after_seconds * 1000
            self._lanes.leave(partner.source, failed=failed, pause_until_ms=pause_until_ms)
        tried = after(delivery, answer, schedule=self._schedule, now_ms=now_ms, draws=self._draws)
        self._tried.append(tried)
        self._woken.set()
        self._tell(tried, answer.outcome)

    def _on_ended(self, event: str, ended: asyncio.Task[None]) -> None:
        """What ended without a result to be recorded is free to be tried again; nothing waits behind it for ever."""
        if not ended.cancelled() and (error := ended.exception()) is not None:
            log.error("webhook_try_broke", webhook_id=event, **where_it_broke(error))
        if self._busy.get(event) is ended and all(tried.event != event for tried in self._tried):
            del self._busy[event]

    async def _ask(self, partner: Partner, url: str, delivery: WebhookDelivery, subject: str | None) -> Answer:
        body = body_of(delivery, subject)
        try:
            headers = headers_of(delivery, body, partner.signing_secrets, self._clock())
        except BadSignature:
            return Answer(WebhookOutcome.FORBIDDEN)  # a secret that is none: nothing goes out unsigned
        with self._metrics.webhook_seconds.time():
            return await self._sender.send(url, headers, body)

    def _tell(self, tried: WebhookDelivery, outcome: WebhookOutcome) -> None:
        self._metrics.webhook_tries.labels(tried.type, outcome).inc()
        if tried.state is WebhookState.FAILED:
            self._metrics.webhooks_given_up.inc()
        say = log.error if outcome is WebhookOutcome.GONE else log.info
        say(
            "webhook_tried",
            source=tried.source,
            webhook_id=tried.event,
            type=tried.type,
            attempt=tried.attempts,
            outcome=outcome,
            status=tried.status,
            state=tried.state,
        )

    async def _give_up(
        self, deliveries: Sequence[WebhookDelivery], now_ms: int, outcome: WebhookOutcome | None = None
    ) -> None:
        ended = [given_up(each, now_ms, outcome) for each in deliveries]
        if ended:
            await self._commit([outgoing(topics.WEBHOOK_DELIVERIES, each) for each in ended])
            self._metrics.webhooks_given_up.inc(len(ended))
            log.warning("webhooks_given_up", source=ended[0].source, events=len(ended), outcome=ended[0].outcome)

    async def _drop(self, deliveries: Sequence[WebhookDelivery]) -> None:
        """Of partners that have no webhook any more, or of members whose reference is forgotten, nothing is kept."""
        if deliveries:
            await self._commit(
                [tombstone(topics.WEBHOOK_DELIVERIES, each.community, each.event) for each in deliveries]
            )

    async def _commit(self, records: Sequence[Outgoing]) -> None:
        await self._mastership.commit(self._partition, ROLE, records)
        # At once, and not when the echo comes: what is on record must not be worked out anew.
        for record in records:
            key, value = decode(record.topic, record.key.encode(), record.value)
            self._state.apply(record.topic, key, value)

    async def _wait_for(self, changed: asyncio.Event) -> None:
        waiting = [asyncio.ensure_future(event.wait()) for event in (changed, self._woken)]
        try:
            await asyncio.wait(waiting, timeout=_LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # They are not awaited: whoever ended us just then would be taken for one of them, and not heard.
            for each in waiting:
                each.cancel()
