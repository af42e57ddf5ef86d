"""Between rounds: a newcomer is suggested to the best free partner at once, if that is nearly the best there could be.

A round looks at everybody together and comes within a percent of the best whole; serving
whoever comes first takes people away from it. So a newcomer is served by themselves only
where waiting could hardly gain anything: the partner must be worth almost as much as the
best of *all* members would be, free or not. Everybody else waits for the round.

`Arrivals` is an index over the members of a community, built from a snapshot of all of
them and kept up to date as members come, change, or become free or engaged. Pure: it knows
no clock, and the same snapshot and changes give the same answers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from services.matcher.arrival_search import Bounds, search
from services.matcher.interests import InterestArrays, InterestSpace
from services.matcher.nearby import Grid, Index, everybody, grid_over, index_of
from services.matcher.policy import Policy
from services.matcher.postconditions import check_suggestions
from services.matcher.reasons import Match, choose_opener, pair_anchors, suggestions_of
from services.matcher.score import ScoreRule
from services.matcher.snapshot import LANGUAGES_MAX, Barred, Ints, Lists, Snapshot, starts
from shared.contracts import Profile, RoundReference, Suggestion, SuggestionKind

ENGINE = "arrival/1"
"""Name and version, as it stands in the round reference of what was suggested between rounds."""

FRESH_MEMBERS_MIN = 1_000
FRESH_SHARE = 10
"""A tenth as many members as it was built over may be new or changed before the index should be built anew."""
NEW_WORDS_MAX = 512
"""So many interests that nobody had before are told apart; more are for the next index."""
_INTERESTS_OF_ONE_MAX = 32


@dataclass(frozen=True)
class Partner:
    """The best free partner of a newcomer, and what they are measured by."""

    member: str | None
    """`None` if nobody who is free would do."""
    total: float
    """Score of the two, 0..1."""
    best_total: float
    """Of the newcomer with whoever would be best, free or not."""
    feasible: int
    """How many of those looked at would do, free or not."""

    def is_good_enough(self, policy: Policy) -> bool:
        """Whether the newcomer should not wait for the round."""
        return (
            self.member is not None
            and self.feasible >= policy.arrival_candidates_min
            and self.total * 100 >= policy.arrival_worth_percent * self.best_total
        )


class _Place(NamedTuple):
    """Where to look: everybody the index was built over, or those who were free then."""

    by_interest: Index
    everyone: Index


class Arrivals:
    """The members of a community, ready to be asked for the best free partner of somebody new.

    Rows are the members of the snapshot it was built from, and behind them those who came or changed
    since, with room for `fresh_max`. All arrays have that room from the start.
    """

    def __init__(self, snapshot: Snapshot, profiles: Iterable[Profile], free: Collection[str], policy: Policy) -> None:
        """Index a snapshot of all members, free or not, in O(n log n).

        `profiles` are those of the snapshot; `free` is who may be suggested now.
        """
        self.policy = policy
        self._base = snapshot
        size = self._size = self._base_size = snapshot.size
        self.fresh_max = max(FRESH_MEMBERS_MIN, size // FRESH_SHARE)
        room = size + self.fresh_max
        self._known = {profile.member: profile for profile in profiles}
        self._ids: list[str] = [*snapshot.ids, *[""] * self.fresh_max]
        self._row_of = {member: row for row, member in enumerate(snapshot.ids)}
        self._languages = _Languages(self._known.values())

        self._members = _with_room(snapshot.members, room)
        for row, member in enumerate(snapshot.ids):
            self._members["languages"][row] = self._languages.mask(self._known[member].languages)
        self._free = np.zeros(room, np.bool_)
        self._free[:size] = np.fromiter((member in free for member in snapshot.ids), np.bool_, size)
        self._was_free = self._free[:size].copy()
        self._tie = np.zeros(room, np.uint64)
        self._tie[:size] = [_tie(member) for member in snapshot.ids]

        words = len(snapshot.interest_words)
        self._words = {word: number for number, word in enumerate(snapshot.interest_words)}
        self._indexed_words = words
        self._space = InterestSpace.of(snapshot.interests, words + NEW_WORDS_MAX)
        self._arrays = _space_with_room(self._space.arrays, room, self.fresh_max * _INTERESTS_OF_ONE_MAX)
        self._entries = len(snapshot.interests.item)
        self._grid = _grid_with_room(grid_over(snapshot.members, words), room)
        base_grid = self._grid._replace(cell=self._grid.cell[:size])
        was_free = Lists(starts(np.flatnonzero(self._was_free), size), np.zeros(int(self._was_free.sum()), np.int32))
        self._all = _Place(index_of(base_grid, snapshot.interests, words), everybody(base_grid))
        self._among_free = _Place(
            index_of(base_grid, snapshot.interests, words, self._was_free), index_of(base_grid, was_free, 1)
        )
        self._nobody_barred = Barred(np.zeros(room + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.uint8))
        self._homes = cKDTree(_positions(snapshot.members)) if size else None

    @property
    def is_full(self) -> bool:
        """Whether there is no room for more who come or change: build another one."""
        return self._size == len(self._members)

    @property
    def base(self) -> Snapshot:
        """What it was built from."""
        return self._base

    def is_free(self, member: str) -> bool:
        """Whether the index takes a member for free."""
        row = self._row_of.get(member)
        return row is not None and bool(self._free[row])

    def engage(self, member: str) -> None:
        """A member is not free any more, or has gone. O(1)."""
        row = self._row_of.get(member)
        if row is not None:
            self._free[row] = False

    def release(self, profile: Profile, waited_rounds: int) -> bool:
        """A member is free: somebody new, or changed, or free again. False if the index is full.

        About 0.2 ms for who is new or has changed, O(1) for the others.
        """
        row = self._row_of.get(profile.member)
        if row is not None and self._is_as_it_was(row, profile, waited_rounds):
            self._free[row] = True
            return True
        if self.is_full:
            return False
        if row is not None:  # what they were before is nobody any more
            self._free[row], self._members["looks_for"][row] = False, 0
        self._append(profile, waited_rounds)
        return True

    def _is_as_it_was(self, row: int, profile: Profile, waited_rounds: int) -> bool:
        # Who was not free when the index was built is not among the free that it looks through.
        looked_through = row >= self._base_size or self._was_free[row]
        as_it_was = self._known[profile.member] == profile and self._members["waited_rounds"][row] == waited_rounds
        return bool(looked_through and as_it_was)

    def best_partner(self, member: str, never: Iterable[str] = ()) -> Partner:
        """The free member who is worth most to a free member, by score and by what waiting adds.

        Parameters
        ----------
        member
            Somebody whom `release` has taken in.
        never
            Whom they must not be suggested to: blocked, or met before.

        Notes
        -----
        Exact where there are few others in reach, as in `candidates.best_candidates`; in a crowd it reads
        as many entries of its index as the policy allows, and looks at everybody who is fresh.
        """
        me = self._row_of[member]
        skipped = np.array([self._row_of[other] for other in never if other in self._row_of], np.int32)
        policy = self.policy
        bounds = Bounds(policy.scanned_members_max, policy.postings_read_max, policy.nearest_read_max)

        def best(place: _Place, free_only: bool) -> tuple[int, float, int]:
            return search(
                me, self._members, self._arrays, self._space.holders, self._grid, place.by_interest, place.everyone,
                self._free, free_only, self._tie, skipped, self._base_size, self._size, self._indexed_words,
                self._nobody_barred, self._base.age_rule, ScoreRule.of(policy), bounds,
            )  # fmt: skip

        row, total, _ = best(self._among_free, True)
        _, best_total, feasible = best(self._all, False)
        return Partner(None if row < 0 else self._ids[row], total, max(total, best_total), feasible)

    def between(self, one: str, other: str) -> str:
        """A member who lives in the middle between two, so that their neighbourhood can be proposed."""
        assert self._homes is not None
        rows = [self._row_of[one], self._row_of[other]]
        middle = _positions(self._members[rows]).mean(axis=0)
        return self._ids[int(self._homes.query(middle)[1])]

    def suggestion(self, pair: Snapshot, one: str, other: str, reference: RoundReference) -> Suggestion:
        """Write down what is suggested to two members, and check it.

        Parameters
        ----------
        pair
            The two as they are now, and whoever lives between them: all rules are tested on it anew.

        Raises
        ------
        RoundInvariantError
            if it must not be committed.
        """
        lists = self._lists([pair.interests.of(row) for row in range(pair.size)], pair.interest_words)
        words = tuple(self._words)
        numbered = replace(pair, interests=lists, interest_words=words)
        rows = tuple(sorted((pair.ids.index(one), pair.ids.index(other))))
        space = self._space.for_others(lists)
        can_open = pair.openers(self.policy.goes_first_min, self.policy.opener_load_of_pairs_max)
        ((anchor_kind, anchor),) = pair_anchors(numbered, space.holders, np.array([rows], np.int32))
        match = Match(rows, SuggestionKind.PAIR, choose_opener(pair, can_open, rows), anchor_kind, anchor)
        (found,) = suggestions_of(
            [match], numbered, space, self.policy,
            community=pair.community, now_ms=reference.now_ms, reference=reference,
        )  # fmt: skip
        check_suggestions([found], pair, self.policy)
        return found

    def _append(self, profile: Profile, waited_rounds: int) -> None:
        row = self._size
        alone = Snapshot.of(
            self._base.community,
            [profile],
            now_ms=self._base.now_ms,
            waited_rounds={profile.member: waited_rounds},
            opener_load={},
        )
        self._members[row] = alone.members[0]
        self._members["languages"][row] = self._languages.mask(profile.languages)
        self._free[row], self._tie[row], self._ids[row] = True, _tie(profile.member), profile.member
        self._grid.cell[row] = _cell_of(self._grid, alone.members[0])
        lists = self._lists([alone.interests.of(0)], alone.interest_words)
        vectors = self._space.for_others(lists).arrays
        first, last = self._entries, self._entries + len(lists.item)
        self._arrays.start[row], self._arrays.start[row + 1 :] = first, last
        for name, array in vectors._asdict().items():
            ours = getattr(self._arrays, name)
            if name in _BY_ENTRY:
                ours[first:last] = array
            elif name in _BY_ROW:
                ours[row] = array[0]
        self._row_of[profile.member], self._known[profile.member] = row, profile
        self._size, self._entries = row + 1, last

    def _lists(self, rows: Sequence[Ints], words: Sequence[str]) -> Lists:
        """Lists in the index's own numbers. What is new gets a number while there are any."""
        numbered = []
        for row in rows:
            mine = set()
            for item in row.tolist()[:_INTERESTS_OF_ONE_MAX]:
                if words[item] not in self._words and len(self._words) < len(self._space.holders):
                    self._words[words[item]] = len(self._words)
                if words[item] in self._words:
                    mine.add(self._words[words[item]])
            numbered.append(sorted(mine))
        length = np.array([0, *map(len, numbered)], np.int64)
        return Lists(np.cumsum(length), np.array(list(chain.from_iterable(numbered)), np.int32))


