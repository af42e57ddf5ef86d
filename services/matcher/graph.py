"""The compatibility graph: a networkx Graph over compressed sparse rows.

A million members with a dozen candidates each do not fit into dicts of dicts (about
400 bytes an edge). Here an edge takes 16 bytes: two int32 neighbours, two int32
weights. Every networkx algorithm that only reads runs on it unchanged; hot paths use
the arrays `start`, `neighbour` and `weight`.
"""

from __future__ import annotations

import operator
from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from typing import Any, NoReturn

import networkx as nx
import numpy as np
from numpy.typing import ArrayLike, NDArray

_INT32_MAX = np.iinfo(np.int32).max


class CompatibilityGraphError(ValueError):
    """Edges that make no graph: says which one and why."""


def _refuse(*_: object, **__: object) -> NoReturn:
    raise nx.NetworkXError(
        "A CompatibilityGraph is read-only; change a copy: graph.copy() is an ordinary networkx.Graph"
    )


class CompatibilityGraph(nx.Graph):  # type: ignore[misc]  # networkx has no types
    """A read-only, undirected, weighted graph on the nodes 0 to n - 1.

    Invariants: neighbours of a node are sorted, `neighbour` holds every edge twice, no
    loops, no parallel edges, weights are integers of 0 or more.

    Notes
    -----
    Neighbours and degree are O(1), looking an edge up is O(log degree). Edge data are
    made when they are asked for, and are read-only like everything else: whatever
    would change the graph raises `networkx.NetworkXError`.

    Examples
    --------
    >>> graph = CompatibilityGraph.from_edges(4, [0, 1, 2], [1, 2, 3], [5, 9, 5])
    >>> sorted(nx.max_weight_matching(graph))
    [(2, 1)]
    >>> graph[1][2]["weight"]
    9
    """

    start: NDArray[np.int64]
    """(n + 1,) where the neighbours of each node start."""
    neighbour: NDArray[np.int32]
    """(2 m,)"""
    weight: NDArray[np.int32]
    """(2 m,)"""

    def __new__(cls, *args: Any, **attributes: Any) -> Any:
        # networkx makes empty graphs of the same kind with `G.__class__()` in order to fill them
        # (subgraph views, complements, ...). What is to be filled must be an ordinary Graph.
        return nx.Graph(*args, **attributes)

    @classmethod
    def from_edges(cls, n: int, u: ArrayLike, v: ArrayLike, weight: ArrayLike) -> CompatibilityGraph:
        """Build it from m edges, in any order, in O(m log m).

        Parameters
        ----------
        n
            How many nodes: 0 to n - 1.
        u, v, weight
            (m,) the ends of each edge, and its weight: an integer of 0 or more, below 2**31.

        Raises
        ------
        CompatibilityGraphError
            if an end is not a node, an edge is a loop or comes twice, or a weight is NaN, negative,
            not whole, or too large.
        """
        ends_u, ends_v, whole = _checked(n, u, v, weight)
        one, other = np.concatenate([ends_u, ends_v]), np.concatenate([ends_v, ends_u])
        order = np.lexsort((other, one))
        one, other = one[order], other[order]
        twice = np.flatnonzero((one[1:] == one[:-1]) & (other[1:] == other[:-1]))
        if len(twice):
            raise CompatibilityGraphError(f"edge {one[twice[0]]} - {other[twice[0]]} is there twice")
        start = np.zeros(n + 1, np.int64)
        np.cumsum(np.bincount(one, minlength=n), out=start[1:])
        return cls._over(start, other.astype(np.int32), np.concatenate([whole, whole])[order].astype(np.int32))

    @classmethod
    def from_rows(
        cls, start: NDArray[np.int64], neighbour: NDArray[np.int32], weight: NDArray[np.int32]
    ) -> CompatibilityGraph:
        """Take rows as they are, without a copy: whoever calls answers for the invariants. Arrays become read-only."""
        return cls._over(start, neighbour, weight)

    def without(self, taken: NDArray[np.bool_]) -> CompatibilityGraph:
        """The graph of those who are not taken, (n,), under the same numbers, in O(n + m)."""
        one = np.repeat(np.arange(len(self.start) - 1), np.diff(self.start))
        kept = ~(taken[one] | taken[self.neighbour])
        start = np.zeros(len(self.start), np.int64)
        np.cumsum(np.bincount(one[kept], minlength=len(taken)), out=start[1:])
        return self._over(start, self.neighbour[kept], self.weight[kept])

    @classmethod
    def from_networkx(cls, graph: nx.Graph) -> CompatibilityGraph:
        """Build it from an ordinary graph on the nodes 0 to n - 1; an edge without a weight weighs 1."""
        n = len(graph)
        if graph.is_directed() or graph.is_multigraph():
            raise CompatibilityGraphError("only an undirected graph without parallel edges is a compatibility graph")
        if set(graph) != set(range(n)):
            raise CompatibilityGraphError("nodes must be 0 to n - 1: see networkx.convert_node_labels_to_integers")
        edges = list(graph.edges(data="weight", default=1))
        return cls.from_edges(n, [a for a, _, _ in edges], [b for _, b, _ in edges], [w for _, _, w in edges])

    @classmethod
    def _over(
        cls, start: NDArray[np.int64], neighbour: NDArray[np.int32], weight: NDArray[np.int32]
    ) -> CompatibilityGraph:
        graph: CompatibilityGraph = object.__new__(cls)
        nx.Graph.__init__(graph)
        for array in (start, neighbour, weight):
            array.flags.writeable = False
        graph.start, graph.neighbour, graph.weight = start, neighbour, weight
        graph._node = _Nodes(len(start) - 1)
        graph._adj = _Adjacency(start, neighbour, weight)
        graph.frozen = True  # what networkx.is_frozen looks for
        return graph

    def __reduce__(self) -> tuple[Any, ...]:
        return CompatibilityGraph._over, (self.start, self.neighbour, self.weight)

    @property
    def nbytes(self) -> int:
        """How much memory the arrays take: 16 bytes an edge and 8 a node."""
        return self.start.nbytes + self.neighbour.nbytes + self.weight.nbytes

    @property
    def edge_arrays(self) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
        """u < v and weight, each (m,), sorted by u, then v."""
        one = np.repeat(np.arange(len(self.start) - 1, dtype=np.int32), np.diff(self.start))
        once = one < self.neighbour
        return one[once], self.neighbour[once], self.weight[once]

    def number_of_edges(self, u: Any = None, v: Any = None) -> int:
        return len(self.neighbour) // 2 if u is None else int(super().number_of_edges(u, v))

    def copy(self, as_view: bool = False) -> nx.Graph:
        """An ordinary networkx.Graph that can be changed; or, as a view, the graph itself."""
        if as_view:
            return self
        graph = nx.Graph()
        graph.add_nodes_from(range(len(self)))
        one, other, weight = (array.tolist() for array in self.edge_arrays)
        graph.add_weighted_edges_from(zip(one, other, weight, strict=True))
        return graph

    add_node = add_nodes_from = remove_node = remove_nodes_from = _refuse
    add_edge = add_edges_from = add_weighted_edges_from = remove_edge = remove_edges_from = _refuse
    clear = clear_edges = update = _refuse


