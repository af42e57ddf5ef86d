"""What a round sees of one community: its free members as arrays, sorted by id.

Sorting makes the answer independent of the order in which profiles were read. A
member is a row from here on; ids come back only in the suggestions.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, combinations, pairwise
from types import MappingProxyType
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from shared.community import Community
from shared.contracts import Profile
from shared.slots import mask_of

EARTH_RADIUS_KM = 6371.0088
LOOKS_FOR_PAIR = 1
LOOKS_FOR_GROUP = 2
MET = 1
BLOCKED = 2
LANGUAGES_MAX = 63
PLAUSIBLE_AGE_YEARS_MAX = 120
"""Beyond it a year of birth is a slip of the keyboard, and the age unknown."""

MEMBER = np.dtype(
    [
        # Kilometres from the community's centre, along axes that touch the globe there.
        ("east", "f8"), ("north", "f8"), ("up", "f8"),
        ("reach", "f8"),  # kilometres, with what waiting has added
        ("languages", "i8"),  # a bit for each language that at least two members speak
        ("slots", "i4"),  # shared.slots masks
        ("waited_rounds", "i4"),
        ("birth_year", "i2"),
        ("shares", "i1"), ("listens", "i1"), ("goes_first", "i1"), ("depth", "i1"),
        ("looks_for", "u1"),  # LOOKS_FOR_... bits; 0 for who may not be matched at all
        ("needs_shared_interest", "?"),
        ("takes_any_size", "?"),  # of group that is allowed
    ],
    align=True,
)  # fmt: skip
"""One record a member, 64 bytes: comparing two members touches a line or two of the cache for each."""

Ints = NDArray[np.int32]


class SnapshotError(ValueError):
    """A snapshot that makes no sense: says which member and what is wrong."""


class Lists(NamedTuple):
    """A list of sorted numbers for every row, one after another: row i is `item[start[i]:start[i+1]]`."""

    start: NDArray[np.int64]
    item: Ints

    def of(self, row: int) -> Ints:
        return self.item[self.start[row] : self.start[row + 1]]


class Barred(NamedTuple):
    """Whom a member is never matched with: rows sorted, beside each MET or BLOCKED."""

    start: NDArray[np.int64]
    other: Ints
    why: NDArray[np.uint8]

    def sorted(self) -> Barred:
        """The same with each row sorted, for rows that were renumbered."""
        row = np.repeat(np.arange(len(self.start) - 1), np.diff(self.start))
        order = np.lexsort((self.other, row))
        return Barred(self.start, self.other[order], self.why[order])


class AgeRule(NamedTuple):
    """Years of birth may differ by `gap_years_max`, and by a year more for every ten that the older is past 40.

    The older's age is the one they have for certain, whatever their birthday.
    """

    gap_years_max: int
    year: int


@dataclass(frozen=True)
class Snapshot:
    """The free members of one community at one moment. Rows are members, sorted by id."""

    community: Community
    now_ms: int
    ids: tuple[str, ...]
    members: NDArray[Any]
    """(n,) of `MEMBER`."""
    adult: NDArray[np.bool_]
    """Who is an adult for certain. The others look for nothing in `members`."""
    interests: Lists
    interest_words: tuple[str, ...]
    topics: Lists
    """Life topics, of those who consented."""
    topic_words: tuple[str, ...]
    places: tuple[str, ...]
    """The name of each member's neighbourhood."""
    degrees: NDArray[np.float64]
    """(n, 2) latitude and longitude."""
    accepted_at_ms: NDArray[np.int64]
    opener_load: Ints
    barred: Barred
    age_rule: AgeRule
    times_suggested: Mapping[tuple[str, ...], int]

    @property
    def size(self) -> int:
        return len(self.ids)

    @classmethod
    def of(
        cls,
        community: Community,
        profiles: Iterable[Profile],
        *,
        now_ms: int,
        waited_rounds: Mapping[str, int],
        history: Collection[Collection[str]] | Mapping[tuple[str, ...], int] = (),
        opener_load: Mapping[str, int],
        blocked: Collection[tuple[str, str]] = (),
    ) -> Snapshot:
        """See the community as it stands, in O(n log n).

        Parameters
        ----------
        profiles
            Members who are free to be suggested, each once, in any order.
        waited_rounds
            How many rounds a member waited in vain; 0 for who is not named.
        history
            Who was suggested together: sets of member ids, or how often by the sorted tuple of ids.
            No two of such a set are suggested to each other again.
        opener_load
            How often each member was an opener lately; 0 for who is not named.
        blocked
            Two ids, in either order, who must never be suggested to each other.

        Raises
        ------
        SnapshotError
            if a member comes twice, is of another community, or has a place that is no place.
        """
        people = sorted(profiles, key=lambda profile: profile.member)
        _refuse_nonsense(people, community)
        ids = tuple(profile.member for profile in people)
        row_of = {member: row for row, member in enumerate(ids)}
        year = datetime.fromtimestamp(now_ms / 1000, ZoneInfo(community.time_zone)).year

        degrees = np.array([(p.latitude, p.longitude) for p in people], np.float64).reshape(-1, 2)
        waited = np.array([max(0, waited_rounds.get(member, 0)) for member in ids], np.int64)
        age_for_certain = year - np.array([p.birth_year for p in people], np.int64) - 1
        adult = (age_for_certain >= community.adults_from_age) & (age_for_certain <= PLAUSIBLE_AGE_YEARS_MAX)
        interests, interest_words = _word_lists([p.interests for p in people])
        topics, topic_words = _word_lists([p.life_topics for p in people])
        times = history if isinstance(history, Mapping) else {tuple(sorted(group)): 1 for group in history}

        return cls(
            community=community,
            now_ms=now_ms,
            ids=ids,
            members=_records(people, community, degrees, waited, adult),
            adult=adult,
            interests=interests,
            interest_words=interest_words,
            topics=topics,
            topic_words=topic_words,
            places=tuple(p.place for p in people),
            degrees=degrees,
            accepted_at_ms=np.array([p.accepted_at_ms for p in people], np.int64),
            opener_load=np.array([opener_load.get(member, 0) for member in ids], np.int32),
            barred=_barred(len(ids), _pairs_of(times, row_of), _pairs_of(blocked, row_of)),
            age_rule=AgeRule(community.age_gap_years_max, year),
            times_suggested=MappingProxyType(dict(times)),
        )

    def openers(self, goes_first_min: int, opener_load_max: int) -> NDArray[np.bool_]:
        """Who is happy to go first, and was not asked to too often lately."""
        happy: NDArray[np.bool_] = self.members["goes_first"] >= goes_first_min
        return happy & (self.opener_load < opener_load_max)


