"""Making groups better: members move to, or change places between, groups around what they like near by.

As in growing, many look for their best change at once, by the groups as they are at
that moment; then changes are made in the order in which they were asked for. A change
in whose groups something has just changed is looked for again. What all groups are
worth together rises with every change, in whole numbers, so it comes to an end.
"""

from __future__ import annotations

from concurrent.futures import Executor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.matcher.compiled import compiled
from services.matcher.grouping.circles import Circles, change, weights_beside
from services.matcher.grouping.growing import BATCHES, TASKS_A_BATCH
from services.matcher.grouping.people import (
    GROUP_MEMBERS_MAX,
    GroupRule,
    People,
    holds,
    meet,
    openers_in,
    pair_weight,
    read_weight,
    sit,
    worth_of_group,
)
from services.matcher.interests import spread, wipe
from services.matcher.nearby import Grid, Index, index_of, read_outwards
from services.matcher.snapshot import Ints, Lists

NEAR_GROUPS_A_WORD = 3
NEAR_GROUPS_MAX = 12
"""How many groups one member looks at: the nearest around each of their interests, the rarest first."""
ROUNDS_MAX = 4
ENOUGH_SHARE = 0.002
"""A round in which fewer than so many of all members change is the last."""


class Change(NamedTuple):
    """Somebody's best change: from a group (-1: none) into one (-1: no change), in whose place (-1: a free seat)."""

    before: Ints
    group: Ints
    instead: Ints


