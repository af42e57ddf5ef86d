"""The proof that no matching weighs more: duals, looked at afresh, edge by edge.

By linear programming duality (Edmonds 1965), if all duals are 0 or more, and the duals of an edge's ends
plus those of all blossoms that hold both are at least its weight, then no matching weighs
more than the sum over the vertices plus, for each blossom of 2k + 1 vertices, k times its dual.
"""

from __future__ import annotations

import numpy as np

from services.matcher.compiled import compiled
from services.matcher.pairing.forest import Forest, Ints
from services.matcher.pairing.parts import Rows


@compiled
def certified_bound(rows: Rows, forest: Forest) -> int:
    """Twice a weight that no matching exceeds. O(m log n).

    Duals that were not feasible are raised until they are: the bound holds even if the search had a fault.
    """
    n = len(forest.dual)
    total = np.int64(0)
    for blossom in range(n, len(forest.base)):
        if forest.base[blossom] >= 0:
            forest.charge[blossom] = max(np.int64(0), forest.charge[blossom])
            total += forest.charge[blossom] * (forest.size[blossom] // 2)
    for vertex in range(n):
        dual = max(np.int64(0), forest.dual[vertex])
        for place in range(rows.start[vertex], rows.start[vertex + 1]):
            other = rows.neighbour[place]
            if forest.top[vertex] != forest.top[other]:
                dual = max(dual, 2 * np.int64(rows.weight[place]) - forest.dual[other])
        forest.dual[vertex] = dual
    _raise_inside(rows, forest)
    return total + forest.dual.sum()  # type: ignore[no-any-return]


@compiled
def _raise_inside(rows: Rows, forest: Forest) -> None:
    """Raise duals until edges inside of blossoms have what they need.

    The smallest blossom that holds an edge is found by putting children together, inner blossoms
    first, and looking at the edges of all but the largest child: each vertex is then looked at
    at most log n times, however deeply blossoms are nested.
    """
    n = len(forest.dual)
    blossoms = np.flatnonzero(forest.base[n:] >= 0) + n
    blossoms = blossoms[np.argsort(forest.size[blossoms], kind="mergesort")]
    charge = np.zeros(len(forest.base), np.int64)
    for at in range(len(blossoms) - 1, -1, -1):
        blossom = blossoms[at]
        above = forest.parent[blossom]
        charge[blossom] = forest.charge[blossom] + (charge[above] if above >= 0 else 0)
    together = np.arange(n).astype(np.int32)  # the set of a vertex, named after one of its vertices
    latest = np.full(n, -1, np.int32)  # the blossom that a set has been put into last
    for blossom in blossoms:
        child = largest = forest.child[blossom]
        while True:
            latest[together[forest.first[child]]] = blossom
            if forest.size[child] > forest.size[largest]:
                largest = child
            child = forest.beside[child]
            if child == forest.child[blossom]:
                break
        child = forest.beside[largest]
        while child != largest:
            vertex, last = forest.first[child], forest.last[child]
            while True:
                for place in range(rows.start[vertex], rows.start[vertex + 1]):
                    other = rows.neighbour[place]
                    if together[other] != together[vertex] and latest[together[other]] == blossom:
                        need = 2 * np.int64(rows.weight[place]) - charge[blossom] - forest.dual[other]
                        forest.dual[vertex] = max(forest.dual[vertex], need)
                if vertex == last:
                    break
                vertex = forest.after[vertex]
            child = forest.beside[child]
        name = together[forest.first[largest]]
        child = forest.beside[largest]
        while child != largest:
            vertex = forest.first[child]
            together[vertex] = name
            while vertex != forest.last[child]:
                vertex = forest.after[vertex]
                together[vertex] = name
            child = forest.beside[child]


@compiled
def weight_of(rows: Rows, mate: Ints) -> int:
    """What the pairs weigh."""
    total = np.int64(0)
    for vertex in range(len(mate)):
        if mate[vertex] > vertex:
            for place in range(rows.start[vertex], rows.start[vertex + 1]):
                if rows.neighbour[place] == mate[vertex]:
                    total += rows.weight[place]
                    break
    return total  # type: ignore[return-value]
