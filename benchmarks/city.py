"""A made-up city of any size for the benchmarks of the matching: the same for the same seed, whoever asks.

Sixty neighbourhoods of different size in 50 by 50 km; 3 to 15 of 2,000 interests, the popular ones far
more often (Zipf), favourites of a taste more often together; travel distances of 2 to 15 km around 5; five
of 21 slots; openness at random, three in ten happy to go first; ages around 33. It is meant to be hard, not to be true.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shared.community import Community
from shared.contracts import Openness, Profile
from shared.slots import SLOTS, Slot, slots_in

NOW_MS = 1_795_000_000_000
SIDE_KM = 50.0
KM_PER_DEGREE = 111.195
NEIGHBOURHOODS = 60
LONDON = Community(
    community="london", name="London", time_zone="Europe/London", latitude=51.5074, longitude=-0.1278, country="GB",
    sender="hello@example.org", sender_name="London Connection", agreement=(),
)  # fmt: skip
_WISHES = (("friend",), ("group",), ("friend", "group"))
_WISHES_SHARE = (0.5, 0.2, 0.3)


def people(count: int, *, interests: int = 2_000, seed: int = 5) -> list[Profile]:
    """So many profiles, about 15 us each. `model_construct` is as good here: the values are known to be right."""
    draw = np.random.default_rng(seed)
    centres = draw.normal(0, 8, (NEIGHBOURHOODS, 2))
    home = draw.integers(0, NEIGHBOURHOODS, count)
    km = np.clip(centres[home] + draw.normal(0, 3.0, (count, 2)), -SIDE_KM / 2, SIDE_KM / 2)
    latitude = np.round((LONDON.latitude + km[:, 1] / KM_PER_DEGREE) / 0.005) * 0.005
    per_degree_east = KM_PER_DEGREE * np.cos(np.radians(LONDON.latitude))
    longitude = np.round((LONDON.longitude + km[:, 0] / per_degree_east) / 0.005) * 0.005
    travel = np.round(np.clip(draw.lognormal(np.log(5), 0.5, count), 2, 15), 1)
    liked = _interests(draw, count, interests)
    words = [f"interest {number:04d}" for number in range(interests)]
    masks = np.zeros(count, np.int64)
    for _ in range(5):
        masks |= 1 << draw.integers(0, len(SLOTS), count)
    born = np.clip(draw.normal(1992, 9, count), 1940, 2007).astype(int).tolist()
    rated = draw.choice(5, (count, 4), p=(0.1, 0.25, 0.35, 0.2, 0.1)) + 1
    scales = {tuple(row): Openness(shares=row[0], listens=row[1], goes_first=row[2], depth=row[3])
              for row in np.unique(rated, axis=0).tolist()}  # fmt: skip
    topics = np.where(draw.random(count) < 0.15, draw.integers(0, 5, count), -1).tolist()
    told = [(f"topic {number}",) for number in range(5)] + [()]
    wishes = draw.choice(3, count, p=_WISHES_SHARE).tolist()
    languages = draw.choice(3, count, p=(0.8, 0.15, 0.05)).tolist()
    spoken = (("en",), ("en", "pl"), ("pl",))
    accepted = (NOW_MS - draw.integers(0, 14 * 86_400_000, count)).tolist()
    names = [f"Neighbourhood {number}" for number in range(NEIGHBOURHOODS)]
    free: dict[int, tuple[Slot, ...]] = {}
    return [
        Profile.model_construct(
            community="london", member=f"m_{number:024x}", partner="bench", birth_year=year, languages=spoken[speaks],
            place=names[place], latitude=north, longitude=east, travel_km=far,
            interests=tuple(words[item] for item in items), life_topics=told[topic], openness=scales[tuple(scale)],
            available=free.get(mask) or free.setdefault(mask, slots_in(mask)), looking_for=_WISHES[wish],
            accepted_at_ms=since,
        )
        for number, (year, speaks, place, north, east, far, items, topic, scale, mask, wish, since) in enumerate(
            zip(born, languages, home.tolist(), latitude.tolist(), longitude.tolist(), travel.tolist(), liked, topics,
                rated.tolist(), masks.tolist(), wishes, accepted, strict=True)
        )
    ]  # fmt: skip


def _interests(draw: np.random.Generator, count: int, interests: int) -> list[list[int]]:
    length = draw.integers(3, 16, count)
    share = 1 / np.arange(1, interests + 1)
    limit = np.cumsum(share / share.sum())
    # More than are wanted, since popular ones come twice; the first so many different ones are kept.
    drawn: NDArray[np.int64] = np.minimum(np.searchsorted(limit, draw.random((count, 40))), interests - 1)
    return [list(dict.fromkeys(row))[:wanted] for row, wanted in zip(drawn.tolist(), length.tolist(), strict=True)]
