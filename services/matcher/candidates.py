"""The best partners of each member: whom they might be suggested to, by the whole score.

A member who has few others in reach looks at every one of them, and what is found is
exact. In a crowd they read an index by interest, willingness to go first and cell: the
rarest interest first, and from each the nearest cells, farther out for those who are
happy to go first than for others, since that weighs as much as some kilometres. A bound
on what is read makes the whole linear in the number of members, and nobody is cut off
from the next street by a border.

Waiting plays no part in it: who waited for long weighs more in the pairing, but if they
were among everybody's candidates they would only crowd out the others.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.matcher.cards import LOOKS_FOR_SHIFT, NEEDS_SHARED_INTEREST, cards_of
from services.matcher.comparison import SPARE, Asking, City, compare, keep_the_best, sit_down, stand_up
from services.matcher.compiled import compiled
from services.matcher.interests import InterestSpace
from services.matcher.nearby import Grid, Index, count_in_window, grid_over, index_of, read_ring, read_window, window
from services.matcher.policy import Policy
from services.matcher.score import NEAR_SHARE, OPENER_SHARE, ScoreRule
from services.matcher.snapshot import LOOKS_FOR_PAIR, Ints, Lists, Snapshot

_QUERIES_A_TASK = 4_096
WILLING_FROM = (5, 4, 1)
"""The index keeps apart who is very happy to go first, who is happy to, and who is not, by their rating."""
_WILLINGNESS = len(WILLING_FROM)
_RAREST_TAKE = 3.0
"""An interest may read so many times its even part of what is left to read: the rarest come first."""


def best_candidates(
    snapshot: Snapshot,
    space: InterestSpace,
    policy: Policy,
    *,
    looking_for: int = LOOKS_FOR_PAIR,
    rows: Ints | None = None,
    among: Ints | None = None,
) -> Ints:
    """The best feasible partners of each member, or of the given rows; found `among` some rows alone, if that is said.

    Feasible is who is within both travel distances, has a slot, a language and (until waiting
    has eased it for both) an interest in common, looks for the same (`looking_for`, a bit of
    `snapshot`), is of a similar age, and was neither blocked nor suggested together before.
    Best is who has most of the total score, in millionths; of equals, who comes first by id.

    Returns
    -------
    ndarray of int32, shape (rows, candidates_per_member)
        Best first; -1 where there are fewer. The same for any number of threads.

    Notes
    -----
    Exact for members with at most `Policy.scanned_members_max` others around them. Beyond, time is
    bounded by `Policy.postings_read_max` for each member: 25 to 40 us with 2,000, on one core. In a
    made-up city of a million that finds .99 of what brute force does (benchmarks/candidates.py).
    """
    among = np.arange(snapshot.size, dtype=np.int32) if among is None else among
    city = _city(snapshot, space, ScoreRule.of(policy), among)
    place = np.full(snapshot.size, -1, np.int32)
    place[city.order] = np.arange(len(city.order), dtype=np.int32)
    asking = place[among if rows is None else rows]
    # In the order of their cells: what one reads, the next one reads again.
    by_cell = np.argsort(asking, kind="stable")
    found = np.empty((len(asking), policy.candidates_per_member), np.int32)
    tasks = [by_cell[first : first + _QUERIES_A_TASK] for first in range(0, len(by_cell), _QUERIES_A_TASK)]
    bounds = _Bounds(
        policy.candidates_per_member, policy.scanned_members_max, policy.postings_read_max, policy.nearest_read_max
    )

    def look(task: NDArray[np.int64]) -> None:
        found[task] = _best(asking[task], city, looking_for, ScoreRule.of(policy), bounds)

    if len(tasks) < 2 or policy.threads < 2:
        for task in tasks:
            look(task)
    else:
        with ThreadPoolExecutor(policy.threads, "candidates") as pool:
            for _ in pool.map(look, tasks):
                pass
    return found


class _Bounds(NamedTuple):
    """How far a search goes: see `Policy`."""

    wanted: int
    scanned_max: int
    postings_max: int
    nearest_max: int


def _city(snapshot: Snapshot, space: InterestSpace, rule: ScoreRule, among: Ints) -> City:
    interests = len(space.holders)
    by_row = grid_over(snapshot.members[among], interests * _WILLINGNESS)
    by_cell = np.argsort(by_row.cell, kind="stable")
    order = among[by_cell]
    grid = by_row._replace(cell=by_row.cell[by_cell])
    start, picked = _gathered(space.arrays.start, order)
    willing = np.argmax(snapshot.members["goes_first"][order][:, None] >= np.array(WILLING_FROM), axis=1)
    word = space.arrays.item[picked] * np.int32(_WILLINGNESS) + np.repeat(willing.astype(np.int32), np.diff(start))
    everyone = Lists(np.arange(len(order) + 1), np.zeros(len(order), np.int32))
    return City(
        cards_of(snapshot, space, rule, order),
        order,
        snapshot.members,
        space.arrays,
        space.holders,
        snapshot.barred,
        snapshot.age_rule,
        grid,
        index_of(grid, Lists(start, word), interests * _WILLINGNESS),
        index_of(grid, everyone, 1),
    )


def _gathered(start: NDArray[np.int64], order: Ints) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where rows start when they are laid out in another order, and where each entry comes from."""
    length = np.diff(start)[order]
    new = np.zeros(len(order) + 1, np.int64)
    np.cumsum(length, out=new[1:])
    return new, np.arange(new[-1]) + np.repeat(start[:-1][order] - new[:-1], length)


