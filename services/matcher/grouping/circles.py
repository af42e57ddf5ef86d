"""Groups as they stand while they are being made better: who is where, and what each is worth."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.matcher.compiled import compiled
from services.matcher.grouping.growing import Made
from services.matcher.grouping.people import GROUP_MEMBERS_MAX, GroupRule, People, pair_weight, worth_of_group
from services.matcher.snapshot import Ints


class Circles(NamedTuple):
    """Groups, and who is where in them."""

    made: Made
    within: NDArray[np.int64]
    """(groups, 6, 6) what each two in a group weigh together, by seat."""
    value: NDArray[np.int64]
    """(groups,) in units of value."""
    group: Ints
    """The group of each member, -1 for none."""


def circles_of(made: Made, people: People, rule: GroupRule) -> Circles:
    """Weigh groups as they are."""
    groups = len(made.size)
    circles = Circles(
        made,
        np.zeros((groups, GROUP_MEMBERS_MAX, GROUP_MEMBERS_MAX), np.int64),
        np.zeros(groups, np.int64),
        np.full(len(people.row), -1, np.int32),
    )
    _weigh(circles, people, rule)
    return circles


def together(some: Circles, more: Circles) -> Circles:
    """Both lists of groups as one; nobody is in both."""
    return Circles(
        Made(*(np.concatenate(arrays) for arrays in zip(some.made, more.made, strict=True))),
        np.concatenate([some.within, more.within]),
        np.concatenate([some.value, more.value]),
        np.where(more.group >= 0, more.group + np.int32(len(some.value)), some.group),
    )


@compiled
def weights_beside(
    group: int, leaving: int, coming: int, circles: Circles, seats: Ints, weights: NDArray[np.int64]
) -> int:
    """Seats and summed weights of a group when one leaves (a seat, or -1) and one comes (a member, or -1); its size."""
    made, within, size = circles.made, circles.within[group], 0
    for at in range(made.size[group]):
        if at == leaving:
            continue
        seats[size] = made.seats[group, at]
        weights[size] = within[at].sum() - (within[at, leaving] if leaving >= 0 else 0)
        size += 1
    if coming >= 0:
        seats[size], weights[size] = coming, 0
        size += 1
    return size


@compiled
def _weigh(circles: Circles, people: People, rule: GroupRule) -> None:
    for group in range(len(circles.value)):
        for seat in circles.made.seats[group, : circles.made.size[group]]:
            circles.group[seat] = group
        _weigh_one(group, circles, people, rule)


@compiled
def _weigh_one(group: int, circles: Circles, people: People, rule: GroupRule) -> None:
    size, within = circles.made.size[group], circles.within[group]
    seats = circles.made.seats[group, :size]
    within[:] = 0
    for a in range(size):
        for b in range(a):
            within[a, b] = within[b, a] = pair_weight(people, seats[a], seats[b])
    circles.value[group] = worth_of_group(people, rule, seats, within[:size, :size].sum(axis=1))


@compiled
def change(me: int, there: int, you: int, circles: Circles, people: People, rule: GroupRule) -> None:
    """Put me there, in your place if you are somebody; and you in mine, if I had one."""
    made, here = circles.made, circles.group[me]
    if you >= 0:
        for at in range(made.size[there]):
            if made.seats[there, at] == you:
                made.seats[there, at] = me
    else:
        made.seats[there, made.size[there]] = me
        made.size[there] += 1
    circles.group[me] = there
    if you >= 0:
        circles.group[you] = here
    _weigh_one(there, circles, people, rule)
    if here < 0:
        return
    size = made.size[here]
    for at in range(size):
        if made.seats[here, at] == me:
            if you >= 0:
                made.seats[here, at] = you
            else:
                made.seats[here, at] = made.seats[here, size - 1]
                made.seats[here, size - 1] = -1
                made.size[here] = size - 1
            break
    _weigh_one(here, circles, people, rule)
