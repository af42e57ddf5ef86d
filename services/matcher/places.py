"""Where people might meet: the neighbourhood nearest to the middle between them, among those where members live."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from services.matcher.snapshot import Snapshot, globe_km
from shared.contracts import MeetingPlace

_KM_DIGITS = 2


def meeting_places(snapshot: Snapshot, groups: Sequence[tuple[int, ...]]) -> list[MeetingPlace]:
    """A place for each group of rows, that everybody in it reaches; O(log n) each.

    The neighbourhood in the middle, or the home of one of them, whichever spares the one with the
    longest way most. The home of one of them is always in everybody's reach, by how groups are made.
    """
    names = np.array(snapshot.places, dtype=object)
    known = sorted({(name, *spot) for name, spot in zip(snapshot.places, snapshot.degrees.tolist(), strict=True)})
    spots = np.array([(latitude, longitude) for _, latitude, longitude in known], np.float64).reshape(-1, 2)
    centre = (snapshot.community.latitude, snapshot.community.longitude)
    where = globe_km(spots, centre)
    members = snapshot.members
    homes = np.stack([members["east"], members["north"], members["up"]], axis=1)
    if not groups:
        return []
    middles = np.array([(homes[list(rows)].max(axis=0) + homes[list(rows)].min(axis=0)) / 2 for rows in groups])
    nearest = cKDTree(where).query(middles)[1]

    found = []
    for rows, middle in zip(groups, nearest.tolist(), strict=True):
        own = list(rows)
        options = np.vstack([where[middle], homes[own]])
        km = _apart_km(homes[own], options)
        farthest = np.where((km <= members["reach"][own][:, None]).all(axis=0), km.max(axis=0), np.inf)
        best = int(np.argmin(farthest))  # the first of equals, so the middle if it is as good
        name, latitude, longitude = (
            known[middle] if best == 0 else (names[own[best - 1]], *snapshot.degrees[own[best - 1]])
        )
        found.append(
            MeetingPlace(
                name=str(name),
                latitude=float(latitude),
                longitude=float(longitude),
                farthest_km=round(float(km[:, best].max()), _KM_DIGITS),
            )
        )
    return found


def _apart_km(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """(len(one), len(other)) distances."""
    distance: NDArray[np.float64] = np.sqrt(((one[:, None, :] - other[None, :, :]) ** 2).sum(axis=2))
    return distance
