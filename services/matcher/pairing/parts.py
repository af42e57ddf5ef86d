"""The graph in parts that can be solved by themselves, renumbered so that neighbours lie close to each other."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.matcher.compiled import compiled

PART_MEMBERS = 4_096
"""Connected components are put together into parts of about so many members: what a part needs then stays in
a core's own cache, and thousands of small ones cost no more than one."""


class Rows(NamedTuple):
    """A graph in compressed sparse rows, as in `CompatibilityGraph`."""

    start: NDArray[np.int64]
    neighbour: NDArray[np.int32]
    weight: NDArray[np.int32]


@compiled
def walk(start: NDArray[np.int64], neighbour: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Those who have a neighbour at all, breadth first, component by component; and where each component ends."""
    n = len(start) - 1
    order, ends = np.empty(n, np.int32), np.empty(n // 2 + 1, np.int64)
    seen = np.zeros(n, np.bool_)
    count = components = read = 0
    for root in range(n):
        if seen[root] or start[root] == start[root + 1]:
            continue
        seen[root], order[count] = True, root
        count += 1
        while read < count:
            vertex = order[read]
            read += 1
            for place in range(start[vertex], start[vertex + 1]):
                other = neighbour[place]
                if not seen[other]:
                    seen[other], order[count] = True, other
                    count += 1
        ends[components] = count
        components += 1
    return order[:count], ends[:components]


@compiled
def parts_of(ends: NDArray[np.int64], exact_members_max: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Where each part ends in the order of `walk`; and whether all its components are small enough to be exact."""
    part_ends, exact = np.empty(len(ends), np.int64), np.empty(len(ends), np.bool_)
    parts, begin = 0, np.int64(0)
    for component in range(len(ends)):
        before = ends[component - 1] if component else np.int64(0)
        small = ends[component] - before <= exact_members_max
        if parts and exact[parts - 1] == small and ends[component] - begin <= PART_MEMBERS:
            part_ends[parts - 1] = ends[component]
            continue
        begin = before
        part_ends[parts], exact[parts] = ends[component], small
        parts += 1
    return part_ends[:parts], exact[:parts]


@compiled
def cut_out(graph: Rows, order: NDArray[np.int32], number: NDArray[np.int32], begin: int, end: int) -> Rows:
    """The part of those in `order[begin:end]`, who become 0 to end - begin - 1; `number[order]` is 0, 1, 2, ..."""
    start = np.empty(end - begin + 1, np.int64)
    start[0] = 0
    for vertex in range(end - begin):
        old = order[begin + vertex]
        start[vertex + 1] = start[vertex] + graph.start[old + 1] - graph.start[old]
    neighbour, weight = np.empty(start[-1], np.int32), np.empty(start[-1], np.int32)
    to = 0
    for vertex in range(end - begin):
        old = order[begin + vertex]
        for place in range(graph.start[old], graph.start[old + 1]):
            neighbour[to] = number[graph.neighbour[place]] - begin
            weight[to] = graph.weight[place]
            to += 1
    return Rows(start, neighbour, weight)