@compiled
def _best(asking: Ints, city: City, looking_for: int, rule: ScoreRule, bounds: _Bounds) -> Ints:
    """The rows of the best for each of the places that ask."""
    space, cards, grid = city.space, city.cards, city.grid
    found = np.full((len(asking), bounds.wanted), -1, np.int32)
    room = max(bounds.scanned_max, bounds.postings_max + bounds.nearest_max)
    me = Asking(
        np.zeros(cards.none + 1, np.float32),
        np.zeros(len(city.holders)),
        np.zeros(len(city.holders), np.bool_),
        np.full(bounds.wanted + SPARE, -1, np.int32),
        np.full(bounds.wanted + SPARE, -1, np.float32),
        np.zeros((len(cards.card) >> 6) + 1, np.uint64),
        np.empty(room + 1, np.int32),
        np.empty(room + 1, np.float32),
    )
    near = np.empty(room, np.int32)
    for query in range(len(asking)):
        place = asking[query]
        mine = cards.card[place]
        if (mine.flags >> LOOKS_FOR_SHIFT) & looking_for == 0:
            continue
        row = city.order[place]
        first, last = space.start[row], space.start[row + 1]
        sit_down(row, place, city, rule, me)
        reach = city.members[row].reach
        left, right, bottom, top = window(grid, place, reach)
        read = 0
        if count_in_window(grid, city.everyone, 0, left, right, bottom, top) <= bounds.scanned_max:
            read = read_window(grid, city.everyone, 0, left, right, bottom, top, near, 0)
            compare(place, near[:read], False, city, looking_for, rule, me)
        else:
            rarest = np.argsort(city.holders[space.item[first:last]], kind="mergesort")
            for turn in range(last - first):
                even = (bounds.postings_max - read) / (last - first - turn)
                limit = read + max(1, min(bounds.postings_max - read, int(even * _RAREST_TAKE)))
                if read == bounds.postings_max:
                    break
                word = space.item[first + rarest[turn]]
                until = _read_postings(grid, city.by_interest, word, place, mine.kind, reach, rule, near, read, limit)
                compare(place, near[read:until], True, city, looking_for, rule, me)
                read = until
            if mine.flags & NEEDS_SHARED_INTEREST == 0:
                until = read
                for ring in range(max(right - left, top - bottom) + 1):
                    until = read_ring(grid, city.everyone, 0, place, ring, reach, near, until, len(near))
                compare(place, near[read:until], False, city, looking_for, rule, me)
                read = until
        for other in near[:read]:
            me.seen[other >> 6] = 0
        keep_the_best(row, city, rule, me, found[query])
        stand_up(row, place, city, me)
    return found


@compiled
def _read_postings(
    grid: Grid,
    index: Index,
    word: int,
    place: int,
    kind: int,
    reach: float,
    rule: ScoreRule,
    near: Ints,
    count: int,
    limit: int,
) -> int:
    """Write holders of an interest around a member behind `near[:count]`, up to `near[:limit]`; where they end.

    All within reach where there are no more than fit. Else ring after ring, and nearer by for those
    who are less happy to go first: as much nearer as makes up for it in the score.
    """
    left, right, bottom, top = window(grid, place, reach)
    there = 0
    for willing in range(_WILLINGNESS):
        there += count_in_window(grid, index, word * _WILLINGNESS + willing, left, right, bottom, top)
    if there <= limit - count:
        for willing in range(_WILLINGNESS):
            count = read_window(grid, index, word * _WILLINGNESS + willing, left, right, bottom, top, near, count)
        return count
    rings = max(right - left, top - bottom) + 1
    goes_first = kind // 5 % 5 + 1
    # One rating less costs so many rings of nearness.
    a_rating = rule.openness * OPENER_SHARE / 4 / max(1e-6, rule.practical * NEAR_SHARE) * reach / grid.cell_km
    farthest = 0
    for willing in range(_WILLINGNESS):
        farthest = max(farthest, _rings_behind(goes_first, willing, a_rating, rings))
    for level in range(rings + farthest):
        for willing in range(_WILLINGNESS):
            ring = level - _rings_behind(goes_first, willing, a_rating, rings)
            if 0 <= ring < rings:
                key = word * _WILLINGNESS + willing
                count = read_ring(grid, index, key, place, ring, reach, near, count, limit)
                if count == limit:
                    return count
    return count


@compiled
def _rings_behind(goes_first: int, willing: int, a_rating: float, rings: int) -> int:
    # Two as happy as each other, or me happier, need nobody who is happier still. The last class is
    # mostly threes.
    theirs = max(3, WILLING_FROM[willing])
    return min(rings, int((5 - max(theirs, goes_first)) * a_rating + 0.5))
