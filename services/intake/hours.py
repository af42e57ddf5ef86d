"""What hours say about the part of the day: "after 6pm", "18:30", "10am-4pm". Pure, and of single words."""

from __future__ import annotations

import re
from collections.abc import Sequence

PARTS = ("morning", "afternoon", "evening")
UP_TO = frozenset({"-", "to", "until", "till", "til", "through", "thru"})
"""Words between the beginning and the end of a time."""
_STARTS = (0, 12, 17)
"""The hours at which morning, afternoon and evening begin."""
_INTO_IT_HOURS = 3
"""So far must a time reach into a part of the day to mean it too: "10am to 4pm" the afternoon, "10am to 2pm" not."""
_ON_24_HOURS = re.compile(r"(?:1[0-9]|2[0-3]):\d\d")
_CLOCK = re.compile(r"(\d{1,2})(?:[:.]\d\d)?\s?(am|pm)?")


def parts_at(word: str) -> tuple[frozenset[str], bool] | None:
    """The part of the day of a time, and whether its half of the day is told; `None` if the word is no time.

    >>> parts_at("18:30"), parts_at("7"), parts_at("soon")
    ((frozenset({'evening'}), True), (frozenset({'evening'}), False), None)
    """
    clock = _CLOCK.fullmatch(word)
    hour = None if clock is None else _hour(clock)
    if clock is None or hour is None:
        return None
    return frozenset({PARTS[_part_of(hour)]}), bool(clock[2] or _ON_24_HOURS.fullmatch(word))


def parts_around(relation: str, word: str) -> frozenset[str] | None:
    """The parts of the day "before" or "after" a time; `None` if the word is no time.

    >>> sorted(parts_around("before", "3pm")), sorted(parts_around("after", "2"))
    (['afternoon', 'morning'], ['afternoon', 'evening'])
    """
    clock = _CLOCK.fullmatch(word)
    hour = None if clock is None else _hour(clock)
    if hour is None:
        return None
    at = _part_of(hour)
    if relation == "before":
        return frozenset(PARTS[: max(1, at if hour in _STARTS else at + (hour < 24))])
    return frozenset(PARTS[at:])


def parts_between(words: Sequence[str]) -> frozenset[str] | None:
    """The parts of the day from a time to another, of three words; `None` if they are anything else.

    Without am or pm an hour up to 8 is one after noon.

    >>> sorted(parts_between(["9", "-", "5"])), sorted(parts_between(["6", "to", "9pm"]))
    (['afternoon', 'morning'], ['evening'])
    """
    first, last = _CLOCK.fullmatch(words[0]), _CLOCK.fullmatch(words[2])
    if first is None or last is None or words[1] not in (*UP_TO, "and"):
        return None
    begin, end = int(first[1]), int(last[1])
    if begin > 24 or end > 24:
        return None
    if last[2]:
        end = _on_24_hours(end, last[2])
    if first[2]:
        begin = _on_24_hours(begin, first[2])
    elif last[2]:
        same_half = _on_24_hours(begin, last[2])
        begin = same_half if same_half < end or end == 0 else begin % 12
    elif begin <= 8 and end <= 12 and not first[1].startswith("0"):
        begin += 12
    if end <= begin:
        end += 12
    at = _part_of(begin)
    reached = [part for part, start in enumerate(_STARTS) if part > at and end >= start + _INTO_IT_HOURS]
    return frozenset(PARTS[part] for part in (at, *reached))


def _hour(clock: re.Match[str]) -> int | None:
    """On 24 hours; an hour up to 9 without am or pm is one after noon. `None` if there is no such hour."""
    hour = int(clock[1])
    if hour > 24 or (clock[2] and hour > 12):
        return None
    if clock[2]:
        return _on_24_hours(hour, clock[2])
    return hour + 12 if 1 <= hour <= 9 else hour


def _on_24_hours(hour: int, half: str) -> int:
    return hour % 12 + (12 if half == "pm" else 0)


def _part_of(hour: int) -> int:
    return 0 if hour < _STARTS[1] else 1 if hour < _STARTS[2] else 2
