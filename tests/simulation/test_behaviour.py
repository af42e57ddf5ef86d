"""Simulated members do what is assumed of them, no more and no less."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from statistics import fmean
from zoneinfo import ZoneInfo

import pytest

from shared.contracts import Openness
from simulation.assumptions import Assumptions, load_assumptions
from simulation.behaviour import DAY_MS, HOUR_MS, Answer, Behaviour, Draws, Person

NOW_MS = 1_798_800_000_000
MANY = 4_000


def behaviour(**more: dict[str, float]) -> Behaviour:
    values = load_assumptions().assumptions.model_dump()
    for section, changed in more.items():
        values[section] |= changed
    return Behaviour(Assumptions.model_validate(values), Draws(1))


def person(member: str = "m_a", *, rating: int = 3, **more: float) -> Person:
    openness = Openness(shares=rating, listens=rating, goes_first=rating, depth=rating)
    someone = Person(member, openness, ("friend",), NOW_MS, readiness=0.0, waits_since_ms=NOW_MS)
    return replace(someone, **more)  # type: ignore[arg-type]


def share_of_yes(of: Behaviour, someone: Person, score: float = 0.5) -> float:
    return fmean(of.answers(someone, f"s_{n}", score, NOW_MS) is Answer.YES for n in range(MANY))


def test_draws_depend_on_the_seed_and_on_what_is_drawn_alone() -> None:
    draws = Draws(1)
    first = draws.uniform("a", 1)
    draws.uniform("something else")
    assert draws.uniform("a", 1) == first == Draws(1).uniform("a", 1)
    assert len({first, Draws(2).uniform("a", 1), draws.uniform("a", 2), draws.uniform("b", 1)}) == 4
    assert fmean(draws.uniform("mean", n) for n in range(MANY)) == pytest.approx(0.5, abs=0.02)


def test_a_middling_member_says_yes_as_often_as_is_assumed() -> None:
    of = behaviour(answering={"says_yes": 0.3})
    assert share_of_yes(of, person()) == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize(
    ("keener", "score"),
    [({"rating": 5}, 0.5), ({}, 0.9), ({"waits_since_ms": NOW_MS - 40 * DAY_MS}, 0.5), ({"readiness": 1.0}, 0.5)],
)
def test_openness_fit_waiting_and_temper_make_a_yes_likelier(keener: dict[str, float], score: float) -> None:
    of = behaviour()
    assert share_of_yes(of, person(**keener), score) > share_of_yes(of, person()) + 0.02  # type: ignore[arg-type]


def test_disappointments_make_it_less_likely() -> None:
    of = behaviour()
    assert share_of_yes(of, person(disappointments=5)) < share_of_yes(of, person()) - 0.05


def test_what_is_certain_stays_certain() -> None:
    assert share_of_yes(behaviour(answering={"says_yes": 1.0}), person(disappointments=20)) == 1
    assert share_of_yes(behaviour(answering={"says_yes": 0.0}), person(rating=5)) == 0


def test_an_opener_helps_just_as_much_as_is_assumed() -> None:
    def deeper(odds: float, opener_came: bool) -> float:
        of = behaviour(meeting={"past_small_talk": 0.5, "odds_with_an_opener": odds})
        return fmean(
            of.gets_past_small_talk([person(), person("m_b")], f"s_{n}", 1, meeting=1, opener_came=opener_came)
            for n in range(MANY)
        )

    assert deeper(3.0, True) == pytest.approx(0.75, abs=0.03)
    assert deeper(3.0, False) == pytest.approx(0.5, abs=0.03)
    assert deeper(1.0, True) == deeper(1.0, False)


def test_nobody_reads_at_night_and_nobody_reads_before_it_has_come() -> None:
    of = behaviour(reading={"never_reads": 0.0})
    london = ZoneInfo("Europe/London")
    for number in range(500):
        sent_ms = NOW_MS + number * 7 * HOUR_MS
        read_ms = of.reads_at_ms(f"e_{number}", sent_ms, "Europe/London")
        assert read_ms is not None
        assert read_ms >= sent_ms
        assert 7 <= datetime.fromtimestamp(read_ms / 1000, UTC).astimezone(london).hour < 23


def test_some_emails_are_never_read() -> None:
    of = behaviour(reading={"never_reads": 0.2})
    never = fmean(of.reads_at_ms(f"e_{n}", NOW_MS, "Europe/London") is None for n in range(MANY))
    assert never == pytest.approx(0.2, abs=0.03)


def test_members_arrive_from_the_start_to_the_end() -> None:
    of = behaviour(joining={"there_at_the_start": 0.25})
    joins = [of.joins_at_ms(number, 1000, NOW_MS, 100) - NOW_MS for number in range(1000)]
    assert sum(at_ms <= HOUR_MS for at_ms in joins) == pytest.approx(250, abs=3)
    assert max(joins) <= 100 * DAY_MS
    assert sum(at_ms > 50 * DAY_MS for at_ms in joins) == pytest.approx(375, abs=60)


def test_who_is_blocked_is_one_who_was_there() -> None:
    of = behaviour(meeting={"blocks": 1.0, "reports_instead_of_blocks": 0.5})
    found = [of.blocks(person(), ("m_b", "m_c"), f"s_{n}", 1) for n in range(200)]
    assert {whom for whom, _ in filter(None, found)} == {"m_b", "m_c"}
    assert {reports for _, reports in filter(None, found)} == {True, False}
    assert of.blocks(person(), (), "s_1", 1) is None
