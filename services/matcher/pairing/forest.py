"""Blossoms: odd sets of vertices that Edmonds' algorithm treats as one, nested in each other.

A *node* is a vertex (its own number, below n) or a blossom (n and above). Nodes that lie
in no blossom are at the *top*. A blossom is a circle of an odd number of nodes; each keeps
the edge to the next one. Only the matching between top nodes is kept up to date: what a
blossom's inner matching is follows from its base, and is written down when it is opened.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.matcher.compiled import compiled

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]

FREE, OUTER, INNER = 0, 1, 2
"""Labels of top nodes: in no tree; at an even or at an odd distance from the root of the tree."""


class Forest(NamedTuple):
    """All blossoms, the matching, and the duals, which are twice those of the textbook so as to stay whole."""

    dual: Longs
    """(n,) of each vertex. While its top node is in a tree: what it would be at time 0."""
    mate: Ints
    """(n,) valid for the bases of top nodes; -1 for none."""
    top: Ints
    """(n,) the top node that a vertex lies in."""
    after: Ints
    """(n,) the vertices of a node one after the other, from `first` to `last`."""
    first: Ints
    """This and the following have n + n // 2 + 1 entries, one a node."""
    last: Ints
    parent: Ints
    """The blossom it lies in; -1 at the top."""
    child: Ints
    """One of its children."""
    base: Ints
    """The vertex by which it is matched to the outside, or would be; -1 for a number not in use."""
    beside: Ints
    """The next node on the circle."""
    link_from: Ints
    """The edge to that one: from a vertex of this node ..."""
    link_to: Ints
    """... to a vertex of the next."""
    charge: Longs
    """The dual of a blossom (twice, as always), at time 0 where it is in a tree."""
    label: NDArray[np.int8]
    entry_from: Ints
    """The edge by which an inner node joined the tree: from a vertex of an outer node ..."""
    entry_to: Ints
    """... to a vertex of this one."""
    mark: Ints
    size: Ints
    """How many vertices it has."""
    spare: Ints
    """Numbers of blossoms that are not in use, `spare[:spares[0]]`."""
    spares: Ints


def bare_forest(dual: Longs, mate: Ints) -> Forest:
    """No blossoms yet. Takes both arrays over."""
    n = len(dual)
    nodes = n + n // 2 + 1
    vertices = np.arange(n, dtype=np.int32)

    def fresh(fill: int = -1) -> Ints:
        return np.full(nodes, fill, np.int32)

    itself = fresh()
    itself[:n] = vertices
    return Forest(
        dual, mate, vertices, np.full(n, -1, np.int32),
        itself, itself.copy(), fresh(), fresh(), itself.copy(), fresh(), fresh(), fresh(),
        np.zeros(nodes, np.int64), np.zeros(nodes, np.int8), fresh(), fresh(), fresh(0), fresh(1),
        np.arange(nodes - 1, n - 1, -1, dtype=np.int32), np.array([nodes - n], np.int32),
    )  # fmt: skip


@compiled
def match_inside(forest: Forest, blossom: int) -> int:
    """Match the children of a blossom with each other, but for the one that holds its base; returns that one."""
    holder = forest.base[blossom]
    while forest.parent[holder] != blossom:
        holder = forest.parent[holder]
    forest.base[holder] = forest.base[blossom]
    one = forest.beside[holder]
    while one != holder:
        other = forest.beside[one]
        a, b = forest.link_from[one], forest.link_to[one]
        forest.base[one], forest.mate[a] = a, b
        forest.base[other], forest.mate[b] = b, a
        one = forest.beside[other]
    return holder  # type: ignore[no-any-return]


@compiled
def release(forest: Forest, blossom: int) -> None:
    """Make the children of a top blossom top nodes, and its number free for another."""
    node = forest.child[blossom]
    while forest.parent[node] == blossom:
        forest.parent[node] = -1
        forest.label[node] = FREE
        vertex = forest.first[node]
        forest.top[vertex] = node
        while vertex != forest.last[node]:
            vertex = forest.after[vertex]
            forest.top[vertex] = node
        node = forest.beside[node]
    forest.label[blossom] = FREE
    forest.base[blossom] = -1
    forest.spare[forest.spares[0]] = blossom
    forest.spares[0] += 1


@compiled
def match_everything(forest: Forest) -> None:
    """Write the matching inside of all blossoms down, outermost first. Their nesting stays."""
    n = len(forest.mate)
    todo = np.empty(len(forest.parent) - n, np.int32)
    count = 0
    for blossom in range(n, len(forest.parent)):
        if forest.base[blossom] >= 0 and forest.parent[blossom] < 0:
            todo[count] = blossom
            count += 1
    while count:
        count -= 1
        holder = node = match_inside(forest, todo[count])
        while True:
            if node >= n:
                todo[count] = node
                count += 1
            node = forest.beside[node]
            if node == holder:
                break
