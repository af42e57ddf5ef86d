"""Pairing beside rustworkx, networkx and, where one is given, another program's pairing at a million members."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import networkx as nx
import numpy as np
import rustworkx
from numba import njit
from numpy.typing import NDArray

from benchmarks.figures import Figure, Findings, spread
from services.matcher.graph import CompatibilityGraph
from services.matcher.pairing import Pairing, pair

PEER = "PAIRING_PEER"
"""Environment variable: a Python file with `csr`, `auction`, `round_assignment`, `mate_weights` and `aug2_round`,
to be timed beside ours at the largest size."""
INTERESTS = 2_000
CANDIDATES = 12
AREA_MEMBERS = 5_000
WEIGHT = 1_000_000

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Bounds:
    """How large, how often. A size of 0 leaves its figures out."""

    random_graphs: int = 1_000
    with_networkx: int = 2_000
    with_rustworkx: int = 20_000
    largest: int = 1_000_000
    rounds: int = 5


QUICK = Bounds(random_graphs=50, with_networkx=200, with_rustworkx=1_000, largest=20_000, rounds=2)


def run(bounds: Bounds, tell: Tell) -> Findings:
    """Each size with its peers; graphs are made anew from a fixed seed."""
    pair(candidate_graph(500, 0))  # compiles
    figures: list[Figure] = []
    for measure, size in (
        (_random_graphs, bounds.random_graphs),
        (_beside_rustworkx, bounds.with_rustworkx),
        (_beside_networkx, bounds.with_networkx),
        (_largest, bounds.largest),
    ):
        if size:
            figures += measure(size, bounds.rounds, tell)
    return Findings(
        "pairing",
        f"maximum weight matching on candidate graphs: 3 to 15 Zipf interests of {INTERESTS:,}, "
        f"the best {CANDIDATES} by IDF cosine, areas of about {AREA_MEMBERS:,}",
        tuple(figures),
        (
            "Ours: services.matcher.pairing.pair with its defaults, the whole call; compiled code is cached.",
            "rustworkx and networkx: max_weight_matching on the same integer weights, their own graph already built.",
            "Rates are pairings of the whole graph per second; ours is the median of several, theirs of one.",
            f"The peer at the largest size is the file that {PEER} names; without it our time stands alone.",
        ),
    )


def candidate_graph(n: int, seed: int) -> CompatibilityGraph:
    """Members of made-up areas, each with the `CANDIDATES` most similar of their area. About 9 n edges."""
    draw = np.random.default_rng(seed)
    areas = max(1, n // AREA_MEMBERS)
    area = np.sort(draw.choice(areas, n, p=draw.dirichlet(np.full(areas, 5.0))))
    popularity = np.cumsum(1 / np.arange(1, INTERESTS + 1))
    held = draw.integers(3, 16, n)
    # Drawn with repetition, and once each: who holds few different ones holds fewer than drawn.
    member = np.repeat(np.arange(n), held)
    interest = np.searchsorted(popularity, draw.random(len(member)) * popularity[-1])
    key = np.unique(member * INTERESTS + np.minimum(interest, INTERESTS - 1))
    member, interest = key // INTERESTS, key % INTERESTS
    idf = np.log((n + 1) / (np.bincount(interest, minlength=INTERESTS) + 1)) + 0.05
    weight = idf[interest] / np.sqrt(np.bincount(member, idf[interest] ** 2, n))[member]
    start = np.searchsorted(member, np.arange(n + 1))
    ends = np.cumsum(np.bincount(area, minlength=areas))
    found, score = _most_similar(start, interest, weight, ends, INTERESTS, CANDIDATES)
    one = np.repeat(np.arange(n), CANDIDATES)
    other, score = found.ravel(), score.ravel()
    one, other, score = one[other >= 0], other[other >= 0], score[other >= 0]
    _, once = np.unique(np.minimum(one, other) * n + np.maximum(one, other), return_index=True)
    names = draw.permutation(n)  # neighbours in an area are not neighbours in memory
    heavy = np.rint(score[once] * WEIGHT).astype(np.int64)
    return CompatibilityGraph.from_edges(n, names[one[once]], names[other[once]], heavy)


@njit(cache=True)
def _most_similar(
    start: NDArray[np.int64], item: NDArray[np.int64], weight: NDArray[np.float64], ends: NDArray[np.int64],
    items: int, most: int,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:  # fmt: skip
    """The others of the same area with the greatest scalar products, by postings: exact."""
    n = len(start) - 1
    found, score = np.full((n, most), -1, np.int64), np.zeros((n, most))
    total, seen = np.zeros(n), np.empty(n, np.int64)
    begin = 0
    for end in ends:
        first = np.zeros(items + 1, np.int64)
        for place in range(start[begin], start[end]):
            first[item[place] + 1] += 1
        first = np.cumsum(first)
        filled, holder = first.copy(), np.empty(start[end] - start[begin], np.int64)
        posted = np.empty(len(holder))
        for member in range(begin, end):
            for place in range(start[member], start[member + 1]):
                at = filled[item[place]]
                holder[at], posted[at] = member, weight[place]
                filled[item[place]] += 1
        for member in range(begin, end):
            others = 0
            for place in range(start[member], start[member + 1]):
                for at in range(first[item[place]], first[item[place] + 1]):
                    other = holder[at]
                    if total[other] == 0:
                        seen[others] = other
                        others += 1
                    total[other] += weight[place] * posted[at]
            total[member] = 0
            for other in seen[:others]:
                value, total[other] = total[other], 0.0
                rank = most
                while rank > 0 and value > score[member, rank - 1]:
                    if rank < most:
                        found[member, rank], score[member, rank] = found[member, rank - 1], score[member, rank - 1]
                    rank -= 1
                if rank < most and value > 0:
                    found[member, rank], score[member, rank] = other, value
        begin = end
    return found, score


def _edges(graph: CompatibilityGraph) -> list[tuple[int, int, int]]:
    return list(zip(*(array.tolist() for array in graph.edge_arrays), strict=True))


def _by_rustworkx(graph: CompatibilityGraph) -> tuple[int, float]:
    peer = rustworkx.PyGraph(multigraph=False)
    peer.add_nodes_from(range(len(graph)))
    peer.add_edges_from(_edges(graph))
    begun = perf_counter()
    pairs = rustworkx.max_weight_matching(peer, weight_fn=int)
    return sum(peer.get_edge_data(u, v) for u, v in pairs), perf_counter() - begun


def _by_networkx(graph: CompatibilityGraph) -> tuple[int, float]:
    peer = graph.copy()
    begun = perf_counter()
    pairs = nx.max_weight_matching(peer)
    seconds = perf_counter() - begun
    return sum(peer[u][v]["weight"] for u, v in pairs), seconds


def _ours(graph: CompatibilityGraph, rounds: int, threads: int | None = None) -> tuple[Pairing, float]:
    found, seconds = pair(graph, threads=threads), []
    for _ in range(rounds):
        begun = perf_counter()
        found = pair(graph, threads=threads)
        seconds.append(perf_counter() - begun)
    return found, float(np.median(seconds))


def _random_graphs(graphs: int, _: int, tell: Tell) -> list[Figure]:
    draw = np.random.default_rng(7)
    equal = 0
    for _number in range(graphs):
        n, heaviest = int(draw.integers(2, 201)), int(draw.choice([1, 10, 1_000, WEIGHT, 2**31 - 1]))
        one, other = draw.integers(0, n, (2, int(draw.integers(1, 6 * n))))
        key = np.unique((np.minimum(one, other) * n + np.maximum(one, other))[one != other])
        graph = CompatibilityGraph.from_edges(n, key // n, key % n, draw.integers(0, heaviest + 1, len(key)))
        found = pair(graph)
        equal += found.weight == found.upper_bound == _by_rustworkx(graph)[0]
    tell(f"{graphs:,} random graphs")
    name = "random graphs of up to 200, exact and proven"
    return [Figure(name, "graphs; rustworkx", spread([equal]), spread([graphs]), 1.0)]


def _beside_rustworkx(n: int, rounds: int, tell: Tell) -> list[Figure]:
    return _beside(n, rounds, tell, "rustworkx", _by_rustworkx, weight_needed=0.996, rate_needed=400, at=20_000)


def _beside_networkx(n: int, rounds: int, tell: Tell) -> list[Figure]:
    return _beside(n, rounds, tell, "networkx", _by_networkx, weight_needed=0.998, rate_needed=5_000, at=2_000)


def _beside(
    n: int, rounds: int, tell: Tell, name: str, solve: Callable[[CompatibilityGraph], tuple[int, float]],
    *, weight_needed: float, rate_needed: float, at: int,
) -> list[Figure]:  # fmt: skip
    graph = candidate_graph(n, 1)
    found, seconds = _ours(graph, rounds)
    best, theirs = solve(graph)
    tell(f"{n:,} members: {seconds:.4f} s, {name} {theirs:.1f} s")
    rate, their_rate = spread([1 / seconds]), spread([1 / theirs])
    # Theirs grows faster than the graph: at a smaller size nothing is asked.
    needed = rate_needed if n >= at else None
    return [
        Figure(f"{n:,} members: weight", f"beside {name}", spread([found.weight]), spread([best]), weight_needed),
        Figure(f"{n:,} members: rate", f"1/s, beside {name}", rate, their_rate, needed),
    ]


def _largest(n: int, rounds: int, tell: Tell) -> list[Figure]:
    graph = candidate_graph(n, 2)
    tell(f"{n:,} members, {graph.number_of_edges():,} edges")
    found, seconds = _ours(graph, min(rounds, 3))
    _, alone = _ours(graph, 1, threads=1)
    tell(f"{seconds:.2f} s; {alone:.2f} s with one thread")
    weight = spread([found.weight])
    figures = [Figure(f"{n:,} members: weight", "beside its own bound", weight, spread([found.upper_bound]), 0.993)]
    rate, rate_alone = spread([n / seconds]), spread([n / alone])
    if os.environ.get(PEER):
        theirs, their_weight = _peer(Path(os.environ[PEER]), graph)
        tell(f"the peer: {theirs:.2f} s")
        figures += [
            Figure(f"{n:,} members: weight", "beside the peer", weight, spread([their_weight])),
            Figure(f"{n:,} members: rate", "members/s, beside the peer", rate, spread([n / theirs]), 1.0),
            Figure("with one thread", "members/s, beside the peer", rate_alone, spread([n / theirs])),
        ]
    else:
        figures += [
            Figure(f"{n:,} members: rate", "members/s", rate),
            Figure("with one thread", "members/s", rate_alone),
        ]
    return figures


def _peer(file: Path, graph: CompatibilityGraph) -> tuple[float, float]:
    """Seconds and weight of the pipeline in another file, compiled beforehand."""
    spec = importlib.util.spec_from_file_location("pairing_peer", file)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{PEER}={file} is no Python file")
    peer: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(peer)

    def solve(some: CompatibilityGraph) -> float:
        n = len(some.start) - 1
        one, other, heavy = some.edge_arrays
        rows, adjacent, weight, _ = peer.csr(n, one, other, heavy.astype(np.float64))
        assigned = peer.auction(rows, adjacent, weight, 1e-3 * weight.max(), 1 << 60)[2]
        mate, _ = peer.round_assignment(assigned, rows, adjacent, weight)
        worth = peer.mate_weights(mate, rows, adjacent, weight)
        draw = np.random.default_rng(0)
        for _ in range(3):
            peer.aug2_round(draw.permutation(n).astype(np.int32), mate, worth, rows, adjacent, weight)
        return float(worth.sum() / 2)

    solve(candidate_graph(500, 0))
    begun = perf_counter()
    weight = solve(graph)
    return perf_counter() - begun, weight
