"""The circuit breaker for refusals by policy."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.notifier.breaker import BreakerBounds, PolicyBreaker, Scope

BOUNDS = BreakerBounds(open_first_ms=1_000, open_max_ms=4_000, domains_max=3, probe_ms=100)
DOMAIN, EVERYTHING = Scope.DOMAIN, Scope.EVERYTHING


def test_a_refusal_stops_its_domain_and_no_other() -> None:
    breaker = PolicyBreaker(BOUNDS)
    assert breaker.refused("a.example", DOMAIN, 0), "somebody should be told"
    assert breaker.held_until_ms("a.example", 1) == 1_000
    assert breaker.held_until_ms("b.example", 1) is None
    assert not breaker.refused("a.example", DOMAIN, 2), "once is enough"
    assert breaker.held_until_ms("a.example", 3) == 1_000, "what was on its way says nothing new"


def test_one_probe_goes_and_closes_it_or_keeps_it_open_twice_as_long() -> None:
    breaker = PolicyBreaker(BOUNDS)
    breaker.refused("a.example", DOMAIN, 0)
    now_ms, opens = 0, []
    for _ in range(4):
        now_ms = breaker.held_until_ms("a.example", now_ms) or now_ms
        assert breaker.held_until_ms("a.example", now_ms) is None
        assert breaker.probe("a.example", now_ms)
        assert breaker.held_until_ms("a.example", now_ms) == now_ms + BOUNDS.probe_ms, "others wait for the probe"
        breaker.refused("a.example", DOMAIN, now_ms)
        opens.append((breaker.held_until_ms("a.example", now_ms) or 0) - now_ms)
    assert opens == [2_000, 4_000, 4_000, 4_000]
    now_ms += 4_000
    breaker.probe("a.example", now_ms)
    assert breaker.taken("a.example", now_ms)
    assert breaker.held_until_ms("a.example", now_ms) is None
    assert not breaker.probe("a.example", now_ms), "closed: no email is a probe"


def test_an_email_that_set_out_before_does_not_close_it() -> None:
    breaker = PolicyBreaker(BOUNDS)
    breaker.refused("a.example", DOMAIN, 100)
    assert not breaker.taken("a.example", 50)
    assert breaker.held_until_ms("a.example", 200) == 1_100


def test_many_domains_at_once_are_everybody() -> None:
    breaker = PolicyBreaker(BOUNDS)
    for name in ("a", "b"):
        breaker.refused(f"{name}.example", DOMAIN, 0)
    assert breaker.held_until_ms("z.example", 1) is None
    breaker.refused("c.example", DOMAIN, 0)
    assert breaker.held_until_ms("z.example", 1) == 1_000
    assert breaker.open_circuits() == {EVERYTHING: 1, DOMAIN: 3}


def test_our_own_fault_stops_everything() -> None:
    breaker = PolicyBreaker(BOUNDS)
    breaker.refused("a.example", EVERYTHING, 0)
    assert breaker.held_until_ms("z.example", 1) == 1_000
    assert breaker.probe("z.example", 1_000)
    assert breaker.taken("z.example", 1_000)
    assert breaker.held_until_ms("a.example", 1_001) is None


def test_a_probe_that_tells_nothing_does_not_block_the_next() -> None:
    breaker = PolicyBreaker(BOUNDS)
    breaker.refused("a.example", DOMAIN, 0)
    breaker.probe("a.example", 1_000)
    breaker.told_nothing("a.example")
    assert breaker.held_until_ms("a.example", 1_001) is None
    breaker.probe("a.example", 1_001)
    assert breaker.held_until_ms("a.example", 1_101) is None, "given up after a while"


events = st.lists(
    st.tuples(st.integers(0, 3_000), st.sampled_from("abcde"), st.sampled_from(["refused", "taken", "go"])),
    max_size=100,
)


@given(events)
def test_nobody_is_held_for_ever(events: list[tuple[int, str, str]]) -> None:
    breaker, now_ms = PolicyBreaker(BOUNDS), 0
    for wait_ms, name, what in events:
        now_ms += wait_ms
        match what:
            case "refused":
                breaker.refused(name, DOMAIN, now_ms)
            case "taken":
                breaker.taken(name, now_ms)
            case _ if breaker.held_until_ms(name, now_ms) is None:
                breaker.probe(name, now_ms)
        until_ms = breaker.held_until_ms(name, now_ms)
        assert until_ms is None or now_ms < until_ms <= now_ms + BOUNDS.open_max_ms
