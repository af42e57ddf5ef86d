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
OFFSETS_MAX = 16_000_000
"""Cells times words are at most so many: the offsets of an index then take at most 64 MB."""


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
    """Index the words of all members, or of those for whom `taking` holds."""
    cells = grid.columns * grid.rows
    holder = np.repeat(np.arange(len(grid.cell), dtype=np.int32), np.diff(lists.start))
    item = lists.item
    if taking is not None:
        kept = taking[holder]
        holder, item = holder[kept], item[kept]
    key = item.astype(np.int64) * cells + grid.cell[holder]
    start = np.zeros(words * cells + 1, np.int32)
    np.cumsum(np.bincount(key, minlength=words * cells), out=start[1:])
    return Index(start, holder[np.argsort(key, kind="stable")])


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
def read_outwards(grid: Grid, index: Index, word: int, member: int, reach: float, budget: int, found: Ints) -> int:
    """Write holders of a word around a member into `found`, ring after ring of cells; how many there are.

    Reads at most `budget` (the length of `found`, or less), and at most as far as `reach` km.
    """
    cells = grid.columns * grid.rows
    middle_column, middle_row = grid.cell[member] % grid.columns, grid.cell[member] // grid.columns
    rings = int(reach / grid.cell_km) + 1
    farthest_column = max(middle_column, grid.columns - 1 - middle_column)
    farthest_row = max(middle_row, grid.rows - 1 - middle_row)
    rings = min(rings, max(farthest_column, farthest_row))
    count = 0
    for ring in range(rings + 1):
        for row in range(max(0, middle_row - ring), min(grid.rows - 1, middle_row + ring) + 1):
            step = 1 if ring == 0 or row == middle_row - ring or row == middle_row + ring else 2 * ring
            for column in range(middle_column - ring, middle_column + ring + 1, step):
                if column < 0 or column >= grid.columns:
                    continue
                key = word * cells + row * grid.columns + column
                for place in range(index.start[key], index.start[key + 1]):
                    if count == budget:
                        return count
                    found[count] = index.holder[place]
                    count += 1
    return count
