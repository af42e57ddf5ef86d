"""An event as it is sent: a CloudEvent in structured mode, signed as in Standard Webhooks 1.0.0. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import orjson

from services.intake.webhooks.news import SOURCE
from shared.contracts import WebhookDelivery
from shared.signatures import sign

MEDIA_TYPE = "application/cloudevents+json"


def body_of(delivery: WebhookDelivery, subject: str | None) -> bytes:
    """The body: the same, byte for byte, on every try."""
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": delivery.event,
        "source": SOURCE,
        "type": delivery.type,
        "time": datetime.fromtimestamp(delivery.occurred_at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    if subject is not None:
        event["subject"] = subject
    event["datacontenttype"] = "application/json"
    event["data"] = delivery.data
    return orjson.dumps(event)


def headers_of(delivery: WebhookDelivery, body: bytes, secrets: Iterable[str], now_ms: int) -> dict[str, str]:
    """The headers; a signature for each secret, so that a partner can change over without a gap."""
    seconds = now_ms // 1000
    return {
        "content-type": MEDIA_TYPE,
        "user-agent": SOURCE,
        "webhook-id": delivery.event,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(sign(secret, delivery.event, seconds, body) for secret in secrets),
    }
