"""How good groups are: beside an exact solver where it can say, and that changes keep every rule."""

from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from matcher_people import LONDON, communities, crowd, person, seen
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from services.matcher.candidates import best_candidates
from services.matcher.compatibility import graph_of
from services.matcher.grouping import Group, forming, group
from services.matcher.grouping.circles import circles_of
from services.matcher.grouping.exchange import exchange
from services.matcher.grouping.growing import Made, grow
from services.matcher.grouping.opening import open_all
from services.matcher.grouping.people import VALUE_UNIT, people_of
from services.matcher.grouping.told import told
from services.matcher.interests import InterestSpace
from services.matcher.policy import Policy
from services.matcher.score import score_pairs
from services.matcher.snapshot import LOOKS_FOR_GROUP, LOOKS_FOR_PAIR, Snapshot
from shared.contracts import Profile


class Exact:
    """What is asked of a group and what it is worth, stated anew on the snapshot's arrays."""

    def __init__(self, snapshot: Snapshot, policy: Policy) -> None:
        self.snapshot, self.policy = snapshot, policy
        members = snapshot.members
        space = InterestSpace.of(snapshot.interests, len(snapshot.interest_words))
        self.graph = graph_of(best_candidates(snapshot, space, policy), snapshot, space, policy)
        pairs = np.array(list(combinations(range(snapshot.size), 2)), np.int64).reshape(-1, 2)
        self.weight = np.zeros((snapshot.size, snapshot.size))
        if len(pairs):
            self.weight[pairs[:, 0], pairs[:, 1]] = score_pairs(snapshot, space, pairs, policy).weight
        self.weight += self.weight.T
        homes = np.stack([members["east"], members["north"], members["up"]], axis=1)
        self.reaches = np.linalg.norm(homes[:, None] - homes, axis=2) <= members["reach"][:, None]
        born = members["birth_year"].astype(int)
        oldest = snapshot.age_rule.year - np.minimum(born[:, None], born) - 1
        gap = snapshot.age_rule.gap_years_max + np.maximum(0, oldest - 40) // 10
        self.meet = (abs(born[:, None] - born) <= gap) & ((members["languages"][:, None] & members["languages"]) != 0)
        for row in range(snapshot.size):
            barred = slice(snapshot.barred.start[row], snapshot.barred.start[row + 1])
            self.meet[row, snapshot.barred.other[barred]] = False
        self.words = [
            {("interest", item) for item in snapshot.interests.of(row).tolist()}
            | {("life_topic", item) for item in snapshot.topics.of(row).tolist()}
            for row in range(snapshot.size)
        ]
        self.best = np.zeros(snapshot.size)
        for row in range(snapshot.size):
            if members["looks_for"][row] & LOOKS_FOR_PAIR:
                self.best[row] = max((edge["weight"] for edge in self.graph[row].values()), default=0)
        self.openers = snapshot.openers(policy.goes_first_min, policy.opener_load_max)
        self.seekers = np.flatnonzero(members["looks_for"] & LOOKS_FOR_GROUP).tolist()

    def may_be(self, rows: tuple[int, ...]) -> bool:
        members = self.snapshot.members
        return bool(
            all(self.meet[a, b] for a, b in combinations(rows, 2))
            and np.bitwise_and.reduce(members["slots"][list(rows)])
            and set.intersection(*(self.words[row] for row in rows))
            and any(self.reaches[list(rows), host].all() for host in rows)
        )

    def worth(self, rows: tuple[int, ...]) -> float:
        """To each the mean of their pairs; less in a size that is not wanted. -inf if it is too little for somebody."""
        wanted, total = self.snapshot.community.groups.wanted, 0.0
        for row in rows:
            mean = self.weight[row, list(rows)].sum() / (len(rows) - 1)
            if mean * 100 < self.best[row] * self.policy.group_worth_percent:
                return -np.inf
            if not self.snapshot.members["takes_any_size"][row]:
                mean *= min(len(rows), wanted) / max(len(rows), wanted)
            total += mean
        return total

    def most(self) -> float:
        """What the best groups are worth together, if each must have an opener: set packing, by a solver."""
        sizes = self.snapshot.community.groups
        columns, of = [], []
        for size in range(sizes.smallest, sizes.largest + 1):
            for rows in combinations(self.seekers, size):
                if self.openers[list(rows)].any() and self.may_be(rows) and (worth := self.worth(rows)) > 0:
                    columns.append(rows)
                    of.append(worth)
        if not columns:
            return 0.0
        row = [member for rows in columns for member in rows]
        column = [place for place, rows in enumerate(columns) for _ in rows]
        cover = csr_array((np.ones(len(row)), (row, column)), shape=(self.snapshot.size, len(columns)))
        found = milp(
            -np.array(of) / 1e6,
            constraints=LinearConstraint(cover, -np.inf, 1),
            integrality=np.ones(len(columns)),
            bounds=Bounds(0, 1),
            options={"mip_rel_gap": 0},
        )
        assert found.status == 0
        return -float(found.fun) * 1e6


