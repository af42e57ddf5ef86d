"""Candidates in one city of a million: how good and how quick, beside brute force and, where one is given, a peer."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.city import LONDON, NOW_MS, people
from benchmarks.figures import Figure, Findings
from benchmarks.figures import spread as spread_of
from services.matcher.candidates import best_candidates
from services.matcher.compiled import compiled
from services.matcher.interests import InterestArrays, InterestSpace, alike, spread, wipe
from services.matcher.policy import WEIGHT_ONE, Policy
from services.matcher.rules import may_meet
from services.matcher.score import ScoreRule, distance_km, score_pairs, worth
from services.matcher.snapshot import LOOKS_FOR_PAIR, AgeRule, Barred, Snapshot

PEER = "CANDIDATES_PEER"
"""Environment variable: a folder with `candidates.py`, `candidates_city.py` and `candidates_city_packed.py`: a search
in the same kind of city, by a score of its own, to be timed beside ours."""
WANTED = 20
QUALITY = 0.99
PEER_BUDGETS = (1_000, 1_250, 1_500, 1_750, 2_000, 2_500)

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Bounds:
    members: int = 1_000_000
    sample: int = 500
    rounds: int = 1


QUICK = Bounds(members=20_000, sample=100)


def run(bounds: Bounds, tell: Tell) -> Findings:
    tell(f"{bounds.members:,} people")
    snapshot = Snapshot.of(LONDON, people(bounds.members), now_ms=NOW_MS, waited_rounds={}, opener_load={})
    space = InterestSpace.of(snapshot.interests, len(snapshot.interest_words))
    policy = Policy(candidates_per_member=WANTED)
    looking = np.flatnonzero(snapshot.members["looks_for"] & LOOKS_FOR_PAIR)
    sample = np.sort(np.random.default_rng(0).choice(looking, bounds.sample, replace=False)).astype(np.int32)
    best_candidates(snapshot, space, policy, rows=sample[:2])  # compiles

    tell(f"brute force for {bounds.sample} of them")
    began = perf_counter()
    wanted = _brute_force(
        sample, snapshot.members, space.arrays, len(space.holders), snapshot.barred, snapshot.age_rule,
        ScoreRule.of(policy), WANTED,
    )  # fmt: skip
    brute_seconds = (perf_counter() - began) / bounds.sample * bounds.members

    seconds, one_thread = [], []
    for _ in range(bounds.rounds):
        tell(f"ours, {policy.threads} threads")
        began = perf_counter()
        found = best_candidates(snapshot, space, policy)
        seconds.append(perf_counter() - began)
    tell("ours, one thread")
    began = perf_counter()
    alone = best_candidates(snapshot, space, policy.model_copy(update={"threads": 1}))
    one_thread.append(perf_counter() - began)
    assert (alone == found).all(), "the number of threads changed the answer"
    reached = _scores(snapshot, space, policy, sample, found[sample]) / max(1, wanted.sum())

    peer_quality, peer_seconds, peer_note = None, None, f"No peer: {PEER} names none."
    if os.environ.get(PEER):
        peer_quality, peer_seconds, peer_note = _peer(bounds, tell)
    large = bounds == Bounds()
    figures = (
        Figure(
            "mean score of the 20 found, of brute force's",
            "share",
            spread_of([reached]),
            peer_quality,
            at_least=QUALITY,
        ),
        Figure(
            f"all {bounds.members:,}, two threads", "s", spread_of(seconds), peer_seconds, at_most=75 if large else None
        ),
        Figure(f"all {bounds.members:,}, one thread", "s", spread_of(one_thread)),
        Figure("brute force, one thread, reckoned from the sample", "s", spread_of([brute_seconds])),
    )
    return Findings(
        "candidates",
        f"the {WANTED} best feasible partners of everybody by the whole score, in one city",
        figures,
        (
            f"{bounds.members:,} people of benchmarks/city.py: 3 to 15 of 2,000 interests, radii 2 to 15 km around 5.",
            "Ours: the whole of best_candidates, index and all, with the default policy but for k; without the fit.",
            peer_note,
        ),
    )


def _scores(
    snapshot: Snapshot, space: InterestSpace, policy: Policy, rows: NDArray[np.int32], found: NDArray[np.int32]
) -> float:
    one, other = np.repeat(rows, found.shape[1]).astype(np.int64), found.ravel().astype(np.int64)
    there = other >= 0
    parts = score_pairs(snapshot, space, np.stack([one[there], other[there]], axis=1), policy).parts
    return float(np.floor(parts[:, 3] * WEIGHT_ONE).sum())


def _peer(bounds: Bounds, tell: Tell) -> tuple[Any, Any, str]:
    """The peer's best budget for the same quality, by its own score and brute force, on everybody."""
    sys.path.insert(0, os.environ[PEER])
    plain: Any = importlib.import_module("candidates")
    city: Any = importlib.import_module("candidates_city")
    packed: Any = importlib.import_module("candidates_city_packed")
    n, items = bounds.members, 2_000
    start, item, _ = plain.members(n, items, seed=5)
    weight, idf = plain.idf_weights(start, item, items)
    place, radius, slots = city.city(n, 5)
    order, rows, row_weight, cell, first, post, side, holders = city.build(start, item, weight, place, items)
    place, radius, slots = place[order], radius[order], slots[order]
    record, norm, scale = packed.pack(rows, idf, place, radius, slots, items)
    idf = idf.astype(np.float32)
    sample = np.sort(np.random.default_rng(0).choice(n, bounds.sample, replace=False)).astype(np.int32)
    tell("peer: brute force")
    best = city.brute(sample, rows, row_weight, place, radius, slots, WANTED, items).sum()

    def search(who: NDArray[np.int32], budget: int) -> NDArray[np.float32]:
        found: NDArray[np.float32] = packed.topk(
            who, record, norm, scale, idf, cell, first, post, side, holders, WANTED, budget, items, 2
        )[1]
        return found

    search(sample[:2], 100)
    for budget in PEER_BUDGETS:
        reached = float(search(sample, budget).sum() / best)
        if reached >= QUALITY:
            break
    tell(f"peer: everybody, {budget} postings")
    began = perf_counter()
    search(np.arange(n, dtype=np.int32), budget)
    seconds = perf_counter() - began
    note = (
        f"Peer: {budget} postings a member, the fewest for {QUALITY} by its own, simpler score; its index not counted."
    )
    return spread_of([reached]), spread_of([seconds]), note