def _checked(n: int, u: ArrayLike, v: ArrayLike, weight: ArrayLike) -> tuple[NDArray[np.int64], ...]:
    one, other, raw = np.asarray(u, np.int64).ravel(), np.asarray(v, np.int64).ravel(), np.asarray(weight).ravel()
    if not len(one) == len(other) == len(raw):
        raise CompatibilityGraphError("u, v and weight must be of one length")

    def refuse(wrong: NDArray[np.bool_], what: str) -> None:
        if wrong.any():
            edge = int(np.argmax(wrong))
            raise CompatibilityGraphError(f"edge {one[edge]} - {other[edge]} (weight {raw[edge]}) {what}")

    refuse((np.minimum(one, other) < 0) | (np.maximum(one, other) >= n), f"names a node outside of 0 to {n - 1}")
    refuse(one == other, "is a loop")
    if raw.dtype.kind == "f":
        refuse(np.isnan(raw), "has no number for a weight")
        refuse(raw != np.floor(raw), "has a weight that is not whole")
    elif raw.dtype.kind not in "iub":
        raise CompatibilityGraphError(f"weights must be integers, not {raw.dtype}")
    refuse(raw < 0, "has a negative weight")
    refuse(raw > _INT32_MAX, "has a weight of 2**31 or more")
    return one, other, raw.astype(np.int64)


