"""How a member who looks for somebody compares those whom `services.matcher.candidates` reads for them.

In passes over cards of one cache line: first who comes into question at all, then what
they are worth but for rounding, then the rules that need more than a card, and in the
end the exact score of the few who are left.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.matcher.cards import (
    HAS_MORE,
    INTERESTS_ON_CARD,
    LANGUAGES_BITS,
    LOOKS_FOR_SHIFT,
    NEEDS_SHARED_INTEREST,
    SLOTS_BITS,
    Cards,
    year_on,
)
from services.matcher.compiled import compiled, compiled_loosely
from services.matcher.interests import (
    TASTE_DIMENSIONS,
    TASTE_FLOOR,
    TASTE_SHARE,
    TASTE_UNIT,
    InterestArrays,
    alike,
    overlap_with,
    spread,
    wipe,
)
from services.matcher.nearby import Grid, Index
from services.matcher.policy import WEIGHT_ONE
from services.matcher.rules import similar_age, why_barred
from services.matcher.score import NEAR_SHARE, ScoreRule, choice_fit, distance_km, worth
from services.matcher.snapshot import AgeRule, Barred, Ints

SPARE = 4
"""So many more than are wanted are kept while scores are rounded, and the best of them by the exact score taken."""


class City(NamedTuple):
    """What candidates are sought in. Cards, grid and indexes are in the order of cells; the rest by rows."""

    cards: Cards
    order: Ints
    """The row of each card."""
    members: NDArray[Any]
    space: InterestArrays
    holders: NDArray[np.int64]
    barred: Barred
    age_rule: AgeRule
    grid: Grid
    by_interest: Index
    """Words are `interest * 3 + willingness`."""
    everyone: Index


class Asking(NamedTuple):
    """The one who asks, laid out for quick comparison, and whom they have found so far."""

    reading: NDArray[np.float32]
    """(numbers + 1,) what each interest of another adds to the score, but for the other's scale."""
    wide: NDArray[np.float64]
    """(interests,) the same, exactly: see `services.matcher.interests.spread`."""
    own: NDArray[np.bool_]
    """(interests,) theirs."""
    best: Ints
    """(wanted + spare,) places of the best so far, best first."""
    score: NDArray[np.float32]
    """(wanted + spare,) theirs; below 0 where there is nobody yet."""
    seen: NDArray[np.uint64]
    """A bit for each place."""
    kept: Ints
    scored: NDArray[np.float32]
    """Room for those who are looked at, and for their scores."""


@compiled
def sit_down(row: int, place: int, city: City, rule: ScoreRule, me: Asking) -> None:
    space, cards = city.space, city.cards
    spread(space, row, me.wide)
    for at in range(space.start[row], space.start[row + 1]):
        item = space.item[at]
        me.own[item] = True
        me.reading[cards.number[item]] = space.weight[at] * space.idf[item]
    me.reading[cards.none] = 0
    me.best[:] = -1
    me.score[:] = -1
    me.seen[place >> 6] |= np.uint64(1) << np.uint64(place & 63)


@compiled
def stand_up(row: int, place: int, city: City, me: Asking) -> None:
    space, cards = city.space, city.cards
    for at in range(space.start[row], space.start[row + 1]):
        item = space.item[at]
        me.own[item] = False
        me.reading[cards.number[item]] = 0
    wipe(space, row, me.wide)
    me.seen[place >> 6] = 0


@compiled
def compare(place: int, others: Ints, share: bool, city: City, looking_for: int, rule: ScoreRule, me: Asking) -> None:
    """Put those of the others who come into question and score high enough among my best.

    `share`: it is known of all of them that they share an interest with me. In three passes, of which
    the first two have no branches that depend on what is read: so many cards are fetched at a time.
    """
    count = _come_into_question(place, others, city.cards, looking_for, me)
    _score(place, me.kept[:count], city, rule, me)
    mine, row = city.cards.card[place], city.order[place]
    barred = city.barred.start[row] < city.barred.start[row + 1]
    last = len(me.score) - 1
    for at in range(count):
        score, other = me.scored[at], me.kept[at]
        if score < me.score[last] or not similar_age(year_on(mine), year_on(city.cards.card[other]), city.age_rule):
            continue
        you = city.order[other]
        if score == me.score[last] and me.best[last] >= 0 and you > city.order[me.best[last]]:
            continue
        if barred and why_barred(city.barred, row, you) != 0:
            continue
        needs = (mine.flags | city.cards.card[other].flags) & NEEDS_SHARED_INTEREST
        if not share and needs and not _shares(city.space, you, me.own):
            continue
        spot = last
        while spot > 0 and (
            me.score[spot - 1] < score
            or (me.score[spot - 1] == score and me.best[spot - 1] >= 0 and city.order[me.best[spot - 1]] > you)
        ):
            me.score[spot], me.best[spot] = me.score[spot - 1], me.best[spot - 1]
            spot -= 1
        me.score[spot], me.best[spot] = score, other


