"""An opener for every group: those that lack one get one by force, whatever it costs in value.

A group in which nobody is happy to go first is a hard place to be the first in. So
where openers are spread unevenly, one who is free, or one of two in another group, takes
the place of somebody here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.matcher.compiled import compiled
from services.matcher.grouping.circles import Circles, change, weights_beside
from services.matcher.grouping.people import (
    GROUP_MEMBERS_MAX,
    GroupRule,
    People,
    holds,
    meet,
    openers_in,
    pair_weight,
    sit,
    worth_of_group,
)
from services.matcher.nearby import Grid, Index, index_of, read_outwards
from services.matcher.snapshot import Ints

OPENERS_LOOKED_AT_MAX = 64
"""So many of the nearest openers who like what a group is around are asked."""


def open_all(circles: Circles, people: People, rule: GroupRule, grid: Grid) -> None:
    """Give groups without an opener one, where somebody near by can be spared. Changes `circles`."""
    made = circles.made
    opened = np.logical_or.reduce(people.openers[made.seats] & (made.seats >= 0), axis=1)
    closed = np.flatnonzero(~opened).astype(np.int32)
    asked = people.openers & bool(len(closed))
    # Even where there is nothing to do: so one small round compiles whatever a large one will need.
    _open(closed, circles, people, rule, grid, index_of(grid, people.words, len(people.holders), asked))


@compiled
def _open(closed: Ints, circles: Circles, people: People, rule: GroupRule, grid: Grid, index: Index) -> None:
    made = circles.made
    near = np.empty(OPENERS_LOOKED_AT_MAX, np.int32)
    seats, weights = np.empty(GROUP_MEMBERS_MAX + 1, np.int32), np.empty(GROUP_MEMBERS_MAX + 1, np.int64)
    for group in closed:
        first = made.seats[group, 0]
        # Twice as far as the first of them goes: the opener may live beyond.
        reach = 2 * people.members[first].reach
        read = read_outwards(grid, index, made.anchor[group], first, reach, OPENERS_LOOKED_AT_MAX, near)
        best, best_opener, best_leaving = np.int64(-1) << 62, -1, -1
        for opener in near[:read]:
            other = circles.group[opener]
            if other >= 0 and openers_in(people, made.seats[other, : made.size[other]]) < 2:
                continue
            for leaving in range(-1, made.size[group]):
                if leaving < 0 and made.size[group] >= rule.largest:
                    continue
                leaver = made.seats[group, leaving] if leaving >= 0 else -1
                gain = _gain(group, leaving, opener, circles, people, rule, seats, weights)
                if gain < 0:
                    continue
                gain -= circles.value[group]
                if other >= 0:
                    seat = 0
                    while made.seats[other, seat] != opener:
                        seat += 1
                    if leaver < 0 and made.size[other] <= rule.smallest:
                        continue
                    if leaver >= 0 and not holds(people.words, leaver, made.anchor[other]):
                        continue
                    theirs = _gain(other, seat, leaver, circles, people, rule, seats, weights)
                    if theirs < 0:
                        continue
                    gain += theirs - circles.value[other]
                if gain > best:
                    best, best_opener, best_leaving = gain, opener, leaver
        if best_opener >= 0:
            change(best_opener, group, best_leaving, circles, people, rule)


@compiled
def _gain(
    group: int, leaving: int, coming: int, circles: Circles, people: People, rule: GroupRule,
    seats: Ints, weights: NDArray[np.int64],
) -> int:  # fmt: skip
    """What a group is worth when one leaves (a seat, or -1) and one comes (a member, or -1); -1 if it cannot be."""
    size = weights_beside(group, leaving, coming, circles, seats, weights)
    if coming >= 0:
        for at in range(size - 1):
            if not meet(people, seats[at], coming):
                return -1
            weight = pair_weight(people, seats[at], coming)
            weights[at] += weight
            weights[size - 1] += weight
    # Who leaves may take with them the home that all the others reach.
    if not sit(people, seats[:size]):
        return -1
    return worth_of_group(people, rule, seats[:size], weights[:size])