def _row(key: object, size: int) -> int:
    """The node that a key stands for, as a dict of ints would find it; -1 for none."""
    try:
        node = operator.index(key)  # type: ignore[arg-type]  # what has no index is caught
    except TypeError:
        hash(key)  # an unhashable key is a TypeError, as it is for a dict
        node = int(key) if isinstance(key, float) and key.is_integer() else -1
    return node if 0 <= node < size else -1


class _EdgeData(dict[str, Any]):
    """The data of one edge. Changing it would change nothing, so it says so; copies are ordinary dicts."""

    __slots__ = ()
    __setitem__ = __delitem__ = update = pop = popitem = clear = setdefault = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)

    def copy(self) -> dict[str, Any]:
        return dict(self)


class _Nodes(Mapping[int, _EdgeData]):
    """Nodes without data."""

    __slots__ = ("_size",)

    def __init__(self, size: int) -> None:
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[int]:
        return iter(range(self._size))

    def __contains__(self, key: object) -> bool:
        return _row(key, self._size) >= 0

    def __getitem__(self, key: object) -> _EdgeData:
        if _row(key, self._size) < 0:
            raise KeyError(key)
        return _EdgeData()


class _Adjacency(Mapping[int, "_Neighbours"]):
    """From each node to its neighbours."""

    __slots__ = ("_neighbour", "_start", "_weight")

    def __init__(self, start: NDArray[np.int64], neighbour: NDArray[np.int32], weight: NDArray[np.int32]) -> None:
        self._start, self._neighbour, self._weight = start, neighbour, weight

    def __len__(self) -> int:
        return len(self._start) - 1

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self)))

    def __contains__(self, key: object) -> bool:
        return _row(key, len(self)) >= 0

    def __getitem__(self, key: object) -> _Neighbours:
        node = _row(key, len(self))
        if node < 0:
            raise KeyError(key)
        here = slice(self._start[node], self._start[node + 1])
        return _Neighbours(self._neighbour[here], self._weight[here])


class _Neighbours(Mapping[int, _EdgeData]):
    """From the neighbours of one node to the data of the edges between."""

    __slots__ = ("_neighbour", "_weight")

    def __init__(self, neighbour: NDArray[np.int32], weight: NDArray[np.int32]) -> None:
        self._neighbour, self._weight = neighbour, weight

    def __len__(self) -> int:
        return len(self._neighbour)

    def __iter__(self) -> Iterator[int]:
        return iter(self._neighbour.tolist())

    def _place(self, key: object) -> int:
        node = _row(key, _INT32_MAX)
        place = int(np.searchsorted(self._neighbour, node))
        return place if place < len(self._neighbour) and self._neighbour[place] == node else -1

    def __contains__(self, key: object) -> bool:
        return self._place(key) >= 0

    def __getitem__(self, key: object) -> _EdgeData:
        place = self._place(key)
        if place < 0:
            raise KeyError(key)
        return _EdgeData(weight=int(self._weight[place]))

    # Mapping's own views look every key up again; algorithms walk rows all the time.
    def items(self) -> ItemsView[int, _EdgeData]:
        return _Items(self)

    def values(self) -> ValuesView[_EdgeData]:
        return _Values(self)

    def _data(self) -> Iterator[_EdgeData]:
        return (_EdgeData(weight=weight) for weight in self._weight.tolist())


class _Items(ItemsView[int, _EdgeData]):
    _mapping: _Neighbours

    def __iter__(self) -> Iterator[tuple[int, _EdgeData]]:
        return zip(self._mapping, self._mapping._data(), strict=True)


class _Values(ValuesView[_EdgeData]):
    _mapping: _Neighbours

    def __iter__(self) -> Iterator[_EdgeData]:
        return self._mapping._data()
