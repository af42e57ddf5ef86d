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
    place_for_all,
    read_weight,
    slots_of,
    worth_of_group,
)
from services.matcher.interests import spread, wipe
from services.matcher.nearby import Grid, Index, index_of, read_outwards
from services.matcher.snapshot import Ints, Lists

NEAR_GROUPS_A_WORD = 3
NEAR_GROUPS_MAX = 12
"""How many groups one member looks at: the nearest around each of their interests, the rarest first."""
ROUNDS_MAX = 5
ENOUGH_SHARE = 0.05
"""Among many, a round in which fewer than so many of all change is the last: more would add a quarter of a per cent."""
FEW_MEMBERS = 5_000


class Change(NamedTuple):
    """Somebody's best change: from a group (-1: none) into one (-1: no change), in whose place (-1: a free seat)."""

    before: Ints
    group: Ints
    instead: Ints


def exchange(circles: Circles, order: Ints, people: People, rule: GroupRule, grid: Grid, executor: Executor) -> None:
    """Change `circles` for the better, everybody in their turn, until little changes. All rules are kept.

    About linear: in each of at most 5 rounds, everybody looks at no more than 12 groups.
    """
    asking, batch_size = order, max(1, len(order) // BATCHES)
    for _ in range(ROUNDS_MAX if len(circles.value) else 0):
        index = _index_of_groups(circles, people, grid)
        stirred = np.zeros(len(circles.value), np.bool_)
        changed, waiting = 0, asking
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
            made, again = _make_changes(batch, wished, circles, people, rule, stirred)
            changed += made
            waiting = np.concatenate([batch[again], waiting])
        if changed == 0 or (len(order) > FEW_MEMBERS and changed < ENOUGH_SHARE * len(order)):
            break
        # Next time only those are asked around whom something is new.
        asking = order[(circles.group[order] < 0) | stirred[circles.group[order]]]


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
    mine, may_go = np.empty(GROUP_MEMBERS_MAX, np.int64), np.empty(GROUP_MEMBERS_MAX + 1, np.bool_)
    made = circles.made
    for query in range(len(asking)):
        me, here = asking[query], circles.group[asking[query]]
        seat, here_size, here_value, value_without_me = -1, 0, 0, 0
        if here >= 0:
            here_size, here_value = made.size[here], circles.value[here]
            while made.seats[here, seat] != me or seat < 0:
                seat += 1
            value_without_me = _value_without(here, seat, circles, people, rule, seats, weights)
        best, is_spread = 0, False
        for there in found[: _near_groups(me, circles, people, rule, grid, index, near, found)]:
            size = made.size[there]
            # What costs little is looked at first: most groups are out of the question.
            if not _who_may_go(me, seat, there, value_without_me >= 0, circles, people, rule, may_go):
                continue
            if not is_spread:
                spread(people.space, me, reading)
                is_spread = True
            for at in range(size):
                mine[at] = read_weight(people, me, made.seats[there, at], reading)
            for leaving in range(-1, size):
                if not may_go[leaving]:
                    continue
                new_size = weights_beside(there, leaving, me, circles, seats, weights)
                place = 0
                for at in range(size):
                    if at != leaving:
                        weights[place] += mine[at]
                        weights[new_size - 1] += mine[at]
                        place += 1
                value = worth_of_group(people, rule, seats[:new_size], weights[:new_size])
                if value < 0:
                    continue
                gain = value - circles.value[there] - here_value
                if leaving < 0:
                    gain += value_without_me
                elif here >= 0:
                    you = made.seats[there, leaving]
                    weights_beside(here, seat, you, circles, old_seats, old_weights)
                    for at in range(here_size - 1):
                        weight = pair_weight(people, old_seats[at], you)
                        old_weights[at] += weight
                        old_weights[here_size - 1] += weight
                    value = worth_of_group(people, rule, old_seats[:here_size], old_weights[:here_size])
                    if value < 0:
                        continue
                    gain += value
                if gain <= best or not place_for_all(people.members, seats[:new_size]):
                    continue
                if here < 0 or leaving < 0 or place_for_all(people.members, old_seats[:here_size]):
                    best, into[query] = gain, there
                    instead[query] = made.seats[there, leaving] if leaving >= 0 else -1
        if is_spread:
            wipe(people.space, me, reading)
    return into, instead


@compiled
def _value_without(
    here: int, seat: int, circles: Circles, people: People, rule: GroupRule, seats: Ints, weights: NDArray[np.int64]
) -> int:
    """What a group is worth when the one in a seat has gone; -1 if it cannot do without."""
    size = circles.made.size[here]
    if size <= rule.smallest:
        return -1
    if people.openers[circles.made.seats[here, seat]] and openers_in(people, circles.made.seats[here, :size]) < 2:
        return -1
    weights_beside(here, seat, -1, circles, seats, weights)
    # It may have been their home that all the others reach.
    if not place_for_all(people.members, seats[: size - 1]):
        return -1
    return worth_of_group(people, rule, seats[: size - 1], weights[: size - 1])


@compiled
def _who_may_go(
    me: int, seat: int, there: int, may_leave: bool, circles: Circles, people: People, rule: GroupRule,
    may_go: NDArray[np.bool_],
) -> bool:  # fmt: skip
    """Who of a group might go, by seat, so that I may take their place and they mine; last, whether nobody need go.

    False if there is none of this. Weights and places are not looked at yet.
    """
    members, made = people.members, circles.made
    size = made.size[there]
    seats = made.seats[there, :size]
    may_go[:] = False
    strangers, stranger = 0, -1
    for at in range(size):
        if not meet(people, me, seats[at]):
            strangers, stranger = strangers + 1, at
            if strangers > 1:
                return False
    some = False
    if strangers == 0 and may_leave and size < rule.largest and slots_of(members, seats) & members[me].slots != 0:
        may_go[-1] = some = True
    opened = openers_in(people, seats)
    for leaving in range(size):
        if strangers > 0 and leaving != stranger:
            continue
        if opened > 0 and opened + people.openers[me] - people.openers[seats[leaving]] < 1:
            continue
        slots = members[me].slots
        for at in range(size):
            if at != leaving:
                slots &= members[seats[at]].slots
        if slots != 0 and (seat < 0 or _may_replace(me, seats[leaving], circles, people)):
            may_go[leaving] = some = True
    return some


@compiled
def _may_replace(me: int, you: int, circles: Circles, people: People) -> bool:
    """Whether you would do for my group: you like what it is around, may meet all of it, and it keeps an opener."""
    here = circles.group[me]
    seats = circles.made.seats[here, : circles.made.size[here]]
    if not holds(people.words, you, circles.made.anchor[here]):
        return False
    if people.openers[me] and not people.openers[you] and openers_in(people, seats) < 2:
        return False
    slots = people.members[you].slots
    for other in seats:
        if other != me:
            if not meet(people, other, you):
                return False
            slots &= people.members[other].slots
    return bool(slots != 0)


@compiled
def _make_changes(
    asking: Ints, wished: Change, circles: Circles, people: People, rule: GroupRule, stirred: NDArray[np.bool_]
) -> tuple[int, NDArray[np.bool_]]:
    """Make the changes that were wished for, in order; how many were made, and who is to be asked again.

    Marks the groups that were changed as `stirred`.
    """
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
        touched[there] = stirred[there] = True
        if here >= 0:
            touched[here] = stirred[here] = True
        made += 1
    return made, again
