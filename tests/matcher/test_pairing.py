from typing import Any

import networkx as nx
import numpy as np
import pytest
import rustworkx
from hypothesis import given, settings
from hypothesis import strategies as st

import services.matcher.pairing as pairing
from services.matcher.graph import CompatibilityGraph
from services.matcher.pairing import Pairing, pair
from services.matcher.pairing.certificate import certified_bound
from services.matcher.pairing.forest import Forest
from services.matcher.pairing.parts import Rows

HEAVIEST = 2**31 - 1


def drawn(n: int, edges: int, heaviest: int, seed: int) -> CompatibilityGraph:
    draw = np.random.default_rng(seed)
    one, other = draw.integers(0, n, (2, edges))
    key = np.unique((np.minimum(one, other) * n + np.maximum(one, other))[one != other])
    return CompatibilityGraph.from_edges(n, key // n, key % n, draw.integers(0, heaviest + 1, len(key)))


def weighed(graph: nx.Graph, *weights: int) -> CompatibilityGraph:
    """The weights in turn, again and again, on the edges of a graph."""
    edges = list(nx.convert_node_labels_to_integers(graph).edges)
    return CompatibilityGraph.from_edges(
        len(graph),
        [u for u, _ in edges],
        [v for _, v in edges],
        [weights[at % len(weights)] for at in range(len(edges))],
    )


def weight_of(graph: CompatibilityGraph, found: Pairing) -> int:
    """What the pairs weigh, after making sure that they are pairs, and joined by edges."""
    total = 0
    for one, other in enumerate(found.mate.tolist()):
        if other >= 0:
            assert found.mate[other] == one
            total += graph[one][other]["weight"]
    return total // 2


def best_weight(graph: CompatibilityGraph) -> int:
    peer = rustworkx.PyGraph()
    peer.add_nodes_from(range(len(graph)))
    peer.add_edges_from([(int(u), int(v), int(w)) for u, v, w in zip(*graph.edge_arrays, strict=True)])
    return sum(peer.get_edge_data(u, v) for u, v in rustworkx.max_weight_matching(peer, weight_fn=int))


def solved(graph: CompatibilityGraph, rounds_max: int | None = None) -> tuple[Rows, Forest]:
    rows = Rows(graph.start, graph.neighbour, graph.weight)
    return rows, pairing._solved(rows, np.random.default_rng(1), rounds_max)


def around(forest: Forest, vertex: int) -> list[int]:
    """The blossoms that hold a vertex, innermost first."""
    blossoms, node = [], int(forest.parent[vertex])
    while node >= 0:
        blossoms.append(node)
        node = int(forest.parent[node])
    return blossoms


def verify_optimum(graph: CompatibilityGraph, forest: Forest) -> None:
    """Complementary slackness, as networkx checks its own: together it proves that no matching weighs more."""
    n = len(graph)
    blossoms = [node for node in range(n, len(forest.base)) if forest.base[node] >= 0]
    assert (forest.dual >= 0).all()
    assert all(forest.charge[blossom] >= 0 for blossom in blossoms)
    for u, v, weight in zip(*(array.tolist() for array in graph.edge_arrays), strict=True):
        both = set(around(forest, u)) & set(around(forest, v))
        slack = int(forest.dual[u] + forest.dual[v]) - 2 * weight + sum(int(forest.charge[each]) for each in both)
        assert slack >= 0
        assert slack == 0 or forest.mate[u] != v
    assert all(forest.dual[vertex] == 0 for vertex in range(n) if forest.mate[vertex] < 0)
    for blossom in blossoms:
        held = {vertex for vertex in range(n) if blossom in around(forest, vertex)}
        assert len(held) == forest.size[blossom]
        assert len(held) % 2 == 1
        assert sum(int(forest.mate[vertex]) in held for vertex in held) == len(held) - 1


@settings(deadline=None)  # the first call compiles
@given(st.integers(2, 60), st.integers(0, 240), st.sampled_from([0, 1, 3, 40, 10**6, HEAVIEST]), st.integers(0, 10**6))
def test_as_heavy_as_rustworkx_and_proven(n: int, edges: int, heaviest: int, seed: int) -> None:
    graph = drawn(n, edges, heaviest, seed)
    found = pair(graph, seed=seed)
    assert found.mate.dtype == np.int32
    assert found.weight == found.upper_bound == weight_of(graph, found) == best_weight(graph)


@settings(deadline=None)
@given(st.integers(2, 40), st.integers(1, 160), st.sampled_from([1, 3, 10**6, HEAVIEST]), st.integers(0, 10**6))
def test_duals_and_blossoms_prove_the_optimum(n: int, edges: int, heaviest: int, seed: int) -> None:
    graph = drawn(n, edges, heaviest, seed)
    if len(graph.neighbour):
        rows, forest = solved(graph)
        verify_optimum(graph, forest)
        before = forest.dual.copy(), forest.charge.copy()
        certified_bound(rows, forest)
        assert (forest.dual == before[0]).all(), "the certificate had to be repaired"
        assert (forest.charge == before[1]).all()


@settings(deadline=None)
@given(st.integers(2, 40), st.integers(1, 160), st.sampled_from([1, 3, 10**6, HEAVIEST]), st.integers(0, 10**6))
def test_whatever_the_duals_the_bound_holds(n: int, edges: int, heaviest: int, seed: int) -> None:
    graph = drawn(n, edges, heaviest, seed)
    if len(graph.neighbour):
        rows, forest = solved(graph)
        spoil = np.random.default_rng(seed)
        forest.dual[:] -= spoil.integers(0, 2 * heaviest + 1, n) * (spoil.random(n) < 0.3)
        forest.charge[:] -= spoil.integers(0, heaviest + 1, len(forest.charge)) * (
            spoil.random(len(forest.charge)) < 0.5
        )
        assert certified_bound(rows, forest) // 2 >= best_weight(graph)


@settings(deadline=None)
@given(st.integers(2, 60), st.integers(0, 240), st.sampled_from([1, 3, 10**6]), st.integers(0, 10**6))
def test_with_less_effort_the_bound_still_holds(n: int, edges: int, heaviest: int, seed: int) -> None:
    graph = drawn(n, edges, heaviest, seed)
    best = best_weight(graph)
    found = [pair(graph, seed=seed, exact_component_members_max=0, improvement_rounds_max=most) for most in range(4)]
    assert [each.weight for each in found] == sorted(each.weight for each in found)
    for each in found:
        assert each.weight == weight_of(graph, each) <= best <= each.upper_bound


CIRCLES = nx.disjoint_union_all([nx.cycle_graph(size) for size in (3, 5, 7, 9, 4)])
CHAIN = nx.line_graph(nx.binomial_tree(5))
"""Cliques that share vertices: blossoms in blossoms."""


@pytest.mark.parametrize("weights", [(0,), (1,), (7, 7, 8), (HEAVIEST,), (HEAVIEST, HEAVIEST - 1, 0), (5, 9, 5, 1)])
@pytest.mark.parametrize(
    "shape",
    [
        nx.star_graph(40), nx.path_graph(31), nx.cycle_graph(31), nx.wheel_graph(30), nx.complete_graph(21),
        nx.petersen_graph(), nx.windmill_graph(9, 4), nx.barbell_graph(7, 6), CIRCLES, CHAIN,
        nx.empty_graph(5), nx.disjoint_union(nx.empty_graph(3), nx.path_graph(2)), nx.grid_2d_graph(7, 7),
    ],
)  # fmt: skip
def test_awkward_shapes(shape: nx.Graph, weights: tuple[int, ...]) -> None:
    graph = weighed(shape, *weights)
    found = pair(graph)
    assert found.weight == found.upper_bound == weight_of(graph, found) == best_weight(graph)


def near(n: int, most: int, seed: int) -> CompatibilityGraph:
    """People on a street, each joined to the `most` nearest: the nearer the heavier."""
    at = np.random.default_rng(seed).random(n)
    apart = np.abs(at[:, None] - at)
    one, other = np.repeat(np.arange(n), most), np.argsort(apart, axis=1)[:, 1 : most + 1].ravel()
    key = np.unique(np.minimum(one, other) * n + np.maximum(one, other))
    one, other = key // n, key % n
    return CompatibilityGraph.from_edges(n, one, other, (1_000_000 * (1 - apart[one, other] / 2)).astype(int))


@pytest.mark.parametrize("most", [4, 8, 12])
def test_one_of_an_odd_number_is_left_out_and_it_is_the_right_one(most: int) -> None:
    # The last search goes through the whole component, and what was inner comes into blossoms.
    for seed in range(40):
        graph = near(301, most, seed)
        found = pair(graph)
        assert found.weight == found.upper_bound
    assert found.weight == best_weight(graph)


def test_by_hand() -> None:
    # Greed takes the middle of the path; the two ends are worth more.
    path = CompatibilityGraph.from_edges(4, [0, 1, 2], [1, 2, 3], [6, 9, 6])
    assert pair(path).mate.tolist() == [1, 0, 3, 2]
    assert pair(path, exact_component_members_max=0).mate.tolist() == [1, 0, 3, 2]
    assert pair(CompatibilityGraph.from_edges(3, [], [], [])).mate.tolist() == [-1, -1, -1]
    assert pair(CompatibilityGraph.from_edges(0, [], [], [])).weight == 0


def test_the_heaviest_weights_do_not_overflow() -> None:
    graph = weighed(nx.disjoint_union_all([nx.complete_graph(5)] * 1_000), HEAVIEST)
    found = pair(graph)
    assert found.weight == found.upper_bound == 2_000 * HEAVIEST


def test_improvement_gets_nearly_all_of_what_is_there() -> None:
    graph = drawn(3_000, 18_000, 1_000_000, 5)
    exact = pair(graph, exact_component_members_max=3_000)
    assert exact.weight == exact.upper_bound
    start, little, much = (
        pair(graph, exact_component_members_max=0, improvement_rounds_max=rounds) for rounds in (0, 1, 8)
    )
    assert start.weight < 0.98 * exact.weight < 0.996 * exact.weight <= little.weight <= much.weight <= exact.weight
    assert start.upper_bound > much.upper_bound >= exact.weight
    assert much.weight >= 0.998 * much.upper_bound


def test_small_components_are_exact_beside_a_large_one() -> None:
    large = nx.gnm_random_graph(300, 1_500, seed=1)
    path = nx.relabel_nodes(nx.path_graph(4), lambda node: node + 300)
    nx.set_edge_attributes(path, {(300, 301): 6, (301, 302): 9, (302, 303): 6}, "weight")
    graph = CompatibilityGraph.from_networkx(nx.compose(large, path))
    found = pair(graph, exact_component_members_max=50, improvement_rounds_max=0)
    assert found.mate[300:].tolist() == [301, 300, 303, 302]
    assert found.weight <= found.upper_bound


def many_components(seed: int) -> CompatibilityGraph:
    """12,000 nodes in components of all sizes, numbered without order, some of them alone."""
    draw = np.random.default_rng(seed)
    shapes = [nx.gnm_random_graph(int(size), int(2 * size), seed=int(size)) for size in draw.integers(1, 40, 500)]
    shapes.append(nx.gnm_random_graph(3_000, 12_000, seed=seed))
    whole = nx.disjoint_union_all(shapes)
    one, other = np.array(whole.edges).T
    names = draw.permutation(len(whole))
    return CompatibilityGraph.from_edges(len(whole), names[one], names[other], draw.integers(0, 1_000, len(one)))


def test_the_number_of_threads_decides_nothing() -> None:
    graph = many_components(3)
    found = [pair(graph, seed=4, threads=threads) for threads in (1, 2, 5, None, 1)]
    assert len({(each.mate.tobytes(), each.weight, each.upper_bound) for each in found}) == 1
    assert found[0].weight == weight_of(graph, found[0])


def test_many_components_are_solved_one_by_one() -> None:
    graph = many_components(5)
    found = pair(graph)
    assert found.weight == found.upper_bound
    total = 0
    for nodes in nx.connected_components(graph):
        if len(nodes) < 100:
            part = nx.convert_node_labels_to_integers(nx.Graph(graph.subgraph(nodes)))
            total += (best := best_weight(CompatibilityGraph.from_networkx(part)))
            inside = {int(node) for node in nodes}
            own = sum(graph[u][int(found.mate[u])]["weight"] for u in inside if found.mate[u] >= 0) // 2
            assert own == best
    assert total > 0


@pytest.mark.parametrize("exact_max", [0, 2_000])
def test_the_seed_decides_between_equals_and_nothing_else_does(exact_max: int) -> None:
    graph = CompatibilityGraph.from_networkx(nx.complete_graph(30))
    mates = [pair(graph, seed=seed, exact_component_members_max=exact_max).mate.tolist() for seed in (1, 1, 1, -2)]
    assert mates[0] == mates[1] == mates[2] != mates[3]


def test_the_heap_of_events_grows_when_it_must(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = drawn(300, 3_000, 50, 2)
    wanted = pair(graph)
    made: list[Any] = []
    whole = pairing.bare_tree

    def cramped(n: int, _: int) -> Any:
        made.append(whole(n, 1))
        return made[-1]

    monkeypatch.setattr(pairing, "bare_tree", cramped)
    found = pair(graph)
    assert made
    assert (found.mate == wanted.mate).all()
    assert found.upper_bound == found.weight == best_weight(graph)
