"""Quiet hours by the clock on the wall, also when it jumps."""

from __future__ import annotations

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from services.notifier.quiet_hours import known_zone, quiet_until_ms
from shared.community import QuietHours

NIGHT = QuietHours()
ZONES = (
    "Europe/London", "UTC", "Asia/Kathmandu", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Pacific/Chatham",
    "Australia/Lord_Howe", "America/St_Johns", "Africa/Casablanca", "Pacific/Apia",
)  # fmt: skip


def ms(text: str, zone: str = "Europe/London", fold: int = 0) -> int:
    there = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return round(there.timestamp() * 1000)


def until(text: str, zone: str = "Europe/London", hours: QuietHours = NIGHT, fold: int = 0) -> str | None:
    """When emails go again, on that zone's wall; None if they go now."""
    found = quiet_until_ms(hours, zone, ms(text, zone, fold))
    return found if found is None else datetime.fromtimestamp(found / 1000, ZoneInfo(zone)).isoformat(" ", "minutes")


@pytest.mark.parametrize(
    ("at", "goes"),
    [
        ("2026-11-24 20:59:59", None),
        ("2026-11-24 21:00", "2026-11-25 08:00+00:00"),
        ("2026-11-24 23:59", "2026-11-25 08:00+00:00"),
        ("2026-11-25 00:00", "2026-11-25 08:00+00:00"),
        ("2026-11-25 07:59:59", "2026-11-25 08:00+00:00"),
        ("2026-11-25 08:00", None),
        ("2026-07-01 22:00", "2026-07-02 08:00+01:00"),
    ],
)  # fmt: skip
def test_the_night_in_london(at: str, goes: str | None) -> None:
    assert until(at) == goes


def test_the_night_in_which_the_clocks_go_forward_is_an_hour_shorter() -> None:
    # 29 March 2026, 01:00 GMT becomes 02:00 BST.
    assert until("2026-03-28 21:00") == "2026-03-29 08:00+01:00"
    assert quiet_until_ms(NIGHT, "Europe/London", ms("2026-03-28 21:00")) == ms("2026-03-28 21:00") + 10 * 3_600_000
    assert until("2026-03-29 00:30") == "2026-03-29 08:00+01:00"
    assert until("2026-03-29 07:30") == "2026-03-29 08:00+01:00"
    assert until("2026-03-29 08:00") is None


def test_the_night_in_which_they_go_back_is_an_hour_longer() -> None:
    # 25 October 2026, 02:00 BST becomes 01:00 GMT.
    assert until("2026-10-24 21:00") == "2026-10-25 08:00+00:00"
    assert quiet_until_ms(NIGHT, "Europe/London", ms("2026-10-24 21:00")) == ms("2026-10-24 21:00") + 12 * 3_600_000
    assert until("2026-10-25 01:30", fold=0) == "2026-10-25 08:00+00:00"
    assert until("2026-10-25 01:30", fold=1) == "2026-10-25 08:00+00:00"


def test_an_end_that_the_clock_jumps_over_ends_with_the_jump() -> None:
    early = QuietHours(begin=time(21), end=time(1, 30))
    assert until("2026-03-28 23:00", hours=early) == "2026-03-29 02:00+01:00"


def test_an_end_that_comes_twice_ends_it_the_first_time_and_again_the_second() -> None:
    early = QuietHours(begin=time(21), end=time(1, 30))
    assert until("2026-10-24 23:00", hours=early) == "2026-10-25 01:30+01:00"
    assert until("2026-10-25 01:45", hours=early, fold=0) is None
    assert until("2026-10-25 01:10", hours=early, fold=1) == "2026-10-25 01:30+00:00"


@pytest.mark.parametrize(
    ("zone", "at", "goes"),
    [
        ("Pacific/Kiritimati", "2026-11-24 22:00", "2026-11-25 08:00+14:00"),
        ("Pacific/Pago_Pago", "2026-11-24 22:00", "2026-11-25 08:00-11:00"),
        ("Asia/Kathmandu", "2026-11-24 22:00", "2026-11-25 08:00+05:45"),
        ("Pacific/Chatham", "2026-09-26 22:00", "2026-09-27 08:00+13:45"),  # their clocks go forward that night
        ("Australia/Lord_Howe", "2026-04-04 22:00", "2026-04-05 08:00+10:30"),  # by half an hour, and back
        ("Pacific/Apia", "2011-12-29 22:00", "2011-12-31 08:00+14:00"),  # the day that Samoa left out
    ],
)
def test_far_away(zone: str, at: str, goes: str) -> None:
    assert until(at, zone) == goes


walls = st.times().map(lambda wall: wall.replace(second=0, microsecond=0))


@given(
    begin=walls,
    end=walls,
    zone=st.sampled_from(ZONES),
    moment=st.datetimes(datetime(2010, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC)),
)
@settings(max_examples=300)
def test_it_is_the_first_minute_that_is_not_quiet(begin: time, end: time, zone: str, moment: datetime) -> None:
    hours = QuietHours(begin=begin, end=end)

    def is_quiet(at_ms: int) -> bool:
        wall = datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone)).time()
        return begin <= wall < end if begin < end else begin != end and (wall >= begin or wall < end)

    now_ms = round(moment.timestamp()) * 1000
    goes_ms = quiet_until_ms(hours, zone, now_ms)
    assert (goes_ms is not None) == is_quiet(now_ms)
    if goes_ms is not None:
        assert goes_ms > now_ms
        assert not is_quiet(goes_ms)
        step = max(60_000, (goes_ms - now_ms) // 200 // 60_000 * 60_000)
        assert all(is_quiet(at_ms) for at_ms in (*range(now_ms, goes_ms, step), goes_ms - 1))


def test_no_quiet_hours() -> None:
    assert until("2026-11-24 23:00", hours=QuietHours(begin=time(8), end=time(8))) is None


def test_times_as_people_write_them_in_a_file() -> None:
    assert QuietHours.model_validate(yaml.safe_load("{begin: 22:30, end: 07:15}")) == QuietHours(
        begin=time(22, 30), end=time(7, 15)
    )
    assert QuietHours.model_validate(yaml.safe_load('{begin: "22:30", end: "07:15"}')).begin == time(22, 30)


def test_a_zone_that_is_none_keeps_nothing_back() -> None:
    assert known_zone("Europe/Lisbon", "Europe/London") == "Europe/Lisbon"
    for nonsense in (None, "", "Mars/Olympus", "../../etc/passwd", "Europe", "\x00"):
        assert known_zone(nonsense, "Europe/London") == "Europe/London"


def test_whoever_asks_at_the_end_of_the_minute_is_not_sent_early() -> None:
    almost = ms("2026-11-25 07:59") + 59_999
    assert quiet_until_ms(NIGHT, "Europe/London", almost) == almost + 1
