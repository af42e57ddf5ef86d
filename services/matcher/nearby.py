"""Finding people by where they are: a grid of cells over a community, and who is in each cell.

A city is not cut into areas: whoever looks around reads as many cells as their reach covers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.matcher.compiled import compiled
from services.matcher.snapshot import Ints, Lists

CELL_KM_MIN = 1.0
OFFSETS_MAX = 40_000_000
"""Cells times words are at most so many: the offsets of an index then take at most 160 MB."""


class Grid(NamedTuple):
    """Square cells, numbered row by row."""

    west: float
    south: float
    cell_km: float
    columns: int
    rows: int
    cell: Ints
    """(n,) the cell of each member."""


class Index(NamedTuple):
    """Who holds a word in a cell: `holder[start[word * cells + cell]:...]`, sorted by row."""

    start: Ints
    holder: Ints


def grid_over(members: NDArray[Any], words: int) -> Grid:
    """Cells of at least 1 km; fewer and larger ones where there are few members or many words."""
    if not len(members):
        return Grid(0.0, 0.0, CELL_KM_MIN, 1, 1, np.empty(0, np.int32))
    west, south = float(members["east"].min()), float(members["north"].min())
    extent = max(float(members["east"].max()) - west, float(members["north"].max()) - south)
    side_max = max(1, int(min(len(members), OFFSETS_MAX / max(1, words)) ** 0.5))
    cell_km = max(CELL_KM_MIN, extent / side_max * (1 + 1e-9))
    columns = int((float(members["east"].max()) - west) / cell_km) + 1
    rows = int((float(members["north"].max()) - south) / cell_km) + 1
    column = ((members["east"] - west) / cell_km).astype(np.int32)
    row = ((members["north"] - south) / cell_km).astype(np.int32)
    return Grid(west, south, cell_km, columns, rows, row * columns + column)


def index_of(grid: Grid, lists: Lists, words: int, taking: NDArray[np.bool_] | None = None) -> Index:
    """Index the words of all members, or of those for whom `taking` holds: O(entries + words * cells)."""
    everybody_counts = np.ones(len(grid.cell), np.bool_) if taking is None else taking
    return Index(*_sorted_by_cell(grid.cell, grid.columns * grid.rows, lists, words, everybody_counts))


@compiled
def _sorted_by_cell(cell: Ints, cells: int, lists: Lists, words: int, taking: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    # A counting sort: count, add up, put in place. `start` is one ahead while it is filled.
    start = np.zeros(words * cells + 2, np.int32)
    for row in range(len(cell)):
        if taking[row]:
            for place in range(lists.start[row], lists.start[row + 1]):
                start[lists.item[place] * cells + cell[row] + 2] += 1
    for key in range(2, len(start)):
        start[key] += start[key - 1]
    holder = np.empty(start[-1], np.int32)
    for row in range(len(cell)):
        if taking[row]:
            for place in range(lists.start[row], lists.start[row + 1]):
                key = lists.item[place] * cells + cell[row] + 1
                holder[start[key]] = row
                start[key] += 1
    return start[:-1], holder


def everybody(grid: Grid) -> Index:
    """The index by cell alone: as if everybody held word 0."""
    rows = len(grid.cell)
    return index_of(grid, Lists(np.arange(rows + 1), np.zeros(rows, np.int32)), 1)


@compiled
def window(grid: Grid, member: int, reach: float) -> tuple[int, int, int, int]:
    """The cells that may hold somebody within `reach` km: first and last column, first and last row."""
    cells = int(reach / grid.cell_km) + 1
    column, row = grid.cell[member] % grid.columns, grid.cell[member] // grid.columns
    return (
        max(0, column - cells),
        min(grid.columns - 1, column + cells),
        max(0, row - cells),
        min(grid.rows - 1, row + cells),
    )


@compiled
def count_in_window(grid: Grid, index: Index, word: int, left: int, right: int, bottom: int, top: int) -> int:
    """How many holders of a word there are in some columns and rows, both ends included."""
    count = 0
    for row in range(bottom, top + 1):
        line = (word * grid.rows + row) * grid.columns
        count += index.start[line + right + 1] - index.start[line + left]
    return count


@compiled
def read_window(
    grid: Grid, index: Index, word: int, left: int, right: int, bottom: int, top: int, found: Ints, count: int
) -> int:
    """Write all of these holders behind `found[:count]`; where they end."""
    for row in range(bottom, top + 1):
        line = (word * grid.rows + row) * grid.columns
        for place in range(index.start[line + left], index.start[line + right + 1]):
            found[count] = index.holder[place]
            count += 1
    return count


@compiled
def read_ring(
    grid: Grid, index: Index, word: int, member: int, ring: int, reach: float, found: Ints, count: int, limit: int
) -> int:
    """Write the holders of a word in one ring of cells around a member behind `found[:count]`; where they end.

    Ring 0 is the member's own cell. Not beyond what may be within `reach` km, and at most up to `found[:limit]`.
    """
    left, right, bottom, top = window(grid, member, reach)
    column, row = grid.cell[member] % grid.columns, grid.cell[member] // grid.columns
    for line_row in range(max(bottom, row - ring), min(top, row + ring) + 1):
        line = (word * grid.rows + line_row) * grid.columns
        whole = line_row == row - ring or line_row == row + ring
        # The upper and the lower side are runs of cells; of the rows between, only both ends belong to it.
        for side in range(1 if whole else 2):
            if whole:
                first, last = max(left, column - ring), min(right, column + ring)
            else:
                first = last = column + ring if side else column - ring
                if first < left or first > right:
                    continue
            for place in range(index.start[line + first], index.start[line + last + 1]):
                if count == limit:
                    return count
                found[count] = index.holder[place]
                count += 1
    return count


@compiled
def read_outwards(grid: Grid, index: Index, word: int, member: int, reach: float, budget: int, found: Ints) -> int:
    """Write holders of a word around a member into `found`, ring after ring of cells; how many there are.

    Reads at most `budget` (the length of `found`, or less), and at most as far as `reach` km.
    """
    left, right, bottom, top = window(grid, member, reach)
    count = 0
    for ring in range(max(right - left, top - bottom) + 1):
        count = read_ring(grid, index, word, member, ring, reach, found, count, budget)
        if count == budget:
            break
    return count
