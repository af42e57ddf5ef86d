"""How alike what two people like is: what both like, the rarer the better, and how alike their tastes are.

Two people are alike by 1 - (1 - o) (1 - t / 2):

* o, overlap: the cosine of their lists, weighted by inverse document frequency.
  "You both like bees."
* t, taste: a member's taste is the weighted sum of their interests' places in a space of
  12 dimensions, in which interests that go together in this community are close. t is the
  square of the tastes' cosine, 0 where that is below a floor.
  "You like yoga, they like pilates, and those go together here."

The places are the leading eigenvectors of how often interests come together: of
K_ij = c_ij / sqrt((h_i + 10) (h_j + 10)) with a zero diagonal, c_ij members having both and
h_i members having i; each eigenvector is scaled by the root of its eigenvalue, and
negative ones are left out. Most lists are short, so most people who would get along have
no word in common; taste is what can still be told of them.

On friendships among 1,892 people whose favourites are known (HetRec 2011 last.fm), with lists
cut to 3 to 15: AUC .82, and .79 if any interests are listed instead of favourites. IDF cosine
or counting what is in common: .74 and .59. No friendships are learnt from; the constants were
chosen on other data, and the form partly on half of these people. The half that nothing was
decided on has .83 and .79. See `benchmarks.interests`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from services.matcher.compiled import compiled
from services.matcher.snapshot import Ints, Lists, starts

IDF_FLOOR = 0.05
"""What an interest that everybody has still counts."""
TASTE_DIMENSIONS = 12
TASTE_SHARE = 0.5
"""How much of what overlap leaves open the same taste makes up for."""
TASTE_FLOOR = 0.02
"""A cosine up to this is chance."""
TASTE_UNIT = 127
TOGETHER_PRIOR = 10.0
"""So many more holders are assumed of each interest: what few have is known little of."""
TASTE_LISTS_MAX = 200_000
"""Tastes are learnt from so many lists, evenly spaced: more say the same."""
_ITERATIONS = 12
_SPARE_DIMENSIONS = 8
_EIGENVALUE_MIN = 1e-3
_SEED = 4


class InterestArrays(NamedTuple):
    """An interest space as compiled code reads it."""

    start: NDArray[np.int64]
    item: Ints
    weight: NDArray[np.float64]
    """`idf * scale`."""
    idf: NDArray[np.float64]
    """(interests,)"""
    scale: NDArray[np.float64]
    """(members,) 1 / length of the member's vector; 0 for an empty list."""
    taste: NDArray[np.int8]
    """(members, TASTE_DIMENSIONS) in 127ths, of length 1, or 0 where nothing is known. Whole numbers, since sums of
    them are the same in whatever order they are added up."""


@dataclass(frozen=True)
class InterestSpace:
    """The interests of some people, ready to be compared."""

    arrays: InterestArrays
    holders: NDArray[np.int64]
    """(interests,) how many have each interest."""
    places: NDArray[np.float64]
    """(interests, TASTE_DIMENSIONS) where each interest is in the space of tastes."""

    @classmethod
    def fit(cls, interest_lists: Iterable[Iterable[Hashable]]) -> InterestSpace:
        """Learn from everybody's interests which are rare and which go together.

        Lists may be empty; words may be anything hashable and need not be known before.
        A word that comes twice in a list counts once, and their order does not count. Takes
        about 10 us a list.
        """
        lists = [list(words) for words in interest_lists]
        number: dict[Hashable, int] = {}
        items = [number.setdefault(word, len(number)) for words in lists for word in words]
        rows = np.repeat(np.arange(len(lists)), [len(words) for words in lists])
        vocabulary = max(1, len(number))
        key = np.sort(rows.astype(np.int64) * vocabulary + np.array(items, np.int64))
        key = key[np.diff(key, prepend=-1) > 0]
        row, item = np.divmod(key, vocabulary)
        return cls.of(Lists(starts(row, len(lists)), item.astype(np.int32)), len(number))

    @classmethod
    def of(cls, lists: Lists, interests: int) -> InterestSpace:
        """The same for lists that are numbers below `interests` already, sorted, no two alike in a row.

        O(entries), and a part for tastes that is bounded by TASTE_LISTS_MAX and linear in `interests`.
        """
        rows = len(lists.start) - 1
        holders = np.bincount(lists.item, minlength=interests)
        idf = np.log((rows + 1) / (holders + 1)) + IDF_FLOOR
        return cls._with(lists, holders, idf, _places(lists, interests))

    def for_others(self, lists: Lists) -> InterestSpace:
        """Other people's lists of the same interests, compared by what was learnt from these."""
        return self._with(lists, self.holders, self.arrays.idf, self.places)

    @classmethod
    def _with(
        cls, lists: Lists, holders: NDArray[np.int64], idf: NDArray[np.float64], places: NDArray[np.float64]
    ) -> InterestSpace:
        rows = len(lists.start) - 1
        weight = idf[lists.item]
        row = np.repeat(np.arange(rows), np.diff(lists.start))
        length = np.sqrt(np.bincount(row, weight * weight, minlength=rows))
        scale = np.divide(1.0, length, out=np.zeros(rows), where=length > 0)
        weight *= scale[row]
        taste = np.zeros((rows, TASTE_DIMENSIONS), np.int8)
        _add_up(lists.start, lists.item, weight, places, taste)
        return cls(InterestArrays(lists.start, lists.item, weight, idf, scale, taste), holders, places)

    def similarity(self, pairs: NDArray[np.integer]) -> NDArray[np.float64]:
        """How alike the two of each pair are.

        Parameters
        ----------
        pairs
            (m, 2) rows of the lists that the space was fitted on.

        Returns
        -------
        ndarray of float64, shape (m,)
            0 (nothing in common, not even what goes together) to 1 (the same list). Symmetric to the
            last bit. Whoever has no interests is like nobody. Well below 1 us a pair.

        Raises
        ------
        IndexError
            if a pair names a row that is not there.
        """
        table = np.asarray(pairs, np.int64).reshape(-1, 2)
        rows = len(self.arrays.start) - 1
        if table.size and (table.min() < 0 or table.max() >= rows):
            raise IndexError(f"pairs must name rows of 0 to {rows - 1}")
        low, high = table.min(axis=1), table.max(axis=1)
        order = np.lexsort((high, low))
        found = np.empty(len(table))
        found[order] = _similarities(self.arrays, low[order], high[order], len(self.holders))
        return found


