"""Time slots: a weekday and a part of it, in the community's time zone.

A set of slots is a bit mask on hot paths: 21 bits, Monday morning the lowest.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

Slot = Literal[
    "mon-morning", "mon-afternoon", "mon-evening",
    "tue-morning", "tue-afternoon", "tue-evening",
    "wed-morning", "wed-afternoon", "wed-evening",
    "thu-morning", "thu-afternoon", "thu-evening",
    "fri-morning", "fri-afternoon", "fri-evening",
    "sat-morning", "sat-afternoon", "sat-evening",
    "sun-morning", "sun-afternoon", "sun-evening",
]  # fmt: skip

SLOTS: tuple[Slot, ...] = get_args(Slot)
"""All slots, in the order of the week; the place of a slot here is its bit."""

ALL_SLOTS_MASK = (1 << len(SLOTS)) - 1
_BIT = {slot: 1 << place for place, slot in enumerate(SLOTS)}


def mask_of(slots: Iterable[Slot]) -> int:
    """The bit mask of some slots.

    >>> bin(mask_of(["mon-morning", "mon-evening"]))
    '0b101'
    """
    mask = 0
    for slot in slots:
        mask |= _BIT[slot]
    return mask


def slots_in(mask: int) -> tuple[Slot, ...]:
    """The slots of a bit mask, in the order of the week.

    >>> slots_in(0b101)
    ('mon-morning', 'mon-evening')
    """
    return tuple(slot for place, slot in enumerate(SLOTS) if mask >> place & 1)
