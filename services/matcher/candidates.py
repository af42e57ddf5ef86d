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
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.matcher.cards import (
    HAS_MORE,
    INTERESTS_ON_CARD,
    LANGUAGES_BITS,
    LOOKS_FOR_SHIFT,
    NEEDS_SHARED_INTEREST,
    SLOTS_BITS,
    Cards,
    cards_of,
    year_on,
)
from services.matcher.compiled import compiled, compiled_loosely
from services.matcher.interests import (
    TASTE_DIMENSIONS,
    TASTE_FLOOR,
    TASTE_SHARE,
    TASTE_UNIT,
    InterestArrays,
    InterestSpace,
    alike,
    overlap_with,
    spread,
    wipe,
)
from services.matcher.nearby import Grid, Index, count_in_window, grid_over, index_of, read_ring, read_window, window
from services.matcher.policy import WEIGHT_ONE, Policy
from services.matcher.rules import similar_age, why_barred
from services.matcher.score import NEAR_SHARE, OPENER_SHARE, ScoreRule, choice_fit, distance_km, worth
from services.matcher.snapshot import LOOKS_FOR_PAIR, AgeRule, Barred, Ints, Lists, Snapshot

_QUERIES_A_TASK = 4_096
_SPARE = 4
"""So many more than are wanted are kept while scores are rounded, and the best of them by the exact score taken."""
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
) -> Ints:
    """The best feasible partners of each member, or of the given rows.

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
    city = _city(snapshot, space, ScoreRule.of(policy))
    place = np.empty_like(city.order)
    place[city.order] = np.arange(len(place), dtype=np.int32)
    asking = place if rows is None else place[rows]
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


class _City(NamedTuple):
    """What candidates are sought in. Cards, grid and indexes are in the order of cells; the rest by rows."""

    cards: Cards
    order: Ints
    """The row of each card."""
    members: NDArray[Any]
    space: InterestArrays
    holders: NDArray[np.int64]
    barred: Barred
    age_rule: AgeRule
    grid: Grid
    by_interest: Index
    """Words are `interest * 3 + willingness`."""
    everyone: Index


class _Bounds(NamedTuple):
    """How far a search goes: see `Policy`."""

    wanted: int
    scanned_max: int
    postings_max: int
    nearest_max: int


class _Asking(NamedTuple):
    """The one who asks, laid out for quick comparison, and whom they have found so far."""

    reading: NDArray[np.float32]
    """(numbers + 1,) what each interest of another adds to the score, but for the other's scale."""
    wide: NDArray[np.float64]
    """(interests,) the same, exactly: see `services.matcher.interests.spread`."""
    own: NDArray[np.bool_]
    """(interests,) theirs."""
    best: Ints
    """(wanted + spare,) places of the best so far, best first."""
    score: NDArray[np.float32]
    """(wanted + spare,) theirs; below 0 where there is nobody yet."""
    seen: NDArray[np.uint64]
    """A bit for each place."""
    kept: Ints
    scored: NDArray[np.float32]
    """Room for those who are looked at, and for their scores."""