def dealt(exact: Exact, seed: int = 0) -> tuple[Group, ...]:
    return group(exact.graph, exact.snapshot, exact.policy, seed=seed)


def test_in_tiny_communities_groups_are_as_good_as_an_exact_solver_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    most, proved, searched = 0.0, 0.0, 0.0
    for case in range(10):
        looks: Any = (("group",),) if case % 2 else (("group",), ("friend", "group"))
        people = crowd(14 + case % 3, seed=100 + case, words=6, looks=looks)
        exact = Exact(seen(people, waited_rounds={"m_00001": 12, "m_00002": 9, "m_00003": 4}), Policy())
        best = exact.most()
        most += best
        found = worth_of_opened(exact, dealt(exact))
        assert found == pytest.approx(best)
        proved += found
        with monkeypatch.context() as few:
            few.setattr(forming, "MEMBERS_MAX", 0)
            searched += worth_of_opened(exact, dealt(exact))
    # Larger communities are searched in this way; here it can be told what that is worth.
    assert 0.92 * most < searched <= proved * (1 + 1e-9)


def worth_of_opened(exact: Exact, groups: tuple[Group, ...]) -> float:
    return sum(exact.worth(each.members) for each in groups if exact.openers[list(each.members)].any())


def test_moves_and_exchanges_make_groups_better_and_keep_every_rule() -> None:
    exact = Exact(seen(crowd(400, seed=4, words=12, looks=(("group",), ("friend", "group")))), Policy())
    people, rule, grid = people_of(exact.graph, exact.snapshot, exact.policy, None)
    order = np.arange(len(people.row), dtype=np.int32)
    with ThreadPoolExecutor(2) as executor:
        made = grow(order, people, rule, grid, np.ones(len(order), np.bool_), executor)
        circles = circles_of(made, people, rule)
        before, opened_before = int(circles.value.sum()), opened(exact, told(made, people, exact.snapshot))
        exchange(circles, order, people, rule, grid, executor)
    groups = told(circles.made, people, exact.snapshot)
    assert circles.value.sum() > 1.01 * before
    # What is kept up to date by every change is what weighing everything anew finds.
    assert circles.value.tolist() == circles_of(circles.made, people, rule).value.tolist()
    worth = [exact.worth(each.members) for each in groups]
    assert sum(worth) == pytest.approx(int(circles.value.sum()) / VALUE_UNIT)
    assert min(worth) > 0
    assert all(exact.may_be(each.members) for each in groups)
    assert opened(exact, groups) >= opened_before
    again = circles_of(circles.made, people, rule).group
    assert circles.group.tolist() == again.tolist()


