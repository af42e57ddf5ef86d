"""How well the similarity of interests tells friends from strangers, beside what else one might compute.

On real friendships between people whose tastes are known, in folders that are not part of
this project: the environment variable INTERESTS_DATA names a folder that holds a folder
for each data set, each with `likes.tsv` (person, item, how much: the more, the dearer)
and `friends.tsv` (two people). Without it, only speed is measured, on made-up lists.

How the constants were chosen. Dimensions, prior and floor: on the ties among Yelp users
(17,053 people with the places they rated; 30,000 of their ties), where taste lifts the AUC
from .51 to .84. The form (eigenvectors of shrunk co-occurrence, overlap and taste, no
companions of single interests, no weight for the order of a list): on those, on telling
two halves of a Twitch or Ciao user's list from two users' lists, and on friendships inside
one half of the people of HetRec 2011 last.fm, which was looked at in about 90 variants;
those near the one chosen lie within .006 of it. The other half, and the whole, were looked
at once, when all was decided: .835 and .822 with favourites, .786 and .789 with any
interests. Words and co-occurrence, but no friendships, came from all people. `other half`
is the second half of a random order of the people from a fixed seed, and means something
only for a data set in the order in which that was done.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array
from scipy.stats import rankdata

from benchmarks.figures import Figure, Findings, spread
from services.matcher.interests import InterestSpace
from services.matcher.snapshot import Lists, starts

DATA = "INTERESTS_DATA"
SMOOTHING = 0.2

Pairs = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many lists and pairs are made up, and how often real lists are cut anew."""

    lists: int = 1_000_000
    pairs: int = 1_000_000
    cuts: int = 3
    friends_max: int = 30_000


QUICK = Bounds(lists=20_000, pairs=20_000, cuts=1, friends_max=2_000)


@dataclass(frozen=True)
class Friendships:
    """People with what they like, dearest first, and who are friends: rows, (m, 2)."""

    name: str
    likes: list[NDArray[np.int64]]
    friends: Pairs


def read_friendships(folder: Path) -> Friendships:
    """Read a data set. Who likes fewer than three things is left out, as are their friendships."""
    liked: dict[str, dict[str, float]] = defaultdict(dict)
    for line in (folder / "likes.tsv").read_text().splitlines():
        person, item, much = line.split("\t")
        liked[person][item] = float(much)
    number: dict[str, int] = {}
    row: dict[str, int] = {}
    likes: list[NDArray[np.int64]] = []
    for person, items in liked.items():
        if len(items) >= 3:
            row[person] = len(likes)
            dearest_first = sorted(items, key=lambda item: -items[item])
            likes.append(np.array([number.setdefault(item, len(number)) for item in dearest_first], np.int64))
    ties = [line.split("\t")[:2] for line in (folder / "friends.tsv").read_text().splitlines()]
    pairs = {(min(row[a], row[b]), max(row[a], row[b])) for a, b in ties if a != b and a in row and b in row}
    return Friendships(folder.name, likes, np.array(sorted(pairs), np.int64).reshape(-1, 2))


def cut(likes: Sequence[NDArray[np.int64]], seed: int, *, favourites: bool) -> tuple[Lists, int]:
    """Lists of 3 to 15: favourites, or any. Also how many interests there are."""
    draw = np.random.default_rng(seed)
    interests = 1 + max(int(items.max()) for items in likes)
    kept = []
    for items in likes:
        count = min(len(items), int(draw.integers(3, 16)))
        kept.append(np.sort((items if favourites else draw.permutation(items))[:count]))
    rows = np.repeat(np.arange(len(kept)), [len(items) for items in kept])
    return Lists(starts(rows, len(kept)), np.concatenate(kept).astype(np.int32)), interests


def auc(friends: NDArray[np.float64], strangers: NDArray[np.float64]) -> float:
    """How likely a pair of friends is more alike than a pair of strangers; ties count half.

    >>> auc(np.array([2.0, 1.0]), np.array([1.0, 0.0]))
    0.875
    """
    rank = rankdata(np.concatenate([friends, strangers]))[: len(friends)].sum()
    return float((rank - len(friends) * (len(friends) + 1) / 2) / len(friends) / len(strangers))