def _city(snapshot: Snapshot, space: InterestSpace, rule: ScoreRule) -> _City:
    interests = len(space.holders)
    by_row = grid_over(snapshot.members, interests * _WILLINGNESS)
    order = np.argsort(by_row.cell, kind="stable").astype(np.int32)
    grid = by_row._replace(cell=by_row.cell[order])
    start, picked = _gathered(space.arrays.start, order)
    willing = np.argmax(snapshot.members["goes_first"][order][:, None] >= np.array(WILLING_FROM), axis=1)
    word = space.arrays.item[picked] * np.int32(_WILLINGNESS) + np.repeat(willing.astype(np.int32), np.diff(start))
    everyone = Lists(np.arange(len(order) + 1), np.zeros(len(order), np.int32))
    return _City(
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
    new = np.zeros(len(start), np.int64)
    np.cumsum(length, out=new[1:])
    return new, np.arange(new[-1]) + np.repeat(start[:-1][order] - new[:-1], length)


@compiled
def _best(asking: Ints, city: _City, looking_for: int, rule: ScoreRule, bounds: _Bounds) -> Ints:
    """The rows of the best for each of the places that ask."""
    space, cards, grid = city.space, city.cards, city.grid
    found = np.full((len(asking), bounds.wanted), -1, np.int32)
    room = max(bounds.scanned_max, bounds.postings_max + bounds.nearest_max)
    me = _Asking(
        np.zeros(cards.none + 1, np.float32),
        np.zeros(len(city.holders)),
        np.zeros(len(city.holders), np.bool_),
        np.full(bounds.wanted + _SPARE, -1, np.int32),
        np.full(bounds.wanted + _SPARE, -1, np.float32),
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
        _sit_down(row, place, city, rule, me)
        reach = city.members[row].reach
        left, right, bottom, top = window(grid, place, reach)
        read = 0
        if count_in_window(grid, city.everyone, 0, left, right, bottom, top) <= bounds.scanned_max:
            read = read_window(grid, city.everyone, 0, left, right, bottom, top, near, 0)
            _compare(place, near[:read], False, city, looking_for, rule, me)
        else:
            rarest = np.argsort(city.holders[space.item[first:last]], kind="mergesort")
            for turn in range(last - first):
                even = (bounds.postings_max - read) / (last - first - turn)
                limit = read + max(1, min(bounds.postings_max - read, int(even * _RAREST_TAKE)))
                if read == bounds.postings_max:
                    break
                word = space.item[first + rarest[turn]]
                until = _read_postings(grid, city.by_interest, word, place, mine.kind, reach, rule, near, read, limit)
                _compare(place, near[read:until], True, city, looking_for, rule, me)
                read = until
            if mine.flags & NEEDS_SHARED_INTEREST == 0:
                until = read
                for ring in range(max(right - left, top - bottom) + 1):
                    until = read_ring(grid, city.everyone, 0, place, ring, reach, near, until, len(near))
                _compare(place, near[read:until], False, city, looking_for, rule, me)
                read = until
        for other in near[:read]:
            me.seen[other >> 6] = 0
        _keep_the_best(row, city, rule, me, found[query])
        _stand_up(row, place, city, me)
    return found


@compiled
def _sit_down(row: int, place: int, city: _City, rule: ScoreRule, me: _Asking) -> None:
    space, cards = city.space, city.cards
    spread(space, row, me.wide)
    for at in range(space.start[row], space.start[row + 1]):
        item = space.item[at]
        me.own[item] = True
        me.reading[cards.number[item]] = space.weight[at] * space.idf[item]
    me.reading[cards.none] = 0
    me.best[:] = -1
    me.score[:] = -1
    me.seen[place >> 6] |= np.uint64(1) << np.uint64(place & 63)


@compiled
def _stand_up(row: int, place: int, city: _City, me: _Asking) -> None:
    space, cards = city.space, city.cards
    for at in range(space.start[row], space.start[row + 1]):
        item = space.item[at]
        me.own[item] = False
        me.reading[cards.number[item]] = 0
    wipe(space, row, me.wide)
    me.seen[place >> 6] = 0


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


@compiled
def _compare(
    place: int, others: Ints, share: bool, city: _City, looking_for: int, rule: ScoreRule, me: _Asking
) -> None:
    """Put those of the others who come into question and score high enough among my best.

    `share`: it is known of all of them that they share an interest with me. In three passes, of which
    the first two have no branches that depend on what is read: so many cards are fetched at a time.
    """
    count = _come_into_question(place, others, city.cards, looking_for, me)
    _score(place, me.kept[:count], city, rule, me)
    mine, row = city.cards.card[place], city.order[place]
    barred = city.barred.start[row] < city.barred.start[row + 1]
    last = len(me.score) - 1
    for at in range(count):
        score, other = me.scored[at], me.kept[at]
        if score < me.score[last] or not similar_age(year_on(mine), year_on(city.cards.card[other]), city.age_rule):
            continue
        you = city.order[other]
        if score == me.score[last] and me.best[last] >= 0 and you > city.order[me.best[last]]:
            continue
        if barred and why_barred(city.barred, row, you) != 0:
            continue
        needs = (mine.flags | city.cards.card[other].flags) & NEEDS_SHARED_INTEREST
        if not share and needs and not _shares(city.space, you, me.own):
            continue
        spot = last
        while spot > 0 and (
            me.score[spot - 1] < score
            or (me.score[spot - 1] == score and me.best[spot - 1] >= 0 and city.order[me.best[spot - 1]] > you)
        ):
            me.score[spot], me.best[spot] = me.score[spot - 1], me.best[spot - 1]
            spot -= 1
        me.score[spot], me.best[spot] = score, other


@compiled
def _come_into_question(place: int, others: Ints, cards: Cards, looking_for: int, me: _Asking) -> int:
    """Write those who are within reach, free at the same time, ... and new to me, into `me.kept`; how many."""
    mine = cards.card[place]
    east, north, reach = np.int64(mine.east), np.int64(mine.north), np.int64(mine.reach)
    wanted = looking_for << LOOKS_FOR_SHIFT
    count = 0
    for other in others:
        yours = cards.card[other]
        both = mine.flags & yours.flags
        apart = (np.int64(yours.east) - east) ** 2 + (np.int64(yours.north) - north) ** 2
        shorter = min(reach, np.int64(yours.reach))
        bit = np.uint64(1) << np.uint64(other & 63)
        new = me.seen[other >> 6] & bit == 0
        me.seen[other >> 6] |= bit
        me.kept[count] = other
        count += (
            new
            & (both & SLOTS_BITS != 0)
            & (both & wanted != 0)
            & (mine.languages & yours.languages & LANGUAGES_BITS != 0)
            & (apart <= shorter * shorter)
        )
    return count


@compiled_loosely
def _score(place: int, kept: Ints, city: _City, rule: ScoreRule, me: _Asking) -> None:
    """Write the total score of some, but for rounding, into `me.scored`."""
    cards = city.cards
    mine = cards.card[place]
    fit, fit_of = cards.fit[mine.kind], cards.fit_of[mine.kind]
    interests, practical = np.float32(rule.interests), np.float32(rule.practical)
    nearness = np.float32(rule.practical * NEAR_SHARE)
    one, zero = np.float32(1), np.float32(0)
    # `services.matcher.interests.taste_part`, in one product and one difference.
    taste_unit = np.float32(1 / TASTE_UNIT**2 / (1 - TASTE_FLOOR))
    taste_floor, taste_share = np.float32(TASTE_FLOOR / (1 - TASTE_FLOOR)), np.float32(TASTE_SHARE)
    for at in range(len(kept)):
        other = kept[at]
        yours = cards.card[other]
        overlap = zero
        for on in range(INTERESTS_ON_CARD):
            overlap += me.reading[yours.interests[on]]
        overlap *= yours.scale
        if (mine.flags | yours.flags) & HAS_MORE:
            overlap = np.float32(overlap_with(city.space, city.order[other], me.wide))
        cosine = np.int32(0)
        for axis in range(TASTE_DIMENSIONS):
            cosine += np.int32(mine.taste[axis]) * np.int32(yours.taste[axis])
        taste = min(one, max(zero, np.float32(cosine) * taste_unit - taste_floor))
        liked = interests * (one - (one - min(one, overlap)) * (one - taste_share * taste * taste))
        languages = mine.languages & yours.languages & LANGUAGES_BITS
        choice = practical * np.float32(choice_fit(mine.flags & yours.flags & SLOTS_BITS, languages))
        east = np.float32(np.int32(mine.east) - np.int32(yours.east))
        north = np.float32(np.int32(mine.north) - np.int32(yours.north))
        apart = np.sqrt(east * east + north * north)
        for_me = fit[yours.kind] + nearness * max(zero, one - apart / np.float32(mine.reach))
        for_you = fit_of[yours.kind] + nearness * max(zero, one - apart / np.float32(yours.reach))
        me.scored[at] = liked + choice + min(for_me, for_you)


@compiled
def _shares(space: InterestArrays, row: int, own: NDArray[np.bool_]) -> bool:
    shared = False
    for at in range(space.start[row], space.start[row + 1]):
        shared |= own[space.item[at]]
    return shared


@compiled
def _keep_the_best(row: int, city: _City, rule: ScoreRule, me: _Asking, found: Ints) -> None:
    """Of those that rounding left, the best by the exact score, as rows."""
    members = city.members
    score = np.zeros(len(found), np.int64)
    count = 0
    for other in me.best:
        if other < 0:
            break
        you = city.order[other]
        apart = distance_km(members, row, you)
        if apart > members[row].reach or apart > members[you].reach:
            continue
        if members[row].languages & members[you].languages == 0:
            continue
        _, _, total = worth(members, row, you, alike(city.space, row, you, me.wide), rule)
        worth_it = np.int64(np.floor(total * WEIGHT_ONE))
        spot = count
        while spot > 0 and (score[spot - 1] < worth_it or (score[spot - 1] == worth_it and found[spot - 1] > you)):
            if spot < len(found):
                score[spot], found[spot] = score[spot - 1], found[spot - 1]
            spot -= 1
        if spot < len(found):
            score[spot], found[spot] = worth_it, you
            count = min(count + 1, len(found))
