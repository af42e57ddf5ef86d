"""From a slot ("a Tuesday evening") to a date: the next one that suits, as people in the community's zone live it.

Pure, and exact across clock changes: a meeting at seven is at seven by the clocks of the
day on which it takes place.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from shared.community import Community, Meetings
from shared.slots import Slot

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LOOKED_AHEAD_WEEKS = 8
"""So far we look for a day that is none of the community's days off."""


class Date(NamedTuple):
    """When a meeting begins and ends, in milliseconds since the epoch."""

    starts_at_ms: int
    ends_at_ms: int


def next_date(slot: Slot, community: Community, *, not_before_ms: int) -> Date:
    """The first date of a slot that begins at `not_before_ms` or later, on none of the community's days off.

    Raises `ValueError` if eight weeks on end are days off.
    """
    zone = ZoneInfo(community.time_zone)
    weekday, part = slot.split("-")
    first = datetime.fromtimestamp(not_before_ms / 1000, UTC).astimezone(zone).date()
    first += timedelta(days=(_WEEKDAYS.index(weekday) - first.weekday()) % 7)
    for week in range(_LOOKED_AHEAD_WEEKS + 1):
        found = _on(first + timedelta(weeks=week), part, community.meetings, zone)
        if found.starts_at_ms >= not_before_ms and not _is_day_off(first + timedelta(weeks=week), community.meetings):
            return found
    raise ValueError(f"{community.community}: meetings.never_on leaves no {slot} in {_LOOKED_AHEAD_WEEKS} weeks")


def _on(day: date, part: str, meetings: Meetings, zone: ZoneInfo) -> Date:
    begins = {"morning": meetings.morning, "afternoon": meetings.afternoon, "evening": meetings.evening}[part]
    starts = datetime.combine(day, begins, zone).astimezone(UTC)
    starts_at_ms = round(starts.timestamp() * 1000)
    return Date(starts_at_ms, starts_at_ms + meetings.minutes * 60_000)


def _is_day_off(day: date, meetings: Meetings) -> bool:
    return f"{day:%m-%d}" in meetings.never_on
