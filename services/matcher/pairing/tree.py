"""The tree that a search grows, and the heap of events that are to come.

A node that joins the tree keeps its duals as they would be at time 0, so that nothing has to
be changed while time goes on; when it leaves, they become what they are by then.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from services.matcher.compiled import compiled
from services.matcher.pairing.forest import FREE, INNER, OUTER, Forest, Ints, Longs

NOW, LIMIT, END_FROM, END_TO, EVENTS, NODES, WAITING, WORK, MARK = range(9)


class Tree(NamedTuple):
    """What a search needs besides; used again and again."""

    clock: Longs
    """Now; the end in sight and its edge; sizes of what follows; work done; the last mark."""
    when: Longs
    """A heap of events: when, and an edge (a vertex, and a place in its row), or a blossom and -1."""
    event_from: Ints
    event_place: Longs
    nodes: Ints
    """All nodes that were given a label."""
    waiting: Ints
    """Outer vertices whose edges were not looked at yet."""


def bare_tree(n: int, events: int) -> Tree:
    """For a graph of n vertices; has room for so many events, and makes more room when it is needed."""
    return Tree(
        np.zeros(9, np.int64), np.empty(events, np.int64), np.empty(events, np.int32), np.empty(events, np.int64),
        np.empty(4 * n + 8, np.int32), np.empty(n + 1, np.int32),
    )  # fmt: skip


@compiled
def with_room(tree: Tree, more: int) -> Tree:
    """The same tree, with room for so many events more."""
    size = tree.clock[EVENTS]
    if size + more <= len(tree.when):
        return tree
    room = 2 * (size + more)
    when, event_from, event_place = np.empty(room, np.int64), np.empty(room, np.int32), np.empty(room, np.int64)
    when[:size], event_from[:size] = tree.when[:size], tree.event_from[:size]
    event_place[:size] = tree.event_place[:size]
    return Tree(tree.clock, when, event_from, event_place, tree.nodes, tree.waiting)


@compiled
def push(tree: Tree, when: int, one: int, place: int) -> None:
    hole = tree.clock[EVENTS]
    tree.clock[EVENTS] += 1
    while hole > 0:
        above = (hole - 1) >> 1
        if tree.when[above] <= when:
            break
        tree.when[hole] = tree.when[above]
        tree.event_from[hole], tree.event_place[hole] = tree.event_from[above], tree.event_place[above]
        hole = above
    tree.when[hole], tree.event_from[hole], tree.event_place[hole] = when, one, place


@compiled
def drop_first(tree: Tree) -> None:
    tree.clock[EVENTS] -= 1
    size = tree.clock[EVENTS]
    when = tree.when[size]
    hole, below = 0, 1
    while below < size:
        if below + 1 < size and tree.when[below + 1] < tree.when[below]:
            below += 1
        if tree.when[below] >= when:
            break
        tree.when[hole] = tree.when[below]
        tree.event_from[hole], tree.event_place[hole] = tree.event_from[below], tree.event_place[below]
        hole, below = below, 2 * below + 1
    tree.when[hole], tree.event_from[hole], tree.event_place[hole] = when, tree.event_from[size], tree.event_place[size]


@compiled
def give_label(forest: Forest, tree: Tree, node: int, label: int) -> None:
    """Let a free top node join the tree."""
    now = tree.clock[NOW]
    forest.label[node] = label
    shift = now if label == OUTER else -now
    forest.charge[node] -= 2 * shift
    vertex, last = forest.first[node], forest.last[node]
    while True:
        forest.dual[vertex] += shift
        if label == OUTER:
            tree.waiting[tree.clock[WAITING]] = vertex
            tree.clock[WAITING] += 1
        if vertex == last:
            break
        vertex = forest.after[vertex]
    tree.nodes[tree.clock[NODES]] = node
    tree.clock[NODES] += 1
    if label == INNER and node != vertex and forest.charge[node] // 2 < tree.clock[LIMIT]:
        push(tree, forest.charge[node] // 2, node, -1)


@compiled
def take_label(forest: Forest, tree: Tree, node: int) -> None:
    """Let a top node leave the tree: its duals become what they are now."""
    now = tree.clock[NOW]
    shift = now if forest.label[node] == OUTER else -now
    forest.label[node] = FREE
    forest.charge[node] += 2 * shift
    vertex, last = forest.first[node], forest.last[node]
    forest.dual[vertex] -= shift
    while vertex != last:
        vertex = forest.after[vertex]
        forest.dual[vertex] -= shift
