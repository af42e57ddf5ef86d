"""matcher's settings, on top of those that every service has."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.settings import Port, ServiceSettings


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
    seed: Annotated[int, Field(ge=0)] = 0
    """Recorded with every suggestion; the same snapshot and seed give the same suggestions."""
