"""Growing groups around somebody, by always taking the one who fits best with those who are in it already.

Many are asked at once, on several cores, by what is free at that moment; then their
groups are made in the order in which they were asked. Whoever wanted somebody that was
just taken is asked again first. So the answer is the same for any number of cores.
"""

from __future__ import annotations

from concurrent.futures import Executor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.matcher.compiled import compiled
from services.matcher.grouping.people import (
    GROUP_MEMBERS_MAX,
    GroupRule,
    People,
    meet,
    openers_in,
    place_for_all,
    read_weight,
)
from services.matcher.interests import spread, wipe
from services.matcher.nearby import Grid, Index, index_of, read_outwards
from services.matcher.score import distance_km
from services.matcher.snapshot import Ints

BATCHES = 16
"""Asking is done in about so many batches: one by one among few."""
TASKS_A_BATCH = 8
INDEX_AGAIN_SHARE = 0.6
"""When no more than this share of those in the index are still free, it is made anew: else most read are taken."""


class Made(NamedTuple):
    """Groups in the making: members, -1 behind the last, and the number of what each is around."""

    seats: Ints
    size: Ints
    anchor: Ints


def nothing_made() -> Made:
    return Made(np.empty((0, GROUP_MEMBERS_MAX), np.int32), np.empty(0, np.int32), np.empty(0, np.int32))


