"""Token buckets: in no span of time more than they let through, and nobody waits in vain."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.rate_limits import Rate, RateLimits, TokenBucket
from services.notifier.waiting import Hold, WaitingRoom

rates = st.builds(Rate, per_second=st.floats(0.01, 500), burst=st.integers(1, 50))
steps = st.lists(
    st.tuples(st.integers(0, 20_000), st.sampled_from(["a.example", "b.example", "c.example"])), max_size=200
)


def most(rate: Rate, span_ms: int) -> float:
    return rate.burst + rate.per_second * span_ms / 1000 + 1e-3 * (1 + span_ms / 1000)


@given(everything=rates, each=rates, special=rates, steps=steps)
def test_in_no_span_of_time_more_go_than_the_rates_allow(
    everything: Rate, each: Rate, special: Rate, steps: list[tuple[int, str]]
) -> None:
    limits = RateLimits(everything, each, {"C.example": special})
    now_ms = 1_000
    gone: defaultdict[str, list[int]] = defaultdict(list)
    for wait_ms, domain in steps:
        now_ms += wait_ms
        if limits.may_go(domain, now_ms):
            gone[domain].append(now_ms)
            gone["*"].append(now_ms)
    for name, times in gone.items():
        rate = {"*": everything, "c.example": special}.get(name, each)
        for first, start in enumerate(times):
            for last in range(first, len(times)):
                assert last - first + 1 <= most(rate, times[last] - start)


@given(rate=rates, steps=st.lists(st.integers(0, 5_000), min_size=1, max_size=100))
def test_who_comes_when_told_finds_a_token(rate: Rate, steps: list[int]) -> None:
    bucket, now_ms = TokenBucket(rate, 0), 0
    for wait_ms in steps:
        now_ms += wait_ms
        if bucket.take(now_ms):
            continue
        next_ms = bucket.next_ms(now_ms)
        assert next_ms > now_ms
        assert not TokenBucket.take(bucket, next_ms - 1) or next_ms - 1 == now_ms
        now_ms = next_ms
        assert bucket.take(now_ms)


def test_a_bucket_does_not_fill_when_time_runs_backwards() -> None:
    bucket = TokenBucket(Rate(1, 1), 10_000)
    assert bucket.take(10_000)
    assert not bucket.take(5_000)
    assert not bucket.take(10_500)
    assert bucket.take(11_000)


def test_what_one_bucket_refuses_costs_nothing_in_the_other() -> None:
    limits = RateLimits(Rate(1, 2), Rate(1, 1))
    assert limits.may_go("a.example", 0)
    assert not limits.may_go("a.example", 0), "its own bucket is empty"
    assert limits.may_go("b.example", 0), "and the common one was not touched"
    assert not limits.may_go("c.example", 0)


def test_without_a_rate_everything_goes() -> None:
    limits = RateLimits()
    assert all(limits.may_go("a.example", 0) for _ in range(10_000))
    assert limits.available("a.example", 0) is None
    assert limits.queue_of("a.example") == ""


@pytest.mark.parametrize("bad", [(0, 1), (-1, 1), (1, 0)])
def test_a_rate_that_lets_nothing_through_is_refused(bad: tuple[float, int]) -> None:
    with pytest.raises(ValueError, match="more than 0"):
        Rate(*bad)


@given(
    each=rates,
    domains=st.lists(st.sampled_from(["a.example", "b.example"]), min_size=1, max_size=60),
    limit=st.integers(1, 20),
)
def test_everybody_who_waits_for_their_turn_gets_it_in_order(each: Rate, domains: list[str], limit: int) -> None:
    limits, room, now_ms = RateLimits(None, each), WaitingRoom[tuple[str, int]](), 0
    for number, domain in enumerate(domains):
        room.for_its_turn(limits.queue_of(domain), (domain, number))
    gone: list[tuple[str, int]] = []
    for _ in range(10_000):
        next_ms = room.next_ms(now_ms, limits, lambda _: False)
        if next_ms is None:
            break
        now_ms = max(now_ms, next_ms)
        taken = room.take(now_ms, limit, limits, lambda _: False)
        assert 1 <= len(taken) <= limit
        assert all(limits.may_go(domain, now_ms) for domain, _ in taken)
        gone += taken
    assert len(room) == 0
    for domain in set(domains):
        assert [number for name, number in gone if name == domain] == [
            number for number, name in enumerate(domains) if name == domain
        ]


def test_a_waiting_room_gives_back_whoever_came_in_once() -> None:
    room, limits = WaitingRoom[str](), RateLimits()
    room.until(30, "later", Hold.QUIET)
    room.until(10, "sooner", Hold.RETRY)
    room.for_a_start("london", "stopped")
    assert dict(room.counts) == {Hold.QUIET: 1, Hold.RETRY: 1, Hold.STOPPED: 1}
    stopped = {"london"}
    assert room.next_ms(0, limits, stopped.__contains__) == 10
    assert room.take(9, 10, limits, stopped.__contains__) == []
    assert room.take(10, 10, limits, stopped.__contains__) == ["sooner"]
    stopped.clear()
    assert room.next_ms(11, limits, stopped.__contains__) == 11
    assert room.take(11, 10, limits, stopped.__contains__) == ["stopped"]
    assert room.take(40, 10, limits, stopped.__contains__) == ["later"]
    assert len(room) == 0
    assert room.next_ms(50, limits, stopped.__contains__) is None
