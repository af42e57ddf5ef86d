"""Groups of three to six around something they all share, each with somebody who is happy to go first.

Openers are dealt out first: a group grows around an opener, among people near by who
share an interest (or, where no interest brings enough people together, a life topic),
by always taking the one who fits best with those who are in it already. The bond, a
place and a time must stay common to all at every step.

Whoever is left may then take a seat in a group that is not full, or make a pair a trio.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.matcher.candidates import best_candidates
from services.matcher.compiled import compiled
from services.matcher.graph import CompatibilityGraph
from services.matcher.interests import InterestArrays, InterestSpace, alike, spread, wipe
from services.matcher.nearby import Grid, Index, grid_over, index_of, read_outwards
from services.matcher.policy import Policy
from services.matcher.rules import may_meet
from services.matcher.score import ScoreRule, distance_km, weight_of, worth
from services.matcher.snapshot import LOOKS_FOR_GROUP, LOOKS_FOR_PAIR, AgeRule, Barred, Ints, Lists, Snapshot, starts

GROUP_MEMBERS_MAX = 6
OPENERS_AMPLE_FACTOR = 2
"""With fewer openers than so many for every group that could be made, no group takes a second one if it can help it."""


@dataclass(frozen=True)
class Group:
    """A group, by rows of the snapshot."""

    members: tuple[int, ...]
    """Sorted."""
    anchor_kind: Literal["interest", "life_topic"]
    anchor: str


class GroupRule(NamedTuple):
    """What groups are made by, as compiled code reads it."""

    smallest: int
    wanted: int
    largest: int
    interests: int
    """Words below this number are interests, those from it on life topics."""
    worth_percent: int
    pool_max: int
    postings_max: int
    anchors_max: int
    openers_are_scarce: bool


class People(NamedTuple):
    """Everything that is asked about members while groups are made."""

    members: NDArray[Any]
    openers: NDArray[np.bool_]
    space: InterestArrays
    words: Lists
    """Interests and life topics, one numbering."""
    holders: NDArray[np.int64]
    barred: Barred
    age_rule: AgeRule
    score: ScoreRule
    best_pair: NDArray[np.int64]
    """(n,) the weight of each one's best pair; 0 for who does not look for one, or has none."""


class Made(NamedTuple):
    """Groups in the making: rows of members, -1 behind the last, and the number of what each is around."""

    seats: Ints
    size: Ints
    anchor: Ints


