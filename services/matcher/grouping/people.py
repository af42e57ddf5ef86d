"""What groups are made of: those who look for one, laid out by where they live, and what is asked about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.matcher.compiled import compiled
from services.matcher.graph import CompatibilityGraph
from services.matcher.interests import TASTE_DIMENSIONS, InterestArrays, InterestSpace, similarity_of, taste_part
from services.matcher.nearby import Grid, grid_over
from services.matcher.policy import Policy
from services.matcher.rules import may_meet
from services.matcher.score import ScoreRule, distance_km, weight_of, worth
from services.matcher.snapshot import LOOKS_FOR_GROUP, LOOKS_FOR_PAIR, AgeRule, Barred, Ints, Lists, Snapshot, starts

GROUP_MEMBERS_MAX = 6
VALUE_UNIT = 3_600
"""So many units of value to a millionth: divides by any number of companions and by any size that was wanted."""


@dataclass(frozen=True)
class Group:
    """A group, by rows of the snapshot."""

    members: tuple[int, ...]
    """Sorted."""
    anchor_kind: Literal["interest", "life_topic"]
    anchor: str


class GroupRule(NamedTuple):
    """What groups are made by, as compiled code reads it."""

    smallest: int
    wanted: int
    largest: int
    interests: int
    """Words below this number are interests, those from it on life topics."""
    worth_percent: int
    pool_max: int
    postings_max: int
    anchors_max: int
    openers_are_scarce: bool
    """Then no group takes a second opener if it can help it."""
    openers_needed: bool
    """Whether no group is made without an opener: where there are enough for all that could be made at all."""
    share: NDArray[np.int64]
    """(2, 7) what a member gains of each companion's weight in a group of a size, in units of value: for those who
    want the wanted size, and for those who have waited so long that they take any."""


class People(NamedTuple):
    """Everything that is asked about those who look for a group. They are numbered anew, cell by cell."""

    row: Ints
    """The row of each in the snapshot."""
    members: NDArray[Any]
    openers: NDArray[np.bool_]
    space: InterestArrays
    words: Lists
    """Interests and life topics, one numbering."""
    holders: NDArray[np.int64]
    """(words,) how many of them hold each."""
    barred: Barred
    age_rule: AgeRule
    score: ScoreRule
    best_pair: NDArray[np.int64]
    """The weight of each one's best pair; 0 for who does not look for one, or has none."""


OPENERS_SCARCE_FACTOR = 2
"""With fewer openers than so many for every group that could be made, they are scarce."""


