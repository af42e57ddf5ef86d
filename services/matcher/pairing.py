"""Who is paired with whom: a matching of as much weight as can be had, and a bound that no matching exceeds.

Each connected part of the graph is solved by itself: exactly by rustworkx (Edmonds'
blossom algorithm) where it is small enough, else greedily by weight and then improved
by exchanging two edges for one until nothing is gained.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import rustworkx
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from services.matcher.compiled import compiled
from services.matcher.graph import CompatibilityGraph

_TIE_BITS = 40


@dataclass(frozen=True)
class Pairing:
    """Who is paired with whom."""

    mate: NDArray[np.int32]
    """(n,) the other one; -1 for who is left alone. mate[mate[i]] == i."""
    weight: int
    upper_bound: int
    """No matching of this graph weighs more. Equal to `weight` where every part was solved exactly."""


def pair(
    graph: CompatibilityGraph,
    *,
    seed: int = 0,
    exact_component_members_max: int = 2_000,
    improvement_rounds_max: int = 8,
) -> Pairing:
    """Pair the nodes of a graph so that the weights of the pairs add up to much.

    Parameters
    ----------
    graph
        Weights are 0 or more. Edges of weight 0 may be left out.
    seed
        Decides between matchings of equal weight, and nothing else.
    exact_component_members_max
        Connected parts up to this size are solved exactly: O(n m log n), about 1 s at 2,000 nodes
        with 12 candidates each, during which rustworkx holds the interpreter's lock.

    Notes
    -----
    Beyond the exact part the weight is at least half of the best possible, and about .97 of it in
    practice; the bound is then half of what everybody's own best edge adds up to.
    """
    n = len(graph.start) - 1
    mate = np.full(n, -1, np.int32)
    if not len(graph.neighbour):
        return Pairing(mate, 0, 0)
    one, other, weight = graph.edge_arrays
    tie = _ties(one, other, seed)
    whole = csr_array((np.ones(len(one), np.int8), (one, other)), shape=(n, n))
    _, part = connected_components(whole, directed=False)
    size = np.bincount(part)

    exact = size[part[one]] <= exact_component_members_max
    _pair_exactly(part, one[exact], other[exact], weight[exact], tie[exact], mate)
    exact_weight = _weight(graph, mate)

    greedy = np.flatnonzero(~exact)
    bound = exact_weight
    if len(greedy):
        heaviest_first = greedy[np.lexsort((tie[greedy], -weight[greedy].astype(np.int64)))]
        _pair_greedily(one, other, heaviest_first, mate)
        large = np.flatnonzero(size[part] > exact_component_members_max).astype(np.int32)
        for _ in range(improvement_rounds_max):
            if _improve(graph.start, graph.neighbour, graph.weight, large, mate) == 0:
                break
            _pair_greedily(one, other, heaviest_first, mate)
        some = np.flatnonzero(np.diff(graph.start))
        best = np.maximum.reduceat(graph.weight, graph.start[some])[size[part[some]] > exact_component_members_max]
        bound += int(best.sum(dtype=np.int64)) // 2
    return Pairing(mate, _weight(graph, mate), bound)


def _weight(graph: CompatibilityGraph, mate: NDArray[np.int32]) -> int:
    one = np.repeat(np.arange(len(mate)), np.diff(graph.start))
    return int(graph.weight[mate[one] == graph.neighbour].sum(dtype=np.int64)) // 2


def _ties(one: NDArray[np.int32], other: NDArray[np.int32], seed: int) -> NDArray[np.int64]:
    """A number of 40 bits for every edge, by its ends and the seed: makes the best matching unique.

    Without it, which of several best matchings comes out would depend on the order in which
    rustworkx walks its hash maps. Two matchings tie in this too with a probability below 1e-6.
    """
    mixed = one.astype(np.uint64) << np.uint64(32) | other.astype(np.uint64)
    mixed ^= np.uint64(seed * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):  # splitmix64
        mixed = (mixed ^ mixed >> np.uint64(shift)) * np.uint64(factor)
    return (mixed >> np.uint64(64 - _TIE_BITS)).astype(np.int64)


def _pair_exactly(
    part: NDArray[np.int32],
    one: NDArray[np.int32],
    other: NDArray[np.int32],
    weight: NDArray[np.int32],
    tie: NDArray[np.int64],
    mate: NDArray[np.int32],
) -> None:
    order = np.argsort(part[one], kind="stable")
    one, other, weight, tie = one[order], other[order], weight[order], tie[order]
    cuts = np.flatnonzero(np.diff(part[one])) + 1
    for edges in np.split(np.arange(len(one)), cuts):
        if len(edges) == 1:
            mate[one[edges[0]]], mate[other[edges[0]]] = other[edges[0]], one[edges[0]]
            continue
        nodes, ends = np.unique(np.stack([one[edges], other[edges]]), return_inverse=True)
        ends = ends.reshape(2, -1)
        # Python's integers, since a sum of weights must stay above all ties: (weight, tie) as one number.
        heavy = [(w << 2 * _TIE_BITS) + t for w, t in zip(weight[edges].tolist(), tie[edges].tolist(), strict=True)]
        graph = rustworkx.PyGraph(multigraph=False)
        graph.add_nodes_from(range(len(nodes)))
        graph.add_edges_from(list(zip(ends[0].tolist(), ends[1].tolist(), heavy, strict=True)))
        for a, b in rustworkx.max_weight_matching(graph, weight_fn=int):
            mate[nodes[a]], mate[nodes[b]] = nodes[b], nodes[a]


@compiled
def _pair_greedily(
    one: NDArray[np.int32], other: NDArray[np.int32], order: NDArray[np.int64], mate: NDArray[np.int32]
) -> None:
    for edge in order:
        if mate[one[edge]] < 0 and mate[other[edge]] < 0:
            mate[one[edge]] = other[edge]
            mate[other[edge]] = one[edge]


@compiled
def _weight_between(
    start: NDArray[np.int64], neighbour: NDArray[np.int32], weight: NDArray[np.int32], a: int, b: int
) -> int:
    for place in range(start[a], start[a + 1]):
        if neighbour[place] == b:
            return weight[place]  # type: ignore[no-any-return]
    return 0


@compiled
def _improve(
    start: NDArray[np.int64],
    neighbour: NDArray[np.int32],
    weight: NDArray[np.int32],
    nodes: NDArray[np.int32],
    mate: NDArray[np.int32],
) -> int:
    """One pass: part a pair x - y where x and y, each with somebody else, are worth more. How often it was done.

    What somebody else is worth is the weight of the edge to them, less that of the pair they leave.
    Each exchange adds weight, so passes come to an end.
    """
    kept = np.zeros(len(mate), np.int64)
    for x in nodes:
        if mate[x] >= 0:
            kept[x] = _weight_between(start, neighbour, weight, x, mate[x])
    done = 0
    for x in nodes:
        y = mate[x]
        if y < x:
            continue
        # The three best others of x, so that one is left when y takes one of them, or that one's mate.
        first = second = third = -1
        gain_1 = gain_2 = gain_3 = np.int64(0)
        for place in range(start[x], start[x + 1]):
            a = neighbour[place]
            gain = np.int64(weight[place]) - kept[a]
            if a == y or gain <= gain_3:
                continue
            if gain > gain_1:
                third, gain_3, second, gain_2, first, gain_1 = second, gain_2, first, gain_1, a, gain
            elif gain > gain_2:
                third, gain_3, second, gain_2 = second, gain_2, a, gain
            else:
                third, gain_3 = a, gain
        best, best_a, best_b = kept[x], -1, -1
        if gain_1 > best:
            best, best_a = gain_1, first
        for place in range(start[y], start[y + 1]):
            b = neighbour[place]
            if b == x:
                continue
            gain = np.int64(weight[place]) - kept[b]
            a, gain_a = first, gain_1
            if a >= 0 and (a == b or mate[a] == b):
                a, gain_a = second, gain_2
            if a >= 0 and (a == b or mate[a] == b):
                a, gain_a = third, gain_3
            if gain + gain_a > best:
                best, best_a, best_b = gain + gain_a, a, b
        if best_a < 0 and best_b < 0:
            continue
        done += 1
        mate[x] = mate[y] = -1
        kept[x] = kept[y] = 0
        for end, new in ((x, best_a), (y, best_b)):
            if new < 0:
                continue
            if mate[new] >= 0:
                kept[mate[new]] = 0
                mate[mate[new]] = -1
            mate[end], mate[new] = new, end
            kept[end] = kept[new] = _weight_between(start, neighbour, weight, end, new)
    return done
