"""Quiet hours: nobody is woken by an email that could have waited for the morning.

What counts is the clock on the member's own wall. When the clocks change it jumps, and
quiet hours with it: they last an hour longer in one night of the year and an hour less in
another, and still begin and end when the wall says so.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from shared.community import QuietHours

_DAYS_AHEAD_MAX = 3
"""A morning is never farther away, even where a whole day was left out of the calendar."""


def quiet_until_ms(hours: QuietHours, zone: str, now_ms: int) -> int | None:
    """None if emails may go now; otherwise the first moment at which they may, in milliseconds since the epoch.

    `zone` is an IANA name. Raises `ZoneInfoNotFoundError` or `ValueError` for what is none.
    """
    if hours.begin == hours.end:
        return None
    # To the minute: every zone changes its clocks on a whole one, and a whole town asks in the same.
    until_ms = _quiet_until_ms(hours, zone, now_ms // 60_000)
    return until_ms if until_ms is not None and until_ms > now_ms else None


def known_zone(name: str | None, otherwise: str) -> str:
    """`name` if it is a time zone, else `otherwise`: a zone that we do not know must not keep an email back."""
    return name if name is not None and _is_zone(name) else otherwise


@lru_cache(maxsize=1024)
def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


@lru_cache(maxsize=4096)
def _quiet_until_ms(hours: QuietHours, zone: str, minute: int) -> int | None:
    there = ZoneInfo(zone)
    now = datetime.fromtimestamp(minute * 60, UTC)
    if not _is_quiet(hours, now, there):
        return None
    mornings = sorted(
        morning
        for days in range(_DAYS_AHEAD_MAX)
        for fold in (0, 1)
        if (morning := _moment(now.astimezone(there).date() + timedelta(days), hours.end, fold, there)) > now
    )
    awake = next(morning for morning in mornings if not _is_quiet(hours, morning, there))
    if now.astimezone(there).utcoffset() != awake.astimezone(there).utcoffset():
        # The clocks change in between, and may jump right over the end of the quiet hours.
        awake = _first_awake(hours, now, awake, there)
    return round(awake.timestamp() * 1000)


def _is_quiet(hours: QuietHours, moment: datetime, zone: ZoneInfo) -> bool:
    wall = moment.astimezone(zone).time()
    if hours.begin < hours.end:
        return hours.begin <= wall < hours.end
    return wall >= hours.begin or wall < hours.end


def _moment(day: date, wall: time, fold: int, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, wall.replace(fold=fold), zone).astimezone(UTC)


def _first_awake(hours: QuietHours, quiet: datetime, awake: datetime, zone: ZoneInfo) -> datetime:
    """The first minute after `quiet` that is not, by halving: `awake` is one, and in between it changes once."""
    while awake - quiet > timedelta(minutes=1):
        middle = quiet + timedelta(minutes=(awake - quiet) // timedelta(minutes=1) // 2)
        if _is_quiet(hours, middle, zone):
            quiet = middle
        else:
            awake = middle
    return awake
