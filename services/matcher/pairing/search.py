"""One search: from a vertex that is left over, find where an exchange along a path gains most.

This is one stage of Edmonds' algorithm, with one tree. Time starts at 0 and is by how much the duals of
outer vertices have fallen, and those of inner ones have risen. What happens next is found by
a heap of events: an edge becomes tight, or the charge of an inner blossom is used up. The
search ends as soon as

- an edge to somebody else who is left over becomes tight: both get a mate;
- the dual of an outer vertex is used up: it is left over instead of the root, and that is
  right, since whoever is left over must have a dual of 0.

All events that come later than an end already in sight are not even put onto the heap.
"""

from __future__ import annotations

import numpy as np

from services.matcher.compiled import compiled
from services.matcher.pairing.forest import FREE, INNER, OUTER, Forest, Ints, match_inside, release
from services.matcher.pairing.parts import Rows
from services.matcher.pairing.tree import (
    END_FROM,
    END_TO,
    EVENTS,
    LIMIT,
    MARK,
    NODES,
    NOW,
    WAITING,
    WORK,
    Tree,
    drop_first,
    give_label,
    push,
    take_label,
    with_room,
)


@compiled
def _scan(rows: Rows, forest: Forest, tree: Tree, vertex: int) -> None:
    """Look at the edges of an outer vertex."""
    own = forest.top[vertex]
    dual, limit = forest.dual[vertex], tree.clock[LIMIT]
    if dual < limit:
        limit = dual
        tree.clock[END_FROM], tree.clock[END_TO] = vertex, -1
    for place in range(rows.start[vertex], rows.start[vertex + 1]):
        other = rows.neighbour[place]
        node = forest.top[other]
        label = forest.label[node]
        if node == own or label == INNER:
            continue
        when = dual + forest.dual[other] - 2 * np.int64(rows.weight[place])
        if label == OUTER:
            when //= 2
        if when >= limit:
            continue
        if label == FREE and forest.mate[forest.base[node]] < 0:
            limit = when
            tree.clock[END_FROM], tree.clock[END_TO] = vertex, other
        else:
            push(tree, when, vertex, place)
    tree.clock[LIMIT] = limit
    tree.clock[WORK] += rows.start[vertex + 1] - rows.start[vertex]


@compiled
def _scan_back(rows: Rows, forest: Forest, tree: Tree, node: int) -> None:
    """Look for edges from outer vertices to those of a node that has become free."""
    vertex, last = forest.first[node], forest.last[node]
    while True:
        dual = forest.dual[vertex]
        for place in range(rows.start[vertex], rows.start[vertex + 1]):
            other = rows.neighbour[place]
            if forest.label[forest.top[other]] == OUTER:
                when = dual + forest.dual[other] - 2 * np.int64(rows.weight[place])
                if when < tree.clock[LIMIT]:
                    push(tree, when, vertex, place)
        tree.clock[WORK] += rows.start[vertex + 1] - rows.start[vertex]
        if vertex == last:
            break
        vertex = forest.after[vertex]


@compiled
def _grow(forest: Forest, tree: Tree, one: int, other: int) -> None:
    """A tight edge leads to a free node: it and its mate join the tree."""
    node = forest.top[other]
    forest.entry_from[node], forest.entry_to[node] = one, other
    give_label(forest, tree, node, INNER)
    give_label(forest, tree, forest.top[forest.mate[forest.base[node]]], OUTER)


@compiled
def _outer_above(forest: Forest, node: int) -> int:
    """The outer node two steps nearer to the root than an outer node; -1 for the root."""
    mate = forest.mate[forest.base[node]]
    if mate < 0:
        return -1
    return forest.top[forest.entry_from[forest.top[mate]]]  # type: ignore[no-any-return]


@compiled
def _meeting(forest: Forest, tree: Tree, one: int, other: int) -> int:
    """The outer node where the ways of two outer nodes to the root meet."""
    tree.clock[MARK] += 1
    mark = tree.clock[MARK]
    while True:
        if one >= 0:
            if forest.mark[one] == mark:
                return one
            forest.mark[one] = mark
            one = _outer_above(forest, one)
        one, other = other, one


@compiled
def _join(forest: Forest, one: int, other: int, link_from: int, link_to: int) -> None:
    forest.beside[one], forest.link_from[one], forest.link_to[one] = other, link_from, link_to


