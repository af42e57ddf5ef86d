"""intake's settings, on top of those that every service has."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveFloat, SecretStr
from pydantic_settings import SettingsConfigDict

from services.intake.webhooks.answers import RETRY_SECONDS
from shared.settings import ContactsSettings, Port, ServiceSettings


class IntakeSettings(ContactsSettings, ServiceSettings):
    """Environment variables that begin with INTAKE_."""

    model_config = SettingsConfigDict(env_prefix="INTAKE_", extra="ignore", frozen=True)

    http_port: Port = 8001
    api_keys: Annotated[dict[str, SecretStr], Field(default_factory=dict)]
    """A JSON object: the key of each partner, by the CloudEvents source that is theirs."""
    body_bytes_max: Annotated[int, Field(ge=1_000)] = 1_000_000
    """A larger request is refused before it is read."""
    batch_events_max: Annotated[int, Field(ge=1, le=10_000)] = 500
    """Events in one batch request."""
    batches_in_hand_max: Annotated[int, Field(ge=1)] = 64
    """Batches of one partner that are decided about and published at once; more wait their turn, as they were sent."""
    body_seconds_max: Annotated[float, Field(gt=0)] = 10.0
    """A body that has not come by then is answered 408, and its connection closed."""
    events_per_second_max: Annotated[int, Field(ge=1)] = 2_000
    """What each partner may send to each instance; more is answered 429. An operator can set it for a partner."""
    burst_seconds: Annotated[int, Field(ge=1, le=3600)] = 10
    """So many seconds' worth of it may come at once."""
    remembered_hours: Annotated[int, Field(ge=1, le=48)] = 24
    """How long an event's id, an Idempotency-Key, and a member's newest event are remembered: twice is once so long."""
    acknowledge_seconds_max: Annotated[float, Field(gt=0)] = 15.0
    """A request that Kafka has not acknowledged by then is answered 503, and is safe to send again."""
    webhook_seconds_max: Annotated[float, Field(gt=0, le=60)] = 15.0
    """A partner's webhook that has not answered by then is tried again later."""
    webhook_tries_max: Annotated[int, Field(ge=1)] = 64
    """Tries under way at once from this instance, to all webhooks."""
    webhook_partner_tries_max: Annotated[int, Field(ge=1)] = 8
    """Tries under way at once from this instance to one partner; one alone as long as they fail."""
    webhook_retry_seconds: Annotated[tuple[PositiveFloat, ...], Field(min_length=1)] = RETRY_SECONDS
    """Pauses between the tries for one event, as a JSON list; the last one failed, it is given up."""
    webhook_kept_days: Annotated[int, Field(ge=4, le=365)] = 30
    """How long it is remembered what became of an event for a webhook, and how long it can be replayed."""
    webhook_private_addresses: bool = False
    """Whether webhooks may be http, and lead to private addresses: for trials on one machine, never in production."""
