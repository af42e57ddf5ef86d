"""Who is paired with whom: a matching of the greatest weight, and the proof that no matching weighs more.

The graph is taken apart into its connected components (`parts`). An auction finds duals close
to the best, and nearly everybody finds a mate along tight edges (`auction`). From each of
those left over Edmonds' algorithm searches for the best exchange (`search`), with blossoms
where odd circles are in the way (`forest`, `tree`). What the duals amount to in the end is the
bound (`certificate`); where no search had to be given up it equals the weight.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.matcher.graph import CompatibilityGraph
from services.matcher.pairing.auction import auction, match_tight_edges
from services.matcher.pairing.certificate import certified_bound, weight_of
from services.matcher.pairing.forest import Forest, bare_forest, match_everything
from services.matcher.pairing.parts import Rows, cut_out, parts_of, walk
from services.matcher.pairing.search import match_those_left
from services.matcher.pairing.tree import bare_tree

__all__ = ["Pairing", "pair"]

FIRST_SEARCH_WORK_MAX = 1_000
"""So many edges a search may look at in the first round; ten times as many in each further one."""
WORK_PER_EDGE_MAX = 64
"""In components that need not be exact, all searches together look at each edge so many times at most, on the mean."""
WORK_UNLIMITED = 1 << 62
EVENTS = 4_096
"""Room for events at first."""
_SEED_BITS = (1 << 64) - 1


@dataclass(frozen=True)
class Pairing:
    """Who is paired with whom."""

    mate: NDArray[np.int32]
    """(n,) the other one; -1 for who is left alone. mate[mate[i]] == i."""
    weight: int
    upper_bound: int
    """No matching of this graph weighs more. If it equals `weight`, this one is proven to be a best one."""


def pair(
    graph: CompatibilityGraph,
    *,
    seed: int = 0,
    exact_component_members_max: int = 2_000,
    improvement_rounds_max: int = 8,
    threads: int | None = None,
) -> Pairing:
    """Pair the nodes of a graph so that the weights of the pairs add up to as much as possible.

    Parameters
    ----------
    graph
        Weights are 0 or more. Edges of weight 0 are used where it happens to suit.
    seed
        Decides between matchings of equal weight, and nothing else where the result is exact.
    exact_component_members_max
        Connected components of up to so many members are solved exactly, whatever it takes: some
        milliseconds at 2,000 members with 12 candidates each.
    improvement_rounds_max
        In larger ones, so many rounds of searches from those who are left over; a search may look
        at 1,000 edges in the first round, and at ten times as many in each further one. All of
        them together look at an edge `WORK_PER_EDGE_MAX` times on the mean, and no more.
    threads
        At most so many at a time, each with a part of the graph; as many as there are cores, if
        None. The result does not depend on it.

    Returns
    -------
    Pairing
        The same, bit for bit, for the same arguments.

    Notes
    -----
    On candidate graphs larger components come out exact too, nearly always: compare the bound. What is
    hard are great numbers of ties in large random graphs, where some searches are given up.

    The time is about linear in the number of edges: the auction and the searches look at each a few
    times. In the worst case an exact component of n members and m edges takes O(n m log m + n^3).
    Memory: about 16 bytes an edge and 200 a member of the components under way. The interpreter's lock is
    never held for long.

    All arithmetic is in whole numbers: duals are kept doubled, and with a single tree they change
    by whole steps. Nothing is true up to rounding only.

    References
    ----------
    .. [1] J. Edmonds: Maximum matching and a polyhedron with 0,1-vertices. Journal of Research of the
       National Bureau of Standards 69B (1965), 125-130.
    .. [2] Z. Galil: Efficient algorithms for finding maximum matching in graphs. ACM Computing Surveys
       18 (1986), 23-38.
    .. [3] D. Applegate, W. Cook: Solving large-scale matching problems. DIMACS Series 12 (1993),
       557-576. Where the idea of starting from a relaxation without blossoms comes from.
    .. [4] D. P. Bertsekas: The auction algorithm. Annals of Operations Research 14 (1988), 105-123.
    .. [5] V. Kolmogorov: Blossom V. Mathematical Programming Computation 1 (2009), 43-67.

    Examples
    --------
    >>> pair(CompatibilityGraph.from_edges(4, [0, 1, 2], [1, 2, 3], [5, 9, 5]))
    Pairing(mate=array([1, 0, 3, 2], dtype=int32), weight=10, upper_bound=10)
    """
    n = len(graph.start) - 1
    mate = np.full(n, -1, np.int32)
    if not len(graph.neighbour):
        return Pairing(mate, 0, 0)
    whole = Rows(graph.start, graph.neighbour, graph.weight)
    order, ends = walk(graph.start, graph.neighbour)
    number = np.empty(n, np.int32)
    number[order] = np.arange(len(order), dtype=np.int32)
    part_ends, exact = parts_of(ends, exact_component_members_max)

    def solve(part: int) -> tuple[int, int]:
        begin, end = int(part_ends[part - 1]) if part else 0, int(part_ends[part])
        rows = cut_out(whole, order, number, begin, end)
        lot = np.random.default_rng([seed & _SEED_BITS, part])
        forest = _solved(rows, lot, None if exact[part] else improvement_rounds_max)
        bound = int(certified_bound(rows, forest))
        members, paired = order[begin:end], forest.mate >= 0
        mate[members[paired]] = members[forest.mate[paired]]
        return weight_of(rows, forest.mate), bound // 2

    largest_first = np.argsort(-np.diff(part_ends, prepend=0), kind="stable").tolist()
    at_a_time = min(len(largest_first), threads or os.cpu_count() or 1)
    if at_a_time == 1:
        found = [solve(part) for part in largest_first]
    else:
        with ThreadPoolExecutor(at_a_time, "pairing") as pool:
            found = list(pool.map(solve, largest_first))
    return Pairing(mate, sum(weight for weight, _ in found), sum(bound for _, bound in found))


def _solved(rows: Rows, lot: np.random.Generator, rounds_max: int | None) -> Forest:
    """A matching of one part, with its duals; a best one, if the number of rounds has no limit."""
    n = len(rows.start) - 1
    dual = auction(rows)
    mate = match_tight_edges(rows, dual, lot.permutation(n).astype(np.int32))
    forest, tree = bare_forest(dual, mate), bare_tree(n, EVENTS)
    roots = np.flatnonzero((mate < 0) & (dual > 0)).astype(np.int32)
    # Most are helped by a short search, and by helping them first, long ones become rare.
    search_work_max = FIRST_SEARCH_WORK_MAX
    work_left = WORK_UNLIMITED if rounds_max is None else WORK_PER_EDGE_MAX * len(rows.neighbour)
    while rounds_max is None or rounds_max > 0:
        given_up, work = match_those_left(rows, forest, tree, roots, search_work_max, work_left)
        roots = roots[:given_up]
        search_work_max = min(10 * search_work_max, WORK_UNLIMITED)
        work_left -= work
        rounds_max = None if rounds_max is None else rounds_max - 1
        if not given_up or work_left <= 0:
            break
    match_everything(forest)
    return forest
