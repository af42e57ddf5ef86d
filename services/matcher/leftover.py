"""Why nobody was found for a member: few, known reasons, so that an operator can count them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.matcher.compiled import compiled
from services.matcher.nearby import Grid, Index, everybody, grid_over, read_outwards
from services.matcher.policy import Policy
from services.matcher.rules import of_similar_age, why_barred
from services.matcher.score import distance_km
from services.matcher.snapshot import BLOCKED, LOOKS_FOR_GROUP, MET, AgeRule, Barred, Ints, Lists, Snapshot


class LeftOver(StrEnum):
    """What stood in the way: the last thing that somebody failed who came farthest, in this order."""

    NO_ADULT_FOR_CERTAIN = "no_adult_for_certain"
    """By the year of birth the member may be a minor, or it is no year of birth."""
    LOOKS_FOR_NOTHING = "looks_for_nothing"
    NO_ONE_WITHIN_REACH = "no_one_within_reach"
    """Nobody who looks for the same lives within both travel distances."""
    NO_LANGUAGE_IN_COMMON = "no_language_in_common"
    NO_ONE_OF_SIMILAR_AGE = "no_one_of_similar_age"
    NOBODY_FREE_AT_THE_SAME_TIME = "nobody_free_at_the_same_time"
    NO_INTEREST_IN_COMMON = "no_interest_in_common"
    ONLY_MET_BEFORE = "only_met_before"
    """Everybody who would do was suggested to the member before."""
    TOO_FEW_FOR_A_GROUP = "too_few_for_a_group"
    """There is somebody, but the member looks for a group, and none came about."""
    NOBODY_LEFT = "nobody_left"
    """Whoever would do was suggested to somebody else in this round."""


_STAGES = tuple(LeftOver)


def why_left_over(snapshot: Snapshot, rows: Ints, policy: Policy) -> tuple[LeftOver, ...]:
    """The reason for each of some rows that are in no suggestion of a round.

    Looks at no more of the nearest members than candidates were sought among, so takes
    time linear in the rows. Who is blocked is, here too, as if they were not there.
    """
    if not len(rows):
        return ()
    grid = grid_over(snapshot.members, 1)
    stage = _farthest(
        rows,
        snapshot.members,
        snapshot.adult,
        snapshot.interests,
        snapshot.barred,
        snapshot.age_rule,
        grid,
        everybody(grid),
        policy.scanned_members_max,
    )
    return tuple(_STAGES[place] for place in stage.tolist())


@compiled
def _farthest(
    rows: Ints,
    members: NDArray[Any],
    adult: NDArray[np.bool_],
    interests: Lists,
    barred: Barred,
    age_rule: AgeRule,
    grid: Grid,
    everyone: Index,
    scanned_max: int,
) -> Ints:
    """The place in `LeftOver` of each row's reason."""
    stages = np.empty(len(rows), np.int32)
    others = np.empty(scanned_max, np.int32)
    for query in range(len(rows)):
        me = rows[query]
        mine = members[me]
        if not adult[me]:
            stages[query] = 0
            continue
        if mine.looks_for == 0:
            stages[query] = 1
            continue
        stage = 2
        read = read_outwards(grid, everyone, 0, me, mine.reach, scanned_max, others)
        for you in others[:read]:
            yours = members[you]
            apart = distance_km(members, me, you)
            if you == me or mine.looks_for & yours.looks_for == 0 or apart > mine.reach or apart > yours.reach:
                continue
            met = why_barred(barred, me, you)
            if met == BLOCKED:
                continue
            if mine.languages & yours.languages == 0:
                passed = 3
            elif not of_similar_age(members, me, you, age_rule):
                passed = 4
            elif mine.slots & yours.slots == 0:
                passed = 5
            elif (mine.needs_shared_interest or yours.needs_shared_interest) and not _share(interests, me, you):
                passed = 6
            elif met == MET:
                passed = 7
            else:
                passed = 8 if mine.looks_for == LOOKS_FOR_GROUP else 9
            stage = max(stage, passed)
            if stage >= 8:
                break
        stages[query] = stage
    return stages


@compiled
def _share(lists: Lists, a: int, b: int) -> bool:
    one, end_one = lists.start[a], lists.start[a + 1]
    other, end_other = lists.start[b], lists.start[b + 1]
    while one < end_one and other < end_other:
        if lists.item[one] == lists.item[other]:
            return True
        if lists.item[one] < lists.item[other]:
            one += 1
        else:
            other += 1
    return False
