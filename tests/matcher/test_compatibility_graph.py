import copy
import pickle
from typing import Any

import networkx as nx
import numpy as np
import pytest

from services.matcher.graph import CompatibilityGraph, CompatibilityGraphError


def drawn(n: int = 40, edges: int = 120, seed: int = 0) -> nx.Graph:
    graph = nx.gnm_random_graph(n, edges, seed=seed)
    draw = np.random.default_rng(seed)
    for _, _, data in graph.edges(data=True):
        data["weight"] = int(draw.integers(1, 1000))
    return graph


def both(**kind: int) -> tuple[CompatibilityGraph, nx.Graph]:
    plain = drawn(**kind)
    return CompatibilityGraph.from_networkx(plain), plain


def edges_of(graph: nx.Graph) -> list[tuple[int, int, int]]:
    return sorted((min(u, v), max(u, v), data["weight"]) for u, v, data in graph.edges(data=True))


@pytest.mark.parametrize(
    "algorithm",
    [
        lambda g: sorted(map(sorted, nx.connected_components(g))),
        lambda g: sum(g[u][v]["weight"] for u, v in nx.max_weight_matching(g)),
        nx.pagerank,
        lambda g: dict(g.degree()),
        lambda g: dict(g.degree(weight="weight")),
        edges_of,
        lambda g: sorted(g.edges(data="weight")) == sorted((u, v, g.get_edge_data(u, v)["weight"]) for u, v in g.edges),
        lambda g: edges_of(g.subgraph(range(12))),
        lambda g: edges_of(g.edge_subgraph(list(g.edges)[:9])),
        nx.clustering,
        lambda g: nx.average_clustering(g, weight="weight"),
        lambda g: dict(nx.all_pairs_dijkstra_path_length(g)),
        nx.core_number,
        lambda g: edges_of(nx.maximum_spanning_tree(g)),
        lambda g: sorted(nx.complement(g).edges),
        lambda g: nx.to_numpy_array(g, nodelist=range(len(g))).tolist(),
        lambda g: nx.to_scipy_sparse_array(g, nodelist=range(len(g))).toarray().tolist(),
        nx.betweenness_centrality,
        lambda g: sorted(map(sorted, nx.community.louvain_communities(g, seed=1))),
        lambda g: nx.density(g),
        lambda g: (g.size(), g.size(weight="weight"), g.number_of_edges(), g.number_of_edges(0, 1), g.order()),
        lambda g: sorted(g.nbunch_iter([1, 2, 99])),
        lambda g: (0 in g, 99 in g, "x" in g, np.int32(3) in g, 3.0 in g, g.has_edge(0, 99), g.has_node(1)),
        lambda g: sorted(nx.greedy_color(g).values()),
    ],
)  # fmt: skip
def test_networkx_finds_the_same_on_it(algorithm: Any) -> None:
    # Against its own copy, since many algorithms decide between equals by the order of neighbours.
    packed, _ = both()
    assert algorithm(packed) == algorithm(packed.copy())


def test_copies_are_ordinary_and_complete() -> None:
    packed, plain = both()
    for made in (packed.copy(), nx.Graph(packed), packed.to_undirected(), copy.deepcopy(packed).copy()):
        assert type(made) is nx.Graph
        assert edges_of(made) == edges_of(plain)
        assert list(made) == list(plain)
        made.add_edge(0, 1, weight=5)
        made[0][1]["weight"] = 6
    assert edges_of(packed) == edges_of(plain)
    assert packed.to_directed().number_of_edges() == 2 * plain.number_of_edges()
    assert edges_of(pickle.loads(pickle.dumps(packed))) == edges_of(plain)  # noqa: S301
    assert nx.utils.graphs_equal(packed.copy(), plain)


@pytest.mark.parametrize(
    "change",
    [
        lambda g: g.add_node(99),
        lambda g: g.add_nodes_from([99]),
        lambda g: g.add_edge(0, 1),
        lambda g: g.add_edges_from([(0, 1)]),
        lambda g: g.add_weighted_edges_from([(0, 1, 2)]),
        lambda g: g.remove_node(0),
        lambda g: g.remove_nodes_from([0]),
        lambda g: g.remove_edge(*next(iter(g.edges))),
        lambda g: g.remove_edges_from(list(g.edges)),
        lambda g: g.clear(),
        lambda g: g.clear_edges(),
        lambda g: g.update(nx.path_graph(3)),
        lambda g: nx.set_edge_attributes(g, 1, "weight"),
        lambda g: nx.set_node_attributes(g, 1, "colour"),
        lambda g: next(iter(g.edges(data=True)))[2].update(weight=3),
        lambda g: g.nodes[0].update(colour="red"),
    ],
)
def test_whatever_would_change_it_is_refused(change: Any) -> None:
    packed, plain = both()
    with pytest.raises(nx.NetworkXError, match="read-only"):
        change(packed)
    assert edges_of(packed) == edges_of(plain)
    assert nx.is_frozen(packed)
    with pytest.raises(ValueError, match="read-only"):
        packed.weight[0] = 1


def test_what_is_not_there() -> None:
    packed, _ = both()
    with pytest.raises(KeyError):
        packed[40]
    with pytest.raises(KeyError):
        packed[0][0]
    with pytest.raises(KeyError):
        packed.nodes["x"]


def test_twenty_bytes_an_edge_at_most() -> None:
    packed, plain = both(n=2_000, edges=16_000)
    assert packed.nbytes <= 20 * plain.number_of_edges()


def test_a_graph_without_edges_and_one_without_nodes() -> None:
    assert list(CompatibilityGraph.from_edges(3, [], [], []).edges) == []
    assert len(CompatibilityGraph.from_edges(0, [], [], [])) == 0


@pytest.mark.parametrize(
    ("u", "v", "weight", "message"),
    [
        ([0], [0], [1], "0 - 0 .* is a loop"),
        ([0], [3], [1], "0 - 3 .* outside of 0 to 2"),
        ([-1], [1], [1], "-1 - 1 .* outside"),
        ([0, 1], [1, 0], [1, 2], "0 - 1 is there twice"),
        ([0], [1], [-1], "negative"),
        ([0], [1], [float("nan")], "no number"),
        ([0], [1], [0.5], "not whole"),
        ([0], [1], [2**31], "2\\*\\*31"),
        ([0], [1, 2], [1], "one length"),
    ],
)
def test_edges_that_make_no_graph_are_refused_by_name(
    u: list[int], v: list[int], weight: list[float], message: str
) -> None:
    with pytest.raises(CompatibilityGraphError, match=message):
        CompatibilityGraph.from_edges(3, u, v, weight)


def test_only_a_plain_graph_on_0_to_n_is_taken() -> None:
    with pytest.raises(CompatibilityGraphError, match="convert_node_labels_to_integers"):
        CompatibilityGraph.from_networkx(nx.Graph([("a", "b")]))
    with pytest.raises(CompatibilityGraphError, match="undirected"):
        CompatibilityGraph.from_networkx(nx.DiGraph([(0, 1)]))
