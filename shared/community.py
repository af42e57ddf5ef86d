"""A community: a city, a campus, a company. Each is a file that an operator can read and edit."""

from __future__ import annotations

from datetime import time
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

import yaml
from pydantic import BaseModel, ConfigDict, EmailStr, Field, ValidationError, field_validator, model_validator


class CommunityFileError(ValueError):
    """A community file that cannot be used: says which file, which field, and what would be right."""


class GroupSizes(BaseModel):
    """How many people a group has, and how many of them must say yes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    smallest: Annotated[int, Field(ge=3, le=6)] = 3
    largest: Annotated[int, Field(ge=3, le=6)] = 6
    wanted: Annotated[int, Field(ge=3, le=6)] = 4
    """The size that groups are made of where people and places allow."""
    quorum: Annotated[int, Field(ge=3, le=6)] = 3
    """A group is introduced when everybody said yes, or when the time is up and so many did."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.smallest <= self.wanted <= self.largest:
            raise ValueError("sizes must keep smallest <= wanted <= largest")
        if self.quorum > self.smallest:
            raise ValueError("quorum must be at most smallest, or the smallest groups could never meet")
        return self


class Relaxation(BaseModel):
    """What becomes easier for a member who waits, by how many rounds they waited in vain."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    distance_after_rounds: Annotated[int, Field(ge=1)] = 3
    distance_factor: Annotated[float, Field(ge=1, le=3)] = 1.5
    """By how much the member's own travel distance then grows."""
    interests_after_rounds: Annotated[int, Field(ge=1)] = 6
    """From then on a suggestion need not share an interest."""
    size_after_rounds: Annotated[int, Field(ge=1)] = 9
    """From then on a group may be of any size that is allowed, and not only of the one that is wanted."""


class QuietHours(BaseModel):
    """When emails that can wait are kept back, by the clocks where the member lives: from `begin` until `end`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    begin: time = time(21, 0)
    end: time = time(8, 0)
    """The first minute at which emails go again. The same as `begin` means: no quiet hours."""

    @field_validator("begin", "end", mode="before")
    @classmethod
    def _as_yaml_reads_it(cls, value: Any) -> Any:
        # YAML 1.1 takes an unquoted 21:00 for a number in base 60: 1260.
        return time(*divmod(value, 60)) if isinstance(value, int) and 0 <= value < 24 * 60 else value


class Meetings(BaseModel):
    """When people meet, how they are asked about it, and when a group becomes a standing one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    morning: time = time(10, 30)
    """When a morning slot begins, in the community's time zone; likewise the next two."""
    afternoon: time = time(15, 0)
    evening: time = time(19, 0)
    minutes: Annotated[int, Field(ge=15, le=600)] = 90
    """How long a meeting is taken to last."""
    never_on: tuple[Annotated[str, Field(pattern=r"^[01][0-9]-[0-3][0-9]$")], ...] = ()
    """Days of the year on which nobody is to meet, such as "12-25"."""
    notice_seconds: Annotated[int, Field(ge=0)] = 3 * 24 * 3600
    """A date is at least so far ahead when people are told of it."""
    check_in_after_seconds: Annotated[int, Field(ge=0)] = 15 * 3600
    """How long after it ended people are asked how it was: the next morning."""
    check_in_within_seconds: Annotated[int, Field(ge=1)] = 3 * 24 * 3600
    """How long they have to say."""
    until_standing: Annotated[int, Field(ge=1, le=12)] = 3
    """After so many meetings, those who want to go on become a standing group."""
    standing_every_weeks: Annotated[int, Field(ge=1, le=12)] = 2
    """How often a standing group meets."""
    over_after_seconds: Annotated[int, Field(ge=1)] | None = None
    """For rehearsals such as the demo: a meeting counts as over so soon after people were told of it, whatever its
    date. None where people really meet."""


class Community(BaseModel):
    """What is particular to one community."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    community: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
    name: str
    time_zone: str
    latitude: float
    longitude: float
    """Its centre, in degrees."""
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
    """ISO 3166 code: where the gazetteer looks for the names of places."""
    radius_km: Annotated[float, Field(gt=0, le=200)] = 40
    """Places farther from the centre are not of this community."""
    partners: tuple[str, ...] = ()
    """Which partners may sign members up; empty means any partner with a key."""
    adults_from_age: Annotated[int, Field(ge=18)] = 18
    age_gap_years_max: Annotated[int, Field(ge=1)] = 15
    """Nobody is suggested to somebody who is so much older or younger, and a bit more."""
    groups: GroupSizes = GroupSizes()
    relaxation: Relaxation = Relaxation()
    meetings: Meetings = Meetings()
    answer_within_seconds: Annotated[int, Field(ge=1)] = 3 * 24 * 3600
    """How long an invitation stands."""
    remind_after_seconds: Annotated[int, Field(ge=1)] | None = 44 * 3600
    """When those who have not answered are reminded, once; never if it is none, or not before the time is up."""
    settle_seconds: Annotated[int, Field(ge=1)] = 21 * 24 * 3600
    """How long a standing group is left in peace before its members may be suggested to others as well."""
    pause_seconds: Annotated[int, Field(ge=1)] = 30 * 24 * 3600
    """How long "not now" lasts, unless told a date."""
    quiet_hours: QuietHours = QuietHours()
    """At night nobody is written to; emails wait for the morning."""
    sender: EmailStr
    sender_name: str
    agreement: tuple[str, ...]
    """The group agreement: a few sentences that stand in every introduction."""

    @model_validator(mode="after")
    def _known_zone(self) -> Self:
        try:
            ZoneInfo(self.time_zone)
        except (KeyError, ValueError) as error:
            raise ValueError(f"time_zone must be an IANA name such as Europe/London, not {self.time_zone!r}") from error
        return self


Communities = MappingProxyType[str, Community]
"""All communities by their id."""


def load_communities(folder: Path) -> Communities:
    """Read every `*.yaml` of a folder.

    Raises
    ------
    CommunityFileError
        if a file is not a community, two have the same id, or there is none.
    """
    communities: dict[str, Community] = {}
    for file in sorted(folder.glob("*.yaml")):
        try:
            community = Community.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
        except yaml.YAMLError as error:
            raise CommunityFileError(f"{file.name} is not valid YAML: {error}") from error
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or "the file"
            raise CommunityFileError(f"{file.name}: {field}: {first['msg']}") from error
        if community.community in communities:
            raise CommunityFileError(f"{file.name}: community {community.community!r} is already in another file")
        communities[community.community] = community
    if not communities:
        raise CommunityFileError(f"no community file (*.yaml) in {folder}; set COMMUNITIES_DIR to where they are")
    return MappingProxyType(communities)
