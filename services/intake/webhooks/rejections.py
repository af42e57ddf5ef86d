"""What a partner is told of an event that came over Kafka and could not be used: which, and where it is wrong. Pure.

Over HTTP the answer has said it. Of the event nothing is repeated but its own id.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson
from aiokafka import ConsumerRecord

from services.intake.keyring import Keyring
from services.intake.problems import Problem
from services.intake.webhooks.news import keyed_id
from shared import topics
from shared.contracts import WebhookDelivery, WebhookEvent
from shared.outgoing import Outgoing, outgoing

_ID_LETTERS_MAX = 200
_POINTERS_MAX = 20
_POINTER = re.compile(r"(/([a-z][a-z_]{0,30}|specversion|\d{1,4}))+")
"""Names of fields are ours. One that is not could be anything that a person wrote."""


def rejection(
    message: ConsumerRecord, event: bytes | Mapping[str, Any] | Problem, problem: Problem, keyring: Keyring, now_ms: int
) -> Outgoing | None:
    """The record that tells it; `None` if it is nobody's who has a webhook, or cannot be told whose."""
    source, event_id = _whose(event)
    partner = keyring.get(source)
    if partner is None or not partner.is_told:
        return None
    place = f"{message.topic}/{message.partition}@{message.offset}"
    data: dict[str, str | int | list[str]] = {
        "problem": problem.type,
        "pointers": [error.pointer for error in problem.errors[:_POINTERS_MAX] if _POINTER.fullmatch(error.pointer)],
    }
    if event_id is not None:
        data["event"] = event_id
    return outgoing(
        topics.WEBHOOK_DELIVERIES,
        WebhookDelivery(
            # It may name no community that there is; it lies where the partner's own records do.
            community=source,
            event=keyed_id(partner.webhook_id_key, "w", WebhookEvent.REJECTED, place),
            type=WebhookEvent.REJECTED,
            source=source,
            data=data,
            occurred_at_ms=min(message.timestamp, now_ms),
            queued_at_ms=now_ms,
            next_at_ms=now_ms,
        ),
    )


def _whose(event: bytes | Mapping[str, Any] | Problem) -> tuple[str, str | None]:
    if isinstance(event, Problem):
        return "", None
    try:
        parsed = orjson.loads(event) if isinstance(event, bytes) else event
    except orjson.JSONDecodeError:
        return "", None
    if not isinstance(parsed, Mapping):
        return "", None
    source, event_id = parsed.get("source"), parsed.get("id")
    is_good = isinstance(event_id, str) and len(event_id) <= _ID_LETTERS_MAX
    return source if isinstance(source, str) else "", event_id if is_good else None
