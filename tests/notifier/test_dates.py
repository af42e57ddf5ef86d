"""Dates on the right evening by the right clocks, and calendar entries that programs understand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from arc_samples import NEWCOMER, Story, at
from hypothesis import given
from hypothesis import strategies as st
from icalendar import Calendar, Event
from notifier_samples import GROUP, LONDON, NOW, PAIR

from services.notifier.calendars import calendar_entry
from services.notifier.dates import next_date
from services.notifier.introductions import Joined, Withdrawn
from services.notifier.shown_ids import ShownIds
from shared.community import Community
from shared.contracts import ChoiceKind, EmailKind, Introduction
from shared.slots import SLOTS, Slot

ZONES = ("Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
HOURS = {"morning": (10, 30), "afternoon": (15, 0), "evening": (19, 0)}


def community(zone: str = "Europe/London", **meetings: object) -> Community:
    return LONDON.model_copy(
        update={"time_zone": zone, "meetings": LONDON.meetings.model_validate(LONDON.meetings.model_dump() | meetings)}
    )


def ms(year: int, month: int, day: int, hour: int = 0, zone: str = "Europe/London") -> int:
    return round(datetime(year, month, day, hour, tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@given(slot=st.sampled_from(SLOTS), at_ms=st.integers(NOW, NOW + 3 * 365 * 86_400_000), zone=st.sampled_from(ZONES))
def test_it_is_the_first_such_day_and_the_hour_is_right_by_its_clocks(slot: Slot, at_ms: int, zone: str) -> None:
    date = next_date(slot, community(zone), not_before_ms=at_ms)
    local = datetime.fromtimestamp(date.starts_at_ms / 1000, UTC).astimezone(ZoneInfo(zone))
    weekday, part = slot.split("-")
    assert local.strftime("%a").lower() == weekday
    assert (local.hour, local.minute) == HOURS[part]
    assert date.ends_at_ms - date.starts_at_ms == 90 * 60_000
    assert at_ms <= date.starts_at_ms < at_ms + 7 * 86_400_000 + 3600_000, (
        "at most a week, and an hour of a clock change"
    )


@pytest.mark.parametrize("day", [24, 25, 31])
def test_the_evening_stays_at_seven_when_the_clocks_change(day: int) -> None:
    # The clocks go back on 25 October 2026.
    date = next_date("sat-evening", community(), not_before_ms=ms(2026, 10, day - 6))
    local = datetime.fromtimestamp(date.starts_at_ms / 1000, UTC).astimezone(ZoneInfo("Europe/London"))
    assert local.hour == 19


def test_nobody_is_asked_to_meet_on_a_day_off() -> None:
    off = community(never_on=("12-24", "12-25", "12-31"))
    date = next_date("thu-evening", off, not_before_ms=ms(2026, 12, 20))
    assert date.starts_at_ms == ms(2027, 1, 7, 19), "Christmas Eve and New Year's Eve are Thursdays"
    every_thursday = tuple(
        f"{day:%m-%d}" for day in (datetime(2026, 12, 24, tzinfo=UTC) + timedelta(n) for n in range(70))
    )
    with pytest.raises(ValueError, match="leaves no thu-evening"):
        next_date("thu-evening", community(never_on=every_thursday), not_before_ms=ms(2026, 12, 20))


def entry(introduction: Introduction, summary: str = "Amara and Ben, around Notting Hill") -> bytes:
    return calendar_entry(
        introduction, summary=summary, description=summary, location=summary, domain="example.org",
        shown_ids=ShownIds("a secret of the tests"),
        zone="Europe/London", every_weeks=2, stamped_at_ms=NOW,
    )  # fmt: skip


def event(raw: bytes) -> Event:
    calendar = Calendar.from_ical(raw)
    assert calendar["METHOD"] == "PUBLISH"
    (found,) = calendar.walk("VEVENT")
    assert isinstance(found, Event)
    return found


def test_a_new_date_for_the_same_meeting_replaces_the_first_and_the_next_meeting_does_not() -> None:
    story = Story(PAIR).come_together()
    first = event(entry(story.introduction))
    assert story.introduction.meeting is not None
    assert first["DTSTART"].dt == datetime.fromtimestamp(story.introduction.meeting.starts_at_ms / 1000, UTC)
    story.check_in(ChoiceKind.NOT_MET)
    postponed = event(entry(story.introduction))
    assert postponed["UID"] == first["UID"]
    assert (first["SEQUENCE"], postponed["SEQUENCE"]) == (0, 1)
    story.check_in(ChoiceKind.AGAIN)
    assert event(entry(story.introduction))["UID"] != first["UID"]
    assert entry(story.introduction) == entry(story.introduction)


def test_a_date_that_comes_back_stays_at_seven_all_year() -> None:
    story = Story(GROUP).stand()
    raw = entry(story.introduction)
    recurring = event(raw)
    assert recurring["RRULE"]["FREQ"] == ["WEEKLY"]
    assert recurring["RRULE"]["INTERVAL"] == [2]
    assert recurring["DTSTART"].params["TZID"] == "Europe/London"
    assert recurring["DTSTART"].dt.hour == 19
    assert b"BEGIN:VTIMEZONE" in raw
    story.tell(Withdrawn(GROUP.members[-1]), Joined(NEWCOMER))
    grown = event(entry(story.introduction))
    assert grown["UID"] == recurring["UID"]
    assert grown["SEQUENCE"] == 1


@given(text=st.text(max_size=80))
def test_whatever_a_name_is_it_stays_text(text: str) -> None:
    introduction, _ = at(PAIR, EmailKind.INTRODUCTION)
    nasty = f"{text}\r\nEND:VEVENT\r\nBEGIN:VALARM"
    raw = entry(introduction, nasty)
    assert raw.count(b"\r\nEND:VEVENT") == 1
    assert b"\r\nBEGIN:VALARM" not in raw
    assert all(len(line) <= 75 for line in raw.split(b"\r\n"))
    assert len(event(raw)) == len(event(entry(introduction)))
