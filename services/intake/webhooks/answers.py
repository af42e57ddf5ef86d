"""What an answer of a partner's webhook means, and when to try again. Pure.

=================== ================================================================
answer              what follows
=================== ================================================================
2xx                 delivered
410                 failed, and nothing more is sent there until the webhook is set anew
429, 503            tried again, not before `Retry-After`; the partner's others wait too
3xx                 not followed, tried again
anything else       tried again
none in time, none  tried again
=================== ================================================================

Tried again on the schedule (the one that Standard Webhooks recommends, unless told), and
given up at its end, or when an event has been in the queue for longer than all of it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from shared.contracts import WebhookDelivery, WebhookOutcome, WebhookState

RETRY_SECONDS = (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
"""Pauses before the second to the tenth try: 75 and a half hours in all."""
JITTER = 0.2
"""Each pause is drawn between itself and so much more: what failed together does not come back together."""
RETRY_AFTER_SECONDS_MAX = 86_400
_RETRY_AFTER_LETTERS_MAX = 64
"""Of the header's value; a date has 29. What is longer says nothing."""
QUEUED_SECONDS_MIN = 3_600
"""However short the schedule: nothing is given up for having had to wait for its turn for less."""


class Answer(NamedTuple):
    """What one try led to."""

    outcome: WebhookOutcome
    status: int | None = None
    retry_after_seconds: int = 0


def meaning_of(status: int, retry_after: str = "", *, now_seconds: float = 0.0) -> Answer:
    """What an HTTP answer means."""
    if 200 <= status < 300:
        return Answer(WebhookOutcome.ACCEPTED, status)
    if status == 410:
        return Answer(WebhookOutcome.GONE, status)
    if status in (429, 503):
        return Answer(WebhookOutcome.BUSY, status, _seconds(retry_after, now_seconds))
    return Answer(WebhookOutcome.REDIRECTED if 300 <= status < 400 else WebhookOutcome.REFUSED, status)


def after(
    delivery: WebhookDelivery, answer: Answer, *, schedule: Sequence[float], now_ms: int, draws: random.Random
) -> WebhookDelivery:
    """The delivery as it stands after a try."""
    attempts = delivery.attempts + 1
    tried = delivery.model_copy(
        update={
            "attempts": attempts,
            "outcome": answer.outcome,
            "status": answer.status,
            "revision": delivery.revision + 1,
        }
    )
    if answer.outcome is WebhookOutcome.ACCEPTED:
        return finished(tried, WebhookState.DELIVERED, now_ms)
    if answer.outcome is WebhookOutcome.GONE or attempts > len(schedule) or is_too_late(tried, schedule, now_ms):
        return finished(tried, WebhookState.FAILED, now_ms)
    pause = max(schedule[attempts - 1] * (1 + JITTER * draws.random()), answer.retry_after_seconds)
    return tried.model_copy(update={"next_at_ms": now_ms + int(pause * 1000)})


def finished(delivery: WebhookDelivery, state: WebhookState, now_ms: int) -> WebhookDelivery:
    """It is over with; whose reference was only kept for it is forgotten."""
    return delivery.model_copy(update={"state": state, "finished_at_ms": now_ms, "subject": None})


def is_too_late(delivery: WebhookDelivery, schedule: Sequence[float], now_ms: int) -> bool:
    """Whether it has been in the queue for longer than all tries take."""
    return now_ms - delivery.queued_at_ms > max(sum(schedule) * (1 + JITTER), QUEUED_SECONDS_MIN) * 1000


def _seconds(retry_after: str, now_seconds: float) -> int:
    """RFC 9110: a number of seconds, or a date (in UTC where it names no zone); 0 for what is neither.

    Never raises: the text is whatever a stranger's server says.
    """
    text = retry_after.strip()
    if len(text) > _RETRY_AFTER_LETTERS_MAX:
        return 0
    if text.isascii() and text.isdigit():
        return min(int(text), RETRY_AFTER_SECONDS_MAX)
    try:
        date = parsedate_to_datetime(text)
        at_seconds = (date if date.tzinfo is not None else date.replace(tzinfo=UTC)).timestamp()
        return int(min(max(0.0, at_seconds - now_seconds), RETRY_AFTER_SECONDS_MAX))
    except Exception:  # The parser raises what it likes: besides ValueError, OverflowError for a zone and IndexError.
        return 0