def globe_km(degrees: NDArray[np.float64], centre: tuple[float, float]) -> NDArray[np.float64]:
    """East, north and up in kilometres, seen from the centre, for latitudes and longitudes in degrees.

    A turned globe, not a map: straight lines between points are exact (at 200 km, 10 m less
    than along the ground), and leaving `up` out never makes two points farther apart, so a
    flat grid over east and north can miss nobody in reach.
    """
    latitude, longitude = np.radians(degrees[:, 0]), np.radians(degrees[:, 1] - centre[1])
    turn = math.radians(centre[0])
    x = np.cos(latitude) * np.cos(longitude)
    east = np.cos(latitude) * np.sin(longitude)
    north = np.sin(latitude) * math.cos(turn) - x * math.sin(turn)
    up = np.sin(latitude) * math.sin(turn) + x * math.cos(turn)
    return EARTH_RADIUS_KM * np.stack([east, north, up], axis=1)


def _refuse_nonsense(people: Sequence[Profile], community: Community) -> None:
    for before, after in pairwise(people):
        if before.member == after.member:
            raise SnapshotError(f"member {after.member} is in the snapshot twice; give each free member once")
    for profile in people:
        if profile.community != community.community:
            raise SnapshotError(f"member {profile.member} is of {profile.community}, not of {community.community}")
        if not (abs(profile.latitude) <= 90 and abs(profile.longitude) <= 180 and 0 < profile.travel_km < math.inf):
            raise SnapshotError(f"member {profile.member} has no usable place or travel distance")