class _Languages:
    """A bit for each language, the most spoken first; what comes too late for a bit is in common with nobody."""

    def __init__(self, profiles: Iterable[Profile]) -> None:
        count: dict[str, int] = {}
        for language in chain.from_iterable(profile.languages for profile in profiles):
            count[language] = count.get(language, 0) + 1
        most = sorted(count, key=lambda name: (-count[name], name))[:LANGUAGES_MAX]
        self._bit = {language: 1 << place for place, language in enumerate(most)}

    def mask(self, spoken: Iterable[str]) -> int:
        mask = 0
        for language in spoken:
            if language not in self._bit and len(self._bit) < LANGUAGES_MAX:
                self._bit[language] = 1 << len(self._bit)
            mask |= self._bit.get(language, 0)
        return mask


_BY_ENTRY = {"item", "weight"}
_BY_ROW = {"taste", "scale"}


def _with_room(array: NDArray[Any], room: int) -> NDArray[Any]:
    wider = np.zeros((room, *array.shape[1:]), array.dtype)
    wider[: len(array)] = array
    return wider


def _space_with_room(arrays: InterestArrays, room: int, entries: int) -> InterestArrays:
    wider: dict[str, Any] = {}
    for name, array in arrays._asdict().items():
        if name in _BY_ENTRY:
            wider[name] = _with_room(array, len(array) + entries)
        elif name in _BY_ROW:
            wider[name] = _with_room(array, room)
    start = np.full(room + 1, arrays.start[-1], np.int64)
    start[: len(arrays.start)] = arrays.start
    return arrays._replace(start=start, **wider)