def group(
    graph: CompatibilityGraph,
    members: Snapshot,
    policy: Policy,
    *,
    seed: int = 0,
    space: InterestSpace | None = None,
) -> tuple[Group, ...]:
    """Make groups among those who look for one.

    A member who looks for a pair as well joins only a group that is worth at least
    `policy.group_worth_percent` of their best edge in `graph`; a group is worth to a member
    what the pairs with the others in it weigh on average.

    Parameters
    ----------
    graph
        The graph of pairs, on the rows of `members`.
    space
        The interests of `members`, if they have been fitted already.

    Returns
    -------
    tuple of Group
        Disjoint. All two of a group may meet by the rules that nothing relaxes; all share an anchor
        and a slot, and everybody reaches the place of one of them. No group is without an opener
        unless there are more groups than openers who look for one.

    Notes
    -----
    About linear: each opener tries at most `group_anchors_tried_max` anchors, each with at most
    `group_pool_members_max` others. `seed` decides who comes first among equals.
    """
    if members.size < members.community.groups.smallest:
        return ()
    people, rule = _asked(graph, members, policy, space)
    looks = (members.members["looks_for"] & LOOKS_FOR_GROUP) > 0
    free = looks.copy()
    can_open = looks & people.openers
    words = len(people.holders)
    grid = grid_over(members.members, words)
    order = _who_first(members, seed)

    rounds = []
    for openers_first in (True, True, False):
        # Again with an index of those who are left: in a crowd, most of what was read were taken.
        asking = order[free[order] & (can_open[order] == openers_first)]
        if len(asking):
            index = index_of(grid, people.words, words, free)
            rounds.append(_grow(asking, people, rule, grid, index, free))
    made = Made(*(np.concatenate(arrays) for arrays in zip(*rounds, strict=True))) if rounds else None
    if made is None or not len(made.size):
        return ()
    opened: NDArray[np.bool_] = np.logical_or.reduce(people.openers[made.seats] & (made.seats >= 0), axis=1)
    if len(opened) <= can_open.sum():
        # There are openers enough, only not where they were needed: better wait for one.
        made = Made(*(array[opened] for array in made))
    return _told(made, members)


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
    """
    look = (members.members["looks_for"] & LOOKS_FOR_GROUP) > 0
    left = look & (mate < 0)
    left[[row for group in groups for row in group.members]] = False
    rows = np.flatnonzero(left).astype(np.int32)
    first = np.flatnonzero((mate > np.arange(len(mate))) & look & look[mate]).astype(np.int32)
    if not len(rows) or not (len(groups) or len(first)):
        return groups, mate
    people, rule = _asked(None, members, policy, space)
    number = {("interest", word): place for place, word in enumerate(members.interest_words)}
    number |= {("life_topic", word): place + rule.interests for place, word in enumerate(members.topic_words)}
    units = len(groups) + len(first)
    made = Made(
        np.full((units, GROUP_MEMBERS_MAX), -1, np.int32), np.full(units, 2, np.int32), np.full(units, -1, np.int32)
    )
    for unit, each in enumerate(groups):
        made.seats[unit, : len(each.members)] = each.members
        made.size[unit] = len(each.members)
        made.anchor[unit] = number[each.anchor_kind, each.anchor]
    made.seats[len(groups) :, 0], made.seats[len(groups) :, 1] = first, mate[first]
    waited = members.members["waited_rounds"][rows]
    rows = rows[np.argsort(-waited, kind="stable")]
    candidates = best_candidates(members, space, policy, looking_for=LOOKS_FOR_GROUP, rows=rows)
    _seat(rows, candidates, people, rule, made)
    grown = made.size > 2
    mate = mate.copy()
    for seats in made.seats[len(groups) :][grown[len(groups) :]]:
        mate[seats[:2]] = -1
    return _told(Made(*(array[grown] for array in made)), members), mate


def _asked(
    graph: CompatibilityGraph | None, members: Snapshot, policy: Policy, space: InterestSpace | None
) -> tuple[People, GroupRule]:
    space = space or InterestSpace.of(members.interests, len(members.interest_words))
    interests, sizes = len(members.interest_words), members.community.groups
    words = _joined(members.interests, members.topics, interests)
    openers = members.openers(policy.goes_first_min, policy.opener_load_max)
    records = members.members
    best = np.zeros(members.size, np.int64)
    if graph is not None and len(graph.neighbour):
        some = np.flatnonzero(np.diff(graph.start))
        best[some] = np.maximum.reduceat(graph.weight, graph.start[some])
        best[(records["looks_for"] & LOOKS_FOR_PAIR) == 0] = 0
    seekers = (records["looks_for"] & LOOKS_FOR_GROUP) > 0
    people = People(
        records,
        openers,
        space.arrays,
        words,
        np.bincount(words.item, minlength=interests + len(members.topic_words)),
        members.barred,
        members.age_rule,
        ScoreRule.of(policy),
        best,
    )
    rule = GroupRule(
        sizes.smallest,
        sizes.wanted,
        sizes.largest,
        interests,
        policy.group_worth_percent,
        policy.group_pool_members_max,
        policy.group_postings_read_max,
        policy.group_anchors_tried_max,
        bool((openers & seekers).sum() * sizes.wanted < OPENERS_AMPLE_FACTOR * seekers.sum()),
    )
    return people, rule


def _joined(one: Lists, other: Lists, offset: int) -> Lists:
    rows = len(one.start) - 1
    row = np.concatenate([np.repeat(np.arange(rows), np.diff(each.start)) for each in (one, other)])
    item = np.concatenate([one.item, other.item + np.int32(offset)])
    order = np.lexsort((item, row))
    return Lists(starts(row, rows), item[order])


def _who_first(members: Snapshot, seed: int) -> Ints:
    """Rested openers first, then who waited longest, then by lot."""
    lot = np.random.default_rng(seed).permutation(members.size)
    return np.lexsort((lot, -members.members["waited_rounds"], members.opener_load)).astype(np.int32)


def _told(made: Made, members: Snapshot) -> tuple[Group, ...]:
    interests = len(members.interest_words)
    groups = []
    for seats, size, anchor in zip(made.seats.tolist(), made.size.tolist(), made.anchor.tolist(), strict=True):
        rows = tuple(sorted(seats[:size]))
        if anchor < interests:
            groups.append(Group(rows, "interest", members.interest_words[anchor]))
        else:
            groups.append(Group(rows, "life_topic", members.topic_words[anchor - interests]))
    return tuple(groups)


@compiled
def _place_for_all(members: NDArray[Any], seats: Ints, size: int, extra: int) -> bool:
    """Whether everybody, `extra` too, reaches where one of them lives."""
    for host in range(size + 1):
        at = extra if host == size else seats[host]
        good = True
        for guest in range(size + 1):
            who = extra if guest == size else seats[guest]
            if distance_km(members, who, at) > members[who].reach:
                good = False
                break
        if good:
            return True
    return False


@compiled
def _pair_weight(people: People, a: int, b: int, interests: float) -> int:
    _, _, total = worth(people.members, a, b, interests, people.score)
    return weight_of(people.members, a, b, total, people.score)


@compiled
def _satisfied(people: People, rule: GroupRule, member: int, mean: float) -> bool:
    return mean * 100 >= people.best_pair[member] * rule.worth_percent  # type: ignore[no-any-return]


@compiled
def _pool(
    people: People, rule: GroupRule, grid: Grid, index: Index, free: NDArray[np.bool_],
    host: int, word: int, near: Ints, pool: Ints,
) -> int:  # fmt: skip
    """Who near by shares a word with the host and may meet them, nearest cells first; how many."""
    read = read_outwards(grid, index, word, host, people.members[host].reach, rule.postings_max, near)
    count = 0
    for place in range(read):
        you = near[place]
        if you == host or not free[you] or not may_meet(people.members, host, you, people.barred, people.age_rule):
            continue
        apart = distance_km(people.members, host, you)
        if apart > people.members[host].reach and apart > people.members[you].reach:
            continue
        pool[count] = you
        count += 1
        if count == len(pool):
            break
    return count


@compiled
def _grow(
    asking: Ints, people: People, rule: GroupRule, grid: Grid, index: Index, free: NDArray[np.bool_]
) -> tuple[Ints, Ints, Ints]:
    """Grow a group around each of those who ask, where one can be had; takes its members out of `free`."""
    members = people.members
    made_seats = np.full((len(asking), GROUP_MEMBERS_MAX), -1, np.int32)
    made_size = np.zeros(len(asking), np.int32)
    made_anchor = np.zeros(len(asking), np.int32)
    made = 0
    reading = np.zeros(rule.interests)
    near, pool = np.empty(rule.postings_max, np.int32), np.empty(rule.pool_max, np.int32)
    total, open_to = np.empty(rule.pool_max, np.int64), np.empty(rule.pool_max, np.bool_)
    seats, best_seats = np.empty(GROUP_MEMBERS_MAX, np.int32), np.empty(GROUP_MEMBERS_MAX, np.int32)
    for host in asking:
        if not free[host]:
            continue
        words = people.words.item[people.words.start[host] : people.words.start[host + 1]]
        # Rarest interest first; life topics come last, and only if no interest fills a group.
        order = np.argsort(people.holders[words] + (words >= rule.interests) * len(members), kind="mergesort")
        best_value, best_size, best_anchor, tried = 0.0, 0, -1, 0
        for at in order:
            word = words[at]
            if word >= rule.interests and best_size >= rule.wanted:
                break
            if people.holders[word] < rule.smallest or tried == rule.anchors_max:
                continue
            count = _pool(people, rule, grid, index, free, host, word, near, pool)
            if count + 1 < rule.smallest:
                continue
            tried += 1
            seats[0], size, inside, slots, host_total = host, 1, np.int64(0), members[host].slots, np.int64(0)
            total[:count], open_to[:count] = 0, True
            while size < rule.wanted:
                newest = seats[size - 1]
                spread(people.space, newest, reading)
                for place in range(count):
                    you = pool[place]
                    if not open_to[place]:
                        continue
                    if size > 1 and not may_meet(members, newest, you, people.barred, people.age_rule):
                        open_to[place] = False
                        continue
                    total[place] += _pair_weight(people, newest, you, alike(people.space, newest, you, reading))
                wipe(people.space, newest, reading)
                chosen, chosen_value = -1, np.int64(-1)
                for place in range(count):
                    you = pool[place]
                    if not open_to[place] or slots & members[you].slots == 0:
                        continue
                    # Where openers are few, a second one in a group is one that another group lacks.
                    value = total[place]
                    if rule.openers_are_scarce and people.openers[you]:
                        value = value // 1_000
                    if value <= chosen_value or not _satisfied(people, rule, you, total[place] / size):
                        continue
                    if _place_for_all(members, seats, size, you):
                        chosen, chosen_value = place, value
                if chosen < 0:
                    break
                you = pool[chosen]
                open_to[chosen] = False
                inside += total[chosen]
                seats[size], size, slots = you, size + 1, slots & members[you].slots
            if size < rule.smallest:
                continue
            spread(people.space, host, reading)
            for place in range(1, size):
                host_total += _pair_weight(people, host, seats[place], alike(people.space, host, seats[place], reading))
            wipe(people.space, host, reading)
            if not _satisfied(people, rule, host, host_total / (size - 1)):
                continue
            # The mean over pairs, less where the group is smaller than is wanted.
            value = inside / (size * (size - 1) / 2) * size / rule.wanted
            if value > best_value:
                best_value, best_size, best_anchor = value, size, word
                best_seats[:size] = seats[:size]
        if best_size:
            made_seats[made, :best_size] = best_seats[:best_size]
            made_size[made], made_anchor[made] = best_size, best_anchor
            made += 1
            free[best_seats[:best_size]] = False
    return made_seats[:made], made_size[:made], made_anchor[:made]


@compiled
def _holds(words: Lists, member: int, word: int) -> bool:
    return word in words.item[words.start[member] : words.start[member + 1]]


@compiled
def _common_word(people: People, rule: GroupRule, seats: Ints, size: int, extra: int) -> int:
    """The rarest interest that all of them share, else the rarest life topic, else -1."""
    best, best_rank = -1, np.int64(0)
    for place in range(people.words.start[extra], people.words.start[extra + 1]):
        word = people.words.item[place]
        rank = people.holders[word] + (word >= rule.interests) * len(people.members)
        if best >= 0 and rank >= best_rank:
            continue
        shared = True
        for seat in seats[:size]:
            shared &= _holds(people.words, seat, word)
        if shared:
            best, best_rank = word, rank
    return best


@compiled
def _seat(rows: Ints, candidates: Ints, people: People, rule: GroupRule, made: Made) -> None:
    """Give each row the seat with their best candidate that has one. Changes `made`."""
    members = people.members
    unit_of = np.full(len(members), -1, np.int32)
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
            seats, size = made.seats[unit], made.size[unit]
            if size >= rule.largest or size + 1 < rule.smallest:
                continue
            slots, good, opened = members[me].slots, True, people.openers[me]
            for seat in seats[:size]:
                slots &= members[seat].slots
                opened |= people.openers[seat]
                good &= may_meet(members, me, seat, people.barred, people.age_rule)
            if not good or slots == 0 or (size == 2 and not opened):
                continue
            if not _place_for_all(members, seats, size, me):
                continue
            anchor = made.anchor[unit]
            if anchor < 0 or not _holds(people.words, me, anchor):
                anchor = _common_word(people, rule, seats, size, me)
            if anchor < 0:
                continue
            made.seats[unit, size], made.size[unit], made.anchor[unit] = me, size + 1, anchor
            unit_of[me] = unit
            break