def similarities(lists: Lists, interests: int, pairs: Pairs) -> dict[str, NDArray[np.float64]]:
    """Ours and the others for the same pairs."""
    rows = len(lists.start) - 1
    has = csr_array((np.ones(len(lists.item)), lists.item, lists.start), shape=(rows, interests))
    holders = np.bincount(lists.item, minlength=interests)
    size = np.diff(lists.start)
    common = _dot(has, has, pairs)
    idf = csr_array(has @ diags_array(np.log((rows + 1) / (holders + 1)) + 0.05))
    rare = csr_array(has @ diags_array(1 / np.log(np.maximum(2, holders + 1))))
    together = csr_array(has.T @ has)
    root = diags_array(1 / np.sqrt(np.maximum(1, holders)))
    cosine = csr_array(root @ together @ root)
    smoothed = csr_array(idf + SMOOTHING * (idf @ cosine - idf @ diags_array(cosine.diagonal())))
    return {
        "ours": InterestSpace.of(lists, interests).similarity(pairs),
        "Jaccard": common / (size[pairs[:, 0]] + size[pairs[:, 1]] - common),
        "Adamic-Adar": _dot(has, rare, pairs),
        "IDF cosine": _cosine(idf, pairs),
        "smoothing": _cosine(smoothed, pairs),
    }


def run(bounds: Bounds, tell: Callable[[str], None]) -> Findings:
    """Speed on made-up lists, then each data set at hand."""
    figures = [figure for words in (2_000, 20_000) for figure in _speed(bounds, words)]
    folder = os.environ.get(DATA)
    remarks = ["Made-up lists: 3 to 15 interests, popular ones cubically more often."]
    if folder is None:
        remarks.append(f"No friendships were at hand: {DATA} names no folder.")
    for path in sorted(Path(folder).iterdir()) if folder else ():
        data = read_friendships(path)
        for favourites in (True, False):
            figures += _friends(data, bounds, favourites=favourites)
            tell(f"{data.name}, {'favourites' if favourites else 'any interests'}")
    remarks.append("AUC: friends against strangers drawn at random; profiles cut to 3 to 15, anew for each round.")
    remarks.append("Other half: pairs inside one fixed half of the people. On last.fm, nothing was decided on it.")
    return Findings("interests", "how alike two people are by what they like", tuple(figures), tuple(remarks))


def _speed(bounds: Bounds, words: int) -> list[Figure]:
    draw = np.random.default_rng(words)
    rows = np.repeat(np.arange(bounds.lists), draw.integers(3, 16, bounds.lists))
    key = np.unique(rows * words + (draw.random(len(rows)) ** 3 * words).astype(np.int64))
    row, item = np.divmod(key, words)
    lists = Lists(starts(row, bounds.lists), item.astype(np.int32))
    pairs = draw.integers(0, bounds.lists, (bounds.pairs, 2))
    InterestSpace.of(Lists(lists.start[:3], lists.item[: lists.start[2]]), words).similarity(pairs[:0])  # compiles
    begun = perf_counter()
    space = InterestSpace.of(lists, words)
    fitted = perf_counter()
    space.similarity(pairs)
    done = perf_counter()
    return [
        Figure(f"{bounds.lists:,} lists of {words:,} interests, fitted in", "s", spread([fitted - begun])),
        Figure("  random pairs compared", "1/s", spread([bounds.pairs / (done - fitted)])),
    ]


def _friends(data: Friendships, bounds: Bounds, *, favourites: bool) -> list[Figure]:
    found: dict[str, list[float]] = defaultdict(list)
    people = len(data.likes)
    half = np.random.default_rng(7).permutation(people) % 2 == 1
    for seed in range(bounds.cuts):
        lists, interests = cut(data.likes, seed, favourites=favourites)
        draw = np.random.default_rng(seed + 1000)
        friends = data.friends[draw.permutation(len(data.friends))[: bounds.friends_max]]
        strangers = np.sort(draw.integers(0, people, (2 * bounds.friends_max, 2)), axis=1)
        known = np.isin(strangers[:, 0] * people + strangers[:, 1], data.friends[:, 0] * people + data.friends[:, 1])
        strangers = strangers[~known & (strangers[:, 0] != strangers[:, 1])][: bounds.friends_max]
        pairs = np.concatenate([friends, strangers])
        inside = half[pairs].all(axis=1)
        is_friend = np.arange(len(pairs)) < len(friends)
        for name, alike in similarities(lists, interests, pairs).items():
            found[name].append(auc(alike[is_friend], alike[~is_friend]))
            found[f"{name}, other half"].append(auc(alike[is_friend & inside], alike[~is_friend & inside]))
    kind = "favourites" if favourites else "any"
    return [Figure(f"{data.name}, {kind}: {name}", "AUC", spread(values)) for name, values in found.items()]


def _dot(one: Any, other: Any, pairs: Pairs) -> NDArray[np.float64]:
    parts = [
        np.asarray(one[part[:, 0]].multiply(other[part[:, 1]]).sum(axis=1)).ravel()
        for part in np.array_split(pairs, max(1, len(pairs) // 10_000))
    ]
    return np.concatenate(parts)


def _cosine(vectors: Any, pairs: Pairs) -> NDArray[np.float64]:
    length = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel())
    cosine: NDArray[np.float64] = _dot(vectors, vectors, pairs) / (length[pairs[:, 0]] * length[pairs[:, 1]])
    return cosine