def _grid_with_room(grid: Grid, room: int) -> Grid:
    return grid._replace(cell=_with_room(grid.cell, room))


def _cell_of(grid: Grid, record: Any) -> int:
    # Who lives beyond the edge is looked for from the nearest cell; distances are measured all the same.
    column = min(grid.columns - 1, max(0, int((record["east"] - grid.west) / grid.cell_km)))
    row = min(grid.rows - 1, max(0, int((record["north"] - grid.south) / grid.cell_km)))
    return row * grid.columns + column


def _positions(members: NDArray[Any]) -> NDArray[np.float64]:
    return np.stack([members["east"], members["north"], members["up"]], axis=1)


def _tie(member: str) -> int:
    """Settles ties, whatever order members came in."""
    return int.from_bytes(blake2b(member.encode(), digest_size=8).digest(), "big")


def warm_up_arrivals(people: Sequence[Profile], snapshot: Snapshot) -> None:
    """Compile the search on some people, so that the first newcomer is quick."""
    ids = [each.member for each in people]
    Arrivals(snapshot, people, ids, Policy()).best_partner(ids[0], ids[1:2])


def newcomers_first(profiles: Mapping[str, Profile], newcomers: Iterable[str]) -> list[str]:
    """In the order in which they came, by id where that was at the same moment."""
    return sorted(newcomers, key=lambda member: (profiles[member].accepted_at_ms, member))