@compiled
def _shrink(forest: Forest, tree: Tree, one: int, other: int) -> None:
    """A tight edge closes an odd circle in the tree: it becomes a blossom."""
    meeting = _meeting(forest, tree, forest.top[one], forest.top[other])
    node = forest.top[one]
    _join(forest, node, forest.top[other], one, other)
    while node != meeting:
        base = forest.base[node]
        inner = forest.top[forest.mate[base]]
        _join(forest, inner, node, forest.mate[base], base)
        node = forest.top[forest.entry_from[inner]]
        _join(forest, node, inner, forest.entry_from[inner], forest.entry_to[inner])
    node = forest.top[other]
    while node != meeting:
        base = forest.base[node]
        inner = forest.top[forest.mate[base]]
        _join(forest, node, inner, base, forest.mate[base])
        node = forest.top[forest.entry_from[inner]]
        _join(forest, inner, node, forest.entry_to[inner], forest.entry_from[inner])

    now = tree.clock[NOW]
    forest.spares[0] -= 1
    blossom = forest.spare[forest.spares[0]]
    node, last, size = meeting, -1, 0
    while True:
        was_inner = forest.label[node] == INNER
        forest.charge[node] += -2 * now if was_inner else 2 * now
        forest.label[node] = FREE
        forest.parent[node] = blossom
        size += forest.size[node]
        vertex = forest.first[node]
        if last >= 0:
            forest.after[last] = vertex
        last = forest.last[node]
        while True:
            forest.top[vertex] = blossom
            if was_inner:
                forest.dual[vertex] += 2 * now
                tree.waiting[tree.clock[WAITING]] = vertex
                tree.clock[WAITING] += 1
            if vertex == last:
                break
            vertex = forest.after[vertex]
            tree.clock[WORK] += 1
        node = forest.beside[node]
        if node == meeting:
            break
    forest.first[blossom], forest.last[blossom] = forest.first[meeting], last
    forest.child[blossom], forest.parent[blossom] = meeting, -1
    forest.base[blossom], forest.size[blossom] = forest.base[meeting], size
    forest.charge[blossom] = -2 * now
    forest.label[blossom] = OUTER
    tree.nodes[tree.clock[NODES]] = blossom
    tree.clock[NODES] += 1


@compiled
def _open(rows: Rows, forest: Forest, tree: Tree, blossom: int) -> None:
    """The charge of an inner blossom is used up: what the tree needs of its circle stays in the tree."""
    one, entry = forest.entry_from[blossom], forest.entry_to[blossom]
    take_label(forest, tree, blossom)
    holder = match_inside(forest, blossom)
    release(forest, blossom)
    node = forest.top[entry]
    # An entry that is an odd number of steps after the holder of the base is matched to the next node
    # on the circle, and the tree runs forwards; else it runs backwards.
    step, place = 0, holder
    while place != node:
        place = forest.beside[place]
        step += 1
    if step % 2:
        while True:
            forest.entry_from[node], forest.entry_to[node] = one, entry
            give_label(forest, tree, node, INNER)
            if node == holder:
                break
            node = forest.beside[node]
            give_label(forest, tree, node, OUTER)
            one, entry = forest.link_from[node], forest.link_to[node]
            node = forest.beside[node]
    else:
        # The circle is linked forwards only: from the holder to the entry, each edge turned round.
        forest.entry_from[node], forest.entry_to[node] = one, entry
        place = holder
        while place != node:
            outer = forest.beside[place]
            forest.entry_from[place], forest.entry_to[place] = forest.link_to[place], forest.link_from[place]
            give_label(forest, tree, place, INNER)
            give_label(forest, tree, outer, OUTER)
            place = forest.beside[outer]
        give_label(forest, tree, node, INNER)
    node = forest.beside[holder]
    while node != holder:
        if forest.label[node] == FREE:
            _scan_back(rows, forest, tree, node)
        node = forest.beside[node]


@compiled
def _exchange(forest: Forest, one: int, other: int) -> None:
    """Match an outer vertex to another (or to nobody: -1), and so on up to the root, which has a mate then."""
    while True:
        node = forest.top[one]
        before = forest.mate[forest.base[node]]
        forest.base[node], forest.mate[one] = one, other
        if other >= 0:
            forest.base[forest.top[other]], forest.mate[other] = other, one
        if before < 0:
            return
        inner = forest.top[before]
        one, other = forest.entry_from[inner], forest.entry_to[inner]


