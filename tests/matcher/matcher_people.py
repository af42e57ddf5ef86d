"""People for the matcher's tests: plain by default, so that each test says only what matters to it."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import strategies as st

from services.matcher.snapshot import Snapshot
from shared.community import Community
from shared.contracts import Openness, Profile, RoundReference
from shared.slots import SLOTS

NOW_MS = 1_795_000_000_000
"""In November 2026."""
REFERENCE = RoundReference(round="r_test", seed=0, engine="test/0", offsets={"profiles": 7})
LONDON = Community(
    community="london",
    name="London",
    time_zone="Europe/London",
    latitude=51.5074,
    longitude=-0.1278,
    country="GB",
    sender="hello@example.org",
    sender_name="London Connection",
    agreement=("What is said here stays here.",),
)
KM = 1 / 111.195
"""Degrees of latitude in a kilometre."""


def person(member: str, **changes: Any) -> Profile:
    """Thirty-something, in the middle of London, free at any time, happy to talk and to listen."""
    openness = {"shares": 3, "listens": 3, "goes_first": 3, "depth": 3} | changes.pop("openness", {})
    north_km = changes.pop("north_km", 0.0)
    facts: dict[str, Any] = {
        "community": "london",
        "partner": "test",
        "birth_year": 1990,
        "languages": ("en",),
        "place": "Soho",
        "latitude": 51.5074 + north_km * KM,
        "longitude": -0.1278,
        "travel_km": 5.0,
        "interests": ("running",),
        "available": SLOTS,
        "looking_for": ("friend",),
        "accepted_at_ms": NOW_MS - 60_000,
    }
    return Profile(member=member, openness=Openness(**openness), **(facts | changes))


def seen(people: list[Profile], **changes: Any) -> Snapshot:
    facts: dict[str, Any] = {"now_ms": NOW_MS, "waited_rounds": {}, "opener_load": {}}
    return Snapshot.of(changes.pop("community", LONDON), people, **(facts | changes))


def crowd(
    count: int, *, seed: int = 0, words: int = 30, looks: tuple[tuple[str, ...], ...] | None = None
) -> list[Profile]:
    """Many different people, mostly able to meet somebody."""
    draw = random.Random(seed)
    wishes = looks or (("friend",), ("group",), ("friend", "group"))
    return [
        person(
            f"m_{number:05d}",
            birth_year=draw.randint(1978, 2002),
            languages=draw.choice([("en",), ("en", "fr"), ("fr",)]) if number % 5 == 0 else ("en",),
            place=f"Neighbourhood {number % 17}",
            latitude=51.5074 + draw.uniform(-0.06, 0.06),
            longitude=-0.1278 + draw.uniform(-0.1, 0.1),
            travel_km=draw.choice([2.0, 5.0, 10.0]),
            interests=tuple(
                dict.fromkeys(f"word {int(draw.paretovariate(1)) % words}" for _ in range(draw.randint(1, 8)))
            ),
            life_topics=draw.choice([(), (), ("new parent",), ("new in town",)]),
            openness={name: draw.randint(1, 5) for name in ("shares", "listens", "goes_first", "depth")},
            available=tuple(slot for slot in SLOTS if draw.random() < 0.4) or SLOTS,
            looking_for=draw.choice(wishes),
            accepted_at_ms=NOW_MS - draw.randint(0, 10**9),
        )
        for number in range(count)
    ]


@st.composite
def communities(draw: st.DrawFn, most: int = 24) -> tuple[list[Profile], dict[str, Any]]:
    """A small community in some odd state: minors, blocks, people who wait, worn-out openers."""
    count = draw(st.integers(0, most))
    rating = st.integers(1, 5)
    people = [
        person(
            f"m_{number:02d}",
            birth_year=draw(st.sampled_from([0, 1930, 1965, 1985, 1990, 1995, 2000, 2007, 2008, 2009, 2025])),
            languages=draw(st.sampled_from([("en",), ("en", "fr"), ("fr",)])),
            place=draw(st.sampled_from(["Soho", "Hackney"])),
            north_km=draw(st.sampled_from([0.0, 1.1, 2.9, 6.3])),
            travel_km=draw(st.sampled_from([0.5, 2.0, 5.0])),
            interests=tuple(draw(st.lists(st.sampled_from("abcdef"), max_size=4, unique=True))),
            life_topics=tuple(draw(st.lists(st.sampled_from(["new parent", "widowed"]), max_size=1))),
            openness={name: draw(rating) for name in ("shares", "listens", "goes_first", "depth")},
            available=tuple(draw(st.lists(st.sampled_from(SLOTS[:4]), min_size=1, max_size=3, unique=True))),
            looking_for=draw(st.sampled_from([("friend",), ("group",), ("friend", "group")])),
        )
        for number in range(count)
    ]
    ids = [each.member for each in people]
    if count < 3:
        return people, {}
    some = st.lists(st.lists(st.sampled_from(ids), min_size=2, max_size=3, unique=True).map(tuple), max_size=6)
    number_of = st.dictionaries(st.sampled_from(ids), st.integers(0, 9))
    return people, {
        "waited_rounds": draw(number_of),
        "opener_load": draw(number_of),
        "history": [tuple(sorted(each)) for each in draw(some)],
        "blocked": [(each[0], each[1]) for each in draw(some)],
    }