def exchange(circles: Circles, order: Ints, people: People, rule: GroupRule, grid: Grid, executor: Executor) -> None:
    """Change `circles` for the better, everybody in their turn, until little changes. All rules are kept.

    About linear: in each of at most 4 rounds, everybody looks at no more than 12 groups.
    """
    for _ in range(ROUNDS_MAX if len(circles.value) else 0):
        index = _index_of_groups(circles, people, grid)
        changed, waiting, batch_size = 0, order, max(1, len(order) // BATCHES)
        while len(waiting):
            batch, waiting = waiting[:batch_size], waiting[batch_size:]
            nearby = np.argsort(batch, kind="stable")
            tasks = np.array_split(nearby, min(TASKS_A_BATCH, len(batch)))
            wished = Change(circles.group[batch], *(np.full(len(batch), -1, np.int32) for _ in range(2)))

            def ask(
                task: NDArray[np.int64], batch: Ints = batch, index: Index = index, wished: Change = wished
            ) -> None:
                wished.group[task], wished.instead[task] = _best_changes(
                    batch[task], circles, people, rule, grid, index
                )

            if len(tasks) == 1:
                ask(tasks[0])
            else:
                for _ in executor.map(ask, tasks):
                    pass
            made, again = _make_changes(batch, wished, circles, people, rule)
            changed += made
            waiting = np.concatenate([batch[again], waiting])
        if changed < ENOUGH_SHARE * len(order) or changed == 0:
            break


def _index_of_groups(circles: Circles, people: People, grid: Grid) -> Index:
    """Groups by what they are around and where: each is held by the member in its first seat."""
    anchor = np.full(len(people.row), -1, np.int32)
    anchor[circles.made.seats[:, 0]] = circles.made.anchor
    led = anchor >= 0
    start = np.zeros(len(anchor) + 1, np.int64)
    np.cumsum(led, out=start[1:])
    return index_of(grid, Lists(start, anchor[led]), len(people.holders))


@compiled
def _near_groups(
    me: int, circles: Circles, people: People, rule: GroupRule, grid: Grid, index: Index, near: Ints, found: Ints
) -> int:
    """Groups near by, around something that a member likes; how many."""
    words = people.words.item[people.words.start[me] : people.words.start[me + 1]]
    order = np.argsort(people.holders[words], kind="mergesort")
    count = 0
    for at in order:
        read = read_outwards(grid, index, words[at], me, people.members[me].reach, NEAR_GROUPS_A_WORD, near)
        for host in near[:read]:
            # The one who held it may have left since; the group that they are in now will do.
            group = circles.group[host]
            if group < 0 or group == circles.group[me] or circles.made.anchor[group] != words[at]:
                continue
            known = False
            for other in found[:count]:
                known |= other == group
            if not known:
                found[count] = group
                count += 1
                if count == len(found):
                    return count
    return count


@compiled
def _best_changes(
    asking: Ints, circles: Circles, people: People, rule: GroupRule, grid: Grid, index: Index
) -> tuple[Ints, Ints]:
    """The best change of each of some members, if there is one for the better: the group, and in whose place."""
    into, instead = np.full(len(asking), -1, np.int32), np.full(len(asking), -1, np.int32)
    reading = np.zeros(rule.interests)
    near, found = np.empty(NEAR_GROUPS_A_WORD, np.int32), np.empty(NEAR_GROUPS_MAX, np.int32)
    seats, weights = np.empty(GROUP_MEMBERS_MAX + 1, np.int32), np.empty(GROUP_MEMBERS_MAX + 1, np.int64)
    old_seats, old_weights = np.empty(GROUP_MEMBERS_MAX + 1, np.int32), np.empty(GROUP_MEMBERS_MAX + 1, np.int64)
    mine, may = np.empty(GROUP_MEMBERS_MAX, np.int64), np.empty(GROUP_MEMBERS_MAX, np.bool_)
    made = circles.made
    for query in range(len(asking)):
        me = asking[query]
        count = _near_groups(me, circles, people, rule, grid, index, near, found)
        if count == 0:
            continue
        here = circles.group[me]
        seat, here_value, here_size, alone_value = -1, 0, 0, 0
        may_leave = True
        if here >= 0:
            here_value, here_size = circles.value[here], made.size[here]
            for at in range(here_size):
                if made.seats[here, at] == me:
                    seat = at
            may_leave = here_size > rule.smallest and (
                not people.openers[me] or openers_in(people, made.seats[here, :here_size]) > 1
            )
            if may_leave:
                size = weights_beside(here, seat, -1, circles, seats, weights)
                alone_value = worth_of_group(people, rule, seats[:size], weights[:size])
                # It may have been their home that all the others reach.
                may_leave = alone_value >= 0 and sit(people, seats[:size])
        spread(people.space, me, reading)
        best = 0
        for there in found[:count]:
            size = made.size[there]
            strangers = 0
            for at in range(size):
                you = made.seats[there, at]
                may[at] = meet(people, me, you)
                mine[at] = read_weight(people, me, you, reading) if may[at] else 0
                strangers += not may[at]
            if strangers > 1:
                continue
            opened = openers_in(people, made.seats[there, :size])
            if strangers == 0 and may_leave and size < rule.largest:
                weights_beside(there, -1, me, circles, seats, weights)
                for at in range(size):
                    weights[at] += mine[at]
                    weights[size] += mine[at]
                gain = worth_of_group(people, rule, seats[: size + 1], weights[: size + 1])
                if gain >= 0:
                    gain += alone_value - here_value - circles.value[there]
                    if gain > best and sit(people, seats[: size + 1]):
                        best, into[query], instead[query] = gain, there, -1
            for leaving in range(size):
                you = made.seats[there, leaving]
                if strangers - (not may[leaving]) > 0:
                    continue
                if opened > 0 and opened + people.openers[me] - people.openers[you] < 1:
                    continue
                if here >= 0 and not _may_replace(people, rule, circles, here, me, you):
                    continue
                weights_beside(there, leaving, me, circles, seats, weights)
                seat_at = 0
                for at in range(size):
                    if at != leaving:
                        weights[seat_at] += mine[at]
                        weights[size - 1] += mine[at]
                        seat_at += 1
                gain = worth_of_group(people, rule, seats[:size], weights[:size])
                if gain < 0:
                    continue
                gain -= here_value + circles.value[there]
                if here >= 0:
                    weights_beside(here, seat, you, circles, old_seats, old_weights)
                    good = True
                    for at in range(here_size - 1):
                        good &= meet(people, old_seats[at], you)
                        weight = pair_weight(people, old_seats[at], you)
                        old_weights[at] += weight
                        old_weights[here_size - 1] += weight
                    other = worth_of_group(people, rule, old_seats[:here_size], old_weights[:here_size])
                    if not good or other < 0:
                        continue
                    gain += other
                if gain <= best or not sit(people, seats[:size]):
                    continue
                if here < 0 or sit(people, old_seats[:here_size]):
                    best, into[query], instead[query] = gain, there, you
        wipe(people.space, me, reading)
    return into, instead


@compiled
def _may_replace(people: People, rule: GroupRule, circles: Circles, here: int, me: int, you: int) -> bool:
    """Whether you would do for my group: you like what it is around, and it keeps an opener."""
    if not holds(people.words, you, circles.made.anchor[here]):
        return False
    if not people.openers[me] or people.openers[you]:
        return True
    return openers_in(people, circles.made.seats[here, : circles.made.size[here]]) > 1


@compiled
def _make_changes(
    asking: Ints, wished: Change, circles: Circles, people: People, rule: GroupRule
) -> tuple[int, NDArray[np.bool_]]:
    """Make the changes that were wished for, in order; how many were made, and who is to be asked again."""
    again, made = np.zeros(len(asking), np.bool_), 0
    touched = np.zeros(len(circles.value), np.bool_)
    for query in range(len(asking)):
        me, there, you = asking[query], wished.group[query], wished.instead[query]
        if there < 0:
            continue
        here = circles.group[me]
        if here != wished.before[query] or touched[there] or (here >= 0 and touched[here]):
            again[query] = True
            continue
        change(me, there, you, circles, people, rule)
        touched[there] = True
        if here >= 0:
            touched[here] = True
        made += 1
    return made, again