@compiled
def _edges_of(rows: Rows, forest: Forest, node: int) -> int:
    """How many edges the vertices of a node have."""
    vertex, edges = forest.first[node], np.int64(0)
    while True:
        edges += rows.start[vertex + 1] - rows.start[vertex]
        if vertex == forest.last[node]:
            return edges  # type: ignore[no-any-return]
        vertex = forest.after[vertex]


@compiled
def _settle(forest: Forest, tree: Tree) -> None:
    """The search is over: all duals become what they are now, and blossoms without a charge are no more."""
    for place in range(tree.clock[NODES]):
        node = tree.nodes[place]
        if forest.label[node] != FREE:
            take_label(forest, tree, node)
    n, place = len(forest.mate), 0
    while place < tree.clock[NODES]:
        node = tree.nodes[place]
        place += 1
        if node < n or forest.base[node] < 0 or forest.parent[node] >= 0 or forest.charge[node] > 0:
            continue
        holder = inside = match_inside(forest, node)
        release(forest, node)
        while True:
            if inside >= n:
                tree.nodes[tree.clock[NODES]] = inside
                tree.clock[NODES] += 1
            inside = forest.beside[inside]
            if inside == holder:
                break


@compiled
def search(rows: Rows, forest: Forest, tree: Tree, root: int, work_max: int) -> bool:
    """Search from a vertex that is left over; False if given up because the work grew too much.

    However it ends: duals are feasible, edges of the matching are tight, the circles of blossoms too, and
    nobody but the root and those left over before has a dual above 0 and no mate.
    """
    tree.clock[:MARK] = 0
    tree.clock[LIMIT] = forest.dual[root] + 1
    give_label(forest, tree, forest.top[root], OUTER)
    scanned, found = 0, True
    while True:
        while scanned < tree.clock[WAITING]:
            vertex = tree.waiting[scanned]
            tree = with_room(tree, rows.start[vertex + 1] - rows.start[vertex])
            _scan(rows, forest, tree, vertex)
            scanned += 1
        if tree.clock[WORK] > work_max:
            found = False
            break
        if tree.clock[EVENTS] == 0 or tree.when[0] >= tree.clock[LIMIT]:
            tree.clock[NOW] = tree.clock[LIMIT]
            break
        now, one, place = tree.when[0], tree.event_from[0], tree.event_place[0]
        drop_first(tree)
        tree.clock[NOW] = now
        if place < 0:
            if forest.label[one] == INNER and forest.charge[one] == 2 * now:
                tree = with_room(tree, _edges_of(rows, forest, one) + forest.size[one])
                _open(rows, forest, tree, one)
            continue
        other = rows.neighbour[place]
        if forest.label[forest.top[one]] != OUTER:
            one, other = other, one
        node = forest.top[other]
        label = forest.label[node]
        # Whoever was an inner vertex for a while kept the slack of an edge: then this event comes too early,
        # and the right one has been put onto the heap when the vertex changed its label.
        slack = forest.dual[one] + forest.dual[other] - 2 * np.int64(rows.weight[place])
        if label == OUTER and node != forest.top[one] and slack == 2 * now:
            _shrink(forest, tree, one, other)
        elif label == FREE and slack == now:
            _grow(forest, tree, one, other)
    if found:
        _exchange(forest, tree.clock[END_FROM], tree.clock[END_TO])
    _settle(forest, tree)
    return found


@compiled
def match_those_left(
    rows: Rows, forest: Forest, tree: Tree, roots: Ints, search_work_max: int, work_max: int
) -> tuple[int, int]:
    """Search from each of the roots that is left over and has a dual.

    A search looks at no more than about `search_work_max` edges, and all of them together at `work_max`.
    Returns how many had to be given up on, who are now the first of `roots`, and the work done.
    """
    given_up = work = 0
    for root in roots:
        if forest.base[forest.top[root]] != root or forest.mate[root] >= 0 or forest.dual[root] == 0:
            continue
        work_here_max = search_work_max if search_work_max < work_max - work else work_max - work
        if not search(rows, forest, tree, root, work_here_max):
            roots[given_up] = root
            given_up += 1
        work += int(tree.clock[WORK])
    return given_up, work
