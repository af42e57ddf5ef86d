from typing import Any

import networkx as nx
import numpy as np
from matcher_people import LONDON, crowd, person, seen

from services.matcher.compatibility import compatibility
from services.matcher.graph import CompatibilityGraph
from services.matcher.grouping import Group, group, seat_those_left
from services.matcher.interests import InterestSpace
from services.matcher.policy import Policy
from services.matcher.snapshot import Snapshot
from shared.community import GroupSizes
from shared.contracts import Profile

GROUP_ONLY: dict[str, Any] = {"looking_for": ("group",)}
OPENER: dict[str, Any] = {"openness": {"goes_first": 5}}


def grouped(people: list[Profile], policy: Policy | None = None, **state: Any) -> tuple[tuple[Group, ...], Snapshot]:
    snapshot = seen(people, **state)
    policy = policy or Policy()
    space = InterestSpace.of(snapshot.interests, len(snapshot.interest_words))
    return group(compatibility(snapshot, space, policy), snapshot, policy, space=space), snapshot


def circle(count: int, openers: int = 1, **changes: Any) -> list[Profile]:
    return [
        person(f"m_{number}", **(GROUP_ONLY | (OPENER if number < openers else {}) | changes))
        for number in range(count)
    ]


def test_four_around_what_they_share() -> None:
    (found,), _ = grouped(circle(4, interests=("film", "book club")))
    assert found.members == (0, 1, 2, 3)
    assert found.anchor_kind == "interest"
    assert found.anchor in ("film", "book club")


def test_everybody_in_groups_of_the_wanted_size() -> None:
    groups, _ = grouped(circle(12, openers=3))
    assert sorted(row for each in groups for row in each.members) == list(range(12))
    assert [len(each.members) for each in groups] == [4, 4, 4]


def test_a_community_decides_the_sizes() -> None:
    trios = LONDON.model_copy(update={"groups": GroupSizes(smallest=3, wanted=3, largest=3)})
    groups, _ = grouped(circle(9, openers=3), community=trios)
    assert [len(each.members) for each in groups] == [3, 3, 3]
    fives = LONDON.model_copy(update={"groups": GroupSizes(smallest=5, wanted=5, largest=6)})
    assert grouped(circle(4), community=fives)[0] == ()


def test_a_life_topic_brings_people_together_where_interests_do_not() -> None:
    people = circle(4, life_topics=("new parent",))
    apart = [each.model_copy(update={"interests": (f"only {each.member}",)}) for each in people]
    (found,), _ = grouped(apart)
    assert (found.anchor_kind, found.anchor) == ("life_topic", "new parent")
    (found,), _ = grouped(people)
    assert found.anchor_kind == "interest"
    silent = [each.model_copy(update={"life_topics": ()}) if each.member > "m_1" else each for each in apart]
    assert grouped(silent)[0] == ()


def test_openers_are_spread_where_they_are_few() -> None:
    groups, snapshot = grouped(circle(40, openers=10))
    opens = snapshot.members["goes_first"] >= 4
    assert len(groups) == 10
    assert [opens[list(each.members)].sum() for each in groups] == [1] * 10


def test_no_group_without_an_opener_where_there_are_enough() -> None:
    for seed in range(5):
        groups, snapshot = grouped(crowd(400, seed=seed, looks=(("group",),)))
        opens = snapshot.openers(4, 3)
        assert len(groups) > 50
        assert all(opens[list(each.members)].any() for each in groups)


def test_where_there_is_no_opener_people_meet_all_the_same() -> None:
    groups, _ = grouped(circle(8, openers=0))
    assert len(groups) == 2


def test_who_opened_too_often_lately_is_no_opener_for_now() -> None:
    # The rested opener leads one group; a second group without anybody rested is not made.
    people = circle(8, openers=2)
    assert len(grouped(people)[0]) == 2
    groups, snapshot = grouped(people, opener_load={"m_0": 3})
    assert snapshot.openers(4, 3).tolist() == [False, True, *[False] * 6]
    assert any(1 in each.members for each in groups)


def test_no_two_in_a_group_who_must_not_meet() -> None:
    for state in ({"blocked": [("m_0", "m_3")]}, {"history": [("m_3", "m_0")]}):
        groups, _ = grouped(circle(4), **state)
        assert all(not {0, 3} <= set(each.members) for each in groups)
        assert len(groups) == 1
    # Nor two of whom neither is the one that the group grew around.
    (found,), _ = grouped(circle(4), blocked=[("m_2", "m_3")])
    assert found.members in ((0, 1, 2), (0, 1, 3))
    old = [*circle(3), person("m_3", birth_year=1960, **GROUP_ONLY)]
    foreign = [*circle(3), person("m_3", languages=("fr",), **GROUP_ONLY)]
    other = [*circle(3), person("m_3", interests=("chess",), **GROUP_ONLY)]
    far = [*circle(3), person("m_3", north_km=20, **GROUP_ONLY)]
    pair_only = [*circle(3), person("m_3")]
    minor = [*circle(3), person("m_3", birth_year=2008, **GROUP_ONLY)]
    for people in (old, foreign, other, far, pair_only, minor):
        (found,), _ = grouped(people)
        assert found.members == (0, 1, 2)