@compiled
def _brute_force(
    rows: NDArray[np.int32],
    members: NDArray[Any],
    space: InterestArrays,
    interests: int,
    barred: Barred,
    age_rule: AgeRule,
    rule: ScoreRule,
    wanted: int,
) -> NDArray[np.int64]:
    """The scores, in millionths, of the best feasible partners of some: by looking at everybody."""
    best = np.zeros((len(rows), wanted), np.int64)
    reading, own = np.zeros(interests), np.zeros(interests, np.bool_)
    for query in range(len(rows)):
        me = rows[query]
        spread(space, me, reading)
        for place in range(space.start[me], space.start[me + 1]):
            own[space.item[place]] = True
        for you in range(len(members)):
            if you == me or members[you].looks_for & LOOKS_FOR_PAIR == 0:
                continue
            apart = distance_km(members, me, you)
            if apart > members[me].reach or apart > members[you].reach:
                continue
            if not may_meet(members, me, you, barred, age_rule):
                continue
            shared = not (members[me].needs_shared_interest or members[you].needs_shared_interest)
            for place in range(space.start[you], space.start[you + 1]):
                shared |= own[space.item[place]]
            if not shared:
                continue
            _, _, total = worth(members, me, you, alike(space, me, you, reading), rule)
            score = np.int64(np.floor(total * WEIGHT_ONE))
            spot = wanted - 1
            if score <= best[query, spot]:
                continue
            while spot > 0 and best[query, spot - 1] < score:
                best[query, spot] = best[query, spot - 1]
                spot -= 1
            best[query, spot] = score
        wipe(space, me, reading)
        for place in range(space.start[me], space.start[me + 1]):
            own[space.item[place]] = False
    return best
