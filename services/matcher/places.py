"""Where people might meet: the neighbourhood nearest to the middle between them, among those where members live."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from services.matcher.compiled import compiled
from services.matcher.postconditions import RoundInvariantError
from services.matcher.snapshot import Ints, Snapshot
from shared.contracts import MeetingPlace

_KM_DIGITS = 2


def meeting_places(snapshot: Snapshot, seats: Ints) -> list[MeetingPlace]:
    """A place for each group of rows, that everybody in it reaches; O(log n) each, about 3 us.

    The neighbourhood in the middle, or the home of one of them, whichever spares the one with the
    longest way most. The home of one of them is always in everybody's reach, by how groups are made.

    Parameters
    ----------
    seats
        (m, k) the rows of each group, sorted, -1 behind the last.
    """
    if not len(seats):
        return []
    members = snapshot.members
    homes = np.stack([members["east"], members["north"], members["up"]], axis=1)
    # Every neighbourhood once: the first of its members stands for it.
    first_at: dict[tuple[str, float, float], int] = {}
    for row, (name, (latitude, longitude)) in enumerate(zip(snapshot.places, snapshot.degrees.tolist(), strict=True)):
        first_at.setdefault((name, latitude, longitude), row)
    known = sorted(first_at)
    stands_for = np.array([first_at[spot] for spot in known])
    where = homes[stands_for]
    nearest = cKDTree(where).query(_middles(homes, seats))[1]
    host, farthest = _hosts(homes, members["reach"].copy(), seats, where[nearest])
    if not np.isfinite(farthest).all():
        stranded = seats[int(np.argmax(~np.isfinite(farthest)))]
        ids = ", ".join(snapshot.ids[row] for row in stranded if row >= 0)
        raise RoundInvariantError(f"no place is in reach of all of {ids}")
    rows = np.where(host < 0, stands_for[nearest], host)
    spot = snapshot.degrees[rows].tolist()
    return [
        MeetingPlace(
            name=snapshot.places[row], latitude=latitude, longitude=longitude, farthest_km=round(km, _KM_DIGITS)
        )
        for row, (latitude, longitude), km in zip(rows.tolist(), spot, farthest.tolist(), strict=True)
    ]


@compiled
def _middles(homes: NDArray[np.float64], seats: Ints) -> NDArray[np.float64]:
    """Half-way between those who live farthest apart, along each axis."""
    middle = np.empty((len(seats), 3))
    for group in range(len(seats)):
        for axis in range(3):
            low = high = homes[seats[group, 0], axis]
            for row in seats[group]:
                if row >= 0:
                    low, high = min(low, homes[row, axis]), max(high, homes[row, axis])
            middle[group, axis] = (low + high) / 2
    return middle


@compiled
def _hosts(
    homes: NDArray[np.float64], reach: NDArray[np.float64], seats: Ints, between: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Whose home it is, or -1 for the middle if that is as good; and the longest way, in km."""
    host, farthest = np.full(len(seats), -1), np.full(len(seats), np.inf)
    for group in range(len(seats)):
        for option in range(-1, seats.shape[1]):
            if option >= 0 and seats[group, option] < 0:
                break
            at = between[group] if option < 0 else homes[seats[group, option]]
            longest = 0.0
            for row in seats[group]:
                if row < 0:
                    break
                way = np.sqrt(((homes[row] - at) ** 2).sum())
                longest = max(longest, way if way <= reach[row] else np.inf)
            if longest < farthest[group]:
                farthest[group] = longest
                host[group] = -1 if option < 0 else seats[group, option]
    return host, farthest