def test_one_time_for_all_and_not_only_for_every_two() -> None:
    times = [("mon-evening", "tue-evening"), ("tue-evening", "wed-evening"), ("wed-evening", "mon-evening")]
    people = [person(f"m_{n}", available=slots, **(GROUP_ONLY | OPENER)) for n, slots in enumerate(times)]
    assert grouped(people)[0] == ()
    assert len(grouped([each.model_copy(update={"available": times[0]}) for each in people])[0]) == 1


def test_one_place_for_all() -> None:
    # In a row, 3 km apart: the middle is home to one of them, and in reach of all who walk 3 km.
    row = [person(f"m_{n}", north_km=3.0 * n, travel_km=3.01, **(GROUP_ONLY | OPENER)) for n in range(3)]
    assert len(grouped(row)[0]) == 1
    row[2] = row[2].model_copy(update={"travel_km": 2.9})
    assert grouped(row)[0] == ()


def test_who_looks_for_both_goes_where_they_are_served_better() -> None:
    both: dict[str, Any] = {"looking_for": ("friend", "group")}
    # Two who are made for each other, and two with whom they share one thing only.
    soulmates = [person(f"m_{n}", interests=("bees", "go", "jazz", "film"), **(both | OPENER)) for n in range(2)]
    acquainted = [person(f"m_{n}", interests=("film", f"a{n}", f"b{n}", f"c{n}"), **both) for n in range(2, 4)]
    assert grouped([*soulmates, *acquainted])[0] == ()
    group_only = [each.model_copy(update={"looking_for": ("group",)}) for each in (*soulmates, *acquainted)]
    assert len(grouped(group_only)[0]) == 1
    assert len(grouped([*soulmates, *acquainted], Policy(group_worth_percent=0))[0]) == 1


def seated(people: list[Profile], groups: tuple[Group, ...], mate: list[int]) -> tuple[tuple[Group, ...], list[int]]:
    snapshot = seen(people)
    space = InterestSpace.of(snapshot.interests, len(snapshot.interest_words))
    found, pairs = seat_those_left(groups, np.array(mate, np.int32), snapshot, Policy(), space=space)
    return found, pairs.tolist()


def test_one_left_over_makes_a_pair_a_trio_where_all_look_for_a_group() -> None:
    both = ("friend", "group")
    people = circle(3, looking_for=both)
    assert seated(people, (), [1, 0, -1]) == ((Group((0, 1, 2), "interest", "running"),), [-1, -1, -1])
    for changes in ({"looking_for": ("friend",)}, {"interests": ("chess",)}, {"birth_year": 1960}):
        for who in range(3):
            changed = [each.model_copy(update=changes) if row == who else each for row, each in enumerate(people)]
            assert seated(changed, (), [1, 0, -1]) == ((), [1, 0, -1])
    assert seated(circle(3, openers=0, looking_for=both), (), [1, 0, -1]) == ((), [1, 0, -1])


def test_a_trio_too_needs_a_place_that_all_of_them_reach() -> None:
    both: dict[str, Any] = {"looking_for": ("friend", "group")} | OPENER
    row = [person(f"m_{n}", north_km=2.0 * n, travel_km=2.5, **both) for n in range(3)]
    assert len(seated(row, (), [1, 0, -1])[0]) == 1
    row[0] = row[0].model_copy(update={"travel_km": 1.9})
    assert seated(row, (), [1, 0, -1]) == ((), [1, 0, -1])


def test_one_left_over_takes_a_free_seat_but_not_a_seventh() -> None:
    six = Group(tuple(range(6)), "interest", "running")
    people = circle(7)
    assert seated(people, (six,), [-1] * 7) == ((six,), [-1] * 7)
    five = Group(tuple(range(5)), "interest", "running")
    (found,), _ = seated(people[:6], (five,), [-1] * 6)
    assert found == six


def test_a_graph_without_edges_and_one_that_was_brought() -> None:
    snapshot = seen(circle(4))
    empty = CompatibilityGraph.from_networkx(nx.empty_graph(4))
    assert len(group(empty, snapshot, Policy())) == 1