@compiled
def _come_into_question(place: int, others: Ints, cards: Cards, looking_for: int, me: Asking) -> int:
    """Write those who are within reach, free at the same time, ... and new to me, into `me.kept`; how many."""
    mine = cards.card[place]
    east, north, reach = np.int64(mine.east), np.int64(mine.north), np.int64(mine.reach)
    wanted = looking_for << LOOKS_FOR_SHIFT
    count = 0
    for other in others:
        yours = cards.card[other]
        both = mine.flags & yours.flags
        apart = (np.int64(yours.east) - east) ** 2 + (np.int64(yours.north) - north) ** 2
        shorter = min(reach, np.int64(yours.reach))
        bit = np.uint64(1) << np.uint64(other & 63)
        new = me.seen[other >> 6] & bit == 0
        me.seen[other >> 6] |= bit
        me.kept[count] = other
        count += (
            new
            & (both & SLOTS_BITS != 0)
            & (both & wanted != 0)
            & (mine.languages & yours.languages & LANGUAGES_BITS != 0)
            & (apart <= shorter * shorter)
        )
    return count


@compiled_loosely
def _score(place: int, kept: Ints, city: City, rule: ScoreRule, me: Asking) -> None:
    """Write the total score of some, but for rounding, into `me.scored`."""
    cards = city.cards
    mine = cards.card[place]
    fit, fit_of = cards.fit[mine.kind], cards.fit_of[mine.kind]
    interests, practical = np.float32(rule.interests), np.float32(rule.practical)
    nearness = np.float32(rule.practical * NEAR_SHARE)
    one, zero = np.float32(1), np.float32(0)
    # `services.matcher.interests.taste_part`, in one product and one difference.
    taste_unit = np.float32(1 / TASTE_UNIT**2 / (1 - TASTE_FLOOR))
    taste_floor, taste_share = np.float32(TASTE_FLOOR / (1 - TASTE_FLOOR)), np.float32(TASTE_SHARE)
    for at in range(len(kept)):
        other = kept[at]
        yours = cards.card[other]
        overlap = zero
        for on in range(INTERESTS_ON_CARD):
            overlap += me.reading[yours.interests[on]]
        overlap *= yours.scale
        if (mine.flags | yours.flags) & HAS_MORE:
            overlap = np.float32(overlap_with(city.space, city.order[other], me.wide))
        cosine = np.int32(0)
        for axis in range(TASTE_DIMENSIONS):
            cosine += np.int32(mine.taste[axis]) * np.int32(yours.taste[axis])
        taste = min(one, max(zero, np.float32(cosine) * taste_unit - taste_floor))
        liked = interests * (one - (one - min(one, overlap)) * (one - taste_share * taste * taste))
        languages = mine.languages & yours.languages & LANGUAGES_BITS
        choice = practical * np.float32(choice_fit(mine.flags & yours.flags & SLOTS_BITS, languages))
        east = np.float32(np.int32(mine.east) - np.int32(yours.east))
        north = np.float32(np.int32(mine.north) - np.int32(yours.north))
        apart = np.sqrt(east * east + north * north)
        for_me = fit[yours.kind] + nearness * max(zero, one - apart / np.float32(mine.reach))
        for_you = fit_of[yours.kind] + nearness * max(zero, one - apart / np.float32(yours.reach))
        me.scored[at] = liked + choice + min(for_me, for_you)


@compiled
def _shares(space: InterestArrays, row: int, own: NDArray[np.bool_]) -> bool:
    shared = False
    for at in range(space.start[row], space.start[row + 1]):
        shared |= own[space.item[at]]
    return shared


@compiled
def keep_the_best(row: int, city: City, rule: ScoreRule, me: Asking, found: Ints) -> None:
    """Of those that rounding left, the best by the exact score, as rows."""
    members = city.members
    score = np.zeros(len(found), np.int64)
    count = 0
    for other in me.best:
        if other < 0:
            break
        you = city.order[other]
        apart = distance_km(members, row, you)
        if apart > members[row].reach or apart > members[you].reach:
            continue
        if members[row].languages & members[you].languages == 0:
            continue
        _, _, total = worth(members, row, you, alike(city.space, row, you, me.wide), rule)
        worth_it = np.int64(np.floor(total * WEIGHT_ONE))
        spot = count
        while spot > 0 and (score[spot - 1] < worth_it or (score[spot - 1] == worth_it and found[spot - 1] > you)):
            if spot < len(found):
                score[spot], found[spot] = score[spot - 1], found[spot - 1]
            spot -= 1
        if spot < len(found):
            score[spot], found[spot] = worth_it, you
            count = min(count + 1, len(found))
