import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matcher_people import LONDON, NOW_MS, crowd, person, seen

from services.matcher.snapshot import BLOCKED, LOOKS_FOR_GROUP, MET, Snapshot, SnapshotError, globe_km
from shared.slots import mask_of


def same(one: Snapshot, other: Snapshot) -> bool:
    arrays: Callable[[Snapshot], list[Any]] = lambda s: [  # noqa: E731
        s.members,
        *s.interests,
        *s.topics,
        s.degrees,
        s.accepted_at_ms,
        *s.barred,
    ]
    return one.ids == other.ids and all(map(np.array_equal, arrays(one), arrays(other)))


def test_the_order_of_profiles_does_not_matter() -> None:
    people = crowd(60)
    mixed = list(people)
    random.Random(3).shuffle(mixed)
    history = [("m_00001", "m_00002"), ("m_00003", "m_00007", "m_00009")]
    assert same(seen(people, history=history), seen(mixed, history=[frozenset(each) for each in reversed(history)]))


def test_a_member_as_a_record() -> None:
    one = person("m_1", looking_for=("group",), available=("sat-morning",), interests=("b", "a", "b"), north_km=2)
    snapshot = seen([person("m_2", languages=("fr", "en")), one], waited_rounds={"m_1": 2})
    row = snapshot.members[0]
    assert snapshot.ids == ("m_1", "m_2")
    assert row["slots"] == mask_of(["sat-morning"])
    assert row["looks_for"] == LOOKS_FOR_GROUP
    assert row["reach"] == 5
    assert row["waited_rounds"] == 2
    assert row["north"] == pytest.approx(2, abs=1e-4)
    assert row["languages"] & snapshot.members[1]["languages"]
    assert [snapshot.interest_words[item] for item in snapshot.interests.of(0)] == ["a", "b"]


def test_distances_are_those_on_the_globe() -> None:
    # Notting Hill to Hackney, by the haversine formula.
    a, b = (51.5096, -0.2043), (51.5450, -0.0553)
    x, y = np.radians(a), np.radians(b)
    h = math.sin((y[0] - x[0]) / 2) ** 2 + math.cos(x[0]) * math.cos(y[0]) * math.sin((y[1] - x[1]) / 2) ** 2
    globe = globe_km(np.array([a, b]), (51.5, -0.1))
    assert np.linalg.norm(globe[0] - globe[1]) == pytest.approx(2 * 6371.0088 * math.asin(math.sqrt(h)), rel=1e-6)


@pytest.mark.parametrize(
    ("birth_year", "adult"),
    [(2007, True), (2008, False), (2009, False), (1906, True), (1900, False), (0, False), (2030, False)],
)
def test_an_adult_for_certain(birth_year: int, adult: bool) -> None:
    # In 2026, who was born in 2008 is 17 or 18.
    snapshot = seen([person("m_1", birth_year=birth_year)])
    assert snapshot.adult[0] == adult
    assert bool(snapshot.members["looks_for"][0]) == adult


def test_waiting_eases_distance_and_then_interests() -> None:
    people = [person("m_1"), person("m_2"), person("m_3")]
    snapshot = seen(people, waited_rounds={"m_2": 3, "m_3": 6})
    assert snapshot.members["reach"].tolist() == [5, 7.5, 7.5]
    assert snapshot.members["needs_shared_interest"].tolist() == [True, True, False]


def test_history_and_blocks_go_both_ways_and_a_block_outweighs() -> None:
    people = [person(f"m_{number}") for number in range(4)]
    snapshot = seen(
        people, history={("m_0", "m_1", "m_2"): 2, ("m_1", "gone"): 1}, blocked=[("m_2", "m_1"), ("m_3", "gone")]
    )
    barred = snapshot.barred
    table = {
        (row, int(barred.other[at])): int(barred.why[at])
        for row in range(4)
        for at in range(barred.start[row], barred.start[row + 1])
    }
    assert table == {(0, 1): MET, (1, 0): MET, (0, 2): MET, (2, 0): MET, (1, 2): BLOCKED, (2, 1): BLOCKED}
    assert snapshot.times_suggested["m_0", "m_1", "m_2"] == 2


def test_only_common_languages_have_a_bit_and_more_than_fit_do_no_harm() -> None:
    codes = [a + b for a in "abcdefghij" for b in "klmnopqrst"]
    people = [person(f"m_{number:03d}", languages=(codes[number // 2],)) for number in range(200)]
    languages = seen(people).members["languages"]
    in_common = (languages[:, None] & languages[None, :]) != 0
    same_code = np.arange(200)[:, None] // 2 == np.arange(200)[None, :] // 2
    assert not (in_common & ~same_code).any()
    assert in_common.sum() == 63 * 4


def test_nonsense_is_refused_by_name() -> None:
    with pytest.raises(SnapshotError, match="m_1 is in the snapshot twice"):
        seen([person("m_1"), person("m_2"), person("m_1")])
    with pytest.raises(SnapshotError, match="m_1 is of paris, not of london"):
        seen([person("m_1", community="paris")])
    lost = person("m_1").model_copy(update={"latitude": float("nan")})
    with pytest.raises(SnapshotError, match="m_1 has no usable place"):
        seen([lost])


def test_an_empty_community() -> None:
    assert Snapshot.of(LONDON, [], now_ms=NOW_MS, waited_rounds={}, opener_load={}).size == 0