def _places(lists: Lists, interests: int) -> NDArray[np.float64]:
    """Where each interest is in the space of tastes, (interests, TASTE_DIMENSIONS).

    Subspace iteration (Halko, Martinsson and Tropp 2011) with K = X'X - D, which is never
    written down: X has a row for each list and 1 / sqrt(h + prior) for each entry, and D is
    the diagonal of X'X. The start is drawn from a fixed seed.
    """
    places = np.zeros((interests, TASTE_DIMENSIONS))
    if not len(lists.item):
        return places
    has = _evenly_spaced(lists, interests)
    holders = np.asarray(has.sum(axis=0)).ravel()
    scale = 1.0 / np.sqrt(holders + TOGETHER_PRIOR)
    counted = csr_array((scale[has.indices], has.indices, has.indptr), shape=has.shape)
    mirrored = counted.T.tocsr()
    alone = (holders * scale * scale)[:, None]

    def together(basis: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(mirrored @ (counted @ basis) - alone * basis)

    columns = min(interests, TASTE_DIMENSIONS + _SPARE_DIMENSIONS)
    basis = np.random.default_rng(_SEED).standard_normal((interests, columns))
    for _ in range(_ITERATIONS):
        basis = np.linalg.qr(together(basis))[0]
    inner = basis.T @ together(basis)
    value, vector = np.linalg.eigh((inner + inner.T) / 2)
    value, vector = value[::-1][:TASTE_DIMENSIONS], vector[:, ::-1][:, :TASTE_DIMENSIONS]
    kept = value > _EIGENVALUE_MIN
    places[:, : kept.sum()] = (basis @ vector[:, kept]) * np.sqrt(value[kept])
    return places


def _evenly_spaced(lists: Lists, interests: int) -> csr_array:
    rows = len(lists.start) - 1
    has = csr_array((np.ones(len(lists.item)), lists.item, lists.start), shape=(rows, interests))
    if rows <= TASTE_LISTS_MAX:
        return has
    return csr_array(has[np.linspace(0, rows - 1, TASTE_LISTS_MAX).astype(np.int64)])


@compiled
def _add_up(
    start: NDArray[np.int64],
    item: Ints,
    weight: NDArray[np.float64],
    places: NDArray[np.float64],
    taste: NDArray[np.int8],
) -> None:
    total = np.empty(taste.shape[1])
    for row in range(len(taste)):
        total[:] = 0.0
        for place in range(start[row], start[row + 1]):
            for axis in range(len(total)):
                total[axis] += weight[place] * places[item[place], axis]
        length = np.sqrt((total * total).sum())
        if length > 1e-6:
            for axis in range(len(total)):
                taste[row, axis] = np.int8(np.rint(TASTE_UNIT * total[axis] / length))


@compiled
def spread(space: InterestArrays, row: int, reading: NDArray[np.float64]) -> None:
    """Write a member's weights into `reading`, (interests,), which is zero elsewhere."""
    for place in range(space.start[row], space.start[row + 1]):
        reading[space.item[place]] = space.weight[place]


@compiled
def wipe(space: InterestArrays, row: int, reading: NDArray[np.float64]) -> None:
    """Undo `spread`: exactly zero again."""
    for place in range(space.start[row], space.start[row + 1]):
        reading[space.item[place]] = 0.0


@compiled
def overlap_with(space: InterestArrays, you: int, reading: NDArray[np.float64]) -> float:
    """The cosine of a member's list and the one in `reading`."""
    overlap = 0.0
    for place in range(space.start[you], space.start[you + 1]):
        overlap += space.weight[place] * reading[space.item[place]]
    return overlap


@compiled
def alike(space: InterestArrays, me: int, you: int, reading: NDArray[np.float64]) -> float:
    """The similarity of two members, with my weights in `reading`: see `spread`."""
    cosine = 0
    for axis in range(TASTE_DIMENSIONS):
        cosine += int(space.taste[me, axis]) * int(space.taste[you, axis])
    return similarity_of(overlap_with(space, you, reading), taste_part(cosine))


@compiled
def taste_part(cosine: int) -> float:
    """What the cosine of two tastes, in units of TASTE_UNIT squared, makes up for: 0..TASTE_SHARE."""
    taste = min(1.0, max(0.0, (cosine / TASTE_UNIT**2 - TASTE_FLOOR) / (1.0 - TASTE_FLOOR)))
    return TASTE_SHARE * taste * taste


@compiled
def similarity_of(overlap: float, by_taste: float) -> float:
    return 1.0 - (1.0 - min(1.0, overlap)) * (1.0 - by_taste)


@compiled
def _similarities(
    space: InterestArrays, one: NDArray[np.int64], other: NDArray[np.int64], interests: int
) -> NDArray[np.float64]:
    reading = np.zeros(interests)
    found = np.empty(len(one))
    held = -1
    for pair in range(len(one)):
        if one[pair] != held:
            if held >= 0:
                wipe(space, held, reading)
            held = one[pair]
            spread(space, held, reading)
        found[pair] = alike(space, held, other[pair], reading)
    return found
