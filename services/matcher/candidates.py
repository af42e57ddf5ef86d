"""The best partners of each member: whom they might be suggested to, by the whole score.

A member who has few others in reach looks at every one of them, and what is found is
exact. In a crowd they read an index by interest and cell, their rarest interest first
and the nearest cells first, up to a bound; so the whole is linear in the number of
members, and nobody is cut off from the next street by a border.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.matcher.compiled import compiled
from services.matcher.graph import CompatibilityGraph
from services.matcher.interests import InterestArrays, InterestSpace, alike, spread, wipe
from services.matcher.nearby import Grid, Index, everybody, grid_over, index_of, read_outwards, window
from services.matcher.policy import Policy
from services.matcher.rules import may_meet
from services.matcher.score import ScoreRule, at_most_beside_interests, distance_km, score_pairs, weight_of, worth
from services.matcher.snapshot import LOOKS_FOR_PAIR, AgeRule, Barred, Ints, Lists, Snapshot

_QUERIES_A_TASK = 4_096


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

    Returns
    -------
    ndarray of int32, shape (rows, candidates_per_member)
        Best first; -1 where there are fewer.
    """
    words = len(space.holders)
    by_id = grid_over(snapshot.members, words)
    # Neighbours in the city are laid side by side and asked one after the other: what one reads, the
    # next one reads again. Memory that is not in the cache is most of the cost.
    order = np.argsort(by_id.cell, kind="stable").astype(np.int32)
    place = np.empty_like(order)
    place[order] = np.arange(len(order), dtype=np.int32)
    city = _City.of(snapshot, space, by_id, order, place)
    asking = np.arange(len(order), dtype=np.int32) if rows is None else np.sort(place[rows])
    found = np.full((len(order), policy.candidates_per_member), -1, np.int32)
    tasks = [asking[first : first + _QUERIES_A_TASK] for first in range(0, len(asking), _QUERIES_A_TASK)]

    def look(task: Ints) -> None:
        found[task] = _best(
            task, city, looking_for, ScoreRule.of(policy), policy.candidates_per_member,
            policy.scanned_members_max, policy.postings_read_max, policy.nearest_read_max,
        )  # fmt: skip

    if len(tasks) < 2 or policy.threads < 2:
        for task in tasks:
            look(task)
    else:
        with ThreadPoolExecutor(policy.threads, "candidates") as pool:
            for _ in pool.map(look, tasks):
                pass
    named = np.where(found >= 0, order[found], np.int32(-1))[place]
    return named if rows is None else named[rows]


def compatibility(snapshot: Snapshot, space: InterestSpace, policy: Policy) -> CompatibilityGraph:
    """The graph of those who look for a friend: an edge for everyone among each one's best candidates."""
    found = best_candidates(snapshot, space, policy)
    pairs = as_pairs(np.arange(snapshot.size, dtype=np.int32), found)
    weight = score_pairs(snapshot, space, pairs, policy).weight
    return CompatibilityGraph.from_edges(snapshot.size, pairs[:, 0], pairs[:, 1], weight)


def as_pairs(rows: Ints, found: Ints) -> NDArray[np.int64]:
    """Each pair once, (m, 2), the lower row first, sorted."""
    one = np.repeat(rows.astype(np.int64), found.shape[1])
    other = found.ravel().astype(np.int64)
    there = other >= 0
    one, other = one[there], other[there]
    span = int(max(one.max(initial=0), other.max(initial=0))) + 1
    return np.stack(np.divmod(np.unique(np.minimum(one, other) * span + np.maximum(one, other)), span), axis=1)


class _City(NamedTuple):
    """What candidates are sought in: the members in the order of their cells."""

    members: NDArray[Any]
    space: InterestArrays
    holders: NDArray[np.int64]
    barred: Barred
    age_rule: AgeRule
    grid: Grid
    by_interest: Index
    everyone: Index

    @classmethod
    def of(cls, snapshot: Snapshot, space: InterestSpace, grid: Grid, order: Ints, place: Ints) -> _City:
        grid = grid._replace(cell=grid.cell[order])
        start, picked = _gathered(space.arrays.start, order)
        lists = Lists(start, space.arrays.item[picked])
        barred_start, barred_picked = _gathered(snapshot.barred.start, order)
        barred = Barred(barred_start, place[snapshot.barred.other[barred_picked]], snapshot.barred.why[barred_picked])
        return cls(
            snapshot.members[order],
            InterestArrays(start, lists.item, space.arrays.weight[picked], space.arrays.taste[order]),
            space.holders,
            barred.sorted(),
            snapshot.age_rule,
            grid,
            index_of(grid, lists, len(space.holders)),
            everybody(grid),
        )


