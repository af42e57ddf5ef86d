import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.matcher import interests
from services.matcher.interests import InterestSpace

LISTS = st.lists(st.lists(st.sampled_from("abcdefghij"), max_size=6), min_size=1, max_size=12)


def all_pairs(count: int) -> np.ndarray:
    return np.stack(np.meshgrid(np.arange(count), np.arange(count)), axis=-1).reshape(-1, 2)


@settings(deadline=None)  # the first call compiles
@given(LISTS)
def test_symmetric_within_bounds_and_one_for_the_same_list(lists: list[list[str]]) -> None:
    found = InterestSpace.fit(lists).similarity(all_pairs(len(lists))).reshape(len(lists), -1)
    assert (found >= 0).all()
    assert (found <= 1).all()
    assert (found == found.T).all()
    for i, one in enumerate(lists):
        for j, other in enumerate(lists):
            if set(one) == set(other):
                assert found[i, j] == pytest.approx(1.0 if one else 0.0)
            elif set(one) & set(other):
                assert found[i, j] > 0


@settings(deadline=None)  # the first call compiles
@given(LISTS, st.randoms())
def test_neither_order_nor_repetition_within_a_list_matters(lists: list[list[str]], draw: object) -> None:
    mixed = [[*sorted(words, key=lambda _: draw.random()), *words[:1]] for words in lists]  # type: ignore[attr-defined]
    pairs = all_pairs(len(lists))
    assert InterestSpace.fit(mixed).similarity(pairs) == pytest.approx(
        InterestSpace.fit(lists).similarity(pairs), abs=1e-6
    )


def test_a_rare_interest_in_common_counts_more_than_a_popular_one() -> None:
    lists = [
        ["film", "bees"],
        ["film", "chess"],
        ["go", "bees"],
        *[["film", f"x{n}"] for n in range(20)],
        *[[f"y{n}"] for n in range(20)],
    ]
    film, bees = InterestSpace.fit(lists).similarity(np.array([[0, 1], [0, 2]]))
    assert bees > film > 0


def test_interests_that_go_together_bring_people_together() -> None:
    # Nobody holds both "yoga" and "pilates" but five others do; "darts" goes with neither.
    lists = [["yoga"], ["pilates"], ["darts"], *[["yoga", "pilates"]] * 5, *[["darts", "football"]] * 5]
    together, apart = InterestSpace.fit(lists).similarity(np.array([[0, 1], [0, 2]]))
    assert together > 0.1
    assert apart == 0


def test_twenty_thousand_interests_and_none() -> None:
    draw = np.random.default_rng(0)
    lists = [[*map(int, draw.integers(0, 20_000, draw.integers(0, 12)))] for _ in range(4_000)]
    found = InterestSpace.fit(lists).similarity(draw.integers(0, 4_000, (20_000, 2)))
    assert found.dtype == np.float64
    assert ((found >= 0) & (found <= 1)).all()
    assert InterestSpace.fit([[], []]).similarity(np.array([[0, 1]])).tolist() == [0]
    assert InterestSpace.fit([]).similarity(np.empty((0, 2), int)).shape == (0,)


def test_a_row_that_is_not_there_is_refused() -> None:
    with pytest.raises(IndexError, match="rows of 0 to 1"):
        InterestSpace.fit([["a"], ["b"]]).similarity(np.array([[0, 2]]))


def two_circles(people: int, interests: int, seed: int) -> list[list[str]]:
    """Everybody likes five of the many things that their half of the people likes: few have a word in common."""
    draw = np.random.default_rng(seed)
    return [[f"{person % 2}-{word}" for word in draw.integers(0, interests, 5)] for person in range(people)]


def test_people_of_one_circle_are_alike_without_a_word_in_common() -> None:
    lists = two_circles(600, 60, seed=1)
    pairs = np.array([(a, b) for a in range(100) for b in range(a) if not set(lists[a]) & set(lists[b])])
    found = InterestSpace.fit(lists).similarity(pairs)
    same = (pairs[:, 0] - pairs[:, 1]) % 2 == 0
    assert same.any()
    assert not same.all()
    assert found[same].mean() > 3 * found[~same].mean()


def test_the_same_lists_give_the_same_to_the_last_bit() -> None:
    lists = two_circles(300, 40, seed=2)
    pairs = all_pairs(300)
    assert (InterestSpace.fit(lists).similarity(pairs) == InterestSpace.fit(lists).similarity(pairs)).all()


def test_tastes_are_learnt_from_a_bounded_number_of_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    lists = two_circles(2_000, 40, seed=3)
    pairs = all_pairs(60)
    of_all = InterestSpace.fit(lists).similarity(pairs)
    monkeypatch.setattr(interests, "TASTE_LISTS_MAX", 500)
    of_some = InterestSpace.fit(lists).similarity(pairs)
    assert (of_all != of_some).any()
    assert np.corrcoef(of_all, of_some)[0, 1] > 0.9


def test_an_interest_that_comes_with_nothing_else_is_still_shared() -> None:
    found = InterestSpace.fit([["bees"], ["bees"], ["chess"], ["film", "go"]]).similarity(np.array([[0, 1], [0, 2]]))
    assert found.tolist() == pytest.approx([1.0, 0.0])