def grow(
    asking: Ints, people: People, rule: GroupRule, grid: Grid, free: NDArray[np.bool_], executor: Executor
) -> Made:
    """Grow a group around each of those who ask, where one can be had; takes its members out of `free`.

    About linear: each tries at most `anchors_max` anchors, each with at most `pool_max` others.
    """
    words = len(people.holders)
    batch_size = max(1, len(asking) // BATCHES)
    made = [nothing_made()]
    indexed, index = 0, None
    waiting = asking[free[asking]]
    while len(waiting):
        left = int(free.sum())
        if index is None or left < INDEX_AGAIN_SHARE * indexed:
            indexed, index = left, index_of(grid, people.words, words, free)
        batch, waiting = waiting[:batch_size], waiting[batch_size:]
        # Neighbours are asked one after the other: what one reads, the next one reads again.
        nearby = np.argsort(batch, kind="stable")
        tasks = np.array_split(nearby, min(TASKS_A_BATCH, len(batch)))
        wished = Made(
            np.full((len(batch), GROUP_MEMBERS_MAX), -1, np.int32),
            np.zeros(len(batch), np.int32),
            np.zeros(len(batch), np.int32),
        )

        def ask(task: NDArray[np.int64], batch: Ints = batch, index: Index = index, wished: Made = wished) -> None:
            seats, size, anchor = _wishes(batch[task], people, rule, grid, index, free)
            wished.seats[task], wished.size[task], wished.anchor[task] = seats, size, anchor

        if len(tasks) == 1:
            ask(tasks[0])
        else:
            for _ in executor.map(ask, tasks):
                pass
        taken, again = _take(wished.seats, wished.size, free)
        made.append(Made(*(array[taken] for array in wished)))
        waiting = np.concatenate([batch[again], waiting])
        waiting = waiting[free[waiting]]
    return Made(*(np.concatenate(arrays) for arrays in zip(*made, strict=True)))


@compiled
def _take(seats: Ints, size: Ints, free: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Make the groups that were wished for, in order; which were made, and who is to be asked again."""
    taken, again = np.zeros(len(size), np.bool_), np.zeros(len(size), np.bool_)
    for wish in range(len(size)):
        if size[wish] == 0:
            continue
        all_free = True
        for seat in seats[wish, : size[wish]]:
            all_free &= free[seat]
        if all_free:
            taken[wish] = True
            free[seats[wish, : size[wish]]] = False
        else:
            again[wish] = True
    return taken, again


@compiled
def _pool(
    people: People, rule: GroupRule, grid: Grid, index: Index, free: NDArray[np.bool_],
    host: int, word: int, near: Ints, pool: Ints,
) -> int:  # fmt: skip
    """Who near by shares a word with the host and may meet them, nearest cells first; how many."""
    read = read_outwards(grid, index, word, host, people.members[host].reach, rule.postings_max, near)
    count = 0
    for you in near[:read]:
        if you == host or not free[you] or not meet(people, host, you):
            continue
        apart = distance_km(people.members, host, you)
        if apart > people.members[host].reach and apart > people.members[you].reach:
            continue
        pool[count] = you
        count += 1
        if count == len(pool):
            break
    return count


@compiled
def _wishes(
    asking: Ints, people: People, rule: GroupRule, grid: Grid, index: Index, free: NDArray[np.bool_]
) -> tuple[Ints, Ints, Ints]:
    """The best group that each of those who ask could have around them: members, size (0 for none), anchor."""
    wished_seats = np.full((len(asking), GROUP_MEMBERS_MAX), -1, np.int32)
    wished_size, wished_anchor = np.zeros(len(asking), np.int32), np.full(len(asking), -1, np.int32)
    reading = np.zeros(rule.interests)
    near, pool = np.empty(rule.postings_max, np.int32), np.empty(rule.pool_max, np.int32)
    seats = np.empty(GROUP_MEMBERS_MAX, np.int32)
    among = np.zeros((GROUP_MEMBERS_MAX, rule.pool_max), np.int64)
    for query in range(len(asking)):
        host = asking[query]
        words = people.words.item[people.words.start[host] : people.words.start[host + 1]]
        # Rarest interest first; life topics come last, and only if no interest fills a group.
        order = np.argsort(people.holders[words] + (words >= rule.interests) * len(people.row), kind="mergesort")
        best_value, tried = -1, 0
        for at in order:
            word = words[at]
            if word >= rule.interests and wished_size[query] >= rule.wanted:
                break
            if people.holders[word] < rule.smallest or tried == rule.anchors_max:
                continue
            count = _pool(people, rule, grid, index, free, host, word, near, pool)
            if count + 1 < rule.smallest:
                continue
            if rule.openers_needed and not people.openers[host] and openers_in(people, pool[:count]) == 0:
                continue
            tried += 1
            seats[0] = host
            size, value = _fill(people, rule, seats, pool[:count], among, reading)
            if size > 0 and value > best_value:
                best_value = value
                wished_size[query], wished_anchor[query] = size, word
                wished_seats[query, :size] = seats[:size]
                wished_seats[query, size:] = -1
    return wished_seats, wished_size, wished_anchor


@compiled
def _fill(
    people: People, rule: GroupRule, seats: Ints, pool: Ints, among: NDArray[np.int64], reading: NDArray[np.float64]
) -> tuple[int, int]:
    """Seat members of a pool beside the host, one by one; the size (0 if it comes to nothing) and the mean value.

    `among[s, p]` is what the one in seat s and the p-th of the pool weigh together; -1 if they may not meet.
    """
    members = people.members
    size, slots, opened = 1, members[seats[0]].slots, people.openers[seats[0]]
    total, weights = np.zeros(len(pool), np.int64), np.zeros(GROUP_MEMBERS_MAX, np.int64)
    open_to = np.ones(len(pool), np.bool_)
    while size < rule.wanted:
        newest = seats[size - 1]
        spread(people.space, newest, reading)
        for place in range(len(pool)):
            you = pool[place]
            if not open_to[place]:
                continue
            # The pool has been asked whether they may meet the host.
            if size > 1 and (slots & members[you].slots == 0 or not meet(people, newest, you)):
                open_to[place] = False
                continue
            among[size - 1, place] = read_weight(people, newest, you, reading)
            total[place] += among[size - 1, place]
        wipe(people.space, newest, reading)
        chosen, chosen_value = -1, np.int64(-1)
        for place in range(len(pool)):
            you = pool[place]
            if not open_to[place]:
                continue
            if rule.openers_needed and not opened and not people.openers[you]:
                continue
            # Where openers are few, a second one in a group is one that another group lacks.
            value = total[place]
            if rule.openers_are_scarce and people.openers[you]:
                value = value // 1_000
            if value <= chosen_value:
                continue
            seats[size], weights[size] = you, total[place]
            if not _good_for_all(people, rule, seats[: size + 1], weights, among[:, place]):
                continue
            if place_for_all(members, seats[: size + 1]):
                chosen, chosen_value = place, value
        if chosen < 0:
            break
        you = pool[chosen]
        open_to[chosen] = False
        for seat in range(size):
            weights[seat] += among[seat, chosen]
        weights[size] = total[chosen]
        seats[size] = you
        size, slots, opened = size + 1, slots & members[you].slots, opened or people.openers[you]
    if size < rule.smallest:
        return 0, 0
    # The mean over pairs, less where the group is smaller than is wanted, whoever would take any size.
    return size, weights[:size].sum() * rule.share[0, size] // size


@compiled
def _good_for_all(
    people: People, rule: GroupRule, seats: Ints, weights: NDArray[np.int64], more: NDArray[np.int64]
) -> bool:
    """Whether a group with one more at its end is good enough beside the best pairs of all who look for both.

    `more` is what each of the others gains by that one. Two are no group yet: only the one who comes is asked.
    """
    last = len(seats) - 1
    for at in range(last if len(seats) < rule.smallest else 0, len(seats)):
        weight = weights[at] + (more[at] if at < last else 0)
        if weight * 100 < people.best_pair[seats[at]] * rule.worth_percent * last:
            return False
    return True
