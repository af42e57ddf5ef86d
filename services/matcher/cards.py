"""What a search reads of a member: one card of 64 bytes, which is one line of the cache.

A search looks at hundreds of millions of cards, and waiting for memory is most of its
cost. So a card has all that decides whether somebody comes into question, and how
well they would suit: sixteen interests, taste, place, slots, languages, openness. What is on
a card is rounded; whoever is found is scored again exactly
(`services.matcher.score`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.matcher.compiled import compiled
from services.matcher.interests import TASTE_DIMENSIONS, InterestArrays, InterestSpace
from services.matcher.score import ScoreRule, openness_fit
from services.matcher.snapshot import Ints, Snapshot

INTERESTS_ON_CARD = 16
SCALE_MAX = 5
"""Openness is four ratings of 1 to 5."""
KINDS = SCALE_MAX**4
"""So there are 625 kinds of people, as far as openness goes."""
_NUMBER_MAX = np.iinfo(np.uint16).max

LANGUAGES_ON_CARD = 23
"""The most spoken ones. One bit more stands for all others: two who share it may still have none in common."""
LANGUAGES_BITS = (1 << LANGUAGES_ON_CARD + 1) - 1
YEAR_ZERO, YEARS_BITS = 1900, 127
SLOTS_BITS = (1 << 21) - 1
LOOKS_FOR_SHIFT = 21
NEEDS_SHARED_INTEREST = 1 << 24
HAS_MORE = 1 << 25
"""Interests than are on the card."""

CARD = np.dtype(
    [
        ("interests", "u2", (INTERESTS_ON_CARD,)),  # by `Cards.number`
        ("taste", "i1", (TASTE_DIMENSIONS,)),
        ("scale", "f4"),  # 1 / length of the member's interests
        ("east", "u2"), ("north", "u2"), ("reach", "u2"),  # in units of `Cards.unit_km`
        ("kind", "u2"),  # of openness
        ("languages", "i4"),  # and the year of birth above them
        ("flags", "i4"),  # slots, what is looked for, and the two above
    ],
    align=True,
)  # fmt: skip


class Cards(NamedTuple):
    """The cards of all members, in the order of their cells, and what is needed to read them."""

    card: NDArray[Any]
    number: NDArray[np.uint16]
    """(interests,) the number of each interest on cards; the last number stands for none, and for the rarest."""
    none: int
    unit_km: float
    fit: NDArray[np.float32]
    """(KINDS, KINDS) what openness of one kind is worth to another, in parts of the whole score."""
    fit_of: NDArray[np.float32]
    """Its transpose: both are read by rows."""


def cards_of(snapshot: Snapshot, space: InterestSpace, rule: ScoreRule, order: Ints) -> Cards:
    """Write the cards of members in some order; about 0.3 us each."""
    members = snapshot.members[order]
    card = np.zeros(len(order), CARD)
    west, south = members["east"].min(initial=0.0), members["north"].min(initial=0.0)
    extent = max(members["east"].max(initial=0.0) - west, members["north"].max(initial=0.0) - south, 1.0)
    unit_km = extent / _NUMBER_MAX
    card["east"] = np.rint((members["east"] - west) / unit_km)
    card["north"] = np.rint((members["north"] - south) / unit_km)
    # Rounded up, and two units more for the rounding of places: nobody within reach may be missed.
    card["reach"] = np.minimum(np.ceil(members["reach"] / unit_km) + 2, _NUMBER_MAX)
    year = np.clip(members["birth_year"].astype(np.int32) - YEAR_ZERO, 0, YEARS_BITS)
    rarer = (members["languages"] >> LANGUAGES_ON_CARD != 0).astype(np.int32) << LANGUAGES_ON_CARD
    common = (members["languages"] & LANGUAGES_BITS >> 1).astype(np.int32)
    card["languages"] = common | rarer | year << LANGUAGES_ON_CARD + 1
    card["flags"] = members["slots"] | members["looks_for"].astype(np.int32) << LOOKS_FOR_SHIFT
    card["flags"] |= np.where(members["needs_shared_interest"], NEEDS_SHARED_INTEREST, 0).astype(np.int32)
    scales = [members[name].astype(np.int64) - 1 for name in ("shares", "listens", "goes_first", "depth")]
    card["kind"] = ((scales[0] * SCALE_MAX + scales[1]) * SCALE_MAX + scales[2]) * SCALE_MAX + scales[3]
    card["scale"] = space.arrays.scale[order]
    card["taste"] = space.arrays.taste[order]
    # Numbers go to those with most holders first, should there be more interests than numbers.
    commonest = np.argsort(-space.holders, kind="stable")[:_NUMBER_MAX]
    none = len(commonest)
    number = np.full(max(1, len(space.holders)), none, np.uint16)
    number[commonest] = np.arange(none)
    _write_interests(card, space.arrays, order, number, none)
    fit = (rule.openness * _fit_of_all_kinds()).astype(np.float32)
    return Cards(card, number, none, unit_km, fit, np.ascontiguousarray(fit.T))


@compiled
def year_on(card: Any) -> int:
    """The year of birth on a card."""
    return YEAR_ZERO + (card.languages >> LANGUAGES_ON_CARD + 1)  # type: ignore[no-any-return]


@compiled
def _write_interests(
    card: NDArray[Any], space: InterestArrays, order: Ints, number: NDArray[np.uint16], none: int
) -> None:
    for row in range(len(order)):
        card[row].interests[:] = none
        count = 0
        for place in range(space.start[order[row]], space.start[order[row] + 1]):
            its = number[space.item[place]]
            if its == none or count == INTERESTS_ON_CARD:
                card[row].flags |= HAS_MORE
            else:
                card[row].interests[count] = its
                count += 1


@compiled
def _fit_of_all_kinds() -> NDArray[np.float64]:
    fit = np.empty((KINDS, KINDS))
    for me in range(KINDS):
        for you in range(KINDS):
            fit[me, you] = openness_fit(
                max(me // 5 % 5, you // 5 % 5) + 1, me % 5 + 1, you % 5 + 1, you // 25 % 5 + 1, you // 125 + 1
            )
    return fit
