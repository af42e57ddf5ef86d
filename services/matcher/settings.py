"""matcher's settings, on top of those that every service has."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode, SettingsConfigDict

from services.matcher.policy import Policy
from shared.settings import Port, ServiceSettings

_DAY_MS = 24 * 3600 * 1000
_EXAMPLE = """must be a JSON object such as {"interests_weight": 0.6}"""


def _from_json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        changes = json.loads(value or "{}")
    except ValueError as error:
        raise ValueError(f"{_EXAMPLE}, and is no JSON: {error}") from None
    if not isinstance(changes, dict):
        raise ValueError(_EXAMPLE)
    return changes


class MatcherSettings(ServiceSettings):
    """Environment variables that begin with MATCHER_."""

    model_config = SettingsConfigDict(env_prefix="MATCHER_", extra="ignore", frozen=True)

    http_port: Port = 8002
    round_interval_seconds: Annotated[float, Field(ge=0.1)] = 60.0
    """A new member waits at most so long for the next round to begin."""
    round_changes_max: Annotated[int, Field(ge=1)] = 5_000
    """A round begins before its time when so much has changed in a community."""
    waiting_round_seconds: Annotated[float, Field(ge=0.1)] = 24 * 3600.0
    """So long a wait counts as one round waited in vain: relaxation and the weight of waiting grow by it."""
    opener_window_days: Annotated[int, Field(ge=1)] = 30
    """An opener's load is how often they were asked to go first within so many days."""
    arrivals_at_once_max: Annotated[int, Field(ge=0, le=1_000)] = 0
    """So many newcomers are looked at by themselves between rounds, as soon as they come; more at once are a crowd, and
    wait for the round like everybody. 0: none are."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Recorded with every suggestion; the same snapshot and seed give the same suggestions."""
    policy: Annotated[Policy, NoDecode, BeforeValidator(_from_json)] = Policy()
    """What is to differ from the matching policy's defaults, as a JSON object: `{"interests_weight": 0.6}`. The names,
    bounds and units are in `services/matcher/policy.py`. Recorded with every suggestion."""

    @property
    def opener_window_ms(self) -> int:
        return self.opener_window_days * _DAY_MS