def test_whoever_leaves_a_group_leaves_it_with_a_place_that_all_of_the_others_reach() -> None:
    # In a row, 2 km apart. All of the first group reach the one in the middle, who would rather be in the second.
    def member(number: int, km: float, *interests: str) -> Profile:
        return person(
            f"m_{number}", north_km=km, travel_km=2.1, interests=("film", *interests), looking_for=("group",),
            openness={"goes_first": 5},
        )  # fmt: skip

    row = [member(n, km, f"alone {n}") for n, km in enumerate((-2.0, 2.0, 0.05))]
    profiles = [*row, member(3, 0.0, "bees", "go"), *(member(n, 0.0, "bees", "go") for n in (4, 5, 6))]
    apart = [each if n != 2 else member(2, 1.9, "alone 2") for n, each in enumerate(profiles)]
    for everybody, moved in ((profiles, True), (apart, False)):
        exact = Exact(seen(everybody), Policy(group_worth_percent=0))
        people, rule, grid = people_of(exact.graph, exact.snapshot, exact.policy, None)
        place = np.argsort(people.row).astype(np.int32)
        seats = np.full((2, 6), -1, np.int32)
        seats[0, :4], seats[1, :3] = place[:4], place[4:]
        word = np.full(2, exact.snapshot.interest_words.index("film"), np.int32)
        circles = circles_of(Made(seats, np.array([4, 3], np.int32), word), people, rule)
        asking = np.array([place[3]], np.int32)
        with ThreadPoolExecutor(1) as executor:
            exchange(circles, asking, people, rule, grid, executor)
        groups = told(circles.made, people, exact.snapshot)
        assert all(exact.may_be(each.members) for each in groups)
        assert ((4, 5, 6) not in {each.members for each in groups}) is moved


def opened(exact: Exact, groups: tuple[Group, ...]) -> int:
    return sum(bool(exact.openers[list(each.members)].any()) for each in groups)


def test_a_group_that_lacks_an_opener_gets_one_that_another_can_spare_or_one_who_is_free() -> None:
    def member(number: int, *, opens: bool) -> Profile:
        return person(f"m_{number}", looking_for=("group",), openness={"goes_first": 5 if opens else 1})

    for free in (False, True):
        # Two openers in one group; or one there, and one in no group.
        profiles = [member(n, opens=n in ((0, 8) if free else (0, 1))) for n in range(9 if free else 8)]
        snapshot = seen(profiles)
        people, rule, grid = people_of(None, snapshot, Policy(), None)
        seats = np.full((2, 6), -1, np.int32)
        seats[:, :4] = np.arange(8).reshape(2, 4)
        word = people.words.item[0]
        circles = circles_of(Made(seats, np.array([4, 4], np.int32), np.array([word, word], np.int32)), people, rule)
        open_all(circles, people, rule, grid)
        groups = told(circles.made, people, snapshot)
        opens = snapshot.openers(4, 3)
        assert [opens[list(each.members)].sum() for each in groups] == [1, 1]


def test_who_waited_for_long_is_as_glad_of_any_size() -> None:
    people = [
        person(f"m_{n}", looking_for=("group",), openness={"goes_first": 5}, interests=("film", f"alone {n // 4}"))
        for n in range(5)
    ]

    def sizes(**state: Any) -> list[int]:
        exact = Exact(seen(people, **state), Policy())
        return [len(each.members) for each in dealt(exact)]

    assert sizes() == [4]
    assert sizes(waited_rounds={each.member: LONDON.relaxation.size_after_rounds for each in people}) == [5]


@settings(max_examples=60, deadline=None)
@given(communities(most=30))
def test_every_group_keeps_every_rule(community: Any) -> None:
    people, state = community
    exact = Exact(seen(people, **state), Policy())
    groups = dealt(exact)
    rows = [row for each in groups for row in each.members]
    assert len(set(rows)) == len(rows)
    assert set(rows) <= set(exact.seekers)
    for each in groups:
        assert exact.may_be(each.members)
        assert exact.worth(each.members) >= 0
        words = exact.snapshot.interest_words if each.anchor_kind == "interest" else exact.snapshot.topic_words
        assert all((each.anchor_kind, words.index(each.anchor)) in exact.words[row] for row in each.members)
    opened = sum(exact.openers[list(each.members)].any() for each in groups)
    assert opened == len(groups) or len(groups) > exact.openers[exact.seekers].sum()
    assert dealt(exact) == groups


@pytest.mark.parametrize("seed", range(3))
def test_any_number_of_threads_makes_the_same_groups(seed: int) -> None:
    exact = Exact(seen(crowd(500, seed=seed, looks=(("group",), ("friend", "group")))), Policy())
    made = [
        group(exact.graph, exact.snapshot, exact.policy.model_copy(update={"threads": threads}), seed=seed)
        for threads in (1, 2, 3)
    ]
    assert made[0] == made[1] == made[2]
    assert sum(len(each.members) for each in made[0]) > 300
