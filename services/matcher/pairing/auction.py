"""A good start: duals near the best ones, found by an auction, and the matching that they suggest.

Everybody bids for everybody: a matching of a copy of the members (who bid) with the
members themselves (who have a price), which is a linear program without odd sets. The mean
of what one pays as a bidder and what one costs is feasible for the pairing as well,
and off the best such duals by no more than the least raise.
"""

from __future__ import annotations

import numpy as np

from services.matcher.compiled import compiled
from services.matcher.pairing.forest import Ints, Longs
from services.matcher.pairing.parts import Rows

RAISE_SHARE = 128
"""Each bid raises a price by at least the largest weight over this. Finer makes the auction longer and the searches
after it shorter; between 1/30 and 1/1,000 the sum hardly changes."""
WORK_PER_EDGE_MAX = 64
"""An auction looks at each edge so many times at most, on the mean; usually it is 5."""


@compiled
def auction(rows: Rows) -> Longs:
    """(n,) feasible duals (twice those of the textbook): `dual[u] + dual[v] >= 2 * weight` for all edges."""
    n = len(rows.start) - 1
    price = np.zeros(n, np.int64)
    least_raise = max(np.int64(1), 2 * np.int64(rows.weight.max()) // RAISE_SHARE)
    highest_bidder = np.full(n, -1, np.int32)
    queue = np.arange(n).astype(np.int32)
    head, waiting, work = 0, n, np.int64(WORK_PER_EDGE_MAX) * len(rows.neighbour)
    while waiting > 0 and work > 0:
        bidder = queue[head]
        head = head + 1 if head + 1 < n else 0
        waiting -= 1
        best = second = np.int64(0)
        wanted = -1
        for place in range(rows.start[bidder], rows.start[bidder + 1]):
            worth = 2 * np.int64(rows.weight[place]) - price[rows.neighbour[place]]
            if worth > best:
                second, best, wanted = best, worth, rows.neighbour[place]
            elif worth > second:
                second = worth
        work -= rows.start[bidder + 1] - rows.start[bidder]
        if wanted < 0:
            continue
        price[wanted] += best - second + least_raise
        outbid = highest_bidder[wanted]
        highest_bidder[wanted] = bidder
        if outbid >= 0:
            tail = head + waiting
            queue[tail if tail < n else tail - n] = outbid
            waiting += 1
    dual = np.empty(n, np.int64)
    for vertex in range(n):
        gain = np.int64(0)
        for place in range(rows.start[vertex], rows.start[vertex + 1]):
            gain = max(gain, 2 * np.int64(rows.weight[place]) - price[rows.neighbour[place]])
        dual[vertex] = (gain + price[vertex] + 1) // 2
    _tighten(rows, dual)
    return dual


@compiled
def _tighten(rows: Rows, dual: Longs) -> None:
    """Lower each dual to what its edges need, one after the other: then each has a tight edge, or is 0.

    Whatever they were before, they are feasible afterwards: each edge is looked at from its second end.
    """
    for vertex in range(len(dual)):
        need = np.int64(0)
        for place in range(rows.start[vertex], rows.start[vertex + 1]):
            need = max(need, 2 * np.int64(rows.weight[place]) - dual[rows.neighbour[place]])
        dual[vertex] = need


@compiled
def match_tight_edges(rows: Rows, dual: Longs, order: Ints) -> Ints:
    """(n,) mates: everybody in turn takes the first who is free and to whom there is a tight edge."""
    mate = np.full(len(dual), -1, np.int32)
    for vertex in order:
        if mate[vertex] >= 0:
            continue
        for place in range(rows.start[vertex], rows.start[vertex + 1]):
            other = rows.neighbour[place]
            if mate[other] < 0 and dual[vertex] + dual[other] == 2 * np.int64(rows.weight[place]):
                mate[vertex], mate[other] = other, vertex
                break
    return mate
