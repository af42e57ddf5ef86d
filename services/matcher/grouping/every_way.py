"""The best groups among very few: every group that could be is looked at, and every way to take some of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.matcher.compiled import compiled
from services.matcher.grouping.growing import Made
from services.matcher.grouping.people import (
    GROUP_MEMBERS_MAX,
    GroupRule,
    People,
    common_word,
    meet,
    openers_in,
    pair_weight,
    sit,
    worth_of_group,
)
from services.matcher.snapshot import Ints

MEMBERS_MAX = 16
"""Among so many there are at most 14,756 groups and 65,536 sets of members."""


def best_groups(people: People, rule: GroupRule) -> Made:
    """The groups that are worth most together, proved; a group without an opener counts half.

    If that makes no more groups than there are openers, then only groups with an opener are made. O(3^n) at
    the very worst, for n up to 16: well below a second.
    """
    masks, values, opened = _every_group(people, rule)
    worth = np.where(opened, values, values // 2)
    taken = _best_way(masks, worth, len(people.row))
    if len(taken) <= people.openers.sum() and not opened[taken].all():
        masks, worth = masks[opened], worth[opened]
        taken = _best_way(masks, worth, len(people.row))
    return _made(masks[taken], people, rule)


@compiled
def _every_group(people: People, rule: GroupRule) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """All groups that could be: who is in them, as bits; what each is worth; whether it has an opener."""
    n = len(people.row)
    weight, may = np.zeros((n, n), np.int64), np.zeros((n, n), np.bool_)
    for a in range(n):
        for b in range(a):
            may[a, b] = may[b, a] = meet(people, a, b)
            weight[a, b] = weight[b, a] = pair_weight(people, a, b)
    masks, values, opened = [np.int64(0) for _ in range(0)], [np.int64(0) for _ in range(0)], [True for _ in range(0)]
    seats, weights = np.empty(GROUP_MEMBERS_MAX, np.int32), np.empty(GROUP_MEMBERS_MAX, np.int64)
    # Seats are filled in rising order; the last one is moved on until nobody is left for it.
    size, seats[0] = 1, 0
    while size > 0:
        newest = seats[size - 1]
        if newest == n:
            size -= 1
            if size > 0:
                seats[size - 1] += 1
            continue
        good = True
        for seat in seats[: size - 1]:
            good &= may[seat, newest]
        if (
            good
            and size >= rule.smallest
            and common_word(people, rule, seats[:size]) >= 0
            and sit(people, seats[:size])
        ):
            mask = np.int64(0)
            for at in range(size):
                mask |= np.int64(1) << np.int64(seats[at])
                weights[at] = 0
                for other in seats[:size]:
                    weights[at] += weight[seats[at], other]
            value = worth_of_group(people, rule, seats[:size], weights[:size])
            if value >= 0:
                masks.append(mask)
                values.append(np.int64(value))
                opened.append(openers_in(people, seats[:size]) > 0)
        if good and size < rule.largest:
            seats[size] = newest + 1
            size += 1
        else:
            seats[size - 1] += 1
    return np.array(masks, np.int64), np.array(values, np.int64), np.array(opened, np.bool_)


@compiled
def _best_way(masks: NDArray[np.int64], worth: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Which groups to take, so that nobody is in two and they are worth the most together.

    `best[set]` is the most that the members of a set can be worth: the last of them is left, or is in a group.
    """
    last = np.empty(len(masks), np.int64)
    for place in range(len(masks)):
        last[place] = 0
        while masks[place] >> (last[place] + 1):
            last[place] += 1
    order = np.argsort(last, kind="mergesort")
    first = np.searchsorted(last[order], np.arange(n + 1))
    best, taken = np.zeros(1 << n, np.int64), np.full(1 << n, -1, np.int32)
    top = 0
    for these in range(1, 1 << n):
        if these >> (top + 1):
            top += 1
        best[these] = best[these ^ (1 << top)]
        for at in range(first[top], first[top + 1]):
            mask = masks[order[at]]
            if mask & these == mask:
                value = best[these ^ mask] + worth[order[at]]
                if value > best[these]:
                    best[these], taken[these] = value, order[at]
    found = np.empty(n, np.int64)
    count, left = 0, (1 << n) - 1
    for member in range(n - 1, -1, -1):
        if left >> member & 1 == 0:
            continue
        left &= (1 << (member + 1)) - 1
        if taken[left] >= 0:
            found[count] = taken[left]
            count += 1
            left ^= masks[taken[left]]
        else:
            left ^= 1 << member
    return found[:count]


def _made(masks: NDArray[np.int64], people: People, rule: GroupRule) -> Made:
    seats = np.full((len(masks), GROUP_MEMBERS_MAX), -1, np.int32)
    size, anchor = np.zeros(len(masks), np.int32), np.zeros(len(masks), np.int32)
    for place, mask in enumerate(masks.tolist()):
        rows: Ints = np.array([row for row in range(len(people.row)) if mask >> row & 1], np.int32)
        seats[place, : len(rows)], size[place] = rows, len(rows)
        anchor[place] = common_word(people, rule, rows)
    return Made(seats, size, anchor)
