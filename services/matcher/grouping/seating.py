"""Whoever is left takes a free seat in a group, or makes a pair a trio."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.matcher.candidates import best_candidates
from services.matcher.compiled import compiled
from services.matcher.grouping.growing import Made
from services.matcher.grouping.people import (
    GROUP_MEMBERS_MAX,
    Group,
    GroupRule,
    People,
    common_word,
    holds,
    meet,
    people_of,
    place_for_all,
    slots_of,
)
from services.matcher.grouping.told import told, words_of
from services.matcher.interests import InterestSpace
from services.matcher.policy import Policy
from services.matcher.snapshot import LOOKS_FOR_GROUP, Ints, Snapshot


def seat_those_left(
    groups: tuple[Group, ...],
    mate: Ints,
    members: Snapshot,
    policy: Policy,
    *,
    space: InterestSpace,
) -> tuple[tuple[Group, ...], Ints]:
    """Let whoever is left take a free seat in a group, or make a pair a trio where all three look for a group.

    A trio needs an opener. Returns the groups, and the pairs (`mate`) that are still pairs.
    Who waited longest is seated first, each beside the best of their candidates that has a seat.
    """
    look = (members.members["looks_for"] & LOOKS_FOR_GROUP) > 0
    left = look & (mate < 0)
    left[[row for group in groups for row in group.members]] = False
    rows = np.flatnonzero(left).astype(np.int32)
    first = np.flatnonzero((mate > np.arange(len(mate))) & look & look[mate]).astype(np.int32)
    if not len(rows) or not (len(groups) or len(first)):
        return groups, mate
    people, rule, _ = people_of(None, members, policy, space)
    place = np.full(members.size, -1, np.int32)
    place[people.row] = np.arange(len(people.row), dtype=np.int32)
    made = _units(groups, place[np.stack([first, mate[first]], axis=1)], members, place)
    rows = rows[np.argsort(-members.members["waited_rounds"][rows], kind="stable")]
    candidates = best_candidates(members, space, policy, looking_for=LOOKS_FOR_GROUP, rows=rows)
    seated = _seat(place[rows], np.where(candidates >= 0, place[candidates], np.int32(-1)), people, rule, made)
    trios = made.size[len(groups) :] > 2
    mate = mate.copy()
    mate[np.concatenate([first[trios], mate[first[trios]]])] = -1
    changed = told(Made(*(array[seated] for array in made)), people, members)
    by_unit = dict(zip(np.flatnonzero(seated).tolist(), changed, strict=True))
    kept = [by_unit.pop(unit, each) for unit, each in enumerate(groups)]
    return (*kept, *by_unit.values()), mate


def _units(groups: tuple[Group, ...], pairs: Ints, members: Snapshot, place: Ints) -> Made:
    """Groups and pairs that somebody might join; a pair is around nothing yet."""
    number = words_of(members)
    units = len(groups) + len(pairs)
    seats = np.full((units, GROUP_MEMBERS_MAX), -1, np.int32)
    size, anchor = np.full(units, 2, np.int32), np.full(units, -1, np.int32)
    seats[len(groups) :, :2] = pairs
    size[: len(groups)] = [len(each.members) for each in groups]
    anchor[: len(groups)] = [number[each.anchor_kind, each.anchor] for each in groups]
    inside = np.arange(GROUP_MEMBERS_MAX) < size[: len(groups), None]
    seats[: len(groups)][inside] = place[[row for each in groups for row in each.members]]
    return Made(seats, size, anchor)


@compiled
def _seat(rows: Ints, candidates: Ints, people: People, rule: GroupRule, made: Made) -> NDArray[np.bool_]:
    """Give each row the seat with their best candidate that has one. Changes `made`; which of it has changed."""
    unit_of = np.full(len(people.row), -1, np.int32)
    changed = np.zeros(len(made.size), np.bool_)
    for unit in range(len(made.size)):
        for seat in made.seats[unit, : made.size[unit]]:
            unit_of[seat] = unit
    for query in range(len(rows)):
        me = rows[query]
        for you in candidates[query]:
            if you < 0:
                break
            unit = unit_of[you]
            if unit < 0:
                continue
            size = made.size[unit]
            if size >= rule.largest or size + 1 < rule.smallest:
                continue
            seats = made.seats[unit, : size + 1]
            good, opened = True, people.openers[me]
            for seat in seats[:size]:
                opened |= people.openers[seat]
                good &= meet(people, me, seat)
            if not good or (size == 2 and not opened):
                continue
            seats[size] = me
            anchor = made.anchor[unit]
            if slots_of(people.members, seats) == 0 or not place_for_all(people.members, seats):
                anchor = -1
            elif anchor < 0 or not holds(people.words, me, anchor):
                anchor = common_word(people, rule, seats)
            if anchor < 0:
                seats[size] = -1
                continue
            made.size[unit], made.anchor[unit] = size + 1, anchor
            unit_of[me], changed[unit] = unit, True
            break
    return changed