def people_of(
    graph: CompatibilityGraph | None, members: Snapshot, policy: Policy, space: InterestSpace | None
) -> tuple[People, GroupRule, Grid]:
    """See those who look for a group, in O(n log n)."""
    space = space or InterestSpace.of(members.interests, len(members.interest_words))
    interests, sizes = len(members.interest_words), members.community.groups
    seeking = np.flatnonzero(members.members["looks_for"] & LOOKS_FOR_GROUP).astype(np.int32)
    words = interests + len(members.topic_words)
    grid = grid_over(members.members[seeking], words)
    order = np.argsort(grid.cell, kind="stable")
    row = seeking[order]
    grid = grid._replace(cell=grid.cell[order])
    records = members.members[row]
    openers = members.openers(policy.goes_first_min, policy.opener_load_max)[row]

    start, picked = _picked(space.arrays.start, row)
    arrays = space.arrays
    arrays = arrays._replace(
        start=start, item=arrays.item[picked], weight=arrays.weight[picked], scale=arrays.scale[row],
        taste=arrays.taste[row],
    )  # fmt: skip
    joined = _joined(Lists(start, arrays.item), _of_rows(members.topics, row), interests)
    people = People(
        row,
        records,
        openers,
        arrays,
        joined,
        np.bincount(joined.item, minlength=words),
        _barred_among(members.barred, row, members.size),
        members.age_rule,
        ScoreRule.of(policy),
        _best_pairs(graph, members.size)[row] * ((records["looks_for"] & LOOKS_FOR_PAIR) > 0),
    )
    rule = GroupRule(
        sizes.smallest,
        sizes.wanted,
        sizes.largest,
        interests,
        policy.group_worth_percent,
        policy.group_pool_members_max,
        policy.group_postings_read_max,
        policy.group_anchors_tried_max,
        bool(openers.sum() * sizes.wanted < OPENERS_SCARCE_FACTOR * len(row)),
        bool(openers.sum() >= len(row) // sizes.smallest),
        _shares(sizes.wanted),
    )
    return people, rule, grid


def _shares(wanted: int) -> NDArray[np.int64]:
    share = np.zeros((2, GROUP_MEMBERS_MAX + 1), np.int64)
    for size in range(2, GROUP_MEMBERS_MAX + 1):
        share[0, size] = VALUE_UNIT * min(size, wanted) // ((size - 1) * max(size, wanted))
        share[1, size] = VALUE_UNIT // (size - 1)
    return share


def _best_pairs(graph: CompatibilityGraph | None, size: int) -> NDArray[np.int64]:
    best = np.zeros(size, np.int64)
    if graph is not None and len(graph.neighbour):
        some = np.flatnonzero(np.diff(graph.start))
        best[some] = np.maximum.reduceat(graph.weight, graph.start[some])
    return best


def _picked(start: NDArray[np.int64], rows: Ints) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where some rows' lists start when they are laid one after another, and where each entry comes from."""
    length = np.diff(start)[rows]
    new = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(length, out=new[1:])
    return new, np.arange(new[-1]) + np.repeat(start[:-1][rows] - new[:-1], length)


def _of_rows(lists: Lists, rows: Ints) -> Lists:
    start, picked = _picked(lists.start, rows)
    return Lists(start, lists.item[picked])


def _joined(one: Lists, other: Lists, offset: int) -> Lists:
    """Both lists of each row, one behind the other: sorted, since the other's numbers are the higher ones."""
    start = one.start + other.start
    item = np.empty(len(one.item) + len(other.item), np.int32)
    item[np.arange(len(one.item)) + np.repeat(other.start[:-1], np.diff(one.start))] = one.item
    item[np.arange(len(other.item)) + np.repeat(one.start[1:], np.diff(other.start))] = other.item + np.int32(offset)
    return Lists(start, item)


def _barred_among(barred: Barred, row: Ints, size: int) -> Barred:
    place = np.full(size, -1, np.int32)
    place[row] = np.arange(len(row), dtype=np.int32)
    start, picked = _picked(barred.start, row)
    who, other, why = np.repeat(np.arange(len(row)), np.diff(start)), place[barred.other[picked]], barred.why[picked]
    there = other >= 0
    return Barred(starts(who[there], len(row)), other[there], why[there]).sorted()


@compiled
def pair_weight(people: People, a: int, b: int) -> int:
    """The integer weight of a pair, by merging their lists: the same as by reading one at the other's places."""
    space = people.space
    one, one_end, other, other_end = space.start[a], space.start[a + 1], space.start[b], space.start[b + 1]
    overlap = 0.0
    while one < one_end and other < other_end:
        if space.item[one] == space.item[other]:
            idf = space.idf[space.item[one]]
            overlap += idf * space.scale[a] * (idf * space.scale[b])
            one += 1
            other += 1
        elif space.item[one] < space.item[other]:
            one += 1
        else:
            other += 1
    return _weight(people, a, b, overlap)


@compiled
def read_weight(people: People, me: int, you: int, reading: NDArray[np.float64]) -> int:
    """The same, with my weights spread in `reading`: quicker for one who is compared with many."""
    space, overlap, scale = people.space, 0.0, people.space.scale[you]
    for place in range(space.start[you], space.start[you + 1]):
        item = space.item[place]
        # idf * scale is the weight: memory that need not be read.
        overlap += space.idf[item] * scale * reading[item]
    return _weight(people, me, you, overlap)


@compiled
def _weight(people: People, a: int, b: int, overlap: float) -> int:
    cosine = 0
    for axis in range(TASTE_DIMENSIONS):
        cosine += int(people.space.taste[a, axis]) * int(people.space.taste[b, axis])
    _, _, total = worth(people.members, a, b, similarity_of(overlap, taste_part(cosine)), people.score)
    return weight_of(people.members, a, b, total, people.score)


@compiled
def meet(people: People, a: int, b: int) -> bool:
    return may_meet(people.members, a, b, people.barred, people.age_rule)


@compiled
def holds(words: Lists, member: int, word: int) -> bool:
    return word in words.item[words.start[member] : words.start[member + 1]]


@compiled
def common_word(people: People, rule: GroupRule, seats: Ints) -> int:
    """The rarest interest that all of them share, else the rarest life topic, else -1."""
    best, best_rank = -1, 0
    first = seats[0]
    for place in range(people.words.start[first], people.words.start[first + 1]):
        word = people.words.item[place]
        rank = people.holders[word] + (word >= rule.interests) * len(people.row)
        if best >= 0 and rank >= best_rank:
            continue
        shared = True
        for seat in seats[1:]:
            shared &= holds(people.words, seat, word)
        if shared:
            best, best_rank = word, rank
    return best


@compiled
def place_for_all(members: NDArray[Any], seats: Ints) -> bool:
    """Whether everybody reaches where one of them lives."""
    for host in seats:
        good = True
        for guest in seats:
            if distance_km(members, guest, host) > members[guest].reach:
                good = False
                break
        if good:
            return True
    return False


@compiled
def slots_of(members: NDArray[Any], seats: Ints) -> int:
    """A mask of the slots that all are free at."""
    slots = -1
    for seat in seats:
        slots &= members[seat].slots
    return slots


@compiled
def sit(people: People, seats: Ints) -> bool:
    """Whether there is a time and a place for all."""
    return slots_of(people.members, seats) != 0 and place_for_all(people.members, seats)


@compiled
def openers_in(people: People, seats: Ints) -> int:
    count = 0
    for seat in seats:
        count += people.openers[seat]
    return count


@compiled
def worth_of_group(people: People, rule: GroupRule, seats: Ints, weights: NDArray[np.int64]) -> int:
    """What a group is worth, in units of value, if `weights` is what each one's pairs with the others weigh together.

    To each it is worth the mean of their pairs, and counts for less in a group of another size than is wanted,
    until waiting has eased that. -1 if for somebody who looks for both the mean is too little beside their best pair.
    """
    size, total = len(seats), 0
    for at in range(size):
        one = seats[at]
        if weights[at] * 100 < people.best_pair[one] * rule.worth_percent * (size - 1):
            return -1
        total += weights[at] * rule.share[1 if people.members[one].takes_any_size else 0, size]
    return total