def _gathered(start: NDArray[np.int64], order: Ints) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where rows start when they are laid out in another order, and where each entry comes from."""
    length = np.diff(start)[order]
    new = np.zeros(len(start), np.int64)
    np.cumsum(length, out=new[1:])
    return new, np.arange(new[-1]) + np.repeat(start[:-1][order] - new[:-1], length)


@compiled
def _best(
    asking: Ints,
    city: _City,
    looking_for: int,
    rule: ScoreRule,
    wanted: int,
    scanned_max: int,
    postings_max: int,
    nearest_max: int,
) -> Ints:
    members, space, grid, everyone = city.members, city.space, city.grid, city.everyone
    found = np.full((len(asking), wanted), -1, np.int32)
    weights = np.zeros(wanted, np.int64)
    reading = np.zeros(len(city.holders))
    own = np.zeros(len(city.holders), np.bool_)
    seen = np.full(len(members), -1, np.int32)
    others = np.empty(max(scanned_max, postings_max, nearest_max), np.int32)
    for query in range(len(asking)):
        me = asking[query]
        if members[me].looks_for & looking_for == 0:
            continue
        seen[me] = me
        count = 0
        reach = members[me].reach
        spread(space, me, reading)
        first, last = space.start[me], space.start[me + 1]
        for place in range(first, last):
            own[space.item[place]] = True

        left, right, bottom, top = window(grid, me, reach)
        crowd = 0
        for row in range(bottom, top + 1):
            line = row * grid.columns
            crowd += everyone.start[line + right + 1] - everyone.start[line + left]
        # Sources, each read into `others`: everybody around; or one interest after the other, the
        # rarest first, and then, for who need not share one, the nearest.
        rarest = np.argsort(city.holders[space.item[first:last]], kind="mergesort")
        budget = postings_max
        for source in range(last - first + 1):
            if crowd <= scanned_max:
                read = read_outwards(grid, everyone, 0, me, reach, scanned_max, others)
            elif source < last - first:
                # Each interest may read its part of what is left, so that a popular one cannot eat all.
                part = max(1, budget // (last - first - source))
                word = space.item[first + rarest[source]]
                read = read_outwards(grid, city.by_interest, word, me, reach, part, others)
                budget -= read
            elif not members[me].needs_shared_interest:
                read = read_outwards(grid, everyone, 0, me, reach, nearest_max, others)
            else:
                read = 0
            for place in range(read):
                you = others[place]
                if seen[you] == me:
                    continue
                seen[you] = me
                if members[you].looks_for & looking_for == 0 or members[me].slots & members[you].slots == 0:
                    continue
                apart = distance_km(members, me, you)
                if apart > reach or apart > members[you].reach:
                    continue
                if members[me].needs_shared_interest or members[you].needs_shared_interest:
                    shared = False
                    for item in space.item[space.start[you] : space.start[you + 1]]:
                        shared |= own[item]
                    if not shared:
                        continue
                if not may_meet(members, me, you, city.barred, city.age_rule):
                    continue
                liked = alike(space, me, you, reading)
                if count == wanted:
                    at_best = rule.interests * liked + at_most_beside_interests(members, me, you, apart, rule)
                    if weight_of(members, me, you, at_best, rule) < weights[wanted - 1]:
                        continue
                _, _, total = worth(members, me, you, liked, rule)
                weight = weight_of(members, me, you, total, rule)
                if count == wanted and (
                    weight < weights[wanted - 1] or (weight == weights[wanted - 1] and you > found[query, wanted - 1])
                ):
                    continue
                count = min(count + 1, wanted)
                spot = count - 1
                while spot > 0 and (
                    weights[spot - 1] < weight or (weights[spot - 1] == weight and found[query, spot - 1] > you)
                ):
                    weights[spot], found[query, spot] = weights[spot - 1], found[query, spot - 1]
                    spot -= 1
                weights[spot], found[query, spot] = weight, you
            if crowd <= scanned_max:
                break
        wipe(space, me, reading)
        for place in range(first, last):
            own[space.item[place]] = False
    return found
