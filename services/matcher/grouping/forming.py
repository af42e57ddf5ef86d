"""Groups of three to six around something they all share, each with somebody who is happy to go first.

Openers are dealt out first: a group grows around an opener, among people near by who
share an interest (or, where no interest brings enough people together, a life topic).
Then members move and change places while that makes groups better, those who are left
are asked again, and a group that lacks an opener gets one by force where there is one. The
anchor, a place and a time stay common to all at every step.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from services.matcher.graph import CompatibilityGraph
from services.matcher.grouping.circles import circles_of, together
from services.matcher.grouping.every_way import MEMBERS_MAX, best_groups
from services.matcher.grouping.exchange import exchange
from services.matcher.grouping.growing import Made, grow
from services.matcher.grouping.opening import open_all
from services.matcher.grouping.people import Group, GroupRule, People, people_of
from services.matcher.grouping.told import told
from services.matcher.interests import InterestSpace
from services.matcher.nearby import Grid
from services.matcher.policy import Policy
from services.matcher.snapshot import Ints, Snapshot

ATTEMPTS_MAX = 32
ATTEMPTS_MEMBERS = 4_000
"""Among few, several deals are tried and the best one is taken: as many as come to so many members together."""
POOLS = (1_000, 4, 8, 6)
"""How many people near by groups grow among in turn, attempt by attempt."""


def group(
    graph: CompatibilityGraph,
    members: Snapshot,
    policy: Policy,
    *,
    seed: int = 0,
    space: InterestSpace | None = None,
) -> tuple[Group, ...]:
    """Make groups among those who look for one.

    A group is worth to a member what their pairs with the others in it weigh on average. A member who
    looks for a pair as well is only in a group that is worth at least `policy.group_worth_percent` of
    their best edge in `graph`. What all groups are worth to all members together is what is sought the
    most of; to who has not waited so long that any allowed size will do, a group of another size than the
    community wants counts for less, by the share that is missing or over.

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
    `group_pool_members_max` others; then each member looks at a dozen groups near by, a few times. The same
    seed gives the same groups for any number of threads. `seed` decides who comes first among equals.
    """
    people, rule, grid = people_of(graph, members, policy, space)
    if len(people.row) < rule.smallest:
        return ()
    attempts = 1 if len(people.row) <= MEMBERS_MAX else min(ATTEMPTS_MAX, max(1, ATTEMPTS_MEMBERS // len(people.row)))
    with ThreadPoolExecutor(policy.threads, "groups") as executor:
        deals = (
            _deal(_who_first(people, members, (seed, attempt)), people, rule, _varied(rule, attempt), grid, executor)
            for attempt in range(attempts)
        )
        _, made = max(deals, key=lambda deal: deal[0])
    if len(people.row) <= MEMBERS_MAX:
        # They were dealt out too: so one small round compiles whatever a large one will need.
        made = best_groups(people, rule)
    return told(made, people, members)


def _who_first(people: People, members: Snapshot, seed: tuple[int, int]) -> Ints:
    """Rested openers first, then who waited longest, then by lot; every other attempt goes by lot alone."""
    lot = np.random.default_rng(seed).permutation(members.size)[people.row]
    if seed[1] % 2:
        return np.argsort(lot).astype(np.int32)
    waited, load = people.members["waited_rounds"], members.opener_load[people.row]
    return np.lexsort((lot, -waited, load)).astype(np.int32)


def _varied(rule: GroupRule, attempt: int) -> GroupRule:
    """The rule to grow by: first as it is, then with smaller groups to begin with, or among fewer people near by."""
    wanted = max(rule.smallest, rule.wanted - attempt // 2 % 2)
    pool_max = min(rule.pool_max, max(rule.wanted, POOLS[attempt // 4 % len(POOLS)]))
    return rule._replace(wanted=wanted, pool_max=pool_max)


def _deal(
    order: Ints, people: People, rule: GroupRule, growing: GroupRule, grid: Grid, executor: ThreadPoolExecutor
) -> tuple[int, Made]:
    """One deal of everybody: its value, of which a group without an opener has half its own; and the groups."""
    free = np.ones(len(people.row), np.bool_)
    hosts, others = order[people.openers[order]], order[~people.openers[order]]
    # Openers a second time: where many were taken, those farther away are read now.
    made = _joined(*(grow(asking, people, growing, grid, free, executor) for asking in (hosts, hosts)))
    made = _joined(made, grow(others, people, _with_openers(growing, made, free, people), grid, free, executor))
    circles = circles_of(made, people, rule)
    exchange(circles, order, people, rule, grid, executor)
    # Whoever is left is asked once more: others are free now than when they were asked.
    free = circles.group < 0
    growing = _with_openers(growing, circles.made, free, people)
    more = grow(order[free[order]], people, growing, grid, free, executor)
    circles = together(circles, circles_of(more, people, rule))
    open_all(circles, people, rule, grid)
    opened = _opened(circles.made, people)
    if len(opened) <= people.openers.sum():
        # There are openers enough, only not where they were needed: better wait for one.
        return int(circles.value[opened].sum()), Made(*(array[opened] for array in circles.made))
    return int(np.where(opened, circles.value, circles.value // 2).sum()), circles.made


def _with_openers(rule: GroupRule, made: Made, free: NDArray[np.bool_], people: People) -> GroupRule:
    """Make no group without an opener, if there are openers for all groups that could still come about."""
    most = len(made.size) + int(free.sum()) // rule.smallest
    return rule._replace(openers_needed=bool(most <= people.openers.sum()))


def _joined(*parts: Made) -> Made:
    return Made(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _opened(made: Made, people: People) -> NDArray[np.bool_]:
    opened: NDArray[np.bool_] = np.logical_or.reduce(people.openers[made.seats] & (made.seats >= 0), axis=1)
    return opened
