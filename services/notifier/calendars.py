"""The date as a calendar entry (RFC 5545), for the reader's own calendar.

Published, not an invitation: nobody's calendar answers, and no address is in it. The UID
is derived, so that a new date for the same meeting takes the place of the old one, and
keyed, since calendars are shared. A date that comes back is told in the community's zone,
since it stays at seven when the clocks change; a single one is a point in time.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event, Timezone

from services.notifier.shown_ids import ShownIds
from shared.contracts import Introduction, IntroductionState

_PRODUCT = "-//London Connection//Introductions//EN"
_ZONE_YEARS_AHEAD = 10
"""For so many years a recurring date knows of the clock changes."""
_RECURRING = 0


def calendar_entry(
    introduction: Introduction,
    *,
    summary: str,
    description: str,
    location: str,
    shown_ids: ShownIds,
    domain: str,
    zone: str,
    every_weeks: int,
    stamped_at_ms: int,
) -> bytes:
    """The file for the date that an introduction has; the same arguments give the same bytes.

    Whatever the three texts hold, they stay text.
    """
    meeting = introduction.meeting
    assert meeting is not None, "who has no date gets no calendar entry"
    standing = introduction.state is IntroductionState.STANDING
    event = Event()
    number = _RECURRING if standing else meeting.number
    event.add("uid", shown_ids.calendar(introduction.introduction, number, domain))
    event.add("sequence", len(introduction.joined) if standing else meeting.attempt - 1)
    event.add("dtstamp", _moment(stamped_at_ms))
    for name, text in (("summary", summary), ("description", description), ("location", location)):
        event.add(name, " ".join(text.split()))
    calendar = Calendar()
    calendar.add("prodid", _PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    starts, ends = _moment(meeting.starts_at_ms), _moment(meeting.ends_at_ms)
    if standing:
        starts, ends = starts.astimezone(ZoneInfo(zone)), ends.astimezone(ZoneInfo(zone))
        event.add("rrule", {"FREQ": "WEEKLY", "INTERVAL": every_weeks})
        calendar.add_component(_time_zone(zone, starts.year))
    event.add("dtstart", starts)
    event.add("dtend", ends)
    calendar.add_component(event)
    return bytes(calendar.to_ical())


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms // 1000, UTC)


@lru_cache(maxsize=64)
def _time_zone(zone: str, year: int) -> Timezone:
    return Timezone.from_tzid(zone, first_date=date(year, 1, 1), last_date=date(year + _ZONE_YEARS_AHEAD, 1, 1))