def _records(
    people: Sequence[Profile],
    community: Community,
    degrees: NDArray[np.float64],
    waited: NDArray[np.int64],
    adult: NDArray[np.bool_],
) -> NDArray[Any]:
    easier = community.relaxation
    members = np.zeros(len(people), MEMBER)
    globe = globe_km(degrees, (community.latitude, community.longitude))
    members["east"], members["north"], members["up"] = globe.T
    factor = np.where(waited >= easier.distance_after_rounds, easier.distance_factor, 1.0)
    members["reach"] = np.array([p.travel_km for p in people], np.float64) * factor
    members["needs_shared_interest"] = waited < easier.interests_after_rounds
    members["takes_any_size"] = waited >= easier.size_after_rounds
    members["waited_rounds"] = np.minimum(waited, np.iinfo(np.int32).max)
    members["birth_year"] = np.clip([p.birth_year for p in people], 0, 9999)
    members["languages"] = _language_masks([p.languages for p in people])
    masks = {available: mask_of(available) for available in {p.available for p in people}}
    members["slots"] = [masks[p.available] for p in people]
    openness = [(o.shares, o.listens, o.goes_first, o.depth) for o in (p.openness for p in people)]
    rated = np.array(openness, np.int8).reshape(-1, 4)
    members["shares"], members["listens"], members["goes_first"], members["depth"] = rated.T
    wishes = {"friend": LOOKS_FOR_PAIR, "group": LOOKS_FOR_GROUP}
    looked_for = {p.looking_for for p in people}
    looks = {wanted: sum(bit for wish, bit in wishes.items() if wish in wanted) for wanted in looked_for}
    members["looks_for"] = np.where(adult, np.array([looks[p.looking_for] for p in people], np.uint8), 0)
    return members


def _language_masks(spoken: Sequence[tuple[str, ...]]) -> NDArray[np.int64]:
    # What nobody else speaks can be in common with nobody. Of the rest the 63 most spoken have
    # a bit; a rarer one can thus only be missed as something in common, never be made up.
    count = Counter(chain.from_iterable(set(languages) for languages in spoken))
    common = sorted((language for language in count if count[language] > 1), key=lambda name: (-count[name], name))
    bit = {language: 1 << place for place, language in enumerate(common[:LANGUAGES_MAX])}
    masks = {languages: sum(bit.get(language, 0) for language in set(languages)) for languages in set(spoken)}
    return np.array([masks[languages] for languages in spoken], np.int64)


def _word_lists(words_of: Sequence[tuple[str, ...]]) -> tuple[Lists, tuple[str, ...]]:
    """Numbers for words, in the order of the alphabet; a word that comes twice in a row counts once."""
    words = tuple(sorted(set(chain.from_iterable(words_of))))
    number = {word: place for place, word in enumerate(words)}
    length = np.array([len(row) for row in words_of], np.int64)
    item = np.fromiter(map(number.__getitem__, chain.from_iterable(words_of)), np.int64, int(length.sum()))
    key = np.sort(np.repeat(np.arange(len(words_of)), length) * max(1, len(words)) + item)
    key = key[np.diff(key, prepend=-1) > 0]
    row, item = np.divmod(key, max(1, len(words)))
    return Lists(starts(row, len(words_of)), item.astype(np.int32)), words


def starts(row: NDArray[np.int64], rows: int) -> NDArray[np.int64]:
    """Where each row starts, for sorted row numbers: shape (rows + 1,)."""
    start = np.zeros(rows + 1, np.int64)
    np.cumsum(np.bincount(row, minlength=rows), out=start[1:])
    return start


def _pairs_of(groups: Iterable[Collection[str]], row_of: Mapping[str, int]) -> Iterator[tuple[int, int]]:
    for group in groups:
        present = [row_of[member] for member in group if member in row_of]
        yield from combinations(present, 2)


def _barred(rows: int, met: Iterable[tuple[int, int]], blocked: Iterable[tuple[int, int]]) -> Barred:
    why: dict[tuple[int, int], int] = {}
    for reason, pairs in ((MET, met), (BLOCKED, blocked)):  # a block outweighs a meeting
        for a, b in pairs:
            why[a, b] = why[b, a] = reason
    ordered = sorted(why)
    table = np.array(ordered, np.int64).reshape(-1, 2)
    reasons = np.array([why[pair] for pair in ordered], np.uint8)
    return Barred(starts(table[:, 0], rows), table[:, 1].astype(np.int32), reasons)
